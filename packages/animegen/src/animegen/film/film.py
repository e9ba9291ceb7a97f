"""One film on its way through: read, marked, filled, written in segments, joined with what belongs to it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from animegen.clip import Clip
from animegen.errors import InputError, ResourceError
from animegen.film.cut_list import given_cuts
from animegen.film.outputs import Output, open_film
from animegen.film.parts import Parts, segment_length
from animegen.film.plan import frames_out, plan_lines, result_rate, timeline
from animegen.film.said import Said
from animegen.film.tally import Tally
from animegen.film.workers import Crew, Draw, Meter
from animegen.pipeline.hashing import json_digest
from animegen.pipeline.progress import Reporter
from animegen.pipeline.record import RunRecord, StepRecord, peak_memory_mib
from animegen.pipeline.runfolder import CACHE, RunFolder, recorded
from animegen.pipeline.session import Session, StageContext, blame
from animegen.pipeline.store import MemoryStore
from animegen.stages import InterpolatorSpec
from animegen.upsampling.cuts import CutDetector, GivenCuts
from animegen.upsampling.duplicates import is_duplicate
from animegen.upsampling.fill import fill
from animegen.upsampling.gaps import gaps, mark
from animegen.weights.store import WeightStore

if TYPE_CHECKING:
    from animegen.film.options import UpsampleSettings
    from animegen.film.source import Source
    from animegen.upsampling.fill import Drawn
    from animegen.upsampling.gaps import Anchor, Cuts, Policy
    from animegen.upsampling.timeline import GapPlan

FILMS = "films"
_AFFECTING = (
    *("factor", "fps", "cut_threshold", "duplicates", "max_run", "anchor", "dtype"),
    *("format", "quality", "tracks", "eight_bit"),
)
"""Options that change the result, and so belong to its id; cuts belong to it as the list they come to."""


class Film:
    """A source, and what is to be made of it. A context manager: leaving it lets go of the stage.

    Args:
        source: What is upsampled.
        settings: How.
        out: Folder of all runs.
        reporter: Told what happens.
        weights: Where weights lie.
        force: Forget what an earlier, broken run of the same film left.

    Raises:
        UsageError: A rate not above the source's, a list of cuts that is none, or a format that cannot be had.
        MissingError: The stage lacks a library or weights.
    """

    def __init__(
        self,
        source: Source,
        settings: UpsampleSettings,
        *,
        out: str | Path = "runs",
        reporter: Reporter | None = None,
        weights: WeightStore | None = None,
        force: bool = False,
    ) -> None:
        self.source, self.settings, self.out = source, settings, Path(out)
        self.reporter = reporter or Reporter()
        self._force = force
        values = settings.values
        self._timeline = timeline(settings, source.reader.fps)
        self._given = given_cuts(values.cuts)
        self._cuts()  # a threshold that is none is said before anything is read
        self._output = Output(source, values, result_rate(settings, source.reader.fps))
        store, weights = MemoryStore(), weights or WeightStore()
        # A stage's own progress, inside one call, would be lost among those of the whole film.
        self._sessions = [Session(settings.on(name), store, weights=weights, smaller="") for name in values.devices]

    def __enter__(self) -> Film:
        return self

    def __exit__(self, *_: object) -> None:
        for session in self._sessions:
            session.close()
        self.source.reader.close()

    @cached_property
    def id(self) -> str:
        """Hash of the source and of everything that decides the result."""
        values = self.settings.options.as_record()
        decided = {name: values[name]["value"] for name in _AFFECTING}
        stages = [session.identity(self.settings.choice) for session in self._sessions]
        return json_digest(
            {
                "source": [self.source.digest, str(self.source.reader.fps)],
                "upsample": {**decided, "cuts": self._given},
                "stage": stages[0] if all(stage == stages[0] for stage in stages) else stages,
            }
        )

    def check(self) -> None:
        """Fail now rather than later. Raises MissingError where the stage lacks a library or weights."""
        self._sessions[0].check(self.settings.choice)

    def plan(self) -> list[tuple[str, str]]:
        """What `run` would do, as (label, text) lines; nothing is loaded."""
        return list(plan_lines(self.settings, self.source, self.out, self._output.name, self._notes()))

    def _notes(self) -> list[str]:
        values, choice = self.settings.values, self.settings.choice
        notes = [*self._output.notes, *self._idle()]
        named = [name for name in values.devices if name not in ("auto", "cpu")]
        if named and not choice.stage.spec.needs.libraries:  # never passed over in silence
            notes.append(f"{', '.join(named)}: not used, as {choice.stage.name} works on the CPU")
        return notes

    def _idle(self) -> Iterator[str]:
        """Options that somebody set and that nothing asks for."""
        values, sources = self.settings.values, self.settings.options.sources
        retime, lossy = values.duplicates == "retime", self._output.kind in ("mp4", "webp")
        asked = {
            "max_run": (retime, "it is for --duplicates retime"),
            "anchor": (retime, "it is for --duplicates retime"),
            "cut_threshold": (self._given is None, "it is for cuts that are looked for"),
            "quality": (lossy, "it is for mp4 and webp"),
        }
        for name, (used, why) in asked.items():
            if not used and sources[name] == "command line":
                yield f"--{name.replace('_', '-')}: not used, as {why}"

    def run(self, *, resume: bool = False) -> Clip:
        """Make the film.

        Args:
            resume: Go on in the folder of an earlier, broken run of the same film; a finished one is given back as it
                is. Without it a new folder is made; what a broken run had drawn is used either way.

        Raises:
            AnimeGenError: As the class says; what is finished is kept.
            InterruptedRun: Ctrl-C; `resume` goes on from there.
        """
        record = RunRecord(
            id=self.id,
            argv=list(sys.argv),
            inputs={"source": dict(self.source.facts)},
            settings=self._tables(),
            run=self.settings.options.as_record(),
            notes=[text for _, text in self.plan()],
            command="upsample",
        )
        found = RunFolder.find(self.out, self.id)
        if found and found[1] == "done":
            if resume:
                return open_film(found[0].path)
            if not self._force:
                self.reporter.warned(f"this film was made before, in {found[0].path}; --resume gives it back")
        self.check()
        parts = self._parts()
        with ExitStack() as stack:
            stack.enter_context(parts.alone(fresh=self._force))
            folder = found[0] if resume and found else RunFolder.create(self.out, record, self.source.name)
            stack.enter_context(folder.logging())
            folder.save(record)
            stack.enter_context(recorded(record, folder))
            with _kept():
                facts = self._make(parts, record)
            folder.save(record)
            return self._finish(parts, facts, record, folder)

    def _tables(self) -> dict[str, dict[str, Any]]:
        tables = self.settings.tables()
        if self._given:  # the list itself: its file may be gone when the film is made again
            tables["upsample"]["cuts"] = ",".join(map(str, self._given))
        return tables

    def _parts(self) -> Parts:
        channels = 4 if self.source.reader.alpha else 3
        folder = self.out / CACHE / FILMS / self.id[:2] / self.id[2:18]
        return Parts(folder, segment_length(self.source.reader.size, channels), self._output.segment_suffix)

    def _make(self, parts: Parts, record: RunRecord) -> dict[str, Any]:
        """All segments; gives what was found on the way."""
        about = frames_out(self.settings, self.source)
        detail = f"{self.source.about or 'some'} > {about or 'more'} frames"
        self.reporter.started(1, 2, "upsample", detail)
        started = time.perf_counter()
        step = self._sessions[0].step(self.settings.choice)
        step.devices = list(self.settings.values.devices)
        record.steps.append(step)
        facts, meter = parts.facts(), Meter()
        step.cached = facts is not None
        if facts is None:
            facts = self._draw(parts, step, meter, about)
            parts.keep_facts(facts)
        else:
            meter.count(kept=facts["frames_out"])
        seconds = time.perf_counter() - started
        step.seconds = round(seconds, 4)
        step.peak_memory_mib = peak_memory_mib()
        step.input, step.output = [self.source.digest], []
        spent = {name: round(value, 4) for name, value in meter.seconds.items()}
        step.info = {**facts, "kept": meter.kept, "spent": spent}
        for message in (*step.warnings, *dict.fromkeys(self.source.odd), *self._beyond(facts)):
            record.warnings.append(message)
            self.reporter.warned(message)
        self.reporter.finished("upsample", summary(facts, meter.kept), seconds, step.cached)
        return facts

    def _draw(self, parts: Parts, step: StepRecord, meter: Meter, about: int | None) -> dict[str, Any]:
        tally = Tally()
        said = Said()
        opened = [session.stage(self.settings.choice) for session in self._sessions]
        draws = [self._drawer(stage, context, said) for stage, context in opened]
        crew = Crew(parts, draws, self._output.encoder, meter)
        there = parts.finished()  # said at once: it is no measure of how fast the rest will come

        def tick() -> None:
            done = meter.done + max(0, there - meter.kept)
            self.reporter.progress(done, max(done, about or tally.frames_out), "frames")

        tick()
        try:
            crew.run(self._plans(tally), tick)
        finally:
            step.warnings = said.lines()
        tick()
        return {**tally.facts(), "variable": bool(self.source.reader.variable)}

    def _plans(self, tally: Tally) -> Iterator[GapPlan]:
        """The whole film, gap by gap, as it is read."""
        values = self.settings.values
        policy, anchor = cast("Policy", values.duplicates), cast("Anchor", values.anchor)
        duplicates = None if policy == "leave" else partial(is_duplicate, alpha=self.source.reader.alpha)
        frames = self.source.reader.timed()
        try:
            marked = tally.marked(mark(frames, self._cuts(), duplicates))
            found = tally.gaps(gaps(marked, policy, values.max_run, anchor))
            yield from tally.plans(self._timeline.place(found))
        finally:
            if close := getattr(frames, "close", None):
                with suppress(ValueError):  # it is running: its own error is on the way
                    close()

    def _cuts(self) -> Cuts | None:
        if self._given is not None:
            return GivenCuts(self._given) if self._given else None
        threshold = self.settings.values.cut_threshold
        return CutDetector() if threshold is None else CutDetector(threshold)

    def _drawer(self, stage: Any, context: StageContext, said: Said) -> Draw:
        choice = self.settings.choice
        spec = choice.stage.spec
        assert isinstance(spec, InterpolatorSpec)

        def draw(plans: Iterable[GapPlan], wanted: Callable[[int], bool]) -> Iterator[Drawn]:
            frames = fill(choice.stage.full_name, spec, stage, plans, wanted=wanted)
            while True:
                with blame(choice, smaller=""):
                    drawn = next(frames, None)
                if drawn is None:
                    return
                for message in context.warnings:
                    said.add(message, drawn.time)
                context.warnings.clear()
                yield drawn

        return draw

    def _beyond(self, facts: Mapping[str, Any]) -> list[str]:
        late = [number for number in self._given or () if number >= facts["frames_in"]]
        return [f"no cut at {late[0]}: the source has {facts['frames_in']} frames"] if late else []

    def _finish(self, parts: Parts, facts: Mapping[str, Any], record: RunRecord, folder: RunFolder) -> Clip:
        total: int = facts["frames_out"]
        if not total:
            raise InputError(f"{self.source.name} has no frames.")
        self.reporter.started(2, 2, "write", f"{self._output.name} and contact sheet")
        started = time.perf_counter()
        with _kept("every frame is kept; the same command with --resume puts them together"):
            record.outputs = self._output.write(parts, facts, folder, record.id, self.reporter)
        seconds = time.perf_counter() - started
        record.steps[-1].info["spent"]["joining"] = round(seconds, 4)
        record.steps[-1].peak_memory_mib = peak_memory_mib()
        record.status = "done"
        folder.save(record)
        parts.clear()
        self.reporter.finished("write", f"{total} frames", seconds, False)
        return open_film(folder.path)


@contextmanager
def _kept(hint: str = "what is finished is kept; the same command with --resume goes on from it") -> Iterator[None]:
    """Whatever runs out, in a stage or an encoder that knows nothing of films: say how to go on."""
    try:
        yield
    except ResourceError as error:
        if any("--resume" in known for known in error.hints):
            raise
        raise ResourceError(error.message, hint=(*error.hints, hint)) from error


def summary(facts: Mapping[str, Any], kept: int = 0) -> str:
    """What was done, in words."""
    words = [f"{facts['frames_in']} > {facts['frames_out']} frames"]
    cuts, doubles = len(facts["cuts"]), facts["duplicates"]
    words.append(f"{cuts or 'no'} {'cut' if cuts == 1 else 'cuts'}")
    if doubles["frames"]:
        became = f", {doubles['retimed_frames']} retimed" if doubles["retimed_frames"] else ""
        words.append(f"{doubles['frames']} duplicates{became}")
    if kept:
        words.append(f"{kept} made before")
    return ", ".join(words)
