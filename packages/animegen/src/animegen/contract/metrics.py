"""What a metric promises, tried on small clips: `animegen.stages.Metric` and `SetMetric`, line by line."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from animegen.contract.pictures import HEIGHT, WIDTH, picture
from animegen.contract.probe import Broken, Probe
from animegen.errors import AnimeGenError, StageError
from animegen.measuring import Measured, Missing, Sample, Value
from animegen.pipeline.boundary import Unchanged, check_scores
from animegen.stages import MetricSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Frames

LENGTH = 12
"""Frames of a clip: as few as networks that look at time can do with."""
SIDE = 64
"""Least side of a picture that networks are tried on, px."""


def clip(length: int = LENGTH, height: int = HEIGHT, width: int = WIDTH) -> Frames:
    """A ring that moves, (length, height, width, 3) uint8 RGB."""
    return np.stack([picture(height, width, shift=0.1 * index / length) for index in range(length)])


def sample_of(frames: Frames, reference: Frames) -> Sample:
    """A clip with everything that a metric may read beside it."""
    return Sample(
        frames,
        tuple(np.linspace(0, 1, len(frames)).tolist()),
        reference=reference,
        panels=np.stack((reference[0], reference[-1])),
        ignored=np.zeros((2, *frames.shape[1:3]), bool),
        prompt="a ring on paper",
    )


def noisy(frames: Frames, seed: int = 3) -> Frames:
    """`frames` with strong grain on top."""
    grain = np.random.default_rng(seed).integers(-60, 60, frames.shape)
    return np.clip(frames.astype(int) + grain, 0, 255).astype(np.uint8)


def metric(probe: Probe, stage: Any) -> None:
    """Try a metric of either sort."""
    spec = probe.stage.spec
    assert isinstance(spec, MetricSpec)
    with probe.check("quantities", "its record names what it measures."):
        names = [quantity.name for quantity in spec.quantities]
        if not names or len({*names}) < len(names):
            raise Broken(f"quantities of its record are {names}; expected at least one name, each once.")
    if spec.over == "set":
        _check_sets(probe, stage, spec)
    else:
        _check_clips(probe, stage, spec)


def _check_clips(probe: Probe, stage: Any, spec: MetricSpec) -> None:
    clean = clip(height=SIDE, width=SIDE + 13)
    sample = sample_of(noisy(clean), clean)

    def measure(sample: Sample) -> Measured:
        shown = [a for a in (sample.frames, sample.reference, sample.panels, sample.ignored) if a is not None]
        with Unchanged(probe.name, *shown):
            return _checked(probe.name, stage(sample), spec, len(sample.frames))

    found: list[Measured] = []
    with probe.check("values", "numbers by name of quantity, as many as its scope has, the inputs unchanged."):
        found.append(measure(sample))
        for name, values in found[0].items():
            if any(isinstance(value, float) and math.isinf(value) for value in _flat(values)):
                raise Broken(f"{name} is infinite for two different clips.")
    with probe.check("repeatable", "the same clip gives the same values."):
        if found and measure(sample) != found[0]:
            raise Broken("the same clip gave other values the second time.")
    with probe.check("equal clips", "a clip against itself is no worse than noise against it."):
        if found:
            _expect_no_worse(spec, measure(sample_of(clean, clean.copy())), found[0])
    with probe.check("nothing beside", "without reference, panels and prompt, what reads them is missing."):
        alone = measure(Sample(sample.frames, sample.times))
        for quantity in spec.quantities:
            if quantity.reads and any(isinstance(value, float) for value in _flat(alone[quantity.name])):
                raise Broken(f"{quantity.name} has a value without {', '.join(sorted(quantity.reads))}.")
    if not spec.whole:
        with probe.check("pieces", "pieces of a clip that share a frame give what the whole gives."):
            if found:
                _expect_pieces(spec, sample, found[0], measure)
    with probe.check("one frame", "one frame is measured, or refused with an AnimeGenError."):
        _or_refused(lambda: measure(sample_of(clean[:1], clean[:1])))
    with probe.check("one pixel", "1 × 1 is measured, or refused with an AnimeGenError."):
        tiny = clip(3, 1, 1)
        _or_refused(lambda: measure(sample_of(tiny, tiny)))
    with probe.check("other shapes", "a reference of another shape is refused with an AnimeGenError."):
        if any("reference" in quantity.reads for quantity in spec.quantities):
            for changed in (clean[:2], np.ascontiguousarray(clean[:, :-2])):
                if not _refused(lambda changed=changed: measure(replace(sample, reference=changed))):  # type: ignore[misc]
                    raise Broken(f"it measures {sample.frames.shape} against a reference of {changed.shape}.")


def _check_sets(probe: Probe, stage: Any, spec: MetricSpec) -> None:
    clips = [clip(height=SIDE, width=SIDE + 13 + index) for index in range(3)]
    found: list[NDArray[np.float32]] = []
    with probe.check("features", "finite float32 rows for a clip, the inputs unchanged."):
        for frames in clips:
            with Unchanged(probe.name, frames):
                found.append(_features(stage.features(sample_of(frames, frames))))
    with probe.check("repeatable", "the same clip gives the same features."):
        if found and not np.array_equal(_features(stage.features(sample_of(clips[0], clips[0]))), found[0]):
            raise Broken("the same clip gave other features the second time.")
    with probe.check("distance", "a number for every quantity, or the reason why there is none."):
        if len(found) == len(clips):
            _or_refused(lambda: _checked(probe.name, stage.distance(found, found), spec, 1))


def _features(rows: object) -> NDArray[np.float32]:
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.dtype != np.float32 or not rows.size:
        shape = f"{rows.dtype} {rows.shape}" if isinstance(rows, np.ndarray) else type(rows).__name__
        raise Broken(f"features are {shape}; expected float32 (rows, dimensions).")
    if not np.isfinite(rows).all():
        raise Broken("features hold numbers that are not finite.")
    return rows


def _checked(name: str, answer: object, spec: MetricSpec, length: int) -> Measured:
    """The values of an answer. Raises Broken where a run would refuse it: that is no refusal of the metric's own."""
    try:
        return check_scores(name, answer, spec.quantities, length)
    except StageError as error:
        raise Broken(error.message) from None


