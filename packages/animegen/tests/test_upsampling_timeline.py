"""When frames are shown: exact, without drift."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animegen.errors import UsageError
from animegen.upsampling.frames import ArrayFrame
from animegen.upsampling.gaps import Gap, Marked, gaps, mark
from animegen.upsampling.timeline import TICK, Factor, Rate

BLANK = np.zeros((2, 2, 3), np.uint8)

# source index, index of the next, place between: measured on the reference for 1 frame per second, ×n
GOLDEN = {
    (3, "2"): "0 0, 0 1/2, 1 0, 1 1/2, 2 0, 2 1/2",
    (3, "3"): "0 0, 0 1/3, 0 2/3, 1 0, 1 1/3, 1 2/3, 2 0, 2 1/3, 2 2/3",
    (3, "4"): "0 0, 0 1/4, 0 1/2, 0 3/4, 1 0, 1 1/4, 1 1/2, 1 3/4, 2 0, 2 1/4, 2 1/2, 2 3/4",
    (4, "5/2"): "0 0, 0 2/5, 0 4/5, 1 1/5, 1 3/5, 2 0, 2 2/5, 2 4/5, 3 1/5, 3 3/5",
    (5, "5/3"): "0 0, 0 3/5, 1 1/5, 1 4/5, 2 2/5, 3 0, 3 3/5, 4 1/5, 4 4/5",
}


def film(times, duplicate=()):
    frames = [ArrayFrame(index, Fraction(time), BLANK) for index, time in enumerate(times)]
    return [Marked(frame, False, frame.index in duplicate) for frame in frames]


def outputs(timeline, found):
    return [output for plan in timeline.place(found) for output in plan.outputs]


@pytest.mark.parametrize(("frames", "factor"), GOLDEN)
def test_the_reference_s_tables(frames, factor):
    found = list(gaps(film(range(frames))))
    expected = [tuple(map(Fraction, entry.split())) for entry in GOLDEN[frames, factor].split(", ")]
    timelines = [Rate(Fraction(factor))] + ([Factor(int(factor))] if "/" not in factor else [])
    for timeline in timelines:
        placed = [(plan.gap.first.index, output.t) for plan in timeline.place(found) for output in plan.outputs]
        assert placed == expected
        assert timeline.count(frames, Fraction(frames)) == len(expected)


stamps = st.lists(st.integers(1, 50), min_size=1, max_size=12).map(
    lambda steps: [Fraction(sum(steps[:index]), 240) for index in range(len(steps))]
)


@settings(max_examples=50)
@given(stamps, st.integers(2, 7), st.booleans(), st.sets(st.integers(1, 12)), st.sampled_from(["first", "centre"]))
def test_a_factor_keeps_every_stamp_and_every_drawing(times, n, tail, duplicate, anchor):
    for policy in ("leave", "hold", "retime"):
        found = list(gaps(film(times, duplicate), policy, anchor=anchor))
        plans = list(Factor(n, tail=tail).place(found))
        made = [output for plan in plans for output in plan.outputs]
        assert [output.number for output in made] == list(range(len(made)))
        assert all(one.time < two.time for one, two in pairwise(made))
        assert [output.time for output in made[::n]] == times  # also where the rate varies
        for one, two in pairwise(times):  # intervals are cut evenly
            inside = [output.time for output in made if one <= output.time < two]
            assert inside == [one + (two - one) * step / n for step in range(n)]
        if len(times) > 1:
            assert len(made) == (len(times) * n if tail else (len(times) - 1) * n + 1)
            assert len(made) == Factor(n, tail=tail).count(len(times), Fraction(0))
        for plan in plans:
            assert plan.outputs[0].t == 0  # the gap's own drawing, exactly
            assert plan.outputs[0].time == plan.gap.first.time
            assert all(0 < output.t < 1 for output in plan.outputs[1:])


@settings(max_examples=50)
@given(stamps, st.fractions(1, 240, max_denominator=1001), st.booleans(), st.sets(st.integers(1, 12)))
def test_a_rate_is_even_whatever_the_source(times, fps, tail, duplicate):
    for policy in ("leave", "retime"):
        found = list(gaps(film(times, duplicate), policy))
        made = outputs(Rate(fps, tail=tail), found)
        assert [output.number for output in made] == list(range(len(made)))
        assert [output.time for output in made] == [number / fps for number in range(len(made))]
        assert all(0 <= output.t < 1 for output in made)
        end = found[-1].end if tail else times[-1]
        assert abs(len(made) / fps - end) <= 1 / fps + TICK
        if tail and len(times) > 1:
            assert len(made) == Rate(fps).count(len(times), found[-1].end)


def test_retimed_duplicates_give_way_to_in_betweens_at_their_own_time():
    (first, *_) = Factor(2).place(gaps(film(range(5), {1, 3}), "retime"))
    assert [(output.time, output.t) for output in first.outputs] == [
        (0, 0),
        (Fraction(1, 2), Fraction(1, 4)),
        (1, Fraction(1, 2)),
        (Fraction(3, 2), Fraction(3, 4)),
    ]


def test_rounded_time_stamps_still_give_the_frames_themselves():
    rounded = [Fraction(round(1000 * index / 24), 1000) for index in range(48)]  # as Matroska keeps 24 fps
    made = outputs(Rate(48), gaps(film(rounded)))
    assert len(made) == 96
    assert sum(output.t == 0 for output in made) == 48
    placed = [plan.gap.first.index for plan in Rate(48).place(gaps(film(rounded))) for _ in plan.outputs]
    assert placed == [index for index in range(48) for _ in range(2)]


def test_a_rate_skips_source_frames_that_stand_too_close():
    made = list(Rate(10).place(gaps(film([0, Fraction(3, 100), Fraction(6, 100), Fraction(3, 10)]))))
    assert [len(plan.outputs) for plan in made] == [1, 0, 2, 3]


@pytest.mark.parametrize("timeline", [Factor(3), Rate(Fraction(60000, 1001))], ids=["factor", "rate"])
def test_nothing_drifts_after_a_million_frames(timeline):
    fps = Fraction(24000, 1001)
    before = 10**6 - 3

    def late():  # arithmetic alone: the gaps between are left out
        for index in (0, *range(before, before + 3)):
            one, two = (ArrayFrame(number, number / fps, BLANK) for number in (index, index + 1))
            yield Gap(one, two, False, one.time, two.time, (one.time,))

    plans = list(timeline.place(late()))
    if isinstance(timeline, Factor):
        assert [output.time for plan in plans[1:] for output in plan.outputs] == [
            (before + Fraction(step, 3)) / fps for step in range(9)
        ]
        return
    for plan in plans[1:]:
        for output in plan.outputs:
            assert output.time == output.number / timeline.fps
            assert output.t == output.time * fps - plan.gap.first.index
        assert plan.outputs[0].number == -(-plan.gap.first.index * 5 // 2)


@pytest.mark.parametrize(
    ("make", "message", "hint"),
    [
        (lambda: Factor(1), "the factor is 1, which leaves every frame", "--factor 2"),
        (lambda: Factor(0), "the factor is 0", "--fps"),
        (lambda: Factor(-3), "the factor is -3", "--factor 2"),
        (lambda: Factor(2.5), "the factor is 2.5; it takes a whole number", "--fps 60"),
        (lambda: Rate(24, source=Fraction(24)), "24 frames per second are asked for; the source has 24", "--fps 48"),
        (lambda: Rate(20, source=Fraction(24000, 1001)), "the source has 24000/1001", "--fps 48000/1001"),
        (lambda: Rate(0), "0 frames per second", "--fps 60"),
    ],
)
def test_what_adds_no_frames_is_refused(make, message, hint):
    with pytest.raises(UsageError, match=message) as caught:
        make()
    assert hint in " ".join(caught.value.hints)


def test_one_frame_is_one_output():
    found = list(gaps(mark([ArrayFrame(0, Fraction(0), BLANK)])))
    for timeline in (Factor(4), Factor(4, tail=False), Rate(50), Rate(50, tail=False)):
        assert [(output.number, output.t) for output in outputs(timeline, found)] == [(0, 0)]
    assert Rate(50).count(1, Fraction(0)) == Factor(4, tail=False).count(1, Fraction(0)) == 1
