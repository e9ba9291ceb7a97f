"""How times are come by."""

from __future__ import annotations

import pytest

from animegen_film.order import DEEPEST, Step, direct, halving, inbetweens, recursion

HALF = Step(0, 1, 0.5, 0.5)


def steps_of(step: Step) -> set[Step]:
    return {step}.union(*(steps_of(one) for one in (step.left, step.right) if isinstance(one, Step)))


def place(step: Step | int) -> float:
    """Where between the images a frame lies, by what it is drawn from."""
    if isinstance(step, int):
        return float(step)
    left, right = place(step.left), place(step.right)
    return left + (right - left) * step.at


@pytest.mark.parametrize("count", [1, 3, 7, 15])
def test_halves_of_halves_are_reached_by_halving_alone(count: int) -> None:
    for number in range(1, count + 1):
        step = recursion(number / (count + 1))
        assert all(one.at == 0.5 for one in steps_of(step))
        assert step == halving(number / (count + 1))
        assert step.depth <= 4


def test_a_whole_clip_draws_each_frame_once() -> None:
    for count in (1, 3, 7, 15, 2, 4, 6, 10):
        wanted = [recursion(number / (count + 1)) for number in range(1, count + 1)]
        drawn = set().union(*(steps_of(step) for step in wanted))
        assert len(drawn) == count, count


@pytest.mark.parametrize("count", range(1, 40))
def test_every_frame_lies_at_its_time(count: int) -> None:
    for number in range(1, count + 1):
        step = recursion(number / (count + 1))
        assert place(step) == pytest.approx(number / (count + 1), abs=1e-5)
        assert all(0.25 <= one.at <= 0.75 for one in steps_of(step))


@pytest.mark.parametrize("time", [0.1234567, 0.998, 0.0031, 0.61803398875, 1e-9])
def test_any_other_time_is_halved_towards(time: float) -> None:
    step = recursion(time)
    assert place(step) == pytest.approx(time, rel=1e-6)
    assert 0.25 <= step.at <= 0.75
    assert all(one.at == 0.5 for one in steps_of(step) - {step})


def test_the_original_knows_halves_only() -> None:
    assert halving(0.5) == HALF
    assert halving(1 / 3) is None and halving(0.3) is None and halving(0.0) is None
    assert halving(2.0**-DEEPEST) is not None and halving(2.0 ** -(DEEPEST + 1)) is None


def test_at_once_is_at_once() -> None:
    assert direct(0.3) == Step(0, 1, 0.3, 0.3)


def test_every_in_between_is_drawn_from_neighbours_that_are_there() -> None:
    for count in range(1, 30):
        there = {0, count + 1}
        for left, right, target, _ in inbetweens(count):
            assert left in there and right in there and left < target < right and target not in there
            there.add(target)
        assert len(there) == count + 2
