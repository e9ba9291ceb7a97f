"""FILM, the network: frames between two frames that may lie far apart.

Reda et al., "FILM: Frame Interpolation for Large Motion", ECCV 2022. Three parts: features of several scales from one
small extractor; flow from coarse to fine; fusion of what both frames show along it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from animegen_film.architecture import COLOURS, FLOW, PUBLISHED, Architecture
from animegen_film.layers import Convolution, Doubling
from animegen_torch.warp import warp_into

Pyramid = tuple[Tensor, ...]
"""One tensor for each level, finest first."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture as the network sees it.

    Attributes:
        planes: Of each level (1, 3 + C, h, w): the picture, then its features.
    """

    planes: Pyramid

    def features(self, level: int) -> Tensor:
        """The features of a level, (1, C, h, w), a view."""
        return self.planes[level][:, COLOURS:]

    @property
    def nbytes(self) -> int:
        """Bytes it takes."""
        return sum(plane.nbytes for plane in self.planes)


@dataclass(frozen=True, eq=False)
class Motion:
    """Flow between two frames, of the fused levels; (1, 2, h, w) float32, (dx, dy) in pixels of the level.

    Attributes:
        forward: From the first to the last.
        backward: From the last to the first.
        residuals: What each level added, forward and backward, of all levels.
    """

    forward: Pyramid
    backward: Pyramid
    residuals: tuple[Pyramid, Pyramid]


class Film(nn.Module):
    """The network. Names of its tensors are those of the port to PyTorch.

    ``encode`` makes a `Frame` of a picture, ``motion`` finds the flow between two, ``between`` draws. A frame that
    belongs to two pairs is encoded once, and the flow of a pair serves any number of times.
    """

    def __init__(self, architecture: Architecture = PUBLISHED) -> None:
        super().__init__()
        self.architecture = architecture
        self.extract = _Extractor(architecture)
        self.predict_flow = _FlowEstimator(architecture)
        self.fuse = _Fusion(architecture)

    @property
    def dtype(self) -> torch.dtype:
        """The type that convolutions compute in; flow is always float32."""
        return self.fuse.output_conv.weight.dtype

    def prepare(self) -> Film:
        """Make it ready for inference, once its weights lie on their device in their type. Returns itself.

        The result stays the same up to rounding; afterwards weights must not change.
        """
        self.to(memory_format=torch.channels_last)
        for module in self.modules():
            if isinstance(module, Doubling):
                module.fuse()
        return self.eval().requires_grad_(False)

    def encode(self, picture: Tensor) -> Frame:
        """Features of a picture.

        Args:
            picture: (1, 3, H, W), 0 to 1; the sides are multiples of `Architecture.multiple`.

        Raises:
            ValueError: They are not.
        """
        height, width = picture.shape[2:]
        multiple = self.architecture.multiple
        if height % multiple or width % multiple:
            raise ValueError(f"FILM takes sides that are multiples of {multiple}, not {width} × {height}")
        pictures = [picture.to(self.dtype, memory_format=torch.channels_last)]
        for _ in range(self.architecture.levels - 1):
            pictures.append(avg_pool2d(pictures[-1], 2))
        return Frame(self.extract(pictures))

    def motion(self, first: Frame, last: Frame) -> Motion:
        """Flow between two frames of one size, both ways."""
        forward, backward, residuals = self.predict_flow(first, last)
        count = self.architecture.fused
        return Motion(forward[:count], backward[:count], residuals)

    def between(self, first: Frame, last: Frame, motion: Motion, time: float = 0.5) -> Tensor:
        """The frame at a time between two.

        Args:
            first, last: Frames.
            motion: Between them.
            time: 0 to 1. The network was trained for 0.5 alone; any other scales the flow.

        Returns:
            (1, 3, H, W) float32, not cut to 0..1.
        """
        return self.fuse(first, last, motion, time).float()  # type: ignore[no-any-return]

    def forward(self, first: Tensor, last: Tensor, time: float = 0.5) -> Tensor:
        """The frame at a time between two pictures; see `encode` and `between`."""
        frames = self.encode(first), self.encode(last)
        return self.between(*frames, self.motion(*frames), time)


class _Stages(nn.Module):
    """Four stages of two convolutions, between which the picture is halved."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.convs = nn.ModuleList()
        before = COLOURS
        for stage in range(architecture.stages):
            width = architecture.filters << stage
            self.convs.append(nn.Sequential(Convolution(before, width, 3), Convolution(width, width, 3)))
            before = width

    def forward(self, x: Tensor, depth: int) -> list[Tensor]:
        found: list[Tensor] = []
        for stage in range(depth):
            x = self.convs[stage](avg_pool2d(found[-1], 2) if found else x)
            found.append(x)
        return found


