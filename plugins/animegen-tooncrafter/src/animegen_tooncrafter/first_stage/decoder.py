"""From latents to frames: the decoder's layers, and the order in which frames go through them.

Layers are of two sorts. Most see each frame on its own. A `TimeStack` joins all frames: twice a norm over the whole
clip and a convolution over three frames. So the decoder is a row of `Section`s, each some layers of the first sort and
then a time stack, and `animegen_tooncrafter.first_stage.sweeps` runs them a few frames at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from animegen_tooncrafter.first_stage.reference import Combiner, ReferenceAttention, References
from animegen_torch.diffusion.autoencoder.architecture import FirstStageConfiguration
from animegen_torch.diffusion.autoencoder.blocks import MiddleAttention, ResnetBlock
from animegen_torch.diffusion.autoencoder.layers import GROUPS, Conv2d, GroupNorm, Upsample, swish

Layer = Callable[[Tensor, int, int], Tensor]
"""``layer(x, start, frames)``: (N, C, H, W) float32, which is frames `start` to `start` + N of a clip of `frames`."""


class TimeStack(nn.Module):
    """Twice a norm over all frames, SiLU and a convolution over three frames."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(nn.GroupNorm(GROUPS, channels), nn.SiLU(), _time_conv(channels))
        self.out_layers = nn.Sequential(nn.GroupNorm(GROUPS, channels), nn.SiLU(), nn.Identity(), _time_conv(channels))

    @property
    def norms(self) -> tuple[nn.GroupNorm, nn.GroupNorm]:
        """Both norms."""
        return self.in_layers[0], self.out_layers[0]  # type: ignore[return-value]

    @property
    def convolutions(self) -> tuple[nn.Conv3d, nn.Conv3d]:
        """Both convolutions."""
        return self.in_layers[2], self.out_layers[3]  # type: ignore[return-value]


class VideoBlock(ResnetBlock):
    """A block on each frame, and on its result s a time stack: s + a · stack(s), a = sigmoid(mix_factor).

    The published form is a · (s + stack(s)) + (1 - a) · s, which is the same. `forward` is the first part alone.
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels)
        self.mix_factor = nn.Parameter(torch.zeros(1))
        self.time_stack = TimeStack(out_channels)

    @property
    def share(self) -> Tensor:
        """How much of the time stack's result is added, (1,) float32."""
        return torch.sigmoid(self.mix_factor.float())


class OutputConv(Conv2d):
    """From features to colours, and behind that a convolution of the colours over three frames."""

    def __init__(self, channels: int, colours: int) -> None:
        super().__init__(channels, colours, 3, padding=1)
        self.time_mix_conv = _time_conv(colours)

    def mix(self, frames: Tensor) -> Tensor:
        """The second part: (T, 3, H, W) float32 -> the same shape. It is small: done at once, in float32."""
        conv = self.time_mix_conv
        bias = None if conv.bias is None else conv.bias.float()
        clip = torch.conv3d(frames.transpose(0, 1)[None], conv.weight.float(), bias, padding=conv.padding)
        return clip[0].transpose(0, 1).contiguous()


class Level(nn.Module):
    """One resolution: blocks, and what doubles the size behind all but the largest."""

    def __init__(self, channels: int, out_channels: int, blocks: int, last: bool) -> None:
        super().__init__()
        self.block = nn.ModuleList(VideoBlock(out_channels if i else channels, out_channels) for i in range(blocks))
        if not last:
            self.upsample = Upsample(out_channels)


class Middle(nn.Module):
    """The middle of the decoder."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1 = VideoBlock(channels, channels)
        self.attn_1 = MiddleAttention(channels)
        self.block_2 = VideoBlock(channels, channels)


@dataclass(frozen=True)
class Section:
    """Layers that see each frame on its own, by name and in order; the last is a block whose time stack follows.

    Attributes:
        layers: Name and layer.
        block: None in the last section, which ends in colours.
    """

    layers: tuple[tuple[str, Layer], ...]
    block: VideoBlock | None


class Decoder(nn.Module):
    """The layers; `sections` puts them in order."""

    def __init__(self, configuration: FirstStageConfiguration) -> None:
        super().__init__()
        c, widths = configuration, configuration.widths
        self.conv_in = Conv2d(c.z_channels, widths[-1], 3, padding=1)
        self.mid = Middle(widths[-1])
        self.up = nn.ModuleList(
            Level(widths[min(i + 1, len(widths) - 1)], width, c.num_res_blocks + 1, i == 0)
            for i, width in enumerate(widths)
        )
        self.attn_refinement = nn.ModuleList(
            (
                Combiner(widths[0]),
                Combiner(widths[1]),
                ReferenceAttention(widths[2]),
                ReferenceAttention(widths[3]),
                Combiner(widths[0]),
            )
        )
        self.norm_out = GroupNorm(widths[0])
        self.conv_out = OutputConv(widths[0], c.out_ch)

    def sections(self, references: References | None) -> list[Section]:
        """The order of the layers. Without `references` it is an ordinary video decoder."""
        mid = self.mid
        sections: list[Section] = []
        row: list[tuple[str, Layer]] = [("conv_in", _alone(self.conv_in))]

        def end(name: str, block: VideoBlock) -> None:
            sections.append(Section((*row, (name, _alone(block))), block))
            row.clear()

        def inject(index: int) -> None:
            if references is not None:
                name = f"attn_refinement.{index}"
                row.append((name, lambda x, start, frames: references.inject(index, x, start, frames)))

        end("mid.block_1", mid.block_1)
        row.append(("mid.attn_1", _alone(mid.attn_1)))
        end("mid.block_2", mid.block_2)
        for number, level in reversed(list(enumerate(self.up))):
            assert isinstance(level, Level)
            for i, block in enumerate(level.block):
                assert isinstance(block, VideoBlock)
                end(f"up.{number}.block.{i}", block)
            inject(number)
            if number:
                row.append((f"up.{number}.upsample", _alone(level.upsample)))
        row.append(("norm_out", lambda x, start, frames: swish(self.norm_out(x))))
        inject(len(self.up))
        row.append(("conv_out", _alone(self.conv_out)))
        return [*sections, Section(tuple(row), None)]


def _alone(layer: nn.Module) -> Layer:
    """A layer that does not ask which frames it sees."""
    return lambda x, start, frames: layer(x)


def _time_conv(channels: int) -> nn.Conv3d:
    return nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0))
