"""Which drawings are neighbours, and what becomes of the held ones."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animegen.errors import UsageError
from animegen.upsampling.frames import ArrayFrame
from animegen.upsampling.gaps import Marked, gaps, mark

BLANK = np.zeros((2, 2, 3), np.uint8)


def marked(drawings: str, times=None):
    """A film by its drawings, ``AABBB|C``: one letter a frame, a bar for a cut."""
    before, cut, made = "", False, []
    for letter in drawings:
        if letter == "|":
            cut = True
            continue
        index = len(made)
        frame = ArrayFrame(index, Fraction(index) if times is None else times[index], BLANK)
        made.append(Marked(frame, cut, letter == before and not cut))
        before, cut = letter, False
    return made


def told(found):
    """Gaps as text: ``0>3`` moves from frame 0 to frame 3, ``0=1 cut`` is still."""
    return [
        f"{gap.first.index}{'=' if gap.still else '>'}{'' if gap.last is None else gap.last.index} {gap.reason}".strip()
        for gap in found
    ]


@pytest.mark.parametrize(
    ("policy", "drawings", "expected"),
    [
        ("leave", "AAB|C", ["0>1", "1>2", "2=3 cut", "3= end"]),
        ("hold", "AAB|C", ["0=1 duplicate", "1>2", "2=3 cut", "3= end"]),
        ("retime", "AABBC", ["0>2", "2>4", "4= end"]),
        ("retime", "AABBBC", ["0>2", "2>5", "5= end"]),
        ("retime", "ABB", ["0>1", "1=2 duplicate", "2= end"]),
        ("retime", "AABB|CCD", ["0>2", "2=3 duplicate", "3=4 cut", "4>6", "6= end"]),
        ("retime", "A|B|C", ["0=1 cut", "1=2 cut", "2= end"]),
        ("retime", "ABBBBC", ["0>1", "1>5", "5= end"]),  # as long as a run may be
        (
            "retime",
            "ABBBBBC",
            ["0>1", "1=2 long hold", "2=3 long hold", "3=4 long hold", "4=5 long hold", "5>6", "6= end"],
        ),
        ("retime", "", []),
        ("hold", "", []),
        ("retime", "A", ["0= end"]),
    ],
)
def test_policies(policy, drawings, expected):
    assert told(gaps(marked(drawings), policy, max_run=4)) == expected


@pytest.mark.parametrize(
    ("drawings", "expected"),
    [
        ("ABC", ["0>1", "1>2", "2= end"]),  # on ones nothing moves
        ("AAABBBC", ["0=1 duplicate", "1>4", "4>6", "6= end"]),
        ("AABBB|CCC", ["0>3", "3=4 duplicate", "4=5 cut", "5=6 duplicate", "6=7 duplicate", "7= end"]),
        # the long one is shown from its first frame to its last
        ("AAABBBBBCCC", ["0=1 duplicate", "1>3", *[f"{i}={i + 1} long hold" for i in range(3, 7)], "7>9",
                         "9=10 duplicate", "10= end"]),
    ],
)  # fmt: skip
def test_a_drawing_can_be_exact_in_the_centre_of_its_run(drawings, expected):
    assert told(gaps(marked(drawings), "retime", max_run=4, anchor="centre")) == expected


def test_a_retimed_gap_knows_the_times_of_its_duplicates():
    times = [Fraction(0), Fraction(1, 30), Fraction(1, 12), Fraction(1, 8)]
    first, last = gaps(marked("AAAB", times), "retime")
    assert (first.start, first.end, first.times) == (0, Fraction(1, 8), tuple(times[:3]))
    assert (last.start, last.end) == (Fraction(1, 8), Fraction(1, 8) + Fraction(1, 24))


def test_the_last_frame_lasts_as_long_as_it_says():
    frames = [ArrayFrame(0, Fraction(0), BLANK), ArrayFrame(1, Fraction(1, 10), BLANK, Fraction(1, 2))]
    assert list(gaps(mark(frames)))[-1].end == Fraction(6, 10)
    assert next(gaps(mark(frames[:1]))).end == 0  # nobody can tell


@settings(max_examples=60)
@given(
    st.text("AB|", max_size=25),
    st.sampled_from(["leave", "hold", "retime"]),
    st.integers(1, 7),
    st.sampled_from(["first", "centre"]),
)
def test_gaps_tile_the_film(drawings, policy, max_run, anchor):
    film = marked(drawings)
    found = list(gaps(film, policy, max_run, anchor))
    assert [time for gap in found for time in gap.times] == [mark.frame.time for mark in film]
    for gap, follower in pairwise(found):
        assert gap.last is follower.first
        assert gap.end == follower.start
        assert gap.start == gap.first.time < gap.end
        assert gap.still == bool(gap.reason)
        crossed = [mark for mark in film if gap.start < mark.frame.time <= gap.end and mark.cut]
        assert not crossed or gap.reason == "cut"
        if policy == "retime" and not gap.still:  # motion always leads to another drawing
            assert not film[gap.last.index].duplicate or anchor == "centre"
    assert all(len(gap.times) <= 2 * max_run for gap in found)
    assert [gap.reason for gap in found].count("end") == bool(film)


def test_marks_compare_a_frame_with_the_first_of_its_run():
    frames = [ArrayFrame(index, Fraction(index), BLANK) for index in range(6)]
    compared = []

    def duplicates(drawing, frame):
        compared.append((drawing.index, frame.index))
        return frame.index - drawing.index < 3

    class Cuts:
        threshold = 0.5

        def __call__(self, frame):
            return 0.7 if frame.index in (0, 4) else 0.2

    made = list(mark(frames, Cuts(), duplicates))
    assert [item.duplicate for item in made] == [False, True, True, False, False, True]
    assert [item.cut for item in made] == [False, False, False, False, True, False]  # nothing lies before the first
    assert compared == [(0, 1), (0, 2), (0, 3), (4, 5)]


@pytest.mark.parametrize("wrong", [{"policy": "held"}, {"anchor": "center"}, {"max_run": 0}])
def test_unknown_words_are_refused_at_once(wrong):
    with pytest.raises(UsageError, match=next(iter(str(value) for value in wrong.values()))):
        gaps([], **wrong)