class _Extractor(nn.Module):
    """The same stages from every level; at each level what stages begun at different levels have found there."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.extract_sublevels = _Stages(architecture)

    def forward(self, pictures: list[Tensor]) -> Pyramid:
        sizes = self.architecture
        found: list[list[Tensor]] = []
        planes = []
        for level, picture in enumerate(pictures):
            found.append(self.extract_sublevels(picture, sizes.depth(level)))
            stages = range(min(level + 1, sizes.stages))
            parts = [picture, *(found[level - stage][stage] for stage in stages)]
            planes.append(torch.cat(parts, 1))
            for stage in stages:  # each is used once
                found[level - stage][stage] = picture.new_empty(0)
        return tuple(planes)


class _FlowPredictor(nn.Module):
    """Flow from the features of two frames at one level: (N, C, h, w) and (N, C, h, w) to (N, 2, h, w) float32."""

    def __init__(self, architecture: Architecture, level: int) -> None:
        super().__init__()
        width, count = architecture.flow_filters[level], architecture.flow_convolutions[level]
        inputs = (2 * architecture.feature_channels(level), *[width] * (count - 1))
        self._convs = nn.ModuleList([Convolution(before, width, 3) for before in inputs])
        self._convs.append(Convolution(width, width // 2, 1))
        self._convs.append(Convolution(width // 2, FLOW, 1, linear=True))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self._convs:
            x = layer(x)
        return x.to(torch.float32, memory_format=torch.contiguous_format)


class _FlowEstimator(nn.Module):
    """Flow of all levels, coarse to fine: each level finds what is left once the frame is warped by what is known."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        levels = range(architecture.specialised)
        self._predictor = _FlowPredictor(architecture, architecture.specialised)
        self._predictors = nn.ModuleList([_FlowPredictor(architecture, level) for level in reversed(levels)])

    def predictor(self, level: int) -> nn.Module:
        """The one of a level."""
        if level >= self.architecture.specialised:
            return self._predictor
        return self._predictors[self.architecture.specialised - 1 - level]

    def forward(self, first: Frame, last: Frame) -> tuple[Pyramid, Pyramid, tuple[Pyramid, Pyramid]]:
        flows: list[Tensor] = []  # both ways as a batch of two, coarse to fine
        residuals: list[Tensor] = []
        for level in reversed(range(self.architecture.levels)):
            ways = ((first.features(level), last.features(level)), (last.features(level), first.features(level)))
            if not flows:
                residuals.append(self._coarse(level, ways, None))
                flows.append(residuals[-1])
                continue
            known = interpolate(2 * flows[-1], scale_factor=2, mode="bilinear", align_corners=False)
            find = self._coarse if level >= self.architecture.specialised else self._fine
            residuals.append(find(level, ways, known))
            flows.append(known.add_(residuals[-1]) if not known.requires_grad else known + residuals[-1])
        forward, backward = (tuple(flow[way : way + 1] for flow in reversed(flows)) for way in (0, 1))
        left = tuple(tuple(one[way : way + 1] for one in reversed(residuals)) for way in (0, 1))
        return forward, backward, (left[0], left[1])

    def _coarse(self, level: int, ways: tuple[tuple[Tensor, Tensor], ...], known: Tensor | None) -> Tensor:
        """Both ways at once: weights of small pictures cost more than their pixels."""
        channels = ways[0][0].shape[1]
        x = _empty(ways[0][0], 2, 2 * channels)
        for way, (one, other) in enumerate(ways):
            _pair(x[way : way + 1], one, other, None if known is None else known[way : way + 1])
        return self.predictor(level)(x)  # type: ignore[no-any-return]

    def _fine(self, level: int, ways: tuple[tuple[Tensor, Tensor], ...], known: Tensor) -> Tensor:
        """One way after the other: pictures of this size fill memory and keep processors busy alone."""
        found = []
        for way, (one, other) in enumerate(ways):
            x = _empty(one, 1, 2 * one.shape[1])
            _pair(x, one, other, known[way : way + 1])
            found.append(self.predictor(level)(x))
            del x
        return torch.cat(found)


def _pair(x: Tensor, one: Tensor, other: Tensor, flow: Tensor | None) -> None:
    """Put `one` and `other` along `flow` beside each other into `x`."""
    channels = one.shape[1]
    x[:, :channels] = one
    if flow is None:
        x[:, channels:] = other
    else:
        warp_into(x[:, channels:], other, flow, convention="centres")


class _Fusion(nn.Module):
    """A picture from what both frames show, coarse to fine."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.output_conv = nn.Conv2d(architecture.fusion_filters(0), COLOURS, 1)
        self.convs = nn.ModuleList()
        for level in reversed(range(architecture.fused - 1)):
            width = architecture.fusion_filters(level)
            double = Doubling(architecture.fusion_filters(level + 1), width)
            join = Convolution(architecture.fused_channels(level) + width, width, 3)
            self.convs.append(nn.Sequential(double, join, Convolution(width, width, 3)))

    def forward(self, first: Frame, last: Frame, motion: Motion, time: float) -> Tensor:
        x: Tensor | None = None
        for level in reversed(range(self.architecture.fused)):
            channels = self.architecture.fused_channels(level)
            width = self.architecture.fusion_filters(level)
            seen = _empty(first.planes[level], 1, channels + (width if x is not None else 0))
            self._show(seen, first.planes[level], last.planes[level], motion, level, time)
            if x is None:
                x = seen
                continue
            layers = self.convs[self.architecture.fused - 2 - level]
            assert isinstance(layers, nn.Sequential)
            seen[:, channels:] = layers[0](x)
            x = layers[2](layers[1](seen))
            del seen
        return self.output_conv(x)  # type: ignore[no-any-return]

    @staticmethod
    def _show(seen: Tensor, first: Tensor, last: Tensor, motion: Motion, level: int, time: float) -> None:
        """Both frames along the flow to `time`, then both flows."""
        backward, forward = time * motion.backward[level], (1 - time) * motion.forward[level]
        count = first.shape[1]
        warp_into(seen[:, :count], first, backward, convention="centres")
        warp_into(seen[:, count : 2 * count], last, forward, convention="centres")
        seen[:, 2 * count : 2 * count + FLOW] = backward
        seen[:, 2 * count + FLOW : 2 * (count + FLOW)] = forward


def _empty(like: Tensor, n: int, channels: int) -> Tensor:
    """(n, channels, h, w) of the size and type of `like`, channels last in memory."""
    height, width = like.shape[2:]
    return like.new_empty(n, height, width, channels).permute(0, 3, 1, 2)
