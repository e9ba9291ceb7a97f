"""The autoencoder of Stable Diffusion as a whole: pictures to latents and back, each on its own."""

from __future__ import annotations

import torch
from torch import Tensor

from animegen_torch.diffusion.autoencoder.architecture import DOWN, FirstStageConfiguration
from animegen_torch.diffusion.autoencoder.coder import Coder
from animegen_torch.diffusion.autoencoder.decoder import PictureDecoder
from animegen_torch.diffusion.autoencoder.encoder import Posterior
from animegen_torch.diffusion.finite import is_finite


class Autoencoder(Coder):
    """See `Coder`; its decoder draws each picture on its own."""

    decoder: PictureDecoder

    def __init__(self, configuration: FirstStageConfiguration | None = None) -> None:
        super().__init__(configuration, PictureDecoder)

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Posterior:
        """The posterior of pictures (N, 3, H, W) in [-1, 1], one after the other; its latents are not scaled.

        Raises:
            NotFiniteError: There are values that are not numbers.
        """
        moments = torch.cat([one for one, _ in self.encoded(pictures)])
        return Posterior.of(self._checked(moments, "the autoencoder's encoder"))

    @torch.no_grad()
    def decode(self, latents: Tensor, *, at_once: int = 1) -> Tensor:
        """Scaled latents (N, 4, h, w) -> (N, 3, 8h, 8w) float32, about -1 to 1, not cut; `at_once` at a time.

        Raises:
            NotFiniteError: There are values that are not numbers.
        """
        z = self.unscaled(latents)
        out = z.new_empty(len(z), self.configuration.out_ch, DOWN * z.shape[2], DOWN * z.shape[3])
        for start in range(0, len(z), at_once):
            out[start : start + at_once] = self.decoder(self.post_quant_conv(z[start : start + at_once]))
        return self._checked(out, "the autoencoder's decoder")

    def _checked(self, values: Tensor, what: str) -> Tensor:
        if not is_finite(values):
            raise self.not_finite(what)
        return values
