"""The U-Net as the sampler sees it; the sketches that steer it run beside it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from animegen_tooncrafter.diffusion.sketch_encoder import SketchGuide
from animegen_tooncrafter.diffusion.unet import UNet
from animegen_torch.diffusion import denoiser


class Denoiser(denoiser.Denoiser):
    """A U-Net with everything that stays the same over the steps of a clip.

    Args:
        unet: Ready for inference.
        tokens: Context of each branch that guidance may ask for, (B, L, W).
        keyframes: Latents of the first and last frame in place, zeros between, (B, 4, T, h, w).
        fs: Frames per second; None for the model's default.
        sketch: Sketches that steer the clip.
        together, check: See `animegen_torch.diffusion.denoiser.Denoiser`.
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
        super().__init__(unet, tokens, keyframes, together=together, check=check)
        self.fs = fs
        self.sketch = sketch
        if sketch is not None:
            with torch.inference_mode():
                self.sketch_context = sketch.prepare(self._tokens)
        del self._tokens

    def predict(self, latents: Tensor, times: Tensor, start: int, stop: int) -> Tensor:
        """With frames per second, and sketches where there are any; the U-Net takes latents of all branches once."""
        fs = None if self.fs is None else torch.full_like(times, self.fs)
        control = None
        if self.sketch is not None:
            branches = (stop - start) // len(latents)
            noisy = latents[:, : self.sketch.encoder.channels].repeat(branches, 1, 1, 1, 1)
            control = self.sketch.control(noisy, times.repeat(branches), self.sketch_context.of(start, stop))
        prediction: Tensor = self.network(latents, times, self.context.of(start, stop), fs, control=control)
        return prediction
