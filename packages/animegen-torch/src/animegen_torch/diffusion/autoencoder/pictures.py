"""The autoencoder of Stable Diffusion as a whole: pictures to latents and back, each on its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from animegen_torch.diffusion.autoencoder.architecture import DOWN, SCALE_FACTOR, FirstStageConfiguration
from animegen_torch.diffusion.autoencoder.decoder import PictureDecoder
from animegen_torch.diffusion.autoencoder.encoder import Encoder, Posterior
from animegen_torch.diffusion.autoencoder.layers import Conv2d
from animegen_torch.diffusion.finite import NotFiniteError, is_finite


class Autoencoder(nn.Module):
    """Encoder and decoder under the names that latent diffusion published them with."""

    def __init__(self, configuration: FirstStageConfiguration | None = None) -> None:
        super().__init__()
        self.configuration = c = configuration or FirstStageConfiguration()
        self.encoder = Encoder(c)
        self.decoder = PictureDecoder(c)
        self.quant_conv = Conv2d(2 * c.z_channels, 2 * c.embed_dim, 1)
        self.post_quant_conv = Conv2d(c.embed_dim, c.z_channels, 1)

    @property
    def dtype(self) -> torch.dtype:
        """The parameters' type."""
        return self.quant_conv.weight.dtype

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.quant_conv.weight.device

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Posterior:
        """The posterior of pictures (N, 3, H, W) in [-1, 1], one after the other; its latents are not scaled.

        Raises:
            NotFiniteError: There are values that are not numbers.
        """
        moments = [self.quant_conv(self.encoder(one[None])[0]) for one in pictures.to(self.device, torch.float32)]
        return Posterior.of(self._checked(torch.cat(moments), "encoder"))

    @torch.no_grad()
    def decode(self, latents: Tensor, *, at_once: int = 1) -> Tensor:
        """Scaled latents (N, 4, h, w) -> (N, 3, 8h, 8w) float32, about -1 to 1, not cut; `at_once` at a time.

        Raises:
            NotFiniteError: There are values that are not numbers.
        """
        z = latents.to(self.device, torch.float32) / SCALE_FACTOR
        out = z.new_empty(len(z), self.configuration.out_ch, DOWN * z.shape[2], DOWN * z.shape[3])
        for start in range(0, len(z), at_once):
            out[start : start + at_once] = self.decoder(self.post_quant_conv(z[start : start + at_once]))
        return self._checked(out, "decoder")

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        """(h, w) of the latent of a picture."""
        return height // DOWN, width // DOWN

    def _checked(self, values: Tensor, what: str) -> Tensor:
        if not is_finite(values):
            kind = str(self.dtype).removeprefix("torch.")
            raise NotFiniteError(
                f"the autoencoder's {what} gave numbers that are not finite in {kind}.",
                hint="animegen weights verify" if kind == "float32" else "use --dtype bfloat16, or float32",
            )
        return values
