"""The option ``sketch`` from a run and its stage to frames, with a tiny model in files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import animegen
from animegen.errors import InputError, UsageError
from animegen.imageio import write_image
from animegen_testing.context import FakeContext


@pytest.fixture(scope="module")
def files(tiny_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A model and a sketch encoder in files of their own, as they are published."""
    from safetensors.torch import load_file, save_file

    state = load_file(tiny_file)
    folder = tmp_path_factory.mktemp("published")
    prefix = "control_model."
    sketch = {name.removeprefix(prefix): one for name, one in state.items() if name.startswith(prefix)}
    save_file({name: one for name, one in state.items() if not name.startswith(prefix)}, str(folder / "model.st"))
    save_file(sketch, str(folder / "sketch.st"))
    return {"file": str(folder / "model.st"), "sketch_file": str(folder / "sketch.st")}


@pytest.fixture
def drawings(tmp_path: Path) -> Path:
    """A drawing for frame 2."""
    (tmp_path / "drawings").mkdir()
    draw(tmp_path / "drawings" / "2.png", 40)
    return tmp_path / "drawings"


def draw(path: Path, row: int, size: tuple[int, int] = (192, 192)) -> None:
    sheet = np.full((size[1], size[0], 3), 245, np.uint8)
    sheet[row : row + 4] = 20
    write_image(path, sheet)


@pytest.fixture
def clip(files: dict[str, str]) -> Callable[..., NDArray[np.uint8]]:
    """Four frames of 64 × 64, as cheap as they come."""
    from animegen_tooncrafter.plugin import ToonCrafterOptions
    from animegen_tooncrafter.stage import ToonCrafter

    first, last = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)

    def drawn(**options: Any) -> NDArray[np.uint8]:
        quick = {"steps": 2, "guidance_scale": 1.0, "second_pass": False}
        stage = ToonCrafter(ToonCrafterOptions(**{**files, **quick, **options}), FakeContext())
        frames: NDArray[np.uint8] = stage(first, last, [0, 1 / 3, 2 / 3, 1], prompt="rain", seed=4)
        stage.close()
        return frames

    return drawn


def test_the_stage_is_steered_by_drawings(clip: Callable[..., NDArray[np.uint8]], drawings: Path) -> None:
    plain, steered = clip(), clip(sketch=str(drawings))
    assert steered.shape == plain.shape == (4, 64, 64, 3)
    assert (steered != plain).any()
    assert np.array_equal(clip(sketch=str(drawings)), steered)
    assert np.array_equal(clip(sketch=str(drawings), sketch_scale=0.0), plain)
    draw(drawings / "2.png", 150)
    assert (clip(sketch=str(drawings)) != steered).any()  # the same names, other lines


def test_drawings_of_another_aspect_are_refused_before_anything_is_loaded(
    clip: Callable[..., NDArray[np.uint8]], drawings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from animegen_torch.placement.source import Source

    monkeypatch.setattr(Source, "part", lambda *_: pytest.fail("a part was loaded"))
    draw(drawings / "2.png", 40, (300, 100))
    with pytest.raises(InputError, match=r"aspect of 3\.00"):
        clip(sketch=str(drawings))


@pytest.fixture
def run(files: dict[str, str], tmp_path: Path) -> Callable[..., Any]:
    """`animegen.run` of two panels, in four frames."""
    for name in ("a.png", "b.png"):
        write_image(tmp_path / name, np.random.default_rng(1).integers(0, 256, (100, 160, 3), dtype=np.uint8))

    def made(**options: Any) -> Any:
        return animegen.run(
            tmp_path / "a.png",
            tmp_path / "b.png",
            recipe="quick",
            interpolator="tooncrafter",
            frames=4,
            device="cpu",
            options={"tooncrafter": {**files, **options}},
        )

    return made


def test_a_run_stops_at_once_where_drawings_do_not_fit(run: Callable[..., Any], drawings: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        run(sketch=str(drawings / "absent"))
    with pytest.raises(UsageError, match=r"names frame 4; the clip has frames 0 \.\. 3"):
        run(sketch=str(drawings), sketch_frames=[4])
    (drawings / "2.png").rename(drawings / "7.png")
    with pytest.raises(InputError, match=r"frame 7 \(7.png\); the clip has frames 0 .. 3"):
        run(sketch=str(drawings))


def test_the_plan_of_a_run_counts_the_encoder_and_names_the_frames(files: dict[str, str], drawings: Path) -> None:
    from animegen_tooncrafter.placement.plan import plan
    from animegen_tooncrafter.plugin import ToonCrafterOptions

    def of(**options: Any) -> Any:
        return plan(ToonCrafterOptions(**{**files, **options}), FakeContext(), size=(64, 64), frames=4)

    plain, steered = of(), of(sketch=str(drawings))
    assert "steers frame 2" in steered.summary
    assert "frame 2" not in plain.summary
