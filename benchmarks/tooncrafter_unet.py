"""One guided step of ToonCrafter's U-Net against the most obvious way to run the same maths.

    python benchmarks/tooncrafter_unet.py [--rounds 5] [--size 16x32] [--frames 16] [--threads N]

Half the published width (model channels 160, heads of 32, context 512), which a processor can run. Ours: both guidance
branches in one call, keys and values of the context made once, fused attention, channels last. Plain: `plain_unet`, two
calls. Apart: ours with a call for each branch. They take turns; ratios are medians of the ratios round by round. On a
machine with other work, read the processor time of one thread (--threads 1): several wait for one another at full load.
Peak memory is that of a process of its own for each, above what the weights take.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from plain_unet import PlainUNet
from torch import Tensor

from animegen_testing.seeded_weights import fill
from animegen_tooncrafter.diffusion.architecture import UNetConfiguration
from animegen_tooncrafter.diffusion.denoiser import Denoiser
from animegen_tooncrafter.diffusion.unet import UNet
from animegen_torch.diffusion.guidance import CONDITIONAL, UNCONDITIONAL
from animegen_torch.memory import gib, peak_memory, resident_memory

HALF = UNetConfiguration(model_channels=160, num_head_channels=32, context_dim=512)
BOTH = (CONDITIONAL, UNCONDITIONAL)
TIMESTEP, FPS = 601, 10


def network() -> UNet:
    """Half width, seeded weights: the values are those of a trained network in size, and the same every time."""
    unet = UNet(HALF)
    fill(unet, "model.diffusion_model.")
    return unet.for_inference()


def given(frames: int, height: int, width: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Noisy latents, keyframes in place and the tokens of both branches."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 4, frames, height, width, generator=generator)
    keyframes = torch.zeros_like(x)
    keyframes[:, :, [0, -1]] = torch.randn(1, 4, 2, height, width, generator=generator)
    tokens = {name: torch.randn(1, 77 + 16 * 16, HALF.context_dim, generator=generator) for name in BOTH}
    return x, keyframes, tokens


def ours(unet: UNet, x: Tensor, keyframes: Tensor, tokens: dict[str, Tensor]) -> Callable[[], list[Tensor]]:
    """A step of ours; the context is prepared here, once for a clip."""
    denoise = Denoiser(unet, tokens, keyframes, FPS)
    return lambda: list(denoise(x, TIMESTEP, BOTH).values())


def apart(unet: UNet, x: Tensor, keyframes: Tensor, tokens: dict[str, Tensor]) -> Callable[[], list[Tensor]]:
    """As `ours`, with a call for each branch: the setting for little memory."""
    denoise = Denoiser(unet, tokens, keyframes, FPS, together=False)
    return lambda: list(denoise(x, TIMESTEP, BOTH).values())


def plain(unet: UNet, x: Tensor, keyframes: Tensor, tokens: dict[str, Tensor]) -> Callable[[], list[Tensor]]:
    """The plain step on the same weights, in the layout they are loaded in."""
    state = {name: tensor.contiguous() for name, tensor in unet.state_dict().items()}
    net, times, fs = PlainUNet(HALF, state), torch.tensor([TIMESTEP]), torch.tensor([FPS])
    return lambda: [net(torch.cat([x, keyframes], 1), times, tokens[name], fs) for name in BOTH]


WAYS = {"ours": ours, "apart": apart, "plain": plain}


@torch.inference_mode()
def memory_of(way: str, sizes: tuple[int, int, int]) -> dict[str, int]:
    """Peak of one step in this process, and what lay in memory before it."""
    step = WAYS[way](network(), *given(*sizes))
    before = resident_memory()
    with peak_memory(torch.device("cpu")) as peak:
        step()
    return {"before": before, "step": peak.bytes, "total": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", default="16x32", help="height x width of the latent")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--threads", type=int, help="by default as many as torch takes")
    parser.add_argument("--memory-of", choices=tuple(WAYS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    height, width = map(int, options.size.split("x"))
    sizes = (options.frames, height, width)
    if options.memory_of:
        print(json.dumps(memory_of(options.memory_of, sizes)))
        return
    print(
        f"latent {options.size}, {options.frames} frames, {torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    inputs = given(*sizes)
    unet = network()
    steps = {name: way(unet, *inputs) for name, way in WAYS.items()}
    results = {name: step() for name, step in steps.items()}  # also warms up
    off = max((a - b).abs().max().item() for name in WAYS for a, b in zip(results[name], results["plain"], strict=True))
    print(f"largest difference {off:.2e} of values up to {max(x.abs().max().item() for x in results['plain']):.2f}")
    cpu: dict[str, list[float]] = {name: [] for name in WAYS}
    wall: dict[str, list[float]] = {name: [] for name in WAYS}
    for number in range(options.rounds):
        for name in WAYS if number % 2 else reversed(list(WAYS)):
            begun, spent = time.perf_counter(), time.process_time()
            steps[name]()
            cpu[name].append(time.process_time() - spent)
            wall[name].append(time.perf_counter() - begun)
    for kind, times in (("processor", cpu), ("wall", wall)):
        print(f"{kind} seconds a step, median: " + ", ".join(f"{n} {statistics.median(times[n]):.2f}" for n in WAYS))
        for name in ("ours", "apart"):
            ratios = [p / o for p, o in zip(times["plain"], times[name], strict=True)]
            print(f"    plain / {name} {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    peaks = {}
    for name in WAYS:
        command = [sys.executable, __file__, "--memory-of", name, "--size", options.size]
        command += ["--frames", str(options.frames), "--threads", str(torch.get_num_threads())]
        peaks[name] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(f"{name:>9}: a step takes {gib(peaks[name]['step'])} above {gib(peaks[name]['before'])}")
    for name in ("ours", "apart"):
        print(f"memory of a step: plain / {name} {peaks['plain']['step'] / peaks[name]['step']:.2f}")
    if off > 1e-4:
        sys.exit("the results differ by more than 1e-4")


if __name__ == "__main__":
    main()