def _flat(values: Value | tuple[Value, ...]) -> tuple[Value, ...]:
    return values if isinstance(values, tuple) else (values,)


def _expect_no_worse(spec: MetricSpec, equal: Measured, other: Measured) -> None:
    for quantity in spec.quantities:
        if quantity.better == "none" or "reference" not in quantity.reads:
            continue
        best, worse = (_mean(measured[quantity.name]) for measured in (equal, other))
        if best is None or worse is None:
            continue
        if best < worse if quantity.better == "higher" else best > worse:
            raise Broken(
                f"{quantity.name} is {best} for equal clips and {worse} for noise, but {quantity.better} is better."
            )


def _mean(values: Value | tuple[Value, ...]) -> float | None:
    numbers = [value for value in _flat(values) if isinstance(value, float)]
    return sum(numbers) / len(numbers) if numbers else None


def _expect_pieces(spec: MetricSpec, sample: Sample, whole: Measured, measure: Callable[[Sample], Measured]) -> None:
    middle = len(sample.frames) // 2
    pieces = []
    for part in (slice(0, middle + 1), slice(middle, None)):
        reference = None if sample.reference is None else sample.reference[part]
        pieces.append(
            measure(replace(sample, frames=sample.frames[part], times=sample.times[part], reference=reference))
        )
    for quantity in spec.quantities:
        if quantity.scope not in ("frame", "step"):
            raise Broken(f"{quantity.name} is one value a {quantity.scope}: its record must say whole=True.")
        first, second = (_flat(piece[quantity.name]) for piece in pieces)
        joined = first + second[quantity.scope == "frame" :]
        for one, other in zip(_flat(whole[quantity.name]), joined, strict=True):
            if not _alike(one, other):
                raise Broken(f"{quantity.name} of a piece is {other}, of the whole clip {one}; set whole=True.")


def _alike(one: Value, other: Value) -> bool:
    if isinstance(one, Missing) or isinstance(other, Missing):
        return type(one) is type(other)
    return math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-9)


def _or_refused(work: Callable[[], object]) -> None:
    """Do it; a refusal with an `AnimeGenError` is as good."""
    _refused(work)


def _refused(work: Callable[[], object]) -> bool:
    try:
        work()
    except AnimeGenError:
        return True
    return False
