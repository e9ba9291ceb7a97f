"""Pipelines beside one another: results, open stages and encoded files shared; devices lent without another name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from animegen import InterpolatorSpec, Panel, PanelPair, Weight, hookimpl
from animegen.pipeline.pipeline import Pipeline
from animegen.registry import Registry

opened: list[tuple[str, ...]] = []
RUN = {"detector": "none", "preprocessor": [], "frames": 3}


class Mix:
    def __init__(self, options, context):
        opened.append(context.devices)

    def __call__(self, first, last, times, *, prompt="", seed=0):
        return np.stack([(first * (1 - t) + last * t).round().astype(np.uint8) for t in times])


class Plugin:
    @hookimpl
    def animegen_interpolators(self):
        spare = Weight("spare.bin", ("https://example.org/spare.bin",), "MIT", sha256="0" * 64, required=False)
        return [InterpolatorSpec("mix", f"{__name__}:Mix", "A dissolve.", weights=(spare,))]


@pytest.fixture
def registry() -> Registry:
    import animegen.builtin.plugin

    opened.clear()
    return Registry([("animegen", animegen.builtin.plugin), ("toys", Plugin())])


@pytest.fixture
def pair() -> PanelPair:
    values = np.random.default_rng(0).integers(0, 255, (2, 24, 32, 3), np.uint8)
    return PanelPair(Panel(values[0], name="a"), Panel(values[1], name="b"))


def pipeline(registry: Registry, out: Path | None, **more: object) -> Pipeline:
    settings = {"run": {**RUN, "inpainter": "none", "interpolator": "mix", **more.pop("run", {})}}
    return Pipeline(recipe="quick", settings=settings, out=out, registry=registry, config=False, **more)


def test_a_stage_is_opened_once_and_nothing_is_made_twice(registry: Registry, pair: PanelPair, tmp_path: Path) -> None:
    first = pipeline(registry, tmp_path)
    second = pipeline(registry, None, beside=first, run={"seed": 7, "fps": "9"})
    one, two = first.run(pair), second.run(pair)
    assert np.array_equal(one.array(), two.array())
    assert len(opened) == 1
    assert (dict(first.made), dict(second.made)) == ({"interpolator": 1}, {})
    second.let_go(but="interpolator")
    third = PanelPair(pair.last, pair.first)
    second.run(third)
    assert len(opened) == 1
    second.let_go()
    first.run(PanelPair(pair.last, pair.last))
    assert len(opened) == 2


def test_a_device_that_is_lent_gives_a_result_no_other_name(
    registry: Registry, pair: PanelPair, tmp_path: Path
) -> None:
    both = {"device": "cuda:0,cuda:1"}
    for number in (0, 1):
        with pipeline(registry, tmp_path, run=both, devices=(f"cuda:{number}",)) as one:
            one.run(pair)
    assert opened == [("cuda:0",)]  # the second found what the first had made


def test_a_run_in_a_folder_of_its_own_links_a_twin_s_files(registry: Registry, pair: PanelPair, tmp_path: Path) -> None:
    place, other, third = tmp_path / "x" / "one", tmp_path / "x" / "two", tmp_path / "x" / "three"
    first = pipeline(registry, tmp_path)
    first.run(pair, folder=place)
    second = pipeline(registry, None, beside=first, run={"prompt": "another run, the same pictures"})
    second.run(pair, folder=other, twins=[tmp_path / "absent", place])
    faster = pipeline(registry, None, beside=first, run={"fps": "24"})
    faster.run(pair, folder=third, twins=[place, other])
    for name in ("clip.mp4", "sheet.png", "frames/000001.png"):
        assert (place / name).stat().st_ino == (other / name).stat().st_ino
    assert (place / "clip.mp4").stat().st_ino != (third / "clip.mp4").stat().st_ino
    before = (place / "clip.mp4").stat().st_mtime_ns
    assert first.run(pair, folder=place, resume=True).path == place / "clip.mp4"
    assert (place / "clip.mp4").stat().st_mtime_ns == before
    assert not list(tmp_path.glob("2*"))  # and no folder of its own beside
