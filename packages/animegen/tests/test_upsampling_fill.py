"""From a plan to pictures: copies bit for bit, the stage for the rest, memory bounded."""

from __future__ import annotations

import gc
import weakref
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from animegen.errors import StageError
from animegen.stages import InterpolatorSpec, Needs
from animegen.upsampling.fill import SLICE, fill
from animegen.upsampling.frames import ArrayFrame
from animegen.upsampling.gaps import gaps, mark
from animegen.upsampling.timeline import Factor, Rate

SIZE = (12, 18)


class Frame(ArrayFrame):
    """Counts how often its picture is asked for."""

    asked = 0

    def image(self):
        type(self).asked += 1
        return super().image()


@pytest.fixture(autouse=True)
def _nothing_asked():
    Frame.asked = 0


def film(count, channels=3, size=SIZE, seed=0):
    rng = np.random.default_rng(seed)
    return [
        Frame(index, Fraction(index, 10), rng.integers(0, 256, (*size, channels), np.uint8)) for index in range(count)
    ]


def spec(**record):
    return InterpolatorSpec("mix", "toys:Mix", "Mixes.", **record)


class Mix:
    """The mean, weighted by time; remembers how it was called."""

    def __init__(self):
        self.calls, self.seen = [], []

    def __call__(self, first, last, times, *, prompt="", seed=0):
        self.calls.append(len(times))
        self.seen += [first, last]
        mixed = [np.rint(first + (last.astype(float) - first) * time) for time in times]
        return np.array(mixed, np.uint8).reshape(len(times), *first.shape)


class MixSequence(Mix):
    """Looks `ahead` images ahead."""

    def __init__(self, ahead=0):
        super().__init__()
        self.ahead, self.sequences = ahead, 0

    def sequence(self, images, times):
        self.sequences += 1
        images, times, waiting = iter(images), iter(times), []
        while True:
            for image in images:
                waiting.append(image)
                if len(waiting) > 1 + self.ahead:
                    break
            if len(waiting) < 2:
                assert next(times, None) is None
                return
            yield Mix.__call__(self, waiting[0], waiting[1], next(times))
            del waiting[0]


def made(stage, frames, timeline=None, record=None, policy="leave", duplicates=None, cuts=None, **call):
    plans = (timeline or Factor(3)).place(gaps(mark(frames, cuts, duplicates), policy))
    return list(fill("toys:mix", record or spec(), stage, plans, **call))


class CutBefore:
    threshold = 0.5

    def __init__(self, *indices):
        self.indices = indices

    def __call__(self, frame):
        return float(frame.index in self.indices)


@pytest.mark.parametrize("make", [Mix, MixSequence, lambda: MixSequence(ahead=3)], ids=["pairs", "lazy", "ahead"])
@pytest.mark.parametrize("timeline", [Factor(3), Factor(3, tail=False), Rate(25), Factor(2 * SLICE + 3)])
def test_every_output_is_the_source_itself_or_drawn_at_its_time(make, timeline):
    frames = film(5)
    result = made(make(), frames, timeline, cuts=CutBefore(3))
    assert [drawn.number for drawn in result] == list(range(len(result)))
    assert len({drawn.time for drawn in result}) == len(result)
    for drawn in result:
        place = drawn.time * 10
        index = min(int(place), 4)
        if place == index or index in (2, 4):  # a copy, up to a cut and at the end too
            assert drawn.source == index
            assert drawn.image is frames[index].pixels
        else:
            assert drawn.source is None
            (expected,) = Mix()(frames[index].pixels, frames[index + 1].pixels, [float(place - index)])
            np.testing.assert_array_equal(drawn.image, expected)


def test_no_more_than_a_slice_is_asked_for_at_once():
    stages = Mix(), MixSequence()
    one, other = (made(stage, film(3), Factor(2 * SLICE + 3)) for stage in stages)
    assert stages[0].calls == [SLICE, SLICE, 2] * 2
    assert stages[1].calls == [SLICE, 0, SLICE, 0, 2] * 2
    assert all(np.array_equal(a.image, b.image) for a, b in zip(one, other, strict=True))


def test_a_sequence_goes_on_from_gap_to_gap_and_ends_at_a_cut():
    stage = MixSequence()
    made(stage, film(6), cuts=CutBefore(3))
    assert stage.sequences == 2
    assert stage.calls == [2] * 4


def test_padding_is_cut_off_and_a_shared_frame_stays_the_same_object():
    for stage in (Mix(), MixSequence()):
        padded = made(stage, film(4), record=spec(needs=Needs(multiple_of=8)))
        plain = made(Mix(), film(4))
        assert all(np.array_equal(a.image, b.image) for a, b in zip(padded, plain, strict=True))
        assert {image.shape for image in stage.seen} == {(16, 24, 3)}
        assert all(one is two for one, two in pairwise(stage.seen) if np.array_equal(one, two))
        assert stage.seen[1] is stage.seen[2]
        np.testing.assert_array_equal(stage.seen[0][12:, :18], np.repeat(stage.seen[0][11:12, :18], 4, axis=0))


