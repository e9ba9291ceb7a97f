"""Residual blocks: two convolutions within each frame, then four over time."""

from __future__ import annotations

from torch import Tensor, nn

from animegen_torch.diffusion.layers import Conv3x3, GroupNorm, SiLU, TemporalConv, from_clip, to_clip


class TemporalConvs(nn.Module):
    """Four convolutions over time plus the input; (B·T, C, H, W) -> the same. Norms are over the whole clip."""

    def __init__(self, channels: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(GroupNorm(channels), SiLU(), TemporalConv(channels, channels))
        for number in (2, 3, 4):
            stage = nn.Sequential(GroupNorm(channels), SiLU(), nn.Dropout(dropout), TemporalConv(channels, channels))
            setattr(self, f"conv{number}", stage)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        clip = to_clip(x, frames)
        y = clip
        for number in (1, 2, 3, 4):
            y = getattr(self, f"conv{number}")(y)
        return from_clip(y.add_(clip), x.shape[2], x.shape[3])


class ResBlock(nn.Module):
    """Two convolutions with the embedding of time and fps added between them, a residual, and `TemporalConvs`.

    Args:
        channels: Channels of the input.
        out_channels: Channels of the output.
        embedding: Width of the embedding.
        dropout: Share of channels dropped in training.
        temporal: Whether convolutions over time follow.
    """

    def __init__(
        self, channels: int, out_channels: int, embedding: int, *, dropout: float = 0.0, temporal: bool = True
    ) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(GroupNorm(channels), SiLU(), Conv3x3(channels, out_channels))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, out_channels))
        self.out_layers = nn.Sequential(
            GroupNorm(out_channels), SiLU(), nn.Dropout(dropout), Conv3x3(out_channels, out_channels)
        )
        self.skip_connection = nn.Identity() if channels == out_channels else nn.Conv2d(channels, out_channels, 1)
        # Spelled as in the published files.
        self.temopral_conv = TemporalConvs(out_channels, dropout) if temporal else None

    def forward(self, x: Tensor, embedding: Tensor, frames: int, *, temporal: bool = True) -> Tensor:
        """(B·T, C, H, W) and (B, E), or (B·T, E), -> (B·T, C', H, W); `temporal` can leave the last part out."""
        y: Tensor = self.in_layers(x)
        shift = self.emb_layers(embedding.to(y.dtype))
        clip = y.view(shift.shape[0], -1, *y.shape[1:])
        clip += shift[:, None, :, None, None]
        y = self.out_layers(y)
        y += self.skip_connection(x)
        if self.temopral_conv is None or not temporal:
            return y
        result: Tensor = self.temopral_conv(y, frames)
        return result
