"""The arithmetic of the plan against what parts really take: narrower networks on a processor, each in a process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

MEASURE = """
from dataclasses import replace
import torch
from animegen_seine.model import BLUEPRINT, ModelConfiguration
from animegen_seine.network.architecture import UNetConfiguration
from animegen_seine.placement.demands import autoencoding, sampling
from animegen_torch.diffusion.autoencoder.architecture import FirstStageConfiguration
from animegen_torch.diffusion.clip import Clip
from animegen_torch.diffusion.denoiser import Denoiser
from animegen_torch.memory import peak_memory

torch.set_num_threads(1)
height, width, frames = given["size"]
clip, cpu = Clip(height, width, frames), torch.device("cpu")
c = UNetConfiguration(widths=(96, 192, 384, 384), context=96, heads=3)
v = FirstStageConfiguration(ch=64)
model = replace(ModelConfiguration(), unet=c, first_stage=v)
part = "unet" if given["what"] == "sampling" else "first_stage"
network = BLUEPRINT.untrained(part, model, seed=0)
if given["what"] == "sampling":
    network.for_inference()
    branches = ("conditional", "unconditional")
    tokens = {name: torch.randn(1, 77, 96) for name in branches}
    small = torch.zeros(1, 4, 2, 8, 8)
    Denoiser(network, tokens, torch.zeros(1, 5, 2, 8, 8))(small, 500, branches)  # what libraries set up once
    x, beside = (torch.randn(1, n, frames, height // 8, width // 8) for n in (4, 5))
    with peak_memory(cpu, every=0.0005) as peak:
        Denoiser(network, tokens, beside, together=given["together"])(x, 500, branches)
    need = sampling(clip, c, "float32", "cpu", at_once=2 if given["together"] else 1)
else:
    network.decode(torch.zeros(1, 4, 4, 4))
    network.encode(torch.zeros(1, 3, 32, 32))
    pictures, latents = torch.randn(frames, 3, height, width), torch.randn(frames, 4, height // 8, width // 8)
    with peak_memory(cpu, every=0.0005) as peak:
        network.encode(pictures) if given["what"] == "encoding" else network.decode(latents)
    need = autoencoding(clip, v, "float32", "cpu")
print(peak.bytes, need)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "most"),
    [
        ({"what": "sampling", "size": [128, 192, 12], "together": True}, 2.0),
        ({"what": "sampling", "size": [192, 192, 8], "together": False}, 2.1),
        ({"what": "decoding", "size": [320, 256, 2]}, 1.7),
        ({"what": "encoding", "size": [320, 256, 2]}, 2.5),  # which is planned as decoding, and takes less
    ],
    ids=lambda given: "-".join(str(value) for value in given.values()) if isinstance(given, dict) else "",
)
def test_what_is_planned_is_what_is_taken(run_alone: Callable[..., str], given: dict[str, Any], most: float) -> None:
    peak, need = map(int, run_alone(MEASURE, **given).split())
    print(f"{peak / 2**20:.0f} MiB taken, {need / 2**20:.0f} MiB planned: {need / peak:.2f} times")
    assert peak <= need <= most * peak
