"""Where random numbers come from, in the order of the published pipeline, so that a seed gives its clip."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class NoiseSource(Protocol):
    """Normal draws of one clip. They are asked for in this order: `posterior` once, `start` once, `step` each step."""

    def posterior(self, shape: tuple[int, ...]) -> Tensor:
        """For sampling the encoder's posterior, (frames, 4, h, w): all frames, though only two are used."""
        ...

    def start(self, shape: tuple[int, ...]) -> Tensor:
        """The latent that sampling starts from, (1, 4, frames, h, w)."""
        ...

    def step(self, shape: tuple[int, ...]) -> Tensor:
        """Fresh noise of one step, of the same shape; drawn at eta 0 and in the last step too."""
        ...


class Noise:
    """Draws from torch's generators after one seed, as a global ``torch.manual_seed`` would give them.

    The posterior's noise always comes from the processor's generator, all other from that of the sampling device: on a
    processor they share one stream, on a GPU they are two. The same seed gives other clips on other kinds of device.
    The posterior's is drawn once: an encoder that runs again is given the same, and the numbers that follow stay.

    Args:
        seed: Any integer from -2**63 to 2**64 - 1.
        device: Where sampling runs; ``cpu`` (whatever the sampling device) for clips that do not depend on it.
    """

    def __init__(self, seed: int, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self._host = torch.Generator("cpu").manual_seed(seed)
        self._own = self._host
        if self.device.type != "cpu":
            self._own = torch.Generator(self.device).manual_seed(seed)
        self._posterior: Tensor | None = None

    def posterior(self, shape: tuple[int, ...]) -> Tensor:
        """See `NoiseSource`; float32 on the processor."""
        if self._posterior is None:
            self._posterior = torch.randn(shape, generator=self._host)
        return self._posterior

    def start(self, shape: tuple[int, ...]) -> Tensor:
        """See `NoiseSource`; float32 on `device`."""
        return torch.randn(shape, generator=self._own, device=self.device)

    def step(self, shape: tuple[int, ...]) -> Tensor:
        """See `NoiseSource`; float32 on `device`."""
        return torch.randn(shape, generator=self._own, device=self.device)
