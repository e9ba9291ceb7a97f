"""SEINE against the plainest way to run the same maths: one guided step of the U-Net, and a clip.

    python benchmarks/seine.py [--rounds 3] [--size 16x28] [--frames 16] [--steps 2] [--threads N] [--only step]
    python benchmarks/seine.py --cost

A quarter of the published width, which a processor can run, with seeded weights. Ours: both guidance branches in one
call, keys and values of the text made once, fused attention, channels last, the three different pictures encoded once,
frames decoded one by one. Plain: `plain_seine`. Apart: ours with a call for each branch, for little memory. They take
turns; ratios are medians of the ratios round by round, of the processor time of all threads. Peak memory is that of a
process of its own for each, above what it had before.

``--cost`` computes nothing: it counts the operations of the published size, and says what memory a clip of it takes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from plain_seine import PlainAutoencoder, PlainUNet
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from animegen_seine.conditioning import beside, shown
from animegen_seine.diffusion.masks import TRANSITION, frame_mask
from animegen_seine.diffusion.schedule import Schedule, kept_timesteps
from animegen_seine.diffusion.solvers import DDIM
from animegen_seine.model import BLUEPRINT, ModelConfiguration
from animegen_seine.network.architecture import UNetConfiguration
from animegen_seine.network.unet import UNet
from animegen_seine.placement.demands import needs
from animegen_testing.seeded_weights import fill
from animegen_torch.diffusion.autoencoder.architecture import FirstStageConfiguration
from animegen_torch.diffusion.autoencoder.pictures import Autoencoder
from animegen_torch.diffusion.clip import Clip
from animegen_torch.diffusion.denoiser import Denoiser
from animegen_torch.diffusion.guidance import CONDITIONAL, UNCONDITIONAL, Guidance
from animegen_torch.diffusion.sampling import sample
from animegen_torch.memory import gib, peak_memory
from animegen_torch.placement.placement import offload, single
from animegen_torch.placement.sizes import Sizes

QUARTER = UNetConfiguration(widths=(80, 160, 320, 320), context=192, heads=2, groups=8)
PICTURES = FirstStageConfiguration(ch=32)
BOTH = (CONDITIONAL, UNCONDITIONAL)
TIMESTEP = 601
SCALE = 8.0
ALL = ("text", "unet", "first_stage")


class Job:
    """What is drawn, and the networks it is drawn with.

    Args:
        frames, height, width: Of the latent.
        steps: Of the sampler.
    """

    def __init__(self, frames: int, height: int, width: int, steps: int) -> None:
        draw = torch.Generator().manual_seed(0)

        def randn(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=draw)

        self.frames, self.steps = frames, steps
        self.first, self.last = randn(2, 3, 8 * height, 8 * width).clamp(-1, 1)
        self.z, self.posterior_noise = randn(1, 4, frames, height, width), randn(frames, 4, height, width)
        self.tokens = {name: randn(1, 77, QUARTER.context) for name in BOTH}
        self.unet, self.autoencoder = UNet(QUARTER), Autoencoder(PICTURES).eval()
        fill(self.unet)
        fill(self.autoencoder)
        self.unet.for_inference()
        self.given = torch.cat((torch.ones(1, 1, frames, height, width), randn(1, 4, frames, height, width)), 1)

    def start(self, shape: tuple[int, ...]) -> Tensor:
        """The noise that sampling starts from."""
        return self.z

    def step(self, shape: tuple[int, ...]) -> Tensor:
        """Fresh noise, of which DDIM without eta takes none."""
        return torch.zeros(())

    def posterior(self, shape: tuple[int, ...]) -> Tensor:
        """The draws for the encoder."""
        return self.posterior_noise


def denoiser(job: Job, *, together: bool) -> Denoiser:
    return Denoiser(job.unet, job.tokens, job.given, together=together)


def our_step(job: Job, *, together: bool = True) -> Callable[[], Tensor]:
    denoise = denoiser(job, together=together)
    return lambda: torch.cat(list(denoise(job.z, TIMESTEP, BOTH).values()))


def plain_unet(job: Job) -> PlainUNet:
    state = {name: tensor.contiguous() for name, tensor in job.unet.state_dict().items()}
    return PlainUNet(state, QUARTER.widths, QUARTER.layers, QUARTER.heads, QUARTER.groups)


def plain_step(job: Job) -> Callable[[], Tensor]:
    net, times = plain_unet(job), torch.tensor([TIMESTEP])
    return lambda: torch.cat([net(torch.cat((job.z, job.given), 1), times, job.tokens[name]) for name in BOTH])


def our_clip(job: Job, *, together: bool = True) -> Callable[[], Tensor]:
    def clip() -> Tensor:
        mask = frame_mask(TRANSITION, job.frames)
        given = beside(job.autoencoder.encode(shown(job.first, job.last)), mask, job.posterior_noise)
        predict = Denoiser(job.unet, job.tokens, given, together=together)
        solver = DDIM(Schedule.of(kept_timesteps(job.steps)))
        latents = sample(predict, tuple(job.z.shape), solver, job, Guidance(SCALE, 0.0))
        return job.autoencoder.decode(latents[0].transpose(0, 1))

    return clip


def plain_clip(job: Job) -> Callable[[], Tensor]:
    net, pictures = plain_unet(job), PlainAutoencoder(dict(job.autoencoder.state_dict()), PICTURES.num_res_blocks)
    every = torch.zeros(job.frames, *job.first.shape)
    every[0], every[-1] = job.first, job.last

    def clip() -> Tensor:
        latents = pictures.encode(every, job.posterior_noise).transpose(0, 1)[None]
        mask = torch.ones(1, 1, *latents.shape[2:])
        mask[:, :, [0, -1]] = 0
        schedule = Schedule.of(kept_timesteps(job.steps))
        x = job.z
        for index in reversed(range(job.steps)):
            now, before = (float(schedule.tables[f"alphas_cumprod{end}"][index]) for end in ("", "_prev"))
            whole, times = torch.cat((x, mask, latents), 1), torch.tensor([schedule.timesteps[index]])
            words, nothing = (net(whole, times, job.tokens[name]) for name in BOTH)
            noise = nothing + SCALE * (words - nothing)
            clean = (x - (1 - now) ** 0.5 * noise) / now**0.5
            x = before**0.5 * clean + (1 - before) ** 0.5 * noise
        return pictures.decode(x[0].transpose(0, 1))

    return clip


WAYS: dict[str, dict[str, Callable[[Job], Callable[[], Tensor]]]] = {
    "step": {"ours": our_step, "apart": lambda job: our_step(job, together=False), "plain": plain_step},
    "clip": {"ours": our_clip, "apart": lambda job: our_clip(job, together=False), "plain": plain_clip},
}


@torch.inference_mode()
def compare(what: str, options: argparse.Namespace, job: Job) -> dict[str, Any]:
    runs = {name: make(job) for name, make in WAYS[what].items()}
    results = {name: run() for name, run in runs.items()}  # also warms up
    spread = float(results["plain"].std())
    off = {name: float((result - results["plain"]).abs().max()) / spread for name, result in results.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.rounds):
        for name, run in runs.items():
            begin = time.process_time()
            run()
            times[name].append(time.process_time() - begin)
    found: dict[str, Any] = {}
    for name in runs:
        ratios = [plain / mine for plain, mine in zip(times["plain"], times[name], strict=True)]
        command = [sys.executable, *sys.argv, "--memory-of", f"{what}.{name}"]
        # Otherwise the C library keeps what was freed, and that is what would be measured.
        eager = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=eager)
        peak = json.loads(done.stdout)
        found[name] = {"seconds": min(times[name]), "ratio": statistics.median(ratios), "peak": peak, "off": off[name]}
        print(
            f"{what} {name:6} {min(times[name]):7.2f} s of processor time, {statistics.median(ratios):4.2f}× plain's "
            f"speed, {gib(peak)} at most, off by {off[name]:.1e} of the spread"
        )
    return found


def cost() -> None:
    """Operations and memory of the published size."""
    model = ModelConfiguration()
    sizes = Sizes.of(BLUEPRINT, model)
    count = sum(sizes.parameters.values())
    print(f"{count / 1e6:.0f} million parameters: {gib(2 * count)} in half precision, {gib(4 * count)} in float32")
    for width, height in ((448, 256), (512, 320), (512, 512), (560, 240), (960, 544)):
        with torch.device("meta"):
            unet, autoencoder = UNet(), Autoencoder()
            plain = PlainUNet(
                dict(unet.state_dict()), model.unet.widths, model.unet.layers, model.unet.heads, model.unet.groups
            )
            pictures = PlainAutoencoder(dict(autoencoder.state_dict()), 2)
            h, w = height // 8, width // 8
            with FlopCounterMode(display=False) as step:
                plain(torch.empty(1, 9, 16, h, w), torch.empty(1), torch.empty(1, 77, model.unet.context))
            with FlopCounterMode(display=False) as decoded:
                pictures.decode(torch.empty(1, 4, h, w))
        tera, frame = step.get_total_flops() / 1e12, decoded.get_total_flops() / 1e12
        print(f"{width}×{height}, 16 frames: {tera:.2f} TFLOP a call, {frame * 16:.1f} to decode")
        for steps in (250, 50, 25):
            print(f"    {steps} steps, guided: {2 * steps * tera + 16 * frame:.0f} TFLOP a clip")
        clip = Clip(height, width)
        for name, placement in (("single", single("cuda", ALL)), ("offload", offload("cuda", ALL))):
            for together in (True, False):
                dtypes = {"cuda": "float16", "cpu": "float32"}
                need, when = needs(sizes, placement, clip, dtypes, together=together)["cuda"]
                calls = "together" if together else "apart"
                print(f"    float16 on CUDA, {name}, guidance {calls}: {gib(need)} by plan ({when})")


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", default="16x28", help="height x width of the latent")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--steps", type=int, default=2, help="of the clip's sampler")
    parser.add_argument("--threads", type=int, help="by default as many as torch takes")
    parser.add_argument("--only", action="append", choices=tuple(WAYS), help="by default both")
    parser.add_argument("--cost", action="store_true", help="what the published size costs; nothing is run")
    parser.add_argument("--out", help="a JSON file for the figures")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cost:
        cost()
        return
    if options.threads:
        torch.set_num_threads(options.threads)
    height, width = map(int, options.size.split("x"))
    job = Job(options.frames, height, width, options.steps)
    if options.memory_of:
        what, _, way = options.memory_of.partition(".")
        run = WAYS[what][way](job)
        with peak_memory(torch.device("cpu")) as peak:
            run()
        print(peak.bytes)
        return
    print(
        f"latent {options.size}, {options.frames} frames, {torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    found = {what: compare(what, options, job) for what in (options.only or WAYS)}
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump(found, file, indent=1)
    worst = max(one["off"] for way in found.values() for one in way.values())
    if worst > 1e-4:
        sys.exit(f"outputs differ by {worst:.1e} of their spread")


if __name__ == "__main__":
    main()
