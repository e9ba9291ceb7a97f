"""The pipeline: settings and a pair in, a clip and its record out."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from animegen.clip import Clip
from animegen.errors import AnimeGenError, InterruptedRun
from animegen.media import PanelPair, Strip
from animegen.pictures.sizing import parse_size
from animegen.pipeline.hashing import json_digest
from animegen.pipeline.job import Job, input_digest
from animegen.pipeline.outlook import Need, Planned, ask, needs, program, refuse_too_much
from animegen.pipeline.outputs import RestoredFrames, open_run, write_outputs
from animegen.pipeline.plan import plan_lines, together_too_much, untrained_stages, untrained_words
from animegen.pipeline.progress import Reporter
from animegen.pipeline.record import RunRecord, record_layer, settings_tables
from animegen.pipeline.runfolder import CACHE, RunFolder, recorded
from animegen.pipeline.session import Opened, Session
from animegen.pipeline.store import DiskStore, MemoryStore, Store
from animegen.registry import Registry
from animegen.settings import recipes
from animegen.settings.layers import ConfigLayer, file_layer, plugins_off
from animegen.settings.resolve import Choice, Settings, layers_here, resolve_settings
from animegen.settings.roles import Role
from animegen.stages import InterpolatorSpec
from animegen.upsampling.fill import SLICE
from animegen.weights.store import WeightStore

_AFFECTING = (
    *("grow", "keep_balloon", "size", "loop", "factor", "frames", "fps", "prompt", "seed", "device", "dtype"),
    *("format", "keep", "untrained"),
)
"""The run's own options that change what its folder holds, and so belong to its id."""


log = logging.getLogger("animegen")
T = TypeVar("T", PanelPair, Strip)


