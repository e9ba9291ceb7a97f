"""Peak memory of the decoder at its published width: what the number of frames at once bounds, each in a process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

FRAMES, SIDE = 16, 8
"""Latents of 16 frames of 64 × 64 pixels."""
FEATURES = FRAMES * 128 * (8 * SIDE) ** 2 * 4
"""Bytes of a clip of the last level's features: what is there as a whole however few frames are worked on."""

DECODE = """
import torch
from animegen_tooncrafter.first_stage.autoencoder import FirstStage
from animegen_tooncrafter.first_stage.sweeps import Chunking
from animegen_torch.memory import peak_memory

torch.set_num_threads(1)
torch.manual_seed(0)
stage = FirstStage().eval()
side = given["side"]
features = stage.encode(torch.rand(2, 3, 8 * side, 8 * side) * 2 - 1)[1]
latents = torch.randn(given["frames"], 4, side, side)
references = stage.references(features)
chunking = Chunking(given["at_once"], recompute=given["recompute"])
stage.decode(latents[:2, :, :2, :2], None, chunking=chunking)  # what libraries set up once
with peak_memory(torch.device("cpu"), every=0.0005) as peak:
    frames = stage.decode(latents, references, chunking=chunking, second_pass=False)
torch.save(frames, given["path"])
print(peak.bytes)
"""


@pytest.mark.slow
def test_fewer_frames_at_once_take_less_memory_for_the_same_frames(
    run_alone: Callable[..., str], tmp_path: Path
) -> None:
    def decode(at_once: int) -> tuple[int, torch.Tensor]:
        """Peak in bytes above what weights and references take, and the frames."""
        path = tmp_path / f"{at_once}.pt"
        size = {"frames": FRAMES, "side": SIDE}
        peak = int(run_alone(DECODE, at_once=at_once, recompute=at_once < FRAMES, path=str(path), **size))
        return peak, torch.load(path, weights_only=True)

    found = {at_once: decode(at_once) for at_once in (1, 2, 4, 16)}
    whole, expected = found[16]
    for at_once, (peak, frames) in found.items():
        print(f"{at_once:>2} frames at once: {peak / 2**20:.0f} MiB, {peak / FEATURES:.1f} clips of features")
        assert (frames - expected).abs().max() <= 1e-5 * max(1.0, float(expected.abs().max()))
    peaks = [found[at_once][0] for at_once in (1, 2, 4, 16)]
    assert peaks == sorted(peaks)
    # One clip of features between two layers, part of the next beside it, and the work on a few frames.
    assert found[1][0] < 2.5 * FEATURES
    assert whole > 3 * found[2][0]
