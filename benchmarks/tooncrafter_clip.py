"""A whole clip of ToonCrafter, from two keyframes to sixteen frames, against the most obvious way to run the same.

    python benchmarks/tooncrafter_clip.py [--rounds 2] [--size 128x256] [--steps 2] [--threads N]
    python benchmarks/tooncrafter_clip.py --dtype bfloat16 --size 64x128

Half the published width (model channels 160, heads of 32, context 512, autoencoder 64, small towers), which a processor
can run, with seeded parameters. Ours: what a run does by itself on a processor. Plain: `plain_tooncrafter`, on the same
parameters and random numbers. Both sample `--steps` steps; a clip of 50 is reckoned from the parts: what comes before
and behind sampling, and 50 times the median of a step. They take turns; ratios are medians of the ratios of each round.
On a machine with other work, read the processor time of one thread (--threads 1). Peak memory is that of a process of
its own for each, of a clip with one step; offload is ours with each part in memory only while it runs. The plain way
takes 10 GiB at 128x256.

With --dtype only the error is told: how far a clip in that format is from the same in float32. A processor that has no
units for the format computes it slowly; time says nothing then.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from plain_tooncrafter import Networks, PlainClip
from torch import Tensor

from animegen_testing.seeded_weights import seeded_input
from animegen_tooncrafter import synthesis
from animegen_tooncrafter.checkpoint import ModelConfiguration
from animegen_tooncrafter.conditioning.towers import ImageConfiguration
from animegen_tooncrafter.diffusion.architecture import UNetConfiguration
from animegen_tooncrafter.diffusion.resampler import ResamplerConfiguration
from animegen_tooncrafter.diffusion.schedule import Schedule
from animegen_tooncrafter.first_stage.sweeps import Chunking
from animegen_tooncrafter.placement.placement import offload, single
from animegen_tooncrafter.placement.source import untrained
from animegen_tooncrafter.synthesis import Parts, Settings
from animegen_torch.diffusion.autoencoder.architecture import FirstStageConfiguration
from animegen_torch.diffusion.noise import Noise
from animegen_torch.diffusion.sampling import Step
from animegen_torch.diffusion.text import TextConfiguration
from animegen_torch.memory import gib, peak_memory, resident_memory
from animegen_torch.placement.residence import Residence

HALF = ModelConfiguration(
    unet=UNetConfiguration(model_channels=160, num_head_channels=32, context_dim=512),
    first_stage=FirstStageConfiguration(ch=64),
    text=TextConfiguration(width=512, heads=8, layers=3),
    image=ImageConfiguration(width=320, head_width=80, layers=2),
    resampler=ResamplerConfiguration(dim=512, depth=2, heads=6, embedding_dim=320, output_dim=512),
)
PROMPT, SEED, PUBLISHED_STEPS = "a girl turns her head", 123, 50
USUAL = Settings(chunking=Chunking(2))
"""What `placement` chooses on a processor: both branches in a batch, two frames at once through the decoder."""
Clock = Callable[[], float]


@dataclass
class Timed:
    """Seconds of a clip: before sampling, of each step, and behind."""

    before: float
    steps: list[float]
    behind: float

    def clip(self, steps: int | None = None) -> float:
        """The whole clip as it was run, or with another number of steps."""
        middle = sum(self.steps) if steps is None else steps * statistics.median(self.steps)
        return self.before + middle + self.behind


class Watch:
    """Takes the time between marks, in processor and wall time."""

    clocks: tuple[Clock, Clock] = (time.process_time, time.perf_counter)

    def __init__(self) -> None:
        self.marks = [self.now()]

    def now(self) -> tuple[float, float]:
        return self.clocks[0](), self.clocks[1]()

    def mark(self, _step: Step | None = None) -> None:
        self.marks.append(self.now())

    def timed(self, clock: int) -> Timed:
        times = [mark[clock] for mark in self.marks]
        spans = [after - before for before, after in pairwise(times)]
        return Timed(spans[0], spans[1:-1], spans[-1])


def networks(parts: Parts) -> Networks:
    """What `parts` lends, where it stays."""
    with (
        parts.text() as text,
        parts.image() as image,
        parts.projector() as projector,
        parts.unet() as unet,
        parts.first_stage() as first_stage,
    ):
        return Networks(text, image, projector, unet, first_stage)


def parts_of(way: str, dtype: str = "float32") -> Parts:
    """Seeded parameters; all in memory, or each only while it runs."""
    placement = offload("cpu") if way == "offload" else single("cpu")
    source = untrained(HALF)
    return Parts.of(Residence(source, placement, {"cpu": dtype}), source.schedule()[0])


def keyframes(size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Two pictures (3, H, W) in [-1, 1]."""
    first, last = torch.from_numpy(seeded_input("keyframes", (2, 3, *size)))
    return first, last


def ours(parts: Parts, size: tuple[int, int], settings: Settings, watch: Watch) -> Tensor:
    """A clip (T, 3, H, W) as the stage makes it."""
    noise = Noise(SEED)
    conditions = synthesis.condition(*keyframes(size), PROMPT, parts, noise, settings)
    watch.mark()
    latents = synthesis.denoise(conditions, parts, noise, settings, on_step=watch.mark)
    clip = synthesis.decode(latents, conditions, parts, settings)
    watch.mark()
    return clip


def plain(net: PlainClip, size: tuple[int, int], settings: Settings, watch: Watch) -> Tensor:
    """The same by the plain way."""
    noise = Noise(SEED)
    conditions = net.condition(*keyframes(size), PROMPT, noise, settings)
    watch.mark()
    latents = net.denoise(conditions, noise, settings, Schedule.compute(HALF.schedule), on_step=watch.mark)
    clip = net.decode(latents, conditions, settings)
    watch.mark()
    return clip


