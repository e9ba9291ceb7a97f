"""`evaluate`: clips in, tables out.

The steps, each usable by itself (`ablation` does so): sources (`samples`), items (`held_out`, `two_panel`), scores
(`scoring.Scorer`), rows (`rows`), figures (`summary`), files (`tables`).
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animegen.errors import InputError, MissingError, UsageError
from animegen.options import describe_options
from animegen.pipeline.progress import Reporter
from animegen.settings.layers import ConfigLayer
from animegen.stages import MetricSpec
from animegen.weights.store import WeightStore
from animegen_eval import clip_set, held_out, published, two_panel
from animegen_eval.cache import ScoreCache
from animegen_eval.drawing import Drawing
from animegen_eval.facts import facts_of
from animegen_eval.items import NATIVE, Item
from animegen_eval.metrics import ChosenMetric, choose_metrics
from animegen_eval.profiles import Profile, adjusted, find_profile
from animegen_eval.rows import Row, clip_rows, frame_rows
from animegen_eval.samples.atd12k import find_triplets, members
from animegen_eval.samples.pictures import Memory
from animegen_eval.samples.sources import Source, find_sources
from animegen_eval.samples.truth import match
from animegen_eval.scoring import HELD, WINDOW, Score, Scorer, need
from animegen_eval.summary import summarise
from animegen_eval.tables import Evaluation, write

if TYPE_CHECKING:
    from animegen.registry import Registry

CACHE = ".cache"
"""Below the folder of an evaluation: scores, and the frames of interpolators that drew here."""


@dataclass(frozen=True)
class Request:
    """What is to be evaluated.

    Attributes:
        paths: Runs, folders of frames, videos, folders of these.
        profile: Name of the profile; empty for the one that fits: held-out-middle where interpolators are named.
        metrics: Names of metrics or quantities; none for all that are installed.
        truth: Folder of true clips.
        interpolators: Names of those that draw here.
        gaps, parts: In place of the profile's.
        fps: Of folders of frames.
        by: ``config``, ``title`` or ``clip``: what the summary has lines for.
        device, dtype: Handed to metrics and interpolators.
        force: Measure sets that are too small, also where a metric has a floor of its own (its option ``force``).
        argv: The command, for the record.
    """

    paths: tuple[Path, ...]
    profile: str = ""
    metrics: tuple[str, ...] = ()
    truth: Path | None = None
    interpolators: tuple[str, ...] = ()
    gaps: tuple[int, ...] = ()
    parts: int | None = None
    fps: Fraction | None = None
    by: str = "config"
    device: str = "auto"
    dtype: str = "auto"
    force: bool = False
    argv: tuple[str, ...] = field(default_factory=lambda: tuple(sys.argv))


class Evaluator:
    """One evaluation, from its plan to its tables. A context manager: leaving it lets go of interpolators.

    Args:
        request: What is to be evaluated.
        registry: What is installed.
        layers: Settings, weakest first: options of metrics and interpolators.
        out: Folder of the evaluation; None writes and keeps nothing.
        cache: Folder of scores and drawn frames, which evaluations may share; below `out` where it is not given.
        weights: Where weights lie.
        reporter: Told what happens.
        held, window: Bytes, see `scoring`.

    Raises:
        AnimeGenError: As the class says: bad names, inputs that do not go together, what is missing.
    """

    def __init__(
        self,
        request: Request,
        registry: Registry,
        *,
        layers: Sequence[ConfigLayer] = (),
        out: Path | None = None,
        cache: Path | None = None,
        weights: WeightStore | None = None,
        reporter: Reporter | None = None,
        held: int = HELD,
        window: int = WINDOW,
    ) -> None:
        self.request, self.out = request, out
        self.reporter = reporter or Reporter()
        self._registry, self._weights = registry, weights or WeightStore()
        self._cache = cache or (None if out is None else out / CACHE)
        self._held, self._window = held, window
        self._memory = Memory(held)
        self.notes: list[str] = []
        self.profile = self._profile()
        names = request.metrics or self.profile.quantities
        self.metrics = self._choose(registry, names, layers)
        self.drawings: list[Drawing] = []
        self.sources: list[Source] = []
        self.real: list[Source] = []
        try:
            self.items = self._items(layers)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Evaluator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the interpolators."""
        for drawing in self.drawings:
            drawing.close()

    @property
    def is_set(self) -> bool:
        """Whether sets are measured, not clips."""
        return self.profile.least_clips > 0

    def plan(self) -> list[tuple[str, str]]:
        """What will be done, as (label, text) lines."""
        clips = {(item.title, item.clip) for item in self.items}
        systems = list(dict.fromkeys(item.config for item in self.items if not item.control))
        needed = need(self.items, self.metrics, held=self._held, window=self._window)
        lines = [
            ("plan", f"{self.profile.name} {self.profile.hash}: {_many(systems, 'system')}, {_many(clips, 'clip')}"),
            ("scores", f"{', '.join(metric.stage.name for metric in self.metrics)} over {len(self.items)} items"),
            ("need", f"{needed // 2**20 + 1} MiB of pictures at most, beside what metrics take"),
        ]
        if lossy := sorted({str(source.storage) for source in self.sources if not source.storage.lossless}):
            lines.append(("note", f"some clips were stored with loss ({', '.join(lossy)}), which costs accuracy"))
        return lines

    def run(self) -> Evaluation:
        """Score everything and write the tables.

        Everything that was measured is kept as soon as it is; stopped at any time, the same call goes on from there.

        Raises:
            InputError: A clip turned out to be broken.
            ResourceError: The disk is full.
        """
        folder = None if self._cache is None else self._cache / "scores"
        scorer = Scorer(ScoreCache(folder, self.reporter.warned), self._weights, self.reporter, window=self._window)
        scores: list[Score] = []
        frames: list[Row] = []
        clips: list[Row] = []
        missing: Mapping[str, MissingError] = scorer.missing
        if self.is_set:
            kept = None if self._cache is None else self._cache / "features"
            of_sets = clip_set.SetScorer(kept, self._weights, self.reporter)
            clips, missing = of_sets.score(self.items, self.real, self.metrics), of_sets.missing
        else:
            for score in scorer.score(self.items, self.metrics):
                scores.append(score)
                frames += frame_rows(score)
            clips = clip_rows(scores)
        facts = self._facts(missing, clips)
        subsets = members(self.sources) if self.profile.dataset else {}
        summary = summarise(clips, self.profile, by=self.request.by, subsets=subsets)
        evaluation = Evaluation(tuple(frames), tuple(clips), summary, facts)
        if self.out is not None:
            write(evaluation, self.out)
        return evaluation

    def _profile(self) -> Profile:
        request = self.request
        name = request.profile or ("held-out-middle" if request.interpolators else "two-panel")
        profile = adjusted(find_profile(name), gaps=request.gaps, parts=request.parts)
        if profile.needs_real and not request.interpolators:
            raise UsageError(
                f"{name} scores interpolators on real clips; none is named.",
                hint="--interpolator flow --interpolator crossfade, or any that animegen plugins list shows",
            )
        if request.interpolators and not profile.needs_real:
            raise UsageError(f"{name} scores clips as they are; --interpolator has no effect.", hint="leave it out")
        if request.truth is not None and profile.needs_real:
            raise UsageError(f"in {name} the clips are the truth; --truth has no effect.", hint="leave it out")
        if not request.paths:
            raise UsageError("nothing to score was named.", hint="animegen evaluate RUN, FOLDER or VIDEO")
        return profile

    def _choose(self, registry: Registry, names: Sequence[str], layers: Sequence[ConfigLayer]) -> list[ChosenMetric]:
        request = self.request
        if not request.metrics and names:  # a profile's own: those of them that are installed
            known = {q.name for stage in registry.stages("metric") for q in getattr(stage.spec, "quantities", ())}
            if absent := [name for name in names if name not in known]:
                self._note(f"not installed, and so left out: {', '.join(absent)}")
            names = [name for name in names if name in known]
        over = "set" if self.is_set else "clip"
        if self.is_set and request.force:
            layers = [*layers, _forced(registry)]
        chosen = choose_metrics(registry, names, layers, over=over, device=request.device, dtype=request.dtype)
        if not chosen:
            raise MissingError(
                f"no metric of {'sets of clips' if self.is_set else 'clips'} is installed.",
                hint="python -m pip install animegen-video-metrics",
            )
        if wrong := [metric.stage.name for metric in chosen if metric.spec.over != over]:
            other, hint = (
                ("sets of clips", "--profile clip-set is for it")
                if over == "clip"
                else ("single clips, not sets of them", "leave --profile clip-set out, or this metric")
            )
            raise UsageError(f"{', '.join(wrong)} measures {other}.", hint=hint)
        return chosen

    def _items(self, layers: Sequence[ConfigLayer]) -> list[Item]:
        request = self.request
        if self.profile.dataset:
            self.sources = find_triplets(request.paths, self._memory, note=self._note)
        else:
            self.sources = find_sources(request.paths, self._memory, fps=request.fps, note=self._note)
        for source in self.sources:
            for text in source.notes:
                self._note(f"{source.name} of {source.config}: {text}")
        if self.profile.needs_real:
            items = self._held_out(layers)
        elif self.is_set:
            return self._set_items()
        else:
            truth: Mapping[str, Source] = {}
            if request.truth is not None:
                names = [source.name for source in self.sources]
                truth = match(names, request.truth, self._memory, fps=request.fps, note=self._note)
            items = list(two_panel.items(self.profile, self.sources, truth, self._note, self._memory))
        self._say_unreadable(items)
        return items

    def _set_items(self) -> list[Item]:
        request = self.request
        if request.truth is None:
            raise UsageError(f"{self.profile.name} needs real clips to compare with.", hint="--truth FOLDER")
        self.real = find_sources([request.truth], self._memory, fps=request.fps, note=self._note)
        every = two_panel.items(self.profile, self.sources, {}, self._note, self._memory)
        items = [replace(item, variants=clip_set.WHOLE_SET) for item in every if item.variants is not NATIVE]
        if note := clip_set.refuse_small(self.profile, items, self.real, force=request.force):
            self._note(note)
        return items

    def _held_out(self, layers: Sequence[ConfigLayer]) -> list[Item]:
        folder = None if self._cache is None else self._cache / "drawn"
        for name in dict.fromkeys(self.request.interpolators):
            self.drawings.append(Drawing(name, self._registry, layers, folder, self._memory, self._weights))
        gaps = held_out.gaps_of(self.profile, self.drawings)
        parts = held_out.cut(self.profile, self.sources, gaps, self._note)
        return list(held_out.items(self.profile, parts, self.drawings, self._memory))

    def _say_unreadable(self, items: Sequence[Item]) -> None:
        """Quantities that no item can have, and why."""
        lacking: dict[str, list[str]] = {}
        for metric in self.metrics:
            for quantity in metric.quantities.values():
                if not any(item.asks(quantity) for item in items):
                    lacking.setdefault(" and ".join(sorted(quantity.reads)), []).append(quantity.name)
        for reads, names in lacking.items():
            self._note(f"left out for want of {reads}: {', '.join(names)}")
        if lacking and not any(i.asks(q) for m in self.metrics for q in m.quantities.values() for i in items):
            raise InputError(
                f"none of the quantities can be measured here: they need {' or '.join(lacking)}.",
                hint="--truth DIR names true clips; animegen evaluate --list shows what each quantity needs",
            )

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
            self.reporter.warned(text)

    def _facts(self, missing: Mapping[str, MissingError], clips: Iterable[Row]) -> dict[str, Any]:
        found = facts_of(
            self.profile,
            self.metrics,
            self.sources,
            clips,
            weights=self._weights,
            missing=missing,
            notes=self.notes,
            argv=self.request.argv,
            by=self.request.by,
        )
        found["interpolators"] = [
            {"name": one.name, **one.identity(), "drawn": one.drawn(self.request.by)} for one in self.drawings
        ]
        if self.profile.dataset:
            found["subsets"] = {name: len(clips) for name, clips in members(self.sources).items()}
            found["published"] = published.facts(self.sources)
        return found


def _many(found: Collection[object], what: str) -> str:
    return f"{len(found)} {what}{'s' * (len(found) != 1)}"


def _forced(registry: Registry) -> ConfigLayer:
    """``--force`` for metrics of sets that have a floor of their own: those with an option ``force``."""
    specs = [stage.spec for stage in registry.stages("metric")]
    floors = [s.name for s in specs if isinstance(s, MetricSpec) and s.over == "set" and _has_force(s.options)]
    return ConfigLayer("--force", {name: {"force": True} for name in floors})


def _has_force(options: type) -> bool:
    return any(info.name == "force" for info in describe_options(options))
