"""What every autoencoder of latent diffusion has, whatever its decoder is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from animegen_torch.diffusion.autoencoder.architecture import DOWN, SCALE_FACTOR, FirstStageConfiguration
from animegen_torch.diffusion.autoencoder.encoder import Encoder
from animegen_torch.diffusion.autoencoder.layers import Conv2d
from animegen_torch.diffusion.finite import NotFiniteError


class Coder(nn.Module):
    """Encoder and decoder under the names that latent diffusion published them with.

    Args:
        configuration: Sizes.
        decoder: Makes the decoder.
    """

    decoder: nn.Module

    def __init__(
        self, configuration: FirstStageConfiguration | None, decoder: Callable[[FirstStageConfiguration], nn.Module]
    ) -> None:
        super().__init__()
        self.configuration = c = configuration or FirstStageConfiguration()
        self.encoder = Encoder(c)
        self.decoder = decoder(c)
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

    def encoded(self, pictures: Tensor) -> Iterator[tuple[Tensor, tuple[Tensor, ...]]]:
        """Pictures (N, 3, H, W) in [-1, 1], one after the other: (1, 8, h, w) for `Posterior.of`, and five features."""
        for one in pictures.to(self.device, torch.float32):
            h, features = self.encoder(one[None])
            yield self.quant_conv(h), features

    def unscaled(self, latents: Tensor) -> Tensor:
        """Latents as the diffusion gives them -> as the decoder takes them, float32."""
        return latents.to(self.device, torch.float32) / SCALE_FACTOR

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        """(h, w) of the latent of a picture."""
        return height // DOWN, width // DOWN

    def not_finite(self, what: str, where: str = "") -> NotFiniteError:
        """The error to raise where `what` gave numbers that are not finite; `where` follows in the sentence."""
        kind = str(self.dtype).removeprefix("torch.")
        return NotFiniteError(
            f"{what} gave numbers that are not finite in {kind}{where}.",
            hint="animegen weights verify" if kind == "float32" else "use --dtype bfloat16, or float32",
        )
