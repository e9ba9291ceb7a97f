"""A U-Net as a sampler sees it: latents and a timestep in, the predictions that guidance needs out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from animegen_torch.diffusion.context import Context
from animegen_torch.diffusion.finite import require_finite
from animegen_torch.diffusion.guidance import CONDITIONAL, IMAGE_ONLY, UNCONDITIONAL

ORDER = (CONDITIONAL, UNCONDITIONAL, IMAGE_ONLY)


class Network(Protocol):
    """What a `Denoiser` asks of a U-Net."""

    @property
    def dtype(self) -> torch.dtype:
        """What it computes in."""
        ...

    def prepare(self, tokens: Tensor, frames: int) -> Context:
        """What its cross-attention reads of tokens (B, L, W), for clips of `frames` frames."""
        ...


class Denoiser:
    """A U-Net with everything that stays the same over the steps of a clip.

    Args:
        unet: Ready for inference; an `nn.Module` that is a `Network` and is called with latents, timesteps and
            context; the context may be for several times as many samples, one branch of guidance behind the other.
        tokens: Context of each branch that guidance may ask for, (B, L, W); see `guidance`.
        beside: What is put behind the noisy latents on their channel axis, (B, C, T, h, w).
        together: Run all branches of a step in one call. Separately they take as many calls and less memory; the
            predictions are the same but for rounding.
        check: Look at every prediction for numbers that are not finite.
    """

    def __init__(
        self,
        unet: Network,
        tokens: Mapping[str, Tensor],
        beside: Tensor,
        *,
        together: bool = True,
        check: bool = True,
    ) -> None:
        assert isinstance(unet, torch.nn.Module)
        self.network: torch.nn.Module = unet
        self.beside = beside
        self.together = together
        self.check = check
        self.names = tuple(name for name in ORDER if name in tokens)
        samples, _, frames, _, _ = beside.shape
        self.samples = samples
        self._tokens = torch.cat([tokens[name].expand(samples, -1, -1) for name in self.names])
        self._dtype = unet.dtype
        with torch.inference_mode():
            self.context = unet.prepare(self._tokens, frames)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.beside.device

    @torch.inference_mode()
    def __call__(self, x: Tensor, timestep: int, branches: Sequence[str]) -> Mapping[str, Tensor]:
        """See `animegen_torch.diffusion.sampling.Predictor`.

        Raises:
            NotFiniteError: A prediction is not finite.
        """
        if unknown := [name for name in branches if name not in self.names]:
            raise ValueError(f"no tokens were given for {', '.join(unknown)}")
        places = [self.names.index(name) for name in branches]
        if self.together and places == list(range(places[0], places[0] + len(places))):
            return dict(zip(branches, self._run(x, timestep, places[0], len(places)).chunk(len(places)), strict=True))
        return {name: self._run(x, timestep, place, 1) for name, place in zip(branches, places, strict=True)}

    def predict(self, latents: Tensor, times: Tensor, start: int, stop: int) -> Tensor:
        """One call of the network for samples `start` to `stop` of the context; overridden where it takes more.

        Args:
            latents, times: Of one branch, (B, C, T, h, w) and (B,); the same for all.
            start, stop: Those of one or several branches.
        """
        prediction: Tensor = self.network(latents, times, self.context.of(start, stop))
        return prediction

    def _run(self, x: Tensor, timestep: int, first: int, count: int) -> Tensor:
        start, stop = first * self.samples, (first + count) * self.samples
        latents = torch.cat((x, self.beside.to(x)), 1)
        times = torch.full((self.samples,), timestep, device=x.device)

        def call() -> Tensor:
            return self.predict(latents, times, start, stop)

        prediction = call()
        if self.check:
            what = f"The U-Net, at timestep {timestep},"
            require_finite(prediction, self.network, call, what=what, dtype=self._dtype, given=x)
        return prediction