class Pipeline:
    """A chain of stages, ready for any number of pairs. A context manager: leaving it lets go of the stages.

    Args:
        recipe: Name or file of a recipe; None takes the best one that is installed here.
        settings: Tables as in ``animegen.toml``, stronger than the recipe, the file and the environment.
        layers: All layers, weakest first, in place of the three usual ones and `settings`.
        out: Folder of all runs; None keeps everything in memory and writes nothing.
        registry: Plugins to choose from.
        reporter: Told what happens.
        force: Make every result anew, whatever an earlier run left.
        config: Use ``animegen.toml`` and the environment.
        beside: Another pipeline whose results, open stages, registry, weights and reporter this one shares, as the
            configurations of an ablation do; only one of them may be at work at a time.
        devices: Lent to stages in place of those that the settings name; see `Session`.

    Raises:
        UsageError: An unknown stage or option, or a bad value.

    >>> with Pipeline(settings={"run": {"interpolator": "flow"}}) as pipeline:  # doctest: +SKIP
    ...     clip = pipeline.run(pair)
    """

    def __init__(
        self,
        *,
        recipe: str | None = None,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        layers: Sequence[ConfigLayer] | None = None,
        out: str | Path | None = None,
        registry: Registry | None = None,
        reporter: Reporter | None = None,
        force: bool = False,
        config: bool = True,
        weights: WeightStore | None = None,
        beside: Pipeline | None = None,
        devices: Sequence[str] = (),
    ) -> None:
        if beside is not None:
            registry, reporter, weights, out = beside.registry, beside.reporter, beside.weights, beside.out
        self.registry: Registry = registry or Registry(off=plugins_off(file_layer()) if config else ())
        self.reporter: Reporter = reporter or Reporter()
        self.weights: WeightStore = weights or WeightStore()
        reason = ""
        if layers is None:
            layers, reason = usual_layers(self.registry, recipe, settings or {}, config=config)
        self.settings: Settings = resolve_settings(self.registry, layers)
        if (size := self.settings.run.values.size) not in ("fit", "crop"):
            parse_size(size)  # now, and not after the first steps
        self.reason = reason
        self.out: Path | None = None if out is None else Path(out)
        store: Store = MemoryStore() if self.out is None else DiskStore(self.out / CACHE, fresh=force)
        opened: Opened = {}
        if beside is not None:
            store, opened, devices = beside._session.store, beside._opened, devices or beside._devices
        self._opened: Opened = opened
        self._devices: tuple[str, ...] = tuple(devices)
        self._session: Session = Session(
            self.settings, store, weights=self.weights, reporter=self.reporter, opened=opened, devices=devices
        )
        self._asked: dict[tuple[Any, ...], Planned | None] = {}

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def job(self, panels: PanelPair | Strip) -> Job:
        """A strip at the start of its way. Raises UsageError where it has too few panels."""
        return Job(self._session, panels)

    def identity(self, choice: Choice) -> dict[str, Any]:
        """What makes a stage of this pipeline give the result it gives; see `Session.identity`."""
        return self._session.identity(choice)

    @property
    def made(self) -> Mapping[Role, int]:
        """Results made so far, and not taken from the store, by role."""
        return self._session.made

    def let_go(self, *, but: str | None = None) -> None:
        """Let go of open stages, those of pipelines beside this one too; those in the role `but` stay."""
        for role in {slot[0] for slot in self._opened} - {but}:
            self._session.close(cast("Role", role))

    def run_id(self, panels: PanelPair | Strip) -> str:
        """Hash of a strip and of everything that decides its clip."""
        strip = Strip.of(panels)
        run = self.settings.run.as_record()
        stages = [
            {"role": role, **self._session.identity(choice)}
            for role, choices in self.settings.choices.items()
            for choice in choices
        ]
        decided = {name: run[name]["value"] for name in _AFFECTING} | {"prompt": self._prompt(strip)}
        return json_digest({"inputs": input_digest(strip), "run": decided, "stages": stages})

    def _prompt(self, strip: Strip) -> str:
        return strip.prompt or self.settings.run.values.prompt

    def check(self, panels: PanelPair | Strip | None = None) -> None:
        """Fail now rather than half way through: every stage has the libraries and weights it must have.

        Args:
            panels: Look as well whether there is the memory that these take. Not where stages are open already, which
                hold a part of it.

        Raises:
            MissingError: One has not; the hints hold the commands that bring it.
            ResourceError: There is less memory than a stage says it takes.
        """
        for choice in self.settings.taking_part:
            self._session.check(choice)
        if panels is not None and self._session.idle:
            refuse_too_much(self.needs(panels))

    def plan(self, panels: PanelPair | Strip) -> list[tuple[str, str]]:
        """What `run` would do with a strip, as (label, text) lines; nothing is loaded."""
        return plan_lines(self.job(panels), self.settings, self.planned(panels), self.reason)

    def needs(self, panels: PanelPair | Strip) -> list[Need]:
        """Memory by device at the worst moment of a run."""
        return needs(self.planned(panels))

    def planned(self, panels: PanelPair | Strip) -> list[Planned]:
        """What the program and each stage say of a run, in this order; each is asked once for pictures of a size."""
        job = self.job(panels)
        height, width = (max(image.shape[axis] for image in job.images) for axis in (0, 1))
        width_drawn, height_drawn = job.fittings()[0].working
        pixels = max(height * width, height_drawn * width_drawn)
        found = []
        for choice in self.settings.taking_part:
            drawing = isinstance(choice.stage.spec, InterpolatorSpec)
            size = (height_drawn, width_drawn) if drawing else (height, width)
            found.append(self._ask(choice, size, _at_once(choice, job.frame_count) if drawing else 1))
        return [program(pixels, SLICE), *(one for one in found if one is not None)]

    def _ask(self, choice: Choice, size: tuple[int, int], frames: int) -> Planned | None:
        key = (choice.role, choice.stage.full_name, size, frames)
        if key not in self._asked:  # later, what is free would no longer count what the stage itself holds
            self._asked[key] = ask(self._session, choice, size=size, frames=frames)
        return self._asked[key]

    def run(
        self,
        panels: PanelPair | Strip,
        *,
        resume: bool = False,
        inputs: Mapping[str, Any] | None = None,
        label: str = "",
        folder: Path | None = None,
        twins: Sequence[Path] = (),
    ) -> Clip:
        """Turn a pair, or a longer strip, into a clip.

        Args:
            panels: The panels.
            resume: Go on in the folder of an earlier, unfinished run of the same panels and settings; a finished
                one is given back as it is.
            inputs: Facts about the panels for run.json (paths, hashes).
            label: Names the run's folder; the panels' names otherwise.
            folder: The run's folder itself, in place of a new one below that of all runs.
            twins: Folders of finished runs of the same panels: where one shows the very same frames, its files are
                linked instead of being encoded once more.

        Raises:
            AnimeGenError: As the class says; what is finished is kept.
            InterruptedRun: Ctrl-C; `resume` goes on from there.
        """
        strip = Strip.of(panels)
        record = RunRecord(
            id=self.run_id(strip),
            argv=list(sys.argv),
            inputs={name: dict(facts) for name, facts in (inputs or {}).items()},
            settings=settings_tables(self.settings),
            run=self.settings.run.as_record(),
            notes=[text for _, text in self.plan(strip)],
            plan=[one.as_record() for one in self.planned(strip)],
            untrained=untrained_stages(self.settings),
        )
        if strip.prompt and strip.prompt != self.settings.run.values.prompt:  # run.json must make this very clip again
            record.settings["run"]["prompt"] = strip.prompt
            record.run["prompt"] = {"value": strip.prompt, "source": "pair"}
        place = None
        if self.out is None:
            self.check(strip)
        else:
            found = None
            if resume:
                found = RunFolder.find(self.out, record.id) if folder is None else RunFolder.at(folder, record.id)
            if found and found[1] == "done":
                return open_run(found[0].path)
            self.check(strip)
            first, last = strip.panels[0].name or "first", strip.panels[-1].name or "last"
            label = label or (f"{first}-{last}" if len(strip.panels) > 1 else first)
            if found:
                place = found[0]
            else:
                place = RunFolder.create(self.out, record, label) if folder is None else RunFolder(folder)
        with ExitStack() as stack:
            if place:
                stack.enter_context(place.logging())
                place.save(record)
            stack.enter_context(recorded(record, place))
            return self._run(self.job(strip), record, place, twins)

    def _run(self, job: Job, record: RunRecord, folder: RunFolder | None, twins: Sequence[Path] = ()) -> Clip:
        if record.untrained:
            self._warn(record, untrained_words(record.untrained))
        if crowded := together_too_much(self.planned(job.strip)):
            log.info("all stages at once do not fit on %s: each is let go of after its step", " and ".join(crowded))
        planned = job.planned()
        total = len(planned) + 1
        for number, (step, detail) in enumerate(planned, start=1):
            self._take(job, step, number, total, detail, record)
            for one in job.records if crowded else ():
                self._session.close(one.role)
            if folder:
                folder.keep(f"{number}-{step}", job.entries.get(step, []))
                folder.save(record)
        self.reporter.started(total, total, "write", "clip and contact sheet" if folder else "frames")
        started = time.perf_counter()
        clip = self._finish(job, record, folder, twins)
        self.reporter.finished("write", f"{len(clip)} frames", time.perf_counter() - started, False)
        return clip

    def _take(self, job: Job, step: str, number: int, total: int, detail: str, record: RunRecord) -> None:
        self.reporter.started(number, total, step, detail)
        before = len(job.records)
        started = time.perf_counter()
        summary = job.take(step)
        made = job.records[before:]
        record.steps += made
        for message in dict.fromkeys(message for one in made for message in one.warnings):
            self._warn(record, message)
        cached = all(one.cached and one.output for one in made)
        self.reporter.finished(step, summary, time.perf_counter() - started, cached)

    def _warn(self, record: RunRecord, message: str) -> None:
        if message not in record.warnings:
            record.warnings.append(message)
            self.reporter.warned(message)

    def _finish(self, job: Job, record: RunRecord, folder: RunFolder | None, twins: Sequence[Path]) -> Clip:
        if folder is None:
            frames = np.stack(RestoredFrames(job))
            record.status = "done"
            return Clip(frames, job.rate, warnings=tuple(record.warnings), record=None)
        write_outputs(job, record, folder, self.reporter, twins)
        record.status = "done"
        folder.save(record)
        return open_run(folder.path)

    def run_all(
        self,
        strips: Iterable[T],
        done: Callable[[T, Clip | AnimeGenError], None],
        **options: Any,
    ) -> None:
        """Run many pairs or strips through the same open stages; what fails is handed to `done` with its error."""
        for strip in strips:
            try:
                done(strip, self.run(strip, **options))
            except InterruptedRun:
                raise
            except AnimeGenError as error:
                done(strip, error)


def _at_once(choice: Choice, count: int) -> int:
    """Frames that a stage makes in one call."""
    spec = choice.stage.spec
    assert isinstance(spec, InterpolatorSpec)
    return count if spec.frames is not None and choice.role == "interpolator" else SLICE


def usual_layers(
    registry: Registry,
    recipe: str | None,
    settings: Mapping[str, Mapping[str, Any]],
    *,
    config: bool = True,
    source: str = "Python",
) -> tuple[list[ConfigLayer], str]:
    """The layers of a run, weakest first: recipe, ``animegen.toml``, environment, then `settings`.

    Returns:
        The layers, and why this recipe was taken (empty when the user named it).
    """
    if recipe is None:
        chosen, reason = recipes.best_available(registry)
        reason = f"recipe {chosen.name}: {reason}"
    else:
        chosen, reason = recipes.load(recipe), ""
        chosen.check(registry)
    return [chosen.layer, *layers_here(registry, settings, config=config, source=source)], reason


def recorded_layers(document: Mapping[str, Any], settings: Mapping[str, Mapping[str, Any]]) -> list[ConfigLayer]:
    """The layers of a run made again from its run.json; only what the user says now is stronger."""
    return [record_layer(document), ConfigLayer("command line", settings)]
