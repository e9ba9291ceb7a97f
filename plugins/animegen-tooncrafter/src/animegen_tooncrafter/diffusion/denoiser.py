"""The U-Net as a sampler sees it: latents and a timestep in, the predictions that guidance needs out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from animegen_tooncrafter.diffusion.context import Context
from animegen_tooncrafter.diffusion.control import Control
from animegen_tooncrafter.diffusion.finite import require_finite
from animegen_tooncrafter.diffusion.guidance import CONDITIONAL, IMAGE_ONLY, UNCONDITIONAL
from animegen_tooncrafter.diffusion.sketch_encoder import SketchGuide
from animegen_tooncrafter.diffusion.unet import UNet

ORDER = (CONDITIONAL, UNCONDITIONAL, IMAGE_ONLY)


class Predictor(Protocol):
    """What `sampler.sample` calls in each step."""

    def __call__(self, x: Tensor, timestep: int, branches: Sequence[str]) -> Mapping[str, Tensor]:
        """Predictions of v, float32 like `x` (B, 4, T, h, w), one for each of `branches`."""
        ...


class Denoiser:
    """A U-Net with everything that stays the same over the steps of a clip.

    Args:
        unet: Ready for inference.
        tokens: Context of each branch that guidance may ask for, (B, L, W); see `guidance`.
        keyframes: Latents of the first and last frame in place, zeros between, (B, 4, T, h, w).
        fs: Frames per second; None for the model's default.
        together: Run all branches of a step in one call. Separately they take as many calls and less memory; the
            predictions are the same but for rounding.
        sketch: Sketches that steer the clip.
        check: Look at every prediction for numbers that are not finite.
    """

    def __init__(
        self,
        unet: UNet,
        tokens: Mapping[str, Tensor],
        keyframes: Tensor,
        fs: int | None = None,
        *,
        together: bool = True,
        sketch: SketchGuide | None = None,
        check: bool = True,
    ) -> None:
        self.unet = unet
        self.keyframes = keyframes
        self.together = together
        self.sketch = sketch
        self.check = check
        self.names = tuple(name for name in ORDER if name in tokens)
        samples, _, frames, _, _ = keyframes.shape
        self.samples = samples
        every = torch.cat([tokens[name].expand(samples, -1, -1) for name in self.names])
        with torch.inference_mode():
            self.context = unet.prepare(every, frames)
            self.sketch_context = sketch.prepare(every) if sketch is not None else None
        self.fs = fs

    @torch.inference_mode()
    def __call__(self, x: Tensor, timestep: int, branches: Sequence[str]) -> Mapping[str, Tensor]:
        """See `Predictor`.

        Raises:
            NotFiniteError: A prediction is not finite.
        """
        if unknown := [name for name in branches if name not in self.names]:
            raise ValueError(f"no tokens were given for {', '.join(unknown)}")
        places = [self.names.index(name) for name in branches]
        if self.together and places == list(range(places[0], places[0] + len(places))):
            return dict(zip(branches, self._run(x, timestep, places[0], len(places)).chunk(len(places)), strict=True))
        return {name: self._run(x, timestep, place, 1) for name, place in zip(branches, places, strict=True)}

    def _run(self, x: Tensor, timestep: int, first: int, count: int) -> Tensor:
        start, stop = first * self.samples, (first + count) * self.samples
        latents = torch.cat((x, self.keyframes.to(x)), 1).repeat(count, 1, 1, 1, 1)
        times = torch.full((stop - start,), timestep, device=x.device)
        fs = None if self.fs is None else torch.full_like(times, self.fs)
        context = self.context.of(start, stop)

        def call() -> Tensor:
            control = self._control(latents, times, start, stop)
            prediction: Tensor = self.unet(latents, times, context, fs, control=control)
            return prediction

        v = call()
        if self.check:
            what = f"The U-Net, at timestep {timestep},"
            require_finite(v, self.unet, call, what=what, dtype=self.unet.dtype, given=x)
        return v

    def _control(self, latents: Tensor, times: Tensor, start: int, stop: int) -> Control | None:
        if self.sketch is None:
            return None
        context: Context | None = self.sketch_context
        assert context is not None
        return self.sketch.control(latents[:, : self.sketch.encoder.channels], times, context.of(start, stop))
