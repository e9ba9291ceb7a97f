"""Residual blocks, and the levels that they are put together to."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, cat, nn

from animegen_seine.network.architecture import LevelPlan, UNetConfiguration
from animegen_seine.network.transformer import Frames, Transformer
from animegen_torch.diffusion.context import Context
from animegen_torch.diffusion.layers import Conv3x3, GroupNorm, SiLU, Upsample, for_each_branch, from_clip, to_clip


@dataclass(frozen=True)
class Call:
    """What all layers of one call share: the embedding of time, activated, (B, E) for every sample of the context; the
    frames; the text.
    """

    embedding: Tensor
    frames: Frames
    context: Context


class ClipNorm(GroupNorm):
    """A group norm whose statistics are shared by all frames of a clip: (B·T, C, H, W) -> the same."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__(channels, groups=groups)

    def over(self, x: Tensor, frames: int) -> Tensor:
        """`x`, normed."""
        return from_clip(self(to_clip(x, frames)), x.shape[2], x.shape[3])


class ResBlock(nn.Module):
    """Twice norm, SiLU and a convolution within each frame, with the embedding of time between, beside a shortcut."""

    def __init__(self, channels: int, out_channels: int, embedding: int, groups: int) -> None:
        super().__init__()
        self.norm1 = ClipNorm(channels, groups)
        self.conv1 = Conv3x3(channels, out_channels)
        self.time_emb_proj = nn.Linear(embedding, out_channels)
        self.norm2 = ClipNorm(out_channels, groups)
        self.conv2 = Conv3x3(out_channels, out_channels)
        self.conv_shortcut = nn.Conv2d(channels, out_channels, 1) if channels != out_channels else None
        self.act = SiLU()

    def forward(self, x: Tensor, call: Call) -> Tensor:
        frames = call.frames.count
        y: Tensor = self.conv1(self.act(self.norm1.over(x, frames)))
        shift = self.time_emb_proj(call.embedding[: len(x) // frames].to(y.dtype))
        clip = y.view(shift.shape[0], -1, *y.shape[1:])
        clip += shift[:, None, :, None, None]
        y = self.conv2(self.act(self.norm2.over(y, frames)))
        y += x if self.conv_shortcut is None else self.conv_shortcut(x)
        return y


class Halve(nn.Module):
    """Half the height and width, rounded up."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv(x)
        return result


class Level(nn.Module):
    """Residual blocks, a transformer behind each where there are some."""

    def __init__(self, plan: LevelPlan, c: UNetConfiguration, name: str) -> None:
        super().__init__()
        self.name = name
        self.attentions = nn.ModuleList(
            Transformer(plan.out, c.heads, c.context, c.groups) for _ in plan.widths if plan.attention
        )
        self.resnets = nn.ModuleList(ResBlock(width, plan.out, c.embedding, c.groups) for width in plan.widths)

    def at(self, index: int, x: Tensor, call: Call) -> Tensor:
        """One residual block with its transformer."""
        x = self.resnets[index](x, call)
        if self.attentions:
            x = self.attentions[index](x, call.context.keys[f"{self.name}.attentions.{index}"], call.frames)
        return x


class Down(Level):
    """A level on the way down."""

    def __init__(self, plan: LevelPlan, c: UNetConfiguration, name: str) -> None:
        super().__init__(plan, c, name)
        self.downsamplers = nn.ModuleList([Halve(plan.out)] if plan.resize else [])

    def forward(self, x: Tensor, call: Call) -> list[Tensor]:
        """What each of its layers gives, the last being what goes on."""
        given = []
        for index in range(len(self.resnets)):
            x = self.at(index, x, call)
            given.append(x)
        for layer in self.downsamplers:
            x = layer(x)
            given.append(x)
        return given


class Up(Level):
    """A level on the way up."""

    def __init__(self, plan: LevelPlan, c: UNetConfiguration, name: str) -> None:
        super().__init__(plan, c, name)
        self.upsamplers = nn.ModuleList([Upsample(plan.out)] if plan.resize else [])

    def forward(self, x: Tensor, skips: list[Tensor], call: Call) -> Tensor:
        """Takes its skips off the end of `skips`; ends at the size of the next."""
        for index in range(len(self.resnets)):
            x = self.at(index, cat((x, for_each_branch(skips.pop(), len(x))), 1), call)
        for layer in self.upsamplers:
            height, width = skips[-1].shape[2:]
            x = layer(x, (height, width))
        return x


class Middle(Level):
    """The smallest size: a block, a transformer, a block."""

    def __init__(self, width: int, c: UNetConfiguration, name: str) -> None:
        super().__init__(LevelPlan((width,), width, True, False), c, name)
        self.resnets.append(ResBlock(width, width, c.embedding, c.groups))

    def forward(self, x: Tensor, call: Call) -> Tensor:
        result: Tensor = self.resnets[1](self.at(0, x, call), call)
        return result
