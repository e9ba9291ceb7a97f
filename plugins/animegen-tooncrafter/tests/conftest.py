"""Runners of the golden cases, gathered from the files in ``runners/``.

Each file there may have ``RUNNERS`` (kind of case -> runner, see `animegen_testing.goldens`) and ``LAYERS`` (name of a
layer in ``blocks.npz`` -> function of the case and the layer's name prefix that gives the layer's output).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from animegen_testing.goldens import GoldenCase, Runner

Layer = Callable[[GoldenCase, str], Any]


@pytest.fixture(scope="session")
def golden_runners() -> Mapping[str, Runner]:
    """A runner for every kind of case in ``cases.json``."""
    runners: dict[str, Runner] = {}
    layers: dict[str, Layer] = {}
    for path in sorted((Path(__file__).parent / "runners").glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"tooncrafter_runners_{path.stem}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for ours, theirs in ((runners, getattr(module, "RUNNERS", {})), (layers, getattr(module, "LAYERS", {}))):
            assert not ours.keys() & theirs.keys(), f"{path.name} repeats {sorted(ours.keys() & theirs.keys())}"
            ours.update(theirs)

    def blocks(case: GoldenCase) -> Mapping[str, Any]:
        # The case's prefix names the layers to run, each with what stands before its tensors' names.
        return {f"out.{name}": layers[name](case, prefix) for name, prefix in case.prefix.items()}

    return {**runners, "blocks": blocks}


@pytest.fixture(scope="session")
def tiny_model() -> Any:
    """Sizes of a model that draws a clip of 64 × 64 in a second or two: those of the golden end-to-end case."""
    pytest.importorskip("open_clip")
    from animegen_tooncrafter.checkpoint import ModelConfiguration
    from animegen_tooncrafter.conditioning.towers import ImageConfiguration
    from animegen_tooncrafter.diffusion.architecture import UNetConfiguration
    from animegen_tooncrafter.diffusion.resampler import ResamplerConfiguration
    from animegen_torch.diffusion.autoencoder.architecture import FirstStageConfiguration
    from animegen_torch.diffusion.text import TextConfiguration

    def unet(**changed: Any) -> UNetConfiguration:
        return UNetConfiguration(
            model_channels=32,
            num_res_blocks=1,
            attention_resolutions=(2, 1),
            channel_mult=(1, 2),
            num_head_channels=16,
            context_dim=64,
            **changed,
        )

    return ModelConfiguration(
        unet=unet(),
        first_stage=FirstStageConfiguration(ch=32, num_res_blocks=1),
        text=TextConfiguration(width=64, heads=4, layers=3),
        image=ImageConfiguration(width=80, head_width=16, layers=2, patch_size=56),
        resampler=ResamplerConfiguration(dim=64, depth=2, dim_head=16, heads=3, embedding_dim=80, output_dim=64),
        sketch=unet(in_channels=4, dropout=0.0),
    )


@pytest.fixture(scope="session")
def tiny_file(tiny_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole model of these sizes with drawn parameters and a sketch encoder, in a file as the published ones."""
    from safetensors.torch import save_file

    from animegen_tooncrafter.checkpoint import BLUEPRINT, PARTS
    from animegen_tooncrafter.checkpoint.parts import PREFIXES
    from animegen_tooncrafter.diffusion.schedule import Schedule

    state = {}
    for number, part in enumerate(PARTS):
        for name, tensor in BLUEPRINT.untrained(part, tiny_model, seed=number).state_dict().items():
            state[PREFIXES[part] + name] = tensor
    # The last block of the text tower is in files, and never used.
    used, unused = "model.transformer.resblocks.1.", "model.transformer.resblocks.2."
    beside = {name.replace(used, unused): one.clone() for name, one in state.items() if used in name}
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file({**state, **beside, **Schedule.compute().tables}, str(path))
    return path


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept between runs is kept for one test only."""
    monkeypatch.setenv("ANIMEGEN_HOME", str(tmp_path / "home"))
