"""Samples by number: which clip, which frames of it, and every random number that a step needs of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from animegen_tooncrafter.training.clips import Clip, fit
from animegen_tooncrafter.training.options import RectificationOptions
from animegen_torch.training.loop import derived_seed


@dataclass(frozen=True)
class Window:
    """Frames of a clip: `start`, and each `stride` behind it."""

    clip: Clip
    start: int
    stride: int
    frames: int

    @property
    def fps(self) -> int:
        """Frames per second of what is seen, as the model is told."""
        return max(1, int(self.clip.fps) // self.stride)

    def key(self, width: int, height: int, what: str) -> str:
        """Differs for everything that encoders would make different things of."""
        facts = f"{self.clip.digest} {self.start} {self.stride} {self.frames} {width} {height} {self.clip.text} {what}"
        return hashlib.sha256(facts.encode()).hexdigest()[:40]

    def read(self, width: int, height: int) -> Tensor:
        """(T, 3, H, W) uint8."""
        pictures = [fit(picture, width, height) for picture in self.clip.read(self.start, self.stride, self.frames)]
        return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


@dataclass(frozen=True)
class Draw:
    """The random numbers of one sample.

    Attributes:
        timestep: 0 to 999, evenly.
        uniform: In [0, 1): whether it loses its text or picture.
        seed: Of its noise.
    """

    timestep: int
    uniform: float
    seed: int


class Stream:
    """An endless stream of windows: each clip once, in an order drawn anew for each round.

    Args:
        clips: Those long enough; see `Clip.longest_stride`.
        options: Strides, and how many windows there are of a clip.
        frames: T.
        seed: The same seed gives the same stream.
        timesteps: Of the noise schedule.
    """

    def __init__(
        self, clips: Sequence[Clip], options: RectificationOptions, frames: int, seed: int, timesteps: int = 1000
    ) -> None:
        self.clips, self.options, self.frames, self.seed, self.timesteps = clips, options, frames, seed, timesteps

    def window(self, number: int) -> Window:
        """Which frames the sample of that number is."""
        round_, place = divmod(number, len(self.clips))
        order = np.random.default_rng(derived_seed(self.seed, 1, round_)).permutation(len(self.clips))
        which = int(order[place])
        clip = self.clips[which]
        # With a fixed number of windows, the same few draws come again and again.
        again = round_ % self.options.windows if self.options.windows else round_
        generator = np.random.default_rng(derived_seed(self.seed, 2, which, again))
        stride = int(generator.integers(self.options.least_stride, self.options.most_stride + 1))
        stride = min(stride, clip.longest_stride(self.frames))
        starts = clip.starts(self.frames, stride)
        place = int(generator.integers(sum(map(len, starts))))
        for each in starts:
            if place < len(each):
                return Window(clip, each[place], stride, self.frames)
            place -= len(each)
        raise AssertionError("a place beyond all starts")

    def draw(self, number: int) -> Draw:
        """The random numbers of the sample of that number."""
        generator = np.random.default_rng(derived_seed(self.seed, 3, number))
        timestep = int(generator.integers(self.timesteps))
        return Draw(timestep, float(generator.random()), derived_seed(self.seed, 4, number))
