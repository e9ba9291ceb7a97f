"""ToonCrafter's autoencoder, keyframes to latents and latents to frames, against the plainest way to run the same.

    python benchmarks/tooncrafter_vae.py [--rounds 3] [--size 64x128] [--memory-size 96x160] [--width 64] [--threads 1]

Half the published width, which a processor can run. Plain: `plain_tooncrafter_vae`. Ours runs all frames at once, and
``pieces`` two frames at once with nothing kept that can be computed again. They take turns; processor and wall time are
medians of the ratios round by round. One thread, unless told otherwise: on a busy processor several wait for each
other in every small operation, and most of what is measured is that. Peak memory is that of a process of its own for
each, above what the weights and the inputs take, of the larger of encoding and one pass of the decoder.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import plain_tooncrafter_vae as plain_way
import torch
from torch import Tensor

from animegen_testing.seeded_weights import fill, seeded_input
from animegen_tooncrafter.first_stage.autoencoder import FirstStage
from animegen_tooncrafter.first_stage.sweeps import WHOLE, Chunking
from animegen_torch.diffusion.autoencoder.architecture import DOWN, FirstStageConfiguration
from animegen_torch.memory import gib, peak_memory, resident_memory

FRAMES = 16
PIECES = Chunking(2, recompute=True)
Inputs = tuple[Tensor, Tensor, Tensor]


def network(width: int) -> FirstStage:
    """Seeded weights: the values are those of a trained network in size, and the same every time."""
    stage = FirstStage(FirstStageConfiguration(ch=width))
    fill(stage, "first_stage_model.")
    return stage.eval()


def given(height: int, width: int) -> Inputs:
    """Both keyframes, the noise of sixteen frames, and the latents of a clip."""
    h, w = height // DOWN, width // DOWN
    keyframes = torch.from_numpy(seeded_input("keyframes", (2, 3, height, width)))
    noise, latents = torch.randn(2, FRAMES, 4, h, w, generator=torch.Generator().manual_seed(0))
    return keyframes, noise, latents


def plain(stage: FirstStage, inputs: Inputs, second_pass: bool = True) -> Tensor:
    """Sixteen frames encoded, whole clips decoded."""
    keyframes, noise, latents = inputs
    clip = keyframes.repeat_interleave(FRAMES // 2, 0)
    z, features = plain_way.encode(stage, clip, noise)
    ends = tuple(one[[0, -1]] for one in features)
    del features
    frames = plain_way.decode(stage, latents, ends, second_pass=second_pass)
    return torch.cat((z[[0, -1]].flatten(), frames.flatten()))


def ours(stage: FirstStage, inputs: Inputs, second_pass: bool = True, chunking: Chunking = WHOLE) -> Tensor:
    """Two frames encoded, the clip decoded as `chunking` says."""
    keyframes, noise, latents = inputs
    encoded = stage.encode_keyframes(*keyframes, noise)
    references = stage.references(encoded.features)
    frames = stage.decode(latents, references, chunking=chunking, second_pass=second_pass)
    return torch.cat((encoded.latents.flatten(), frames.flatten()))


def pieces(stage: FirstStage, inputs: Inputs, second_pass: bool = True) -> Tensor:
    """The same, two frames at once."""
    return ours(stage, inputs, second_pass, PIECES)


WAYS: dict[str, Callable[..., Tensor]] = {"plain": plain, "ours": ours, "pieces": pieces}


def memory_of(way: str, width: int, size: tuple[int, int]) -> dict[str, int]:
    """Peak of encoding and one pass of the decoder in this process, and what lay in memory before."""
    stage, inputs = network(width), given(*size)
    WAYS[way](stage, given(16, 16), False)  # what libraries set up once
    before = resident_memory()
    with peak_memory(torch.device("cpu")) as peak:
        WAYS[way](stage, inputs, False)
    return {"before": before, "peak": peak.bytes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", default="64x128", help="height x width of the pictures")
    parser.add_argument("--memory-size", default="96x160", help="the same for the accounts of memory")
    parser.add_argument("--width", type=int, default=64, help="channels at the full size; published are 128")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory-of", choices=tuple(WAYS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    height, width = map(int, options.size.split("x"))
    if options.memory_of:
        rows, columns = map(int, options.memory_size.split("x"))
        print(json.dumps(memory_of(options.memory_of, options.width, (rows, columns))))
        return
    print(f"{options.size}, {FRAMES} frames, width {options.width}, {torch.get_num_threads()} threads")
    stage, inputs = network(options.width), given(height, width)
    cpu: dict[str, list[float]] = {name: [] for name in WAYS}
    wall: dict[str, list[float]] = {name: [] for name in WAYS}
    results: dict[str, Tensor] = {}
    for number in range(options.rounds):
        for name in WAYS if number % 2 else reversed(WAYS):
            begun, spent = time.perf_counter(), time.process_time()
            results[name] = WAYS[name](stage, inputs)
            cpu[name].append(time.process_time() - spent)
            wall[name].append(time.perf_counter() - begun)
    largest = float(results["plain"].abs().max())
    off = {name: float((results[name] - results["plain"]).abs().max()) for name in ("ours", "pieces")}
    for name, difference in off.items():
        print(f"{name:>9}: largest difference {difference:.2e} of values up to {largest:.2f}")
    for kind, times in (("processor", cpu), ("wall", wall)):
        told = ", ".join(f"{name} {statistics.median(times[name]):.1f}" for name in WAYS)
        ratios = ", ".join(
            f"{name} {statistics.median(p / o for p, o in zip(times['plain'], times[name], strict=True)):.2f}"
            for name in off
        )
        print(f"{kind:>9} seconds a clip: {told}; plain / it: {ratios}")
    peaks = {}
    for name in WAYS:
        command = [sys.executable, __file__, "--memory-of", name, "--memory-size", options.memory_size]
        command += ["--width", str(options.width)]
        peaks[name] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        less = f"; plain / it: {peaks['plain']['peak'] / peaks[name]['peak']:.2f}" if name != "plain" else ""
        peak, before = gib(peaks[name]["peak"]), gib(peaks[name]["before"])
        print(f"{name:>9}: {peak} at {options.memory_size} above {before}{less}")
    if max(off.values()) > 1e-4 * max(1.0, largest):
        sys.exit("the results differ by more than 1e-4")


if __name__ == "__main__":
    main()
