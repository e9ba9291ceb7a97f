"""What lets a clip go through the decoder a few frames at a time with the result of the whole.

Two things join the frames: norms whose statistics are over all frames, and convolutions that see one frame to each
side. `Statistics` gathers the former piece by piece; `TimeStream` takes frames as they come and hands out results one
frame later; `FrameQueue` keeps what lies between two layers, in the memory and the type that is wished.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from animegen_torch.diffusion.autoencoder.layers import GROUPS, grow, half_sum, shrink


class FrameQueue:
    """Frames (N, C, H, W) in order: put in at the end, taken out at the front, in pieces of any size.

    Args:
        device: Where frames are computed with.
        dtype: Type they are kept in; they go in and come out as float32.
        keep: Where they are kept; the computing device, or the processor's memory.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype, keep: torch.device) -> None:
        self._device = device
        self._dtype = dtype
        self._keep = keep
        self._pieces: deque[Tensor] = deque()
        self.count = 0

    def put(self, frames: Tensor) -> None:
        """Add float32 frames at the end; the caller must not write over them afterwards."""
        if len(frames):
            self._pieces.append(shrink(frames, self._dtype).to(self._keep))
            self.count += len(frames)

    def take(self, count: int) -> Tensor:
        """The next `count` frames (fewer at the end), removed; the caller may write over them."""
        taken = self._remove(count)
        piece = taken[0] if len(taken) == 1 else torch.cat(taken)
        return grow(piece.to(self._device), out_of=self._dtype)

    def cut(self, begin: int, end: int) -> None:
        """Keep frames `begin` to `end` (the latter outside) of those that are here."""
        self._remove(begin)
        self._pieces = deque(self._remove(end - begin))
        self.count = sum(len(piece) for piece in self._pieces)

    def _remove(self, count: int) -> list[Tensor]:
        count = min(count, self.count)
        self.count -= count
        taken = []
        while count:
            piece = self._pieces.popleft()
            if len(piece) > count:
                self._pieces.appendleft(piece[count:])
                piece = piece[:count]
            taken.append(piece)
            count -= len(piece)
        return taken

    def pieces(self, count: int) -> Iterator[Tensor]:
        """All frames in turn, `count` at a time, without removing them. They are not to be written over."""
        held = list(self._pieces)
        reader = FrameQueue(self._device, self._dtype, self._keep)
        reader._pieces = deque(held)
        reader.count = self.count
        while reader.count:
            yield reader.take(count)


class Statistics:
    """Mean and variance of each of 32 groups of channels over all frames, gathered a few frames at a time.

    Those of a frame are computed about its own mean and joined as Chan, Golub and LeVeque do ("Updating Formulae and a
    Pairwise Algorithm for Computing Sample Variances", 1979), in float64 where the device has it: neither the number
    of frames at once nor a large mean costs digits.
    """

    _TINY = 1e-12

    def __init__(self, device: torch.device) -> None:
        wide = torch.float32 if device.type == "mps" else torch.float64
        self._sums = torch.zeros(3, GROUPS, dtype=wide, device=device)  # count, mean, sum of squares about the mean

    def add(self, frames: Tensor) -> None:
        """Take in frames (N, C, H, W)."""
        n, channels, height, width = frames.shape
        if not n:
            return
        size = height * width
        # The norm's own kernel is the fastest way to these numbers, by far; its result is not needed.
        _, mean, rstd = torch.native_group_norm(frames, None, None, n, channels, size, GROUPS, self._TINY)
        mean, inverse = mean.to(self._sums), rstd.to(self._sums)
        values = size * channels // GROUPS
        squares = (inverse**-2 - self._TINY).clamp_min(0).sum(0) * values
        middle = mean.mean(0)
        squares += values * ((mean - middle) ** 2).sum(0)
        so_far = self._sums[0]
        total = so_far + n * values
        delta = middle - self._sums[1]
        self._sums[1] += delta * (n * values / total)
        self._sums[2] += squares + delta**2 * (so_far * n * values / total)
        self._sums[0] = total

    @property
    def finite(self) -> Tensor:
        """Whether all that was taken in was a number, as a tensor on the device (asking it waits for the device)."""
        return self._sums.isfinite().all()

    def affine(self, norm: nn.GroupNorm) -> tuple[Tensor, Tensor]:
        """Factor and addend, (1, C, 1, 1) float32, that normalise as `norm` would with these statistics."""
        count, mean, squares = self._sums
        each = norm.num_channels // GROUPS
        inverse = (squares / count + norm.eps).rsqrt().repeat_interleave(each)
        factor = norm.weight.to(inverse) * inverse
        addend = norm.bias.to(inverse) - mean.repeat_interleave(each) * factor
        return factor.float().view(1, -1, 1, 1), addend.float().view(1, -1, 1, 1)


class TimeStream:
    """Norm, SiLU and a convolution over three frames, with zeros before the first and after the last frame.

    Frames are pushed a few at a time; what comes back is one frame late, and `flush` gives the last.

    Args:
        affine: From `Statistics.affine`, of all frames that will be pushed.
        conv: Its weight is (C, C, 3, 1, 1).
    """

    def __init__(self, affine: tuple[Tensor, Tensor], conv: nn.Conv3d) -> None:
        self._factor, self._addend = affine
        self._conv = conv
        self._dtype = conv.weight.dtype
        # One matrix from three neighbouring frames, channels behind one another, to one.
        self._matrix = conv.weight[..., 0, 0].permute(0, 2, 1).flatten(1)[None].contiguous()
        self._tail: Tensor | None = None

    def push(self, x: Tensor, *, last: bool = False) -> Tensor:
        """Take in N frames (N, C, H, W) float32; N of the result, of the first push N - 1 (perhaps none).

        With `last` no more will come: the result for the last frame is among them, and nothing is left to flush.
        """
        if self._tail is None:
            self._tail = torch.zeros_like(x[:1], dtype=self._dtype)
        old = len(self._tail)
        window = torch.empty(old + len(x) + last, *x.shape[1:], dtype=self._dtype, device=x.device)
        window[:old] = self._tail
        window[old + len(x) :] = 0
        new = window[old : old + len(x)]
        if self._dtype == torch.float32:
            torch.addcmul(self._addend, x, self._factor, out=new)
            torch.nn.functional.silu(new, inplace=True)
        else:
            activated = torch.addcmul(self._addend, x, self._factor)
            new.copy_(shrink(torch.nn.functional.silu(activated, inplace=True), self._dtype))
        return self._convolve(window)

    def flush(self) -> Tensor:
        """The result for the last frame."""
        assert self._tail is not None
        return self._convolve(torch.cat((self._tail, torch.zeros_like(self._tail[:1]))))

    def _convolve(self, window: Tensor) -> Tensor:
        frames, channels, height, width = window.shape
        self._tail = window[-2:].clone()
        count = max(0, frames - 2)
        size = height * width
        # Three frames that lie behind one another in memory are one matrix: windows overlap and nothing is copied.
        three = window.as_strided((count, 3 * channels, size), (channels * size, size, 1))
        bias = self._conv.bias
        assert bias is not None
        if self._dtype == torch.float32:
            result = torch.baddbmm(bias[None, :, None], self._matrix.expand(count, -1, -1), three)
        else:
            result = half_sum(torch.bmm(self._matrix.expand(count, -1, -1), three), bias, self._dtype)
        return result.view(count, channels, height, width)
