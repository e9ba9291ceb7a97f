"""RFR, the optical flow of AnimeInterp and EISAI: RAFT without normalisation, and with a first guess if there is one.

Sources: Li et al., "Deep Animation Video Interpolation in the Wild", CVPR 2021, section 3.3; Teed & Deng, "RAFT", ECCV
2020. Parameters have the names of the published file (its part ``module.flownet.``). AnimeInterp shows it images in
[-1, 1] and a first guess, EISAI images in [0, 1] and none.

What does not change from one iteration to the next is computed once: the share of the recurrent unit that reads the
context, and the upsampling, which only the last iteration needs. Sums are added in another order for that, no more.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, relu, unfold

from animegen_torch.correlation import AllPairs
from animegen_torch.winograd import pays, three_rows

CELL = 8
"""Pixels of the image, along each axis, for one vector that is worked on."""
HIDDEN = 128
"""Channels of the recurrent state; as many again of context."""
LEVELS, RADIUS = 4, 4
SMALLEST = CELL * 2 ** (LEVELS - 1)
"""Least side of an image. (The original divides by zero below twice this.)"""


class Rfr(nn.Module):
    """Optical flow from one image to another."""

    def __init__(self) -> None:
        super().__init__()
        self.fnet = _Encoder()
        self.update_block = _Update()
        self.attention2 = _Attention()

    def forward(self, first: Tensor, second: Tensor, *, initial: Tensor | None = None, iterations: int = 12) -> Tensor:
        """The flow that leads from pixels of `first` to where they are in `second`.

        Args:
            first, second: (N, 3, H, W) RGB, in [0, 1] (EISAI) or [-1, 1] (AnimeInterp); H and W at least `SMALLEST`.
                Sides that are no multiple of 8 are scaled down to one, as in the original.
            initial: (N, 2, H, W) first guess, in pixels. It is taken twice, as in the original: the search begins at
                twice the guess.
            iterations: Steps of refinement.

        Returns:
            (N, 2, H, W), (dx, dy) in pixels, float32 (float64 for float64 images).

        Raises:
            ValueError: The images are too small, or of two sizes.
        """
        size = _size(first, second)
        return self.between(self.encode(first), self.encode(second), size, initial=initial, iterations=iterations)

    def both_ways(
        self,
        first: Tensor,
        second: Tensor,
        *,
        initial: tuple[Tensor | None, Tensor | None] = (None, None),
        iterations: int = 12,
    ) -> tuple[Tensor, Tensor]:
        """`forward` from `first` to `second`, and from `second` to `first`; each image is encoded once."""
        size = _size(first, second)
        a, b = self.encode(first), self.encode(second)
        return (
            self.between(a, b, size, initial=initial[0], iterations=iterations),
            self.between(b, a, size, initial=initial[1], iterations=iterations),
        )

    def encode(self, image: Tensor) -> Tensor:
        """Features of an image, (N, 256, H // 8, W // 8), for `between`."""
        H, W = image.shape[2:]
        if H % CELL or W % CELL:
            image = interpolate(image, (H // CELL * CELL, W // CELL * CELL), mode="bilinear")
        features: Tensor = self.fnet(image)
        return features

    def between(
        self,
        first: Tensor,
        second: Tensor,
        size: tuple[int, int],
        *,
        initial: Tensor | None = None,
        iterations: int = 12,
    ) -> Tensor:
        """`forward` for images whose features are known.

        Args:
            first, second: From `encode`.
            size: (H, W) of the images.
            initial, iterations: As for `forward`.
        """
        wide = torch.float64 if first.dtype == torch.float64 else torch.float32
        pairs = AllPairs(first, second, levels=LEVELS, radius=RADIUS)
        # The context is what the encoder makes of the first image: the same numbers, split.
        hidden, context = torch.tanh(first[:, :HIDDEN]), relu(first[:, HIDDEN:])
        gru = self.update_block.gru.over(context)
        pixels = _pixels(first, wide)
        flow = torch.zeros_like(pixels)
        if initial is not None:
            flow = flow + 2 * _resized(initial.to(wide), first.shape[2:], "nearest")
        for _ in range(iterations):
            flow = flow.detach()
            seen = pairs.lookup(pixels + flow).to(first.dtype)
            hidden = gru(hidden, self.update_block.encoder(seen, flow.to(first.dtype)))
            flow = flow + self.update_block.flow_head(hidden).to(wide)
        flow = _upsampled(flow, 0.25 * self.update_block.mask(hidden).to(wide))
        return _resized(flow, size, "bilinear")


class _Three(nn.Conv2d):
    """3 × 3 convolution, in half the products where that pays."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__(before, after, 3, stride, 1)

    def forward(self, x: Tensor) -> Tensor:
        if pays(x, self.weight, self.stride[0]):
            return three_rows(x, self.weight, self.bias)
        return super().forward(x)


class _Residual(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _Three(before, after, stride)
        self.conv2 = _Three(after, after)
        self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride)) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.downsample(x) + relu(self.conv2(relu(self.conv1(x)))))


class _Encoder(nn.Module):
    """(N, 3, H, W) to (N, 256, H / 8, W / 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3)
        self.layer1 = nn.Sequential(_Residual(64, 64, 1), _Residual(64, 64, 1))
        self.layer2 = nn.Sequential(_Residual(64, 96, 2), _Residual(96, 96, 1))
        self.layer3 = nn.Sequential(_Residual(96, 128, 2), _Residual(128, 128, 1))
        self.conv2 = nn.Conv2d(128, 2 * HIDDEN, 1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv2(self.layer3(self.layer2(self.layer1(relu(self.conv1(x))))))
        return result


class _Motion(nn.Module):
    """What correlations and the flow so far say together, (N, 128, h, w), the flow itself last."""

    def __init__(self) -> None:
        super().__init__()
        self.convc1 = nn.Conv2d(LEVELS * (2 * RADIUS + 1) ** 2, 256, 1)
        self.convc2 = _Three(256, 192)
        self.convf1 = nn.Conv2d(2, 128, 7, 1, 3)
        self.convf2 = _Three(128, 64)
        self.conv = _Three(256, 126)

    def forward(self, correlations: Tensor, flow: Tensor) -> Tensor:
        seen = relu(self.convc2(relu(self.convc1(correlations))))
        moved = relu(self.convf2(relu(self.convf1(flow))))
        return torch.cat((relu(self.conv(torch.cat((seen, moved), 1))), flow), 1)


@dataclass(frozen=True, eq=False)
class _Half:
    """One of the two halves of the recurrent unit, over a context that does not change.

    Attributes:
        gates: (2 × 128, 256, kh, kw): kernels of update and reset that read state and motion.
        candidate: (128, 256, kh, kw), likewise.
        gates_known, candidate_known: What the context and the bias give to these, (N, 256 or 128, h, w).
    """

    gates: Tensor
    candidate: Tensor
    gates_known: Tensor
    candidate_known: Tensor

    def __call__(self, hidden: Tensor, motion: Tensor) -> Tensor:
        around = (self.gates.shape[2] // 2, self.gates.shape[3] // 2)
        gates = conv2d(torch.cat((hidden, motion), 1), self.gates, padding=around) + self.gates_known
        update, reset = gates.sigmoid().chunk(2, 1)
        candidate = conv2d(torch.cat((reset * hidden, motion), 1), self.candidate, padding=around)
        return torch.lerp(hidden, (candidate + self.candidate_known).tanh(), update)


@dataclass(frozen=True, eq=False)
class _OverContext:
    halves: tuple[_Half, ...]

    def __call__(self, hidden: Tensor, motion: Tensor) -> Tensor:
        for half in self.halves:
            hidden = half(hidden, motion)
        return hidden


class _Gru(nn.Module):
    """A convolutional recurrent unit, once along rows and once along columns."""

    def __init__(self) -> None:
        super().__init__()
        for half, kernel in ((1, (1, 5)), (2, (5, 1))):
            padding = (kernel[0] // 2, kernel[1] // 2)
            for gate in "zrq":
                self.add_module(f"conv{gate}{half}", nn.Conv2d(3 * HIDDEN, HIDDEN, kernel, 1, padding))

    def over(self, context: Tensor) -> _OverContext:
        """What is left to do in each iteration once `context`, (N, 128, h, w), is known."""
        return _OverContext(tuple(self._half(number, context) for number in (1, 2)))

    def _half(self, number: int, context: Tensor) -> _Half:
        update, reset, candidate = (self._conv(f"conv{gate}{number}") for gate in "zrq")
        assert update.bias is not None and reset.bias is not None
        gates = torch.cat((update.weight, reset.weight))
        bias = torch.cat((update.bias, reset.bias))
        around = (gates.shape[2] // 2, gates.shape[3] // 2)
        known = conv2d(context, gates[:, HIDDEN : 2 * HIDDEN], bias, padding=around)
        own = conv2d(context, candidate.weight[:, HIDDEN : 2 * HIDDEN], candidate.bias, padding=around)
        return _Half(_moving(gates), _moving(candidate.weight), known, own)

    def _conv(self, name: str) -> nn.Conv2d:
        found = self.get_submodule(name)
        assert isinstance(found, nn.Conv2d)
        return found


def _moving(weight: Tensor) -> Tensor:
    """The part of a kernel that reads the state and the motion: all but the context, which stands between them."""
    return torch.cat((weight[:, :HIDDEN], weight[:, 2 * HIDDEN :]), 1)


class _FlowHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _Three(HIDDEN, 256)
        self.conv2 = _Three(256, 2)

    def forward(self, hidden: Tensor) -> Tensor:
        result: Tensor = self.conv2(relu(self.conv1(hidden)))
        return result


class _Update(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = _Motion()
        self.gru = _Gru()
        self.flow_head = _FlowHead()
        self.mask = nn.Sequential(_Three(HIDDEN, 256), nn.ReLU(), nn.Conv2d(256, 9 * CELL**2, 1))


class _Attention(nn.Module):
    """Parameters that are in the published file. The original computes something from them that it never uses."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(6, 32, 5, 1, 2)
        self.conv2 = nn.Conv2d(32, 32, 3, 1, 1)
        self.conv3 = nn.Conv2d(38, 1, 3, 1, 1)
        self.prelu1 = nn.PReLU()
        self.prelu2 = nn.PReLU()


def _size(first: Tensor, second: Tensor) -> tuple[int, int]:
    H, W = first.shape[2:]
    if first.shape != second.shape:
        raise ValueError(f"images of {tuple(first.shape)} and {tuple(second.shape)} cannot be compared")
    if min(H, W) < SMALLEST:
        raise ValueError(f"RFR needs images of at least {SMALLEST} × {SMALLEST} pixels, not {H} × {W}")
    return H, W


def _pixels(features: Tensor, dtype: torch.dtype) -> Tensor:
    """(N, 2, h, w): (x, y) of each."""
    N, _, h, w = features.shape
    x, y = (torch.arange(side, device=features.device, dtype=dtype) for side in (w, h))
    return torch.stack((x.expand(h, w), y[:, None].expand(h, w))).expand(N, 2, h, w)


def _resized(flow: Tensor, size: tuple[int, int] | torch.Size, mode: str) -> Tensor:
    """`flow` at another size, in the pixels of that size."""
    if flow.shape[2:] == torch.Size(size):
        return flow
    scale = flow.new_tensor((size[1] / flow.shape[3], size[0] / flow.shape[2])).view(1, 2, 1, 1)
    return interpolate(flow * scale, tuple(size), mode=mode)


def _upsampled(flow: Tensor, mask: Tensor) -> Tensor:
    """(N, 2, h, w) to (N, 2, 8 h, 8 w): each vector a mean of nine, weighted by `mask`, (N, 576, h, w).

    RAFT, section 3.3 (convex upsampling).
    """
    N, _, h, w = flow.shape
    weights = mask.view(N, 9, CELL, CELL, h, w).softmax(1)
    around = unfold(CELL * flow, 3, padding=1).view(N, 2, 9, h, w)
    fine = torch.einsum("nkabhw,nckhw->nchawb", weights, around)
    return fine.reshape(N, 2, CELL * h, CELL * w)