@pytest.mark.parametrize("make", [Mix, MixSequence])
def test_what_is_not_wanted_costs_nothing(make):
    frames, stage = film(30), make()
    whole = made(make(), frames)
    Frame.asked = 0
    rest = made(stage, frames, wanted=lambda number: number >= 80)
    assert [drawn.number for drawn in rest] == list(range(80, 90))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(rest, whole[80:], strict=True))
    assert sum(stage.calls) == 5  # one that is left of gap 26, two of 27 and of 28
    Frame.asked = 0
    assert made(make(), frames, wanted=lambda number: False) == []
    assert Frame.asked == 0
    stage = make()
    made(stage, frames, wanted=lambda number: number % 3 == 0)
    assert stage.calls == []  # copies need no stage


@pytest.mark.parametrize("make", [Mix, lambda: MixSequence(ahead=1)], ids=["pairs", "sequence"])
@pytest.mark.parametrize(("policy", "anchor"), [("leave", "first"), ("retime", "first"), ("retime", "centre")])
def test_a_long_film_streams(make, policy, anchor):
    alive: weakref.WeakSet[ArrayFrame] = weakref.WeakSet()
    most = 0

    def source():
        nonlocal most
        for index in range(5000):
            frame = ArrayFrame(index, Fraction(index, 24), np.full((4, 6, 3), index // 3 % 256, np.uint8))
            alive.add(frame)
            most = max(most, len(alive))
            yield frame

    def same(drawing, frame):
        # threes; and one drawing that stands for a thousand frames
        return drawing.index // 3 == frame.index // 3 or 2000 <= drawing.index <= frame.index < 3000

    cuts = CutBefore(*range(0, 5000, 100))
    plans = Factor(2).place(gaps(mark(source(), cuts, same), policy, anchor=anchor))
    numbers, sources = [], 0
    for drawn in fill("toys:mix", spec(), make(), plans):
        numbers.append(drawn.number)
        sources += drawn.source is not None
        del drawn
    assert numbers == list(range(10_000))
    gc.collect()
    assert not alive
    assert most <= (6 if policy == "leave" else 12)
    assert sources == 5050 if policy == "leave" else sources < 5000


def test_held_drawings_are_not_drawn_and_retimed_ones_are():
    frames = film(7)

    def same(drawing, frame):
        return drawing.index // 2 == frame.index // 2

    stage = Mix()
    held = made(stage, frames, Factor(2), policy="hold", duplicates=same)
    assert stage.calls == [1, 1, 1]
    assert [drawn.source for drawn in held] == [0, 0, 1, None, 2, 2, 3, None, 4, 4, 5, None, 6, 6]
    stage = Mix()
    retimed = made(stage, frames, Factor(2), policy="retime", duplicates=same)
    assert [drawn.source for drawn in retimed] == [0, *[None] * 3, 2, *[None] * 3, 4, *[None] * 3, 6, 6]
    assert stage.calls == [3, 3, 3]
    assert [drawn.time for drawn in retimed] == [drawn.time for drawn in held]


class Wrong(Mix):
    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def __call__(self, first, last, times, **call):
        frames = super().__call__(first, last, times)
        if self.kind == "count":
            return frames[1:]
        if self.kind == "type":
            return frames.astype(np.float32)
        first[0, 0] += 1
        return frames


class WrongSequence(MixSequence):
    def sequence(self, images, times):
        for frames in super().sequence(images, times):
            yield frames[:, 1:]


class Short(MixSequence):
    def sequence(self, images, times):
        yield from list(super().sequence(images, times))[:1]


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (Wrong("count"), r"toys:mix returned \(1, 12, 18, 3\) uint8; expected \(2, 12, 18, 3\)"),
        (Wrong("type"), "float32"),
        (Wrong("write"), "toys:mix changed its input"),
        (WrongSequence(), r"returned \(2, 11, 18, 3\)"),
        (Short(), "toys:mix returned NoneType"),
    ],
)
def test_a_stage_that_breaks_its_promise_is_named(stage, message):
    with pytest.raises(StageError, match=message):
        made(stage, film(4))


def test_bars_stay_clean():
    frames = film(2, size=(40, 60))
    for frame in frames:
        frame.pixels[:6] = frame.pixels[:, 55:] = 0

    class Scribble(Mix):
        def __call__(self, first, last, times, **call):
            return super().__call__(first, last, times) | 32

    drawn = made(Scribble(), frames, Factor(2))[1].image
    assert not drawn[:6].any()
    assert not drawn[:, 55:].any()
    assert drawn[6:, :55].any(axis=2).all()
    assert made(Scribble(), frames, Factor(2), bars=False)[1].image[0].any()
    frames[1].pixels[:6] = frames[1].pixels[:, 55:] = 3  # bars of another black: each time has those that are nearer
    assert [frame.image[0, 0, 0] for frame in made(Scribble(), frames, Factor(4))[:4]] == [0, 0, 3, 3]