@torch.inference_mode()
def memory_of(way: str, size: tuple[int, int]) -> dict[str, int]:
    """Peak of a clip with one step in this process: all of it, and above what the networks take that stay."""
    settings = replace(USUAL, steps=1)
    if way == "plain":
        # Parameters as they are loaded; nothing has laid them out anew.
        source = untrained(HALF)
        cpu = torch.device("cpu")
        made = {part: source.part(part, torch.float32, cpu) for part in Networks.__dataclass_fields__}
        net = PlainClip(Networks(**made))  # type: ignore[arg-type]
        run: Callable[[], Tensor] = lambda: plain(net, size, settings, Watch())  # noqa: E731
    else:
        parts = parts_of(way)
        if way == "ours":
            networks(parts)
        run = lambda: ours(parts, size, settings, Watch())  # noqa: E731
    before = resident_memory()
    with peak_memory(torch.device("cpu")) as peak:
        run()
    return {"before": before, "above": peak.bytes, "total": peak.total}


def in_another_process(way: str, options: argparse.Namespace) -> dict[str, int]:
    """`memory_of`."""
    command = [sys.executable, __file__, "--memory-of", way, "--size", options.size]
    command += ["--threads", str(torch.get_num_threads())]
    found: dict[str, int] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return found


def error_of(dtype: str, size: tuple[int, int], settings: Settings) -> None:
    """How far a clip in `dtype` is from the same in float32, as pictures from 0 to 1."""
    clips = [ours(parts_of("offload", name), size, settings, Watch()) for name in ("float32", dtype)]
    exact, other = ((clip.float().clamp(-1, 1) + 1) / 2 for clip in clips)
    square = float((exact - other).square().mean())
    psnr = 10 * math.log10(1 / square) if square else math.inf
    print(
        f"{dtype} against float32, {settings.steps} steps, untrained: PSNR {psnr:.1f} dB, "
        f"mean difference {255 * float((exact - other).abs().mean()):.2f} of 255, "
        f"largest {255 * float((exact - other).abs().max()):.0f}"
    )


def tell(kind: str, times: dict[str, list[Timed]]) -> None:
    """One clock's times and ratios."""
    for name, several in times.items():
        before, behind = (statistics.median(getattr(one, part) for one in several) for part in ("before", "behind"))
        step = statistics.median(step for one in several for step in one.steps)
        whole, long = (statistics.median(one.clip(count) for one in several) for count in (None, PUBLISHED_STEPS))
        print(
            f"{kind:>9} seconds, {name:>5}: {before:.1f} before, {step:.2f} a step, {behind:.1f} to decode; "
            f"{whole:.1f} as run, {long:.0f} with {PUBLISHED_STEPS} steps (reckoned)"
        )
    for count, what in ((None, "as run"), (PUBLISHED_STEPS, f"with {PUBLISHED_STEPS} steps (reckoned)")):
        pairs = zip(times["plain"], times["ours"], strict=True)
        ratios = [p.clip(count) / o.clip(count) for p, o in pairs]
        print(f"    plain / ours {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) {what}")


def race(size: tuple[int, int], settings: Settings, rounds: int) -> tuple[float, float]:
    """Both ways in turn; the largest difference of their clips, and the largest value."""
    parts = parts_of("ours")
    net = PlainClip(networks(parts))
    ways: dict[str, Callable[[Watch], Tensor]] = {
        "plain": lambda watch: plain(net, size, settings, watch),
        "ours": lambda watch: ours(parts, size, settings, watch),
    }
    times: dict[str, dict[str, list[Timed]]] = {kind: {name: [] for name in ways} for kind in ("processor", "wall")}
    clips: dict[str, Tensor] = {}
    for number in range(rounds):
        for name in ways if number % 2 else reversed(ways):
            watch = Watch()
            clips[name] = ways[name](watch)
            for clock, kind in enumerate(times):
                times[kind][name].append(watch.timed(clock))
            print(f"round {number + 1}, {name}: {watch.timed(0).clip():.1f} processor seconds", flush=True)
    off = float((clips["ours"] - clips["plain"]).abs().max())
    largest = float(clips["plain"].abs().max())
    print(f"largest difference {off:.2e} of values up to {largest:.2f}")
    for kind, several in times.items():
        tell(kind, several)
    return off, largest


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--size", default="128x256", help="height x width of the pictures, multiples of 64")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--threads", type=int, help="by default as many as torch takes")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32")
    parser.add_argument("--memory-of", choices=("plain", "ours", "offload"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    height, width = map(int, options.size.split("x"))
    size, settings = (height, width), replace(USUAL, steps=options.steps)
    if options.memory_of:
        print(json.dumps(memory_of(options.memory_of, size)))
        return
    threads = torch.get_num_threads()
    print(f"{options.size}, {settings.frames} frames, {threads} threads, torch {torch.__version__}", flush=True)
    if options.dtype != "float32":
        error_of(options.dtype, size, settings)
        return
    off, largest = race(size, settings, options.rounds)
    peaks = {name: in_another_process(name, options) for name in ("plain", "ours", "offload")}
    for name, peak in peaks.items():
        less = f"; plain / it: {peaks['plain']['total'] / peak['total']:.2f}" if name != "plain" else ""
        print(f"{name:>8}: peak {gib(peak['total'])}, {gib(peak['above'])} above what was there before{less}")
    if off > 1e-4 * max(1.0, largest):
        sys.exit("the clips differ by more than 1e-4")


if __name__ == "__main__":
    main()
