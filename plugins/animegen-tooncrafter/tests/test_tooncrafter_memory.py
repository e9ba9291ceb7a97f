"""The arithmetic of the plan against what parts really take: narrower networks on a processor, each in a process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("open_clip")

MEASURE = """
import torch
from animegen_tooncrafter.diffusion.architecture import UNetConfiguration
from animegen_tooncrafter.diffusion.denoiser import Denoiser
from animegen_tooncrafter.diffusion.unet import UNet
from animegen_torch.diffusion.autoencoder.architecture import FirstStageConfiguration
from animegen_tooncrafter.first_stage.autoencoder import FirstStage
from animegen_tooncrafter.first_stage.sweeps import Chunking
from animegen_tooncrafter.placement.activations import decoding, encoding, sampling
from animegen_torch.diffusion.clip import Clip
from animegen_torch.memory import peak_memory

torch.set_num_threads(1)
torch.manual_seed(0)
height, width, frames = given["size"]
clip = Clip(height, width, frames)
cpu = torch.device("cpu")
if given["what"] == "sampling":
    c = UNetConfiguration(model_channels=160, num_head_channels=32, context_dim=256)
    unet = UNet(c).for_inference()
    branches = ("conditional", "unconditional")
    tokens = {name: torch.randn(1, 333, 256) for name in branches}
    keyframes = torch.randn(1, 4, frames, height // 8, width // 8)
    small = torch.randn(1, 4, 1, 8, 8)
    Denoiser(unet, tokens, small)(small, 500, branches)  # what libraries set up once
    with peak_memory(cpu, every=0.0005) as peak:
        Denoiser(unet, tokens, keyframes, together=given["together"])(keyframes, 500, branches)
    need = sampling(clip, c, "float32", "cpu", at_once=2 if given["together"] else 1)
else:
    c = FirstStageConfiguration(ch=32)
    stage = FirstStage(c).eval()
    features = stage.encode(torch.rand(2, 3, 64, 64))[1]
    stage.decode(torch.randn(2, 4, 8, 8), stage.references(features), second_pass=False)
    pictures = torch.rand(2, 3, height, width)
    if given["what"] == "encoding":
        with peak_memory(cpu, every=0.0005) as peak:
            stage.encode(pictures)
        need = encoding(clip, c, "float32", "cpu")
    else:
        with peak_memory(cpu, every=0.0005) as peak:
            features = stage.encode(pictures)[1]
            latents = torch.randn(frames, 4, height // 8, width // 8)
            way = Chunking(given["at_once"], recompute=given["recompute"])
            stage.decode(latents, stage.references(features), chunking=way, second_pass=False)
        need = decoding(clip, c, "float32", "cpu", at_once=way.frames, recompute=way.recompute)
print(peak.bytes, need)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        {"what": "sampling", "size": [128, 192, 8], "together": True},
        {"what": "sampling", "size": [192, 192, 8], "together": False},
        {"what": "encoding", "size": [512, 512, 16]},
        {"what": "decoding", "size": [128, 192, 12], "at_once": 2, "recompute": False},
        {"what": "decoding", "size": [128, 192, 12], "at_once": 1, "recompute": True},
        {"what": "decoding", "size": [128, 128, 12], "at_once": 12, "recompute": False},
    ],
    ids=lambda given: "-".join(str(value) for value in given.values()),
)
def test_what_is_planned_is_what_is_taken(run_alone: Callable[..., str], given: dict[str, Any]) -> None:
    peak, need = map(int, run_alone(MEASURE, **given).split())
    print(f"{peak / 2**20:.0f} MiB taken, {need / 2**20:.0f} MiB planned: {need / peak:.2f} times")
    assert peak <= need <= 1.6 * peak
