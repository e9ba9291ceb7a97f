"""What the contract asks of interpolators: counts, sizes, seeds, sequences, alpha."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from animegen import Needs
from animegen.contract import Finding, check_stage, failed
from animegen.registry import Stage

Kept = dict[str, Callable[..., Any]]
Make = Callable[..., Stage]
Read = Callable[[list[Finding]], dict[str, str]]


def test_a_fixed_count_is_called_with_that_many_even_times(kept: Kept, stage_of: Make, levels: Read) -> None:
    asked: list[list[float]] = []

    def five(first: Any, last: Any, times: Any, *, prompt: str = "", seed: int = 0) -> Any:
        asked.append(list(times))
        return kept["interpolator"](first, last, times)

    findings = check_stage(stage_of("interpolator", five, frames=5))
    assert not failed(findings)
    assert {tuple(times) for times in asked} == {(0.0, 0.25, 0.5, 0.75, 1.0)}
    assert "no times" not in levels(findings)
    asked.clear()
    check_stage(stage_of("interpolator", five, frames=5, other_counts=True))
    assert (0.0, 0.5, 1.0) in {tuple(times) for times in asked}


def test_sizes_are_multiples_where_the_record_asks_for_them(kept: Kept, stage_of: Make) -> None:
    seen = set()

    def strict(first: Any, last: Any, times: Any, *, prompt: str = "", seed: int = 0) -> Any:
        seen.add(first.shape[:2])
        if first.shape[0] % 8:
            raise ValueError("not a multiple of 8")
        return kept["interpolator"](first, last, times)

    findings = check_stage(stage_of("interpolator", strict, needs=Needs(multiple_of=8)))
    assert not failed(findings)
    assert seen == {(40, 56), (8, 8)}


def test_a_declared_seed_that_changes_nothing_is_a_warning(stage_of: Make, levels: Read) -> None:
    findings = check_stage(stage_of("interpolator", uses_seed=True))
    assert levels(findings)["seed"] == "warning"
    assert not failed(findings)


@pytest.mark.parametrize(("off", "level"), [(0, "ok"), (1, "warning"), (9, "error")])
def test_a_sequence_gives_what_pair_by_pair_gives(
    off: int, level: str, stage_of: Make, sequence: Any, levels: Read
) -> None:
    made = type("Off", (sequence,), {"off": off})
    assert levels(check_stage(stage_of("interpolator", made=made)))["sequence"] == level


def _see_through(frames: Any, first: Any) -> Any:
    frames[..., 3:] //= 2
    return frames


def _alpha_stays(frames: Any, first: Any) -> Any:
    frames[..., 3:] = first[..., 3:]
    return frames


@pytest.mark.parametrize(
    ("spoilt", "check", "level", "words"),
    [
        (lambda frames, first: frames, "alpha", "ok", "what is opaque stays opaque"),
        (lambda frames, first: frames[..., :3], "alpha", "error", "(3, 37, 53, 3) uint8; expected (3, 37, 53, 4)"),
        (_see_through, "alpha", "error", "two opaque pictures give alpha 127 of 255"),
        (_alpha_stays, "alpha moves", "warning", "end up to"),
    ],
)
def test_alpha_is_tried_where_the_record_says_that_it_is_carried(
    spoilt: Callable[..., Any], check: str, level: str, words: str, kept: Kept, stage_of: Make, levels: Read
) -> None:
    def call(first: Any, last: Any, times: Any, **_: Any) -> Any:
        return spoilt(kept["interpolator"](first, last, times), first)

    findings = check_stage(stage_of("interpolator", call, carries_alpha=True))
    assert [finding.level for finding in findings if finding.check == check] == [level]
    assert words in next(finding.message for finding in findings if finding.check == check)
    assert "alpha" not in levels(check_stage(stage_of("interpolator")))


def test_a_sequence_is_tried_with_alpha_too(stage_of: Make, sequence: Any, errors: Read) -> None:
    class Colours(sequence):
        def sequence(self, images: Any, times: Any) -> Any:
            return super().sequence((image[..., :3] for image in images), times)

    found = errors(check_stage(stage_of("interpolator", made=Colours, carries_alpha=True)))
    assert "expected (1, 37, 53, 4)" in found["sequence"]
    assert not errors(check_stage(stage_of("interpolator", made=sequence, carries_alpha=True)))
