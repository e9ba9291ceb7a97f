"""Every interpolator there is, side by side in one evaluation. Mechanics alone: the parameters of models are drawn.

Runs where all plugins are installed (``nox -s together``).
"""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from animegen.builtin.plugin import animegen_interpolators as builtin
from animegen.imageio import write_image
from animegen.registry import Registry
from animegen.settings.resolve import Choice, Settings
from animegen.video import VideoReader

pytest.importorskip("animegen_eval")
MODELS = ("animeinterp", "eisai", "film", "rife", "seine", "tooncrafter")
for name in MODELS:
    pytest.importorskip(f"animegen_{name}")
for library in ("torch", "open_clip"):
    pytest.importorskip(library)

pytestmark = pytest.mark.data
Call = Callable[..., Any]
SIXTEEN = ("seine", "tooncrafter")
"""Models that draw sixteen frames and no other number."""
QUICK = {
    "eisai": ("size=own", "iterations=2"),
    "seine": ("size=64x64", "steps=1"),
    "tooncrafter": ("size=64x64", "steps=1"),
}


@pytest.fixture
def clips(place: Path, real_data: Path) -> Path:
    """The first sixteen frames of a real clip, as many as diffusion draws, cut to 192 × 128."""
    with VideoReader(real_data / "clips" / "synfig_eye_look.mp4") as video:
        frames = list(video)[:16]
    for index, frame in enumerate(frames):
        write_image(place / "clips" / "eye" / f"{index}.png", frame[60:188, 150:342])
    return place / "clips"


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no command can do: parameters that are drawn in an evaluation; of tiny models where the real ones are huge.

    Interpolators without parameters are not touched.
    """
    monkeypatch.setattr(Settings, "untrained", lambda self, choice: is_model(choice))
    for plugin, configuration in (("seine", tiny_seine()), ("tooncrafter", tiny_tooncrafter())):
        source = importlib.import_module(f"animegen_{plugin}.placement.source")
        monkeypatch.setattr(source, "ModelConfiguration", lambda made=configuration: made)


def is_model(choice: Choice) -> bool:
    return choice.stage.name in MODELS


def tiny_tooncrafter() -> Any:
    from animegen_tooncrafter.checkpoint import ModelConfiguration
    from animegen_tooncrafter.conditioning.towers import ImageConfiguration
    from animegen_tooncrafter.diffusion.architecture import UNetConfiguration
    from animegen_tooncrafter.diffusion.resampler import ResamplerConfiguration
    from animegen_torch.diffusion.autoencoder.architecture import FirstStageConfiguration
    from animegen_torch.diffusion.text import TextConfiguration

    return ModelConfiguration(
        unet=UNetConfiguration(
            model_channels=32,
            num_res_blocks=1,
            attention_resolutions=(2, 1),
            channel_mult=(1, 2),
            num_head_channels=16,
            context_dim=64,
        ),
        first_stage=FirstStageConfiguration(ch=32, num_res_blocks=1),
        text=TextConfiguration(width=64, heads=4, layers=3),
        image=ImageConfiguration(width=80, head_width=16, layers=2, patch_size=56),
        resampler=ResamplerConfiguration(dim=64, depth=2, dim_head=16, heads=3, embedding_dim=80, output_dim=64),
    )


def tiny_seine() -> Any:
    from animegen_seine.checkpoint import ModelConfiguration
    from animegen_seine.network.architecture import UNetConfiguration
    from animegen_torch.diffusion.autoencoder.architecture import FirstStageConfiguration
    from animegen_torch.diffusion.text import TextConfiguration

    return ModelConfiguration(
        unet=UNetConfiguration(widths=(64, 64), layers=1, context=64, heads=2),
        first_stage=FirstStageConfiguration(ch=32, num_res_blocks=1),
        text=TextConfiguration(width=64, heads=1, layers=2, unused=0, quick_gelu=True),
    )


def test_the_models_are_all_that_are_not_built_in() -> None:
    own = {spec.name for spec in builtin()}
    assert sorted({stage.name for stage in Registry().stages("interpolator")} - own) == list(MODELS)


@pytest.mark.usefixtures("drawn")
def test_one_evaluation_of_all(animegen: Call, clips: Path, place: Path) -> None:
    systems = ("flow", "crossfade", *MODELS)
    command = ["evaluate", clips, "--gap", "2", "--gap", "15", "--parts", "1"]
    command += ["--metric", "psnr", "--metric", "line-chamfer"]
    for system in systems:
        command += ["--interpolator", system]
    for system, options in QUICK.items():
        for option in options:
            command += ["-o", f"{system}.{option}"]
    result = animegen(*command)
    assert result.code == 0, result.err
    summary = json.loads((place / "evaluation" / "summary.json").read_text("utf-8"))
    found = {(figure["config"], figure["quantity"], figure["gap"]): figure for figure in summary["figures"]}
    for system in systems:
        for quantity in ("psnr", "line-chamfer"):
            figure = found[system, quantity, 15]
            assert math.isfinite(figure["mean"]), figure
            assert figure["n"] == 1
            assert ((system, quantity, 2) in found) is (system not in SIXTEEN)


@pytest.mark.parametrize("model", MODELS)
def test_without_weights_nothing_is_evaluated(animegen: Call, clips: Path, place: Path, model: str) -> None:
    result = animegen("evaluate", clips, "--interpolator", model, "--metric", "psnr")
    assert result.code == 3
    assert f"animegen weights fetch {model}" in result.err
    assert not list(place.glob("evaluation/*.json"))
