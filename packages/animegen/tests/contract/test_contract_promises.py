"""The contract finds what is broken: one stage for each promise that can be broken, and the words that tell it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from animegen import Box, Region
from animegen.contract import Finding, check_plugin, check_stage, failed
from animegen.measuring import Missing, Sample, Scores
from animegen.registry import Registry, Stage

Call = Callable[..., Any]
Kept = dict[str, Callable[..., Any]]
Make = Callable[..., Stage]
Read = Callable[[list[Finding]], dict[str, str]]


@pytest.mark.parametrize("plugin", ["animegen", "animegen-manga"])
def test_what_we_ship_keeps_the_contract(plugin: str) -> None:
    findings = check_plugin(plugin, Registry(), heavy=True)
    assert not failed(findings), "\n".join(map(str, findings))


@pytest.mark.parametrize("kind", ["inpainter", "preprocessor", "interpolator", "metric", "detector"])
def test_a_stage_that_keeps_its_promises_passes(kind: str, stage_of: Make) -> None:
    findings = check_stage(stage_of(kind))
    assert {finding.level for finding in findings} == {"ok"}
    assert len(findings) > 7


def _flipped(right: Call, image: Any, mask: Any) -> Any:
    filled = right(image, mask)
    filled[~mask] ^= np.uint8(mask.any())
    return filled


def _in_place(right: Call, image: Any, mask: Any) -> Any:
    image[mask] = 255
    return image


def _half(right: Call, image: Any) -> Any:
    return image[:, : max(1, image.shape[1] // 2)]


def _strong(right: Call, image: Any) -> Any:
    return np.random.default_rng().integers(0, 255, image.shape, np.uint8)


def _no_empty(right: Call, first: Any, last: Any, times: Any, *, prompt: str = "", seed: int = 0) -> Any:
    return np.stack([first for _ in times])


def _even(right: Call, first: Any, last: Any, times: Any, *, prompt: str = "", seed: int = 0) -> Any:
    return right(first, last, [(i + 1) / (len(times) + 1) for i in range(len(times))])


def _seeded(right: Call, first: Any, last: Any, times: Any, *, prompt: str = "", seed: int = 0) -> Any:
    return right(first, last, times) + np.uint8(seed)


def _prompted(right: Call, first: Any, last: Any, times: Any, *, prompt: str = "", seed: int = 0) -> Any:
    return right(first, last, times) + np.uint8(len(prompt))


def _odd_sizes(right: Call, image: Any) -> Any:
    if image.shape[0] % 2:
        raise ValueError("size must be even")
    return image


def _cut_to_fit(right: Call, sample: Sample) -> Scores:
    if sample.reference is None:
        return right(sample)
    least = np.minimum(sample.frames.shape, sample.reference.shape)
    frames, reference = (clip[: least[0], :, : least[2]].astype(int) for clip in (sample.frames, sample.reference))
    found = np.zeros(len(sample.frames))
    found[: least[0]] = np.abs(frames[:, : least[1]] - reference[:, : least[1]]).mean((1, 2, 3))
    return {"difference": found.tolist()}


def _nothing_of_one_frame(right: Call, sample: Sample) -> Scores:
    return right(sample) if len(sample.frames) > 1 else {"difference": [float("nan")]}


def _negated(right: Call, sample: Sample) -> Scores:
    values = right(sample)["difference"]
    return {"difference": values if isinstance(values, Missing) else [-value for value in values]}


def _relative(right: Call, sample: Sample) -> Scores:
    values = right(sample)["difference"]
    return {
        "difference": values if isinstance(values, Missing) else [value / max(values, default=1) for value in values]
    }


def _by_identity() -> Callable[..., Any]:
    """Knows an image again by the array that it is in."""
    known: dict[int, tuple[Any, Any]] = {}

    def call(right: Call, first: Any, last: Any, times: Any, **_: Any) -> Any:
        _array, then = known.setdefault(id(first), (first, first.copy()))
        return right(then, last, times)

    return call


def _by_size() -> Callable[..., Any]:
    """Takes the last image of the pair before for that of this one, where it is as large."""
    known: dict[Any, Any] = {}

    def call(right: Call, first: Any, last: Any, times: Any, **_: Any) -> Any:
        before = known.get(last.shape, last)
        known[last.shape] = last.copy()
        return right(first, before, times)

    return call


BROKEN: list[tuple[str, Call, str, str]] = [
    ("inpainter", _flipped, "shape", "pixels outside the mask"),
    ("inpainter", _in_place, "shape", "changed its input"),
    ("inpainter", lambda right, a, mask: right(a, mask).astype(np.float32), "shape", "float32; expected (37, 53, 3)"),
    ("inpainter", lambda right, a, mask: right(a, mask)[: -1 if mask.all() else None], "full mask", "(36, 53, 3)"),
    ("preprocessor", _half, "shape", "(37, 26, 3) uint8; expected (37, 53, 3)"),
    ("preprocessor", _strong, "repeatable", "other bytes the second time"),
    ("preprocessor", lambda right, image: None, "shape", "returned NoneType"),
    ("preprocessor", _odd_sizes, "shape", "raised ValueError: size must be even (contract/test_contract_promises.py:"),
    ("interpolator", _no_empty, "no times", "raised ValueError"),
    ("interpolator", _even, "one time", "the frame at 0.25 asked for alone differs by"),
    ("interpolator", _by_identity(), "seen before", "a frame from an array that held another image before differs by"),
    ("interpolator", _by_size(), "seen before", "a frame of the first pair drawn after another pair differs by"),
    ("interpolator", _seeded, "seed", "uses_seed=False"),
    ("interpolator", _prompted, "prompt", "uses_prompt=False"),
    ("interpolator", lambda right, a, b, t, **_: right(a, b, [*t, 1.0]), "shape", "(4, 37, 53, 3) uint8; expected"),
    ("metric", lambda _, s: {"difference": [1.0] * len(s.frames)}, "nothing beside", "has a value without reference"),
    ("metric", lambda right, s: {"difference": [float("nan")] * len(s.frames)}, "values", "not a number (NaN)"),
    ("metric", lambda right, s: 1.0, "values", "expected values by name"),
    ("metric", lambda right, s: {"other": 1.0}, "values", "its record names ['difference']"),
    ("metric", lambda right, s: {"difference": [1.0]}, "values", "expected 12 values, one a frame; got 1"),
    ("metric", _nothing_of_one_frame, "one frame", "not a number (NaN)"),
    ("metric", _negated, "equal clips", "lower is better"),
    ("metric", _relative, "pieces", "set whole=True"),
    ("metric", _cut_to_fit, "other shapes", "against a reference of (2,"),
    ("detector", lambda right, image, boxes=(): [Region("panel", Box(0, 0, 99, 99))], "regions", "not inside 53 × 37"),
    ("detector", lambda right, image, boxes=(): [Region("panel", Box(0, 0, 1, 1), score=2.0)], "regions", "score 2.0"),
    ("detector", lambda right, image, boxes=(): list(boxes), "text boxes", "expected regions"),
    ("detector", lambda right, image, boxes=(): None, "regions", "expected a list of regions"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "call", "check", "words"), BROKEN)
def test_each_broken_promise_is_found_and_named(
    kind: str, call: Call, check: str, words: str, kept: Kept, stage_of: Make, errors: Read
) -> None:
    found = errors(check_stage(stage_of(kind, partial(call, kept[kind]))))
    assert check in found, found
    assert words in found[check]
