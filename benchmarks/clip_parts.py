"""A clip of ToonCrafter part by part, with the seconds and the memory of each: for benchmarks of the published size."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from animegen_testing.seeded_weights import seeded_input
from animegen_tooncrafter import synthesis
from animegen_tooncrafter.checkpoint import ModelConfiguration
from animegen_tooncrafter.first_stage.sweeps import Chunking
from animegen_tooncrafter.placement.source import Source, untrained
from animegen_tooncrafter.synthesis import Conditions, Parts, Settings
from animegen_torch.diffusion.guidance import Guidance
from animegen_torch.diffusion.noise import Noise
from animegen_torch.diffusion.sampling import Step
from animegen_torch.memory import peak_memory
from animegen_torch.placement.choice import Choice

SEED, PROMPT = 123, "a girl turns her head"


def held(model: ModelConfiguration) -> Source:
    """Untrained parameters of which those on the processor are drawn once, for all cases: they take the longest."""
    source = untrained(model)
    drawn: dict[tuple[str, torch.dtype], Mapping[str, Tensor]] = {}

    def read(part: str, dtype: torch.dtype, device: torch.device) -> Mapping[str, Tensor]:
        if device.type == "cpu":
            if (part, dtype) not in drawn:
                drawn[part, dtype] = source.read(part, dtype, device)
            return drawn[part, dtype]
        made = source.read(part, dtype, device)
        if device.type == "cuda":
            torch.cuda.empty_cache()  # what drawing took; it is not of the clip
        return made

    return replace(source, read=read)


@dataclass
class Taken:
    """Seconds (wall, and of the processor) and peak bytes of one part of a clip; `reserved` is what CUDA held."""

    seconds: float = 0.0
    processor: float = 0.0
    bytes: int = 0
    reserved: int = 0


@dataclass
class Run:
    """What was seen of one clip, by part, in order; and the seconds of each step."""

    parts: dict[str, Taken] = field(default_factory=dict)
    steps: list[float] = field(default_factory=list)

    def seconds(self, steps: int) -> float:
        """A clip of that many steps: parameters are brought once, and the first step is not like the others."""
        others = sum(one.seconds for name, one in self.parts.items() if name != "sampling")
        bringing = self.parts["sampling"].seconds - sum(self.steps)
        return others + bringing + steps * statistics.median(self.steps[1:] or self.steps)

    def told(self) -> dict[str, Any]:
        return {
            "parts": {name: vars(one) for name, one in self.parts.items()},
            "step_seconds": [round(one, 4) for one in self.steps],
        }


Tell = Callable[[str, Taken], None]


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def taken(
    run: Run, name: str, device: torch.device, tell: Callable[[str, Taken], None] | None = None
) -> Iterator[None]:
    """Seconds and peak of a block, into `run`; `tell` is called with them."""
    wait(device)
    found = run.parts[name] = Taken()
    begun, spent = time.perf_counter(), time.process_time()
    with peak_memory(device) as peak:
        yield
        wait(device)
        found.seconds, found.processor = time.perf_counter() - begun, time.process_time() - spent
    found.bytes = peak.total
    if device.type == "cuda":
        found.reserved = torch.cuda.max_memory_reserved(device)
    if tell is not None:
        tell(name, found)


def keyframes(size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Two pictures (3, H, W) in [-1, 1]."""
    first, last = torch.from_numpy(seeded_input("keyframes", (2, 3, *size)))
    return first, last


def clip(
    device: torch.device,
    size: tuple[int, int],
    parts: Parts,
    settings: Settings,
    *,
    between: Callable[[], None] | None = None,
    tell: Tell | None = None,
) -> Run:
    """Make a clip and look at what it takes.

    Args:
        device: Where to measure; the parts are there.
        size: (H, W).
        parts: The model.
        settings: Of the clip.
        between: Called before sampling and after it.
        tell: Called after each part, and after each step (with seconds only).

    Raises:
        RuntimeError: The clip holds numbers that are not finite.
    """
    run, noise, ends = Run(), Noise(SEED, device), keyframes(size)
    with taken(run, "tokens", device, tell):
        tokens = synthesis.read(ends[0], PROMPT, parts, settings)
    with taken(run, "encoding", device, tell):
        conditions = Conditions(tokens, synthesis.encode(*ends, parts, noise, settings))
    if between is not None:
        between()
    last = [0.0, 0.0]

    def step(done: Step | None = None) -> None:
        wait(device)
        now = [time.perf_counter(), time.process_time()]
        if done is not None:
            run.steps.append(now[0] - last[0])
            if tell is not None:
                tell(f"step {done.number} of {done.total}", Taken(now[0] - last[0], now[1] - last[1]))
        last[:] = now

    @contextmanager
    def lend() -> Iterator[Any]:
        with parts.unet() as unet:
            step()  # the first begins when the U-Net is there
            yield unet

    with taken(run, "sampling", device, tell):
        latents = synthesis.denoise(conditions, replace(parts, unet=lend), noise, settings, on_step=step)
    if between is not None:
        between()
    with taken(run, "decoding", device, tell):
        frames = synthesis.decode(latents, conditions, parts, settings)
    if not bool(frames.isfinite().all()):
        raise RuntimeError("the clip holds numbers that are not finite")
    return run


def settings_of(choice: Choice[Chunking], steps: int, frames: int, *, second_pass: bool = True) -> Settings:
    """Settings of a clip that works as `choice` says."""
    return Settings(
        steps=steps,
        guidance=Guidance(7.5, 0.7),
        frames=frames,
        together=choice.together,
        chunking=choice.decoding,
        second_pass=second_pass,
    )
