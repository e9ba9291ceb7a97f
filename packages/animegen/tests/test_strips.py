"""Three panels and more: pairs of their own, the shared frame once, loops, and what each pair takes over."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import animegen
from animegen import Box, InterpolatorSpec, Panel, PanelPair, Strip, hookimpl
from animegen.errors import InputError, InterruptedRun, UsageError
from animegen.pipeline.chain import Joined, links, panel_names
from animegen.pipeline.inputs import read_text_boxes
from animegen.pipeline.pipeline import Pipeline, recorded_layers
from animegen.pipeline.progress import Reporter
from animegen.pipeline.record import read_record
from animegen.pipeline.store import MemoryEntry
from animegen.registry import Registry

HERE = __name__
calls: list[str] = []


class Draw:
    """A blend that says what it was asked; the seed is in the frames' corner."""

    def __init__(self, options: Any, context: Any) -> None:
        self.context = context

    def __call__(self, first: Any, last: Any, times: Any, *, prompt: str = "", seed: int = 0) -> Any:
        calls.append(f"{first[-1, -1, 0]}>{last[-1, -1, 0]} x{len(times)} seed {seed}")
        self.context.progress(1, 2, "steps")
        self.context.progress(2, 2, "steps")
        self.context.warn("drawn by a toy")
        frames = np.stack([np.rint(first * (1 - t) + last * t) for t in times]).astype(np.uint8)
        frames[:, 0, 0] = seed % 251
        return frames


class Blend(Draw):
    def __call__(self, first: Any, last: Any, times: Any, *, prompt: str = "", seed: int = 0) -> Any:
        calls.append(f"blend x{len(times)}")
        frames = [np.rint(first * (1 - t) + last * t) for t in times]
        return np.array(frames, np.uint8).reshape(len(frames), *first.shape)


class Toys:
    @hookimpl
    def animegen_interpolators(self) -> list[InterpolatorSpec]:
        return [
            InterpolatorSpec("draw", f"{HERE}:Draw", "Draws.", frames=4, other_counts=True, uses_seed=True),
            InterpolatorSpec("blend", f"{HERE}:Blend", "Blends."),
        ]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, HERE, sys.modules.get(HERE, sys.modules[__name__]))
    calls.clear()
    yield


def panel(level: int, size: tuple[int, int] = (12, 16)) -> Panel:
    return Panel(np.full((*size, 3), level, np.uint8), (), f"p{level}")


def strip(*levels: int) -> Strip:
    return Strip(tuple(map(panel, levels)))


def pipeline(out: Path | None = None, reporter: Reporter | None = None, **run: Any) -> Pipeline:
    run = {
        "interpolator": "draw",
        "inpainter": "none",
        "preprocessor": [],
        "frames": None,
        "fps": "6",
        "seed": 7,
        **run,
    }
    registry = Registry([("toys", Toys())])
    return Pipeline(recipe="quick", settings={"run": run}, out=out, registry=registry, reporter=reporter, config=False)


def levels(clip: Any) -> list[int]:
    return [int(frame[-1, -1, 0]) for frame in clip]


def test_the_shared_frame_appears_once_and_seeds_count_up() -> None:
    clip = pipeline().run(strip(0, 90, 30))
    assert levels(clip) == [0, 30, 60, 90, 70, 50, 30]
    assert calls == ["0>90 x4 seed 7", "90>30 x4 seed 8"]
    assert clip.fps == 6
    assert [int(frame[0, 0, 0]) for frame in clip] == [7, 7, 7, 7, 8, 8, 8]  # the joint is the earlier pair's
    np.testing.assert_array_equal(clip.array()[:4], pipeline().run(PanelPair(panel(0), panel(90))).array())


def test_a_loop_goes_back_and_drops_the_repeated_frame() -> None:
    assert levels(pipeline(loop=True).run(strip(0, 90, 30))) == [0, 30, 60, 90, 70, 50, 30, 20, 10]
    assert levels(pipeline(loop=True).run(strip(0, 90))) == [0, 30, 60, 90, 60, 30]
    assert calls[-1] == "90>0 x4 seed 8"
    alone = pipeline(loop=True).run(strip(50))
    assert (levels(alone), calls[-1]) == ([50, 50, 50], "50>50 x4 seed 7")


