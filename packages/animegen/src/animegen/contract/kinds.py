"""What each kind of stage promises, tried on small pictures: the protocols of `animegen.stages`, line by line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from animegen.contract.metrics import metric, sample_of
from animegen.contract.pictures import HEIGHT, WIDTH, picture
from animegen.contract.probe import Broken, Probe, Surprising
from animegen.errors import AnimeGenError
from animegen.media import Box, Region
from animegen.pipeline.boundary import Unchanged, check_frames, check_image, check_regions, check_untouched
from animegen.registry import Stage
from animegen.stages import InterpolatorSpec, Kind, MetricSpec, Needs, SequenceInterpolator

if TYPE_CHECKING:
    from animegen.media import Frames, Image, Mask

ROUNDING = 2
"""Grey levels by which two computations of one frame may differ (order of sums on an accelerator)."""

Check = Callable[[Probe, Any], None]


def size_for(needs: Needs, height: int, width: int) -> tuple[int, int]:
    """(H, W) rounded up as the pipeline does for an interpolator."""
    step = needs.multiple_of
    return -(-height // step) * step, -(-width // step) * step


def smallest_call(stage: Stage, made: Any) -> None:
    """Call a stage once with as little as its kind allows."""
    image = picture()
    if stage.kind == "inpainter":
        made(image, _blob(image))
    elif stage.kind == "interpolator":
        first, last, times = _pair_for(stage)
        made(first, last, times)
    elif stage.kind == "metric":
        _measure_once(stage, made, np.stack([image] * 2))
    else:
        made(image)


def _measure_once(stage: Stage, made: Any, frames: Frames) -> None:
    assert isinstance(stage.spec, MetricSpec)
    sample = sample_of(frames, frames)
    made.features(sample) if stage.spec.over == "set" else made(sample)


def detector(probe: Probe, stage: Any) -> None:
    image = picture()
    found: list[Sequence[Region]] = []

    def detect(image: Image, boxes: Sequence[Box] = ()) -> tuple[Region, ...]:
        image = image.copy()
        with Unchanged(probe.name, image):
            regions = check_regions(probe.name, stage(image, boxes) if boxes else stage(image), image)
        for region in regions:
            if not 0 <= region.score <= 1:
                raise Broken(f"a region has the score {region.score}; it takes 0 to 1.")
            if region.kind not in ("balloon", "panel", "text"):
                raise Broken(f"a region has the kind {region.kind!r}; it takes balloon, panel or text.")
        return regions

    with probe.check("regions", f"regions inside {WIDTH} × {HEIGHT}, the input unchanged."):
        found.append(detect(image))
    with probe.check("repeatable", "the same picture gives the same regions."):
        again = detect(image)
        if found and not _same_regions(found[0], again):
            raise Broken("the same picture gave other regions the second time.")
    with probe.check("text boxes", "annotated boxes are taken, at the rim too."):
        detect(image, (Box(10, 10, 30, 20), Box(0, 0, WIDTH, HEIGHT), Box(WIDTH - 1, HEIGHT - 1, WIDTH, HEIGHT)))
    with probe.check("one pixel", "1 × 1 is taken."):
        detect(picture(1, 1))
    with probe.check("empty page", "a blank picture is taken."):
        detect(np.full((HEIGHT, WIDTH, 3), 255, np.uint8))


def inpainter(probe: Probe, stage: Any) -> None:
    image = picture()

    def fill(image: Image, mask: Mask) -> Image:
        image, mask = image.copy(), mask.copy()  # a stage that writes into them spoils this check only
        with Unchanged(probe.name, image, mask):
            filled = check_image(probe.name, stage(image, mask), image)
        check_untouched(probe.name, image, filled, mask)
        return filled

    results: list[Image] = []
    with probe.check("shape", f"{WIDTH} × {HEIGHT} comes back, pixels outside the mask and the inputs unchanged."):
        results.append(fill(image, _blob(image)))
    with probe.check("repeatable", "the same input gives the same bytes."):
        _expect_same(results, fill(image, _blob(image)))
    with probe.check("empty mask", "nothing masked, nothing changed."):
        fill(image, np.zeros(image.shape[:2], bool))
    with probe.check("full mask", "a picture masked as a whole is taken."):
        fill(image, np.ones(image.shape[:2], bool))
    with probe.check("mask at the rim", "a mask that touches the rim is taken."):
        rim = np.zeros(image.shape[:2], bool)
        rim[:5, :] = rim[:, -4:] = True
        fill(image, rim)
    with probe.check("one pixel", "1 × 1 is taken, masked or not."):
        fill(picture(1, 1), np.zeros((1, 1), bool))
        fill(picture(1, 1), np.ones((1, 1), bool))


def preprocessor(probe: Probe, stage: Any) -> None:
    image = picture()

    def clean(image: Image) -> Image:
        image = image.copy()
        with Unchanged(probe.name, image):
            return check_image(probe.name, stage(image), image)

    results: list[Image] = []
    with probe.check("shape", f"{WIDTH} × {HEIGHT} comes back, the input unchanged."):
        results.append(clean(image))
    with probe.check("repeatable", "the same input gives the same bytes."):
        _expect_same(results, clean(image))
    with probe.check("blank pictures", "all white and all black are taken."):
        clean(np.full_like(image, 255))
        clean(np.zeros_like(image))
    with probe.check("one pixel", "1 × 1 is taken."):
        clean(picture(1, 1))


def interpolator(probe: Probe, stage: Any) -> None:
    spec = probe.stage.spec
    assert isinstance(spec, InterpolatorSpec)
    first, last, times = _pair_for(probe.stage)

    def draw(times: Sequence[float], first: Image = first, last: Image = last, **call: Any) -> Frames:
        first, last = first.copy(), last.copy()
        with Unchanged(probe.name, first, last):
            return check_frames(probe.name, stage(first, last, times, **call), len(times), first.shape)

    results: list[Frames] = []
    size = f"{first.shape[1]} × {first.shape[0]}"
    with probe.check("shape", f"{len(times)} frames of {size} for {len(times)} times, the inputs unchanged."):
        results.append(draw(times, seed=1))
    with probe.check("repeatable", "the same seed gives the same bytes."):
        _expect_same(results, draw(times, seed=1))
    _check_declared_inputs(probe, draw, times, results)
    small = size_for(spec.needs, 1, 1)
    with probe.check("smallest size", f"{small[1]} × {small[0]} is taken."):
        draw(times, picture(*small), picture(*small, shift=0.2))
    with probe.check("equal ends", "two equal pictures are taken."):
        draw(times, first, first.copy())
    if spec.carries_alpha:
        _check_alpha(probe, draw, times, first, last)
    if spec.frames is None:
        _check_any_time(probe, stage, draw, results)
    elif spec.other_counts:
        other = spec.frames // 2 + 1
        with probe.check("other count", f"{other} times are taken, as the record says."):
            draw([step / (other - 1) for step in range(other)])


def _check_declared_inputs(
    probe: Probe, draw: Callable[..., Frames], times: Sequence[float], results: list[Frames]
) -> None:
    """The key of a kept result holds prompt and seed only where the record says that they matter."""
    spec = probe.stage.spec
    assert isinstance(spec, InterpolatorSpec)
    for name, matters, call in (
        ("seed", spec.uses_seed, {"seed": 2}),
        ("prompt", spec.uses_prompt, {"seed": 1, "prompt": "a girl turns her head"}),
    ):
        promise = (
            f"another {name} gives other frames." if matters else f"the {name} changes nothing, as the record says."
        )
        with probe.check(name, promise):
            same = bool(results) and np.array_equal(results[0], draw(times, **call))
            if results and not matters and not same:
                raise Broken(f"another {name} gives other frames, but its record says uses_{name}=False.")
            if matters and same:
                raise Surprising(f"another {name} gives the same frames, but its record says uses_{name}=True.")


def _check_alpha(probe: Probe, draw: Callable[..., Frames], times: Sequence[float], first: Image, last: Image) -> None:
    """Pictures with a fourth channel, colours premultiplied: what is opaque stays so, alpha goes where colours go."""
    size = f"{first.shape[1]} × {first.shape[0]}"
    solid = np.full((*first.shape[:2], 1), 255, np.uint8)
    with probe.check("alpha", f"{size} with alpha comes back with alpha; what is opaque stays opaque."):
        alpha = draw(times, np.dstack([first, solid]), np.dstack([last, solid]))[..., 3]
        if (least := int(alpha.min())) < 255 - ROUNDING:
            raise Broken(f"two opaque pictures give alpha {least} of 255.")
    with probe.check("alpha moves", "alpha goes where the colours go."):
        # The ring alone, white and opaque on nothing: all four channels are one picture, and must stay so.
        shapes = [np.repeat((image.max(axis=2) < 60)[..., None], 4, axis=2) * np.uint8(255) for image in (first, last)]
        drawn = draw(times, *shapes).astype(int)
        if (apart := int(np.abs(drawn[..., 3:] - drawn[..., :3]).max(initial=0))) > ROUNDING:
            raise Surprising(f"of white shapes on nothing, alpha and colours end up to {apart} levels apart.")


def _check_any_time(probe: Probe, stage: Any, draw: Callable[..., Frames], results: list[Frames]) -> None:
    carries_alpha = isinstance(probe.stage.spec, InterpolatorSpec) and probe.stage.spec.carries_alpha
    with probe.check("no times", "no times, no frames."):
        draw(())
    with probe.check("one time", "each frame is the same alone and among others (a resumed run asks for the rest)."):
        for index, time in enumerate((0.25, 0.5, 0.75)):
            if results:
                _expect_close(draw([time], seed=1)[0], results[0][index], f"the frame at {time} asked for alone")
    with probe.check("end times", "times 0 and 1 are taken."):
        try:
            draw([0.0, 1.0])
        except (AnimeGenError, Broken) as error:
            raise Surprising(f"times 0 and 1 (a run never asks for them): {error}") from None
    with probe.check("seen before", "images seen before give what they gave; an array written over is another image."):
        _check_seen_before(probe, stage, draw, results)
    if isinstance(stage, SequenceInterpolator):
        with probe.check("sequence", "sequence() gives what pair by pair gives, empty times included."):
            _check_sequence(probe, stage, draw)
            if carries_alpha:
                _check_sequence(probe, stage, draw, alpha=True)


def _check_seen_before(probe: Probe, stage: Any, draw: Callable[..., Frames], results: list[Frames]) -> None:
    """A stage may keep what it found out about an image for the next pair; that changes no frame."""
    first, last, _ = _pair_for(probe.stage)
    third, buffer = picture(*first.shape[:2], shift=0.3), first.copy()
    draw([0.5], last, third)
    if results:
        _expect_close(draw([0.5], seed=1)[0], results[0][1], "a frame of the first pair drawn after another pair")
    stage(buffer, last, [0.5])
    buffer[:] = third
    now = check_frames(probe.name, stage(buffer, last, [0.5]), 1, first.shape)
    _expect_close(now, draw([0.5], third, last), "a frame from an array that held another image before")


def _check_sequence(
    probe: Probe, stage: SequenceInterpolator, draw: Callable[..., Frames], *, alpha: bool = False
) -> None:
    height, width = size_for(probe.stage.spec.needs, HEIGHT, WIDTH)
    images = [picture(height, width, shift=0.05 * index) for index in range(4)]
    if alpha:
        images = [np.dstack([image, image.max(axis=2)]) for image in images]
    times: list[tuple[float, ...]] = [(0.5,), (), (0.25, 0.75)]
    with Unchanged(probe.name, *images):
        answers = list(stage.sequence(iter(images), iter(times)))
    if len(answers) != len(times):
        raise Broken(f"sequence() gave {len(answers)} answers for {len(times)} pairs.")
    for index, (frames, asked) in enumerate(zip(answers, times, strict=True)):
        check_frames(f"{probe.name}.sequence()", frames, len(asked), images[0].shape)
        if asked:
            _expect_close(frames, draw(asked, images[index], images[index + 1]), f"pair {index + 1} of sequence()")


def _or_refused(work: Callable[[], object]) -> bool:
    """Whether the work gave an answer; False when it was refused with an `AnimeGenError`."""
    try:
        work()
    except AnimeGenError:
        return False
    return True


def _blob(image: Image) -> Mask:
    y, x = np.mgrid[0 : image.shape[0], 0 : image.shape[1]]
    return np.asarray(np.hypot(y - image.shape[0] * 0.5, x - image.shape[1] * 0.45) < min(image.shape[:2]) / 5)


def _pair_for(stage: Stage) -> tuple[Image, Image, list[float]]:
    spec = stage.spec
    assert isinstance(spec, InterpolatorSpec)
    height, width = size_for(spec.needs, HEIGHT, WIDTH)
    times = [0.25, 0.5, 0.75] if spec.frames is None else [step / (spec.frames - 1) for step in range(spec.frames)]
    return picture(height, width), picture(height, width, shift=0.15), times


def _expect_same(before: Sequence[Any], now: Any) -> None:
    if before and not np.array_equal(before[0], now):
        count = int((before[0] != now).sum())
        raise Broken(f"the same call gave other bytes the second time ({count} values differ).")


def _expect_close(one: Any, other: Any, what: str) -> None:
    difference = int(np.abs(one.astype(int) - other.astype(int)).max(initial=0))
    if difference > ROUNDING:
        raise Broken(f"{what} differs by up to {difference} grey levels.")
    if difference:
        raise Surprising(f"{what} differs by {difference} of 255: rounding, but not the same bytes.")


def _same_regions(one: Sequence[Region], other: Sequence[Region]) -> bool:
    return len(one) == len(other) and all(
        (a.kind, a.box, a.score, a.method, a.polygon) == (b.kind, b.box, b.score, b.method, b.polygon)
        and (a.mask is b.mask if a.mask is None or b.mask is None else np.array_equal(a.mask, b.mask))
        for a, b in zip(one, other, strict=True)
    )


CHECKS: Mapping[Kind, Check] = {
    "detector": detector,
    "inpainter": inpainter,
    "preprocessor": preprocessor,
    "interpolator": interpolator,
    "metric": metric,
}