@pytest.mark.parametrize("loop", [False, True])
def test_upsampling_goes_over_the_whole_clip_and_round_the_corner(loop: bool) -> None:
    made = pipeline(loop=loop, interpolator="blend", frames=4, upsampler="blend", factor=3)
    job = made.job(strip(0, 90, 30))
    clip = made.run(strip(0, 90, 30))
    whole = [*range(0, 90, 10), *np.linspace(90, 30, 10).round().astype(int)[:-1]]
    whole += [*np.linspace(30, 0, 10).round().astype(int)[:-1]] if loop else [30]
    assert [abs(a - b) <= 1 for a, b in zip(levels(clip), whole, strict=True)] == [True] * len(whole)
    assert len(clip) == job.total_frames
    assert clip.fps == 18
    assert clip.duration == Fraction(len(clip), 18)


def test_each_pair_is_a_result_of_its_own(tmp_path: Path) -> None:
    with pipeline(tmp_path) as made:
        made.run(strip(0, 90))
    calls.clear()
    with pipeline(tmp_path) as made:
        made.run(strip(0, 90, 30))
    assert calls == ["90>30 x4 seed 8"]
    calls.clear()
    with pipeline(tmp_path, loop=True) as made:
        made.run(strip(0, 90, 30))
    assert calls == ["30>0 x4 seed 9"]


def test_resume_keeps_the_pairs_that_were_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pipeline(tmp_path / "unbroken") as made:
        unbroken = made.run(strip(0, 90, 30, 60))
    original = Draw.__call__

    def stopped(self: Draw, first: Any, last: Any, times: Any, **call: Any) -> Any:
        if first[-1, -1, 0] == 30:
            raise KeyboardInterrupt
        return original(self, first, last, times, **call)

    monkeypatch.setattr(Draw, "__call__", stopped)
    with pytest.raises(InterruptedRun), pipeline(tmp_path / "runs") as made:
        made.run(strip(0, 90, 30, 60))
    monkeypatch.setattr(Draw, "__call__", original)
    calls.clear()
    with pipeline(tmp_path / "runs") as made:
        clip = made.run(strip(0, 90, 30, 60), resume=True)
    assert calls == ["30>60 x4 seed 9"]
    assert clip.path.read_bytes() == unbroken.path.read_bytes()
    assert len([path for path in (tmp_path / "runs").iterdir() if path.name != ".cache"]) == 1


def test_the_record_tells_of_pairs_and_makes_the_clip_again(tmp_path: Path) -> None:
    with pipeline(tmp_path / "a", loop=True) as made:
        clip = made.run(strip(0, 90, 30))
        assert made.run_id(strip(0, 90, 30)) != pipeline(loop=False).run_id(strip(0, 90, 30))
    record = read_record(clip.path.parent)
    (step,) = record["steps"]
    assert step["info"]["pairs"] == [
        {"panels": [1, 2], "seed": 7},
        {"panels": [2, 3], "seed": 8},
        {"panels": [3, 1], "seed": 9},
    ]
    assert (record["outputs"]["count"], record["outputs"]["seconds"]) == (9, 1.5)
    assert record["warnings"] == [f"panel {i} to {j}: drawn by a toy" for i, j in ((1, 2), (2, 3), (3, 1))]
    assert len(list((clip.path.parent / "frames").iterdir())) == 9
    registry = Registry([("toys", Toys())])
    with Pipeline(layers=recorded_layers(record, {}), registry=registry, config=False, out=tmp_path / "b") as again:
        assert again.run(strip(0, 90, 30)).path.read_bytes() == clip.path.read_bytes()


def test_progress_and_plan_are_those_of_the_whole() -> None:
    told: list[tuple[int, int, str]] = []

    class Listener(Reporter):
        def progress(self, done: int, total: int, unit: str) -> None:
            told.append((done, total, unit))

    made = pipeline(reporter=Listener(), upsampler="blend", factor=2)
    assert dict(made.plan(strip(0, 90, 30)))["plan"].startswith("draw > blend   3 panels, 13 frames at 12 fps, 1.1 s ")
    looped = dict(pipeline(upsampler="blend", factor=2, loop=True).plan(strip(0, 90)))["plan"]
    assert looped.startswith("draw > blend   12 frames at 12 fps, 1.0 s, in a loop ")
    made.run(strip(0, 90, 30))
    assert [one for one in told if one[2] == "steps"] == [(k, 4, "steps") for k in (1, 2, 3, 4)]


def test_panels_of_other_sizes_come_in_at_the_first_ones(tmp_path: Path) -> None:
    mixed = Strip((panel(0), panel(90, (40, 16)), panel(30, (7, 9))))
    for mode in ("fit", "crop"):
        assert pipeline(size=mode).run(mixed).array().shape == (7, 12, 16, 3)
    assert pipeline(size="24x18", loop=True).run(mixed).array().shape == (9, 18, 24, 3)


@pytest.mark.parametrize(("count", "loop"), [(0, False), (0, True), (1, False)])
def test_too_few_panels(count: int, loop: bool) -> None:
    with pytest.raises(UsageError) as caught:
        links(count, loop=loop)
    assert "animegen run" in caught.value.hints[0]
    with pytest.raises(UsageError):
        pipeline(loop=loop).plan(strip(*range(count)))


def test_names_and_links() -> None:
    assert [panel_names(count) for count in (1, 2, 4)] == [
        ("first",),
        ("first", "last"),
        ("first", "panel-2", "panel-3", "last"),
    ]
    assert links(3, loop=True) == ((0, 1), (1, 2), (2, 0))
    assert (links(1, loop=True), links(2, loop=False)) == (((0, 0),), ((0, 1),))


def test_joined_results() -> None:
    entries = [MemoryEntry([np.full((1, 1, 3), value, np.uint8) for value in part], {}) for part in ((1, 2, 3), (3, 4))]
    joined = Joined(entries)
    assert [int(joined.load(index)[0, 0, 0]) for index in range(len(joined))] == [1, 2, 3, 4]
    assert joined.path(0) is None
    assert joined.digest != Joined(entries[::-1]).digest
    for index in (-1, 4):
        with pytest.raises(IndexError):
            joined.load(index)


def test_the_call_in_python(tmp_path: Path) -> None:
    pictures = [np.full((24, 32), level, np.uint8) for level in (0, 100, 200)]
    options = {"interpolator": "crossfade", "frames": 3, "inpainter": "none", "preprocessor": []}
    assert levels(animegen.run(*pictures, **options)) == [0, 50, 100, 150, 200]
    assert levels(animegen.run(*pictures[:2], loop=True, **options)) == [0, 50, 100, 50]
    assert levels(animegen.run(pictures[1], loop=True, **options)) == [100, 100]
    clip = animegen.run(*pictures, out=tmp_path, **options)
    assert list(read_record(clip.path.parent)["inputs"]) == ["first", "panel-2", "last"]
    for few in ((), pictures[:1]):
        with pytest.raises(UsageError, match="panel"):
            animegen.run(*few, **options)
    with pytest.raises(UsageError, match="last_mask is for a last panel"):
        animegen.run(pictures[0], loop=True, last_mask=np.zeros((24, 32), bool), **options)
    with pytest.raises(InputError, match="PANEL 2 is"):
        animegen.run(pictures[0], pictures[1] / 255, pictures[2], **options)


def test_masks_go_to_the_ends_and_panels_bring_their_own() -> None:
    pictures = [np.full((24, 32, 3), level, np.uint8) for level in (10, 100, 200)]
    masks = [np.zeros((24, 32), bool) for _ in pictures]
    for mask, picture in zip(masks, pictures, strict=True):
        mask[8:12, 8:12] = True
        picture[mask] = 0
    middle = Panel(pictures[1], (), "middle", masks[1])
    clip = animegen.run(
        pictures[0], middle, pictures[2], first_mask=masks[0], last_mask=masks[2],
        interpolator="crossfade", frames=2, inpainter="telea", detector="none", preprocessor=[],
    )  # fmt: skip
    np.testing.assert_allclose([int(frame[10, 10, 0]) for frame in clip], [10, 100, 200], atol=2)  # and not 0


@pytest.mark.parametrize(
    ("text", "panels", "found"),
    [
        ('{"first": [[0, 0, 5, 5]], "last": []}', 3, {"first": (Box(0, 0, 5, 5),), "last": ()}),
        ('{"panel-2": [[0, 0, 5, 5]]}', 3, {"panel-2": (Box(0, 0, 5, 5),)}),
        ("[[], null, [[1, 2, 3, 4]]]", 3, {"first": (), "last": (Box(1, 2, 3, 4),)}),
        ("[[[1, 2, 3, 4]]]", 1, {"first": (Box(1, 2, 3, 4),)}),
        ("[[], []]", 3, "has 2 entries for 3 panels"),
        ('{"last": []}', 1, "boxes of 'last'; the panels are first"),
        ('{"panel-2": []}', 2, "boxes of 'panel-2'"),
        ("[[], 7, []]", 3, "no text boxes by panel"),
        ('"first"', 2, "no text boxes by panel"),
        ("[[[1, 2, 3]], []]", 2, "is not a box"),
    ],
)
def test_text_boxes_by_name_or_in_order(tmp_path: Path, text: str, panels: int, found: Any) -> None:
    path = tmp_path / "boxes.json"
    path.write_text(text)
    if isinstance(found, str):
        with pytest.raises(UsageError, match=found):
            read_text_boxes(path, panels)
    else:
        assert read_text_boxes(path, panels) == found
