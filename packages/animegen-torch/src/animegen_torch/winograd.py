"""Convolutions with kernels of three rows, in half the products: for processors, where products are what takes time.

Winograd's minimal filtering F(4, 3) along one axis (Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks",
CVPR 2016): four rows of the result need six products of rows instead of twelve. Six rows of the input are seen as a
polynomial and evaluated at 0, ±P, ±Q and infinity, so are the three rows of the kernel, and the product of both is
brought back to four rows. The points are those with small rounding errors (after Barabasz et al., "Error Analysis and
Improving the Accuracy of Winograd Convolution", 2020): in float32 about twice those of a plain convolution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import conv2d

P, Q = 0.75, 1.5
PP, QQ = P * P, Q * Q
INFINITY = 5
"""Number of the point at infinity; the others are 0, P, -P, Q, -Q."""
ROWS = 4
"""Rows of the result that are made together."""
PIECE = 8 << 20
"""Bytes of input that are worked on at once: enough to share the kernels, little enough to stay near the processor."""

MANY_PIXELS = 1024
"""Kernels are brought into their form in each call; fewer pixels do not make up for that."""
MANY_PRODUCTS = 256
"""Channels times columns of a kernel; with fewer the sums around the products take longer than half of those."""


def pays(x: Tensor, weight: Tensor, stride: int = 1) -> bool:
    """Whether `three_rows` is faster than `conv2d` here, and as good: float32 on a processor, without gradients.

    Args:
        x: (N, C, H, W).
        weight: (C', C, 3, K).
        stride: Of the convolution.
    """
    if x.device.type != "cpu" or x.dtype != torch.float32 or weight.dtype != torch.float32 or stride != 1:
        return False
    if torch.is_grad_enabled() or x.requires_grad or weight.shape[2] != 3:
        return False
    if x.shape[2] < ROWS or x.shape[0] * x.shape[2] * x.shape[3] < MANY_PIXELS:
        return False
    return min(weight.shape[0], weight.shape[1]) * weight.shape[3] >= MANY_PRODUCTS


def three_rows(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The convolution of (N, C, H, W) with (C', C, 3, K), zeros around, stride 1: (N, C', H, W), channels last.

    K is odd: 3 for pictures, 1 for clips (B, C, T, H·W) over time. The arithmetic is that of the input's type; what
    comes out differs from `conv2d` by rounding. Memory beside the result is a few times `PIECE`.
    """
    n, _, height, width = x.shape
    across = weight.shape[3]
    if across % 2 == 0 or weight.shape[2] != 3:
        raise ValueError(f"kernels are 3 × odd, not {weight.shape[2]} × {across}")
    blocks = -(-height // ROWS)
    result = x.new_empty(n, ROWS * blocks, width, len(weight))
    pieces = list(_pieces(x, weight.nbytes, wide=across > 1))
    # Together the kernels are twice the weights: they are kept only where they are used again.
    kernels = [_kernel(weight, point) for point in range(INFINITY + 1)] if len(pieces) > 1 else None
    for items, band, columns in pieces:
        rows = x.permute(0, 2, 3, 1)[items, :, columns]
        at = partial(_kernel, weight) if kernels is None else kernels.__getitem__
        out = result[items, ROWS * band.start : ROWS * band.stop, columns]
        _four_rows(rows, ROWS * band.start, at, bias, out)
    return result[:, :height].permute(0, 3, 1, 2)


def _pieces(x: Tensor, weights: int, *, wide: bool) -> Iterator[tuple[slice, slice, slice]]:
    """Parts of `x`, one for each turn: items, blocks of rows, columns; of columns only where no kernel reaches across.

    A block of rows knows nothing of the others, so how they are parted changes no bit. One picture is parted where it
    takes more memory than the kernels, which are then kept, in their form: twice `weights`, bytes.
    """
    n, channels, height, width = x.shape
    column = channels * height * x.element_size()
    blocks = -(-height // ROWS)
    if not wide:
        count = max(16, PIECE // (column * n))
        yield from ((slice(None), slice(0, blocks), slice(start, start + count)) for start in range(0, width, count))
        return
    items = max(1, PIECE // (column * width))
    turns = max(1, column * width // PIECE) if column * width > 2 * weights else 1
    band = -(-blocks // turns)
    for start in range(0, n, items):
        for first in range(0, blocks, band):
            yield slice(start, start + items), slice(first, min(first + band, blocks)), slice(None)


def _kernel(weight: Tensor, point: int) -> Tensor:
    """The kernel at 0, P, -P, Q, -Q or infinity, (C', C, 1, K), with what the interpolation divides by."""
    first, second, third = (one[:, :, None] for one in weight.unbind(2))
    if point == 0:
        kernel = first / (PP * QQ)
    elif point == INFINITY:
        kernel = third
    else:
        at, other = (P, Q) if point < 3 else (Q, P)
        by = 1 / (2 * at * at * (at * at - other * other))
        odd = at * by if point % 2 else -at * by
        kernel = torch.add(first, third, alpha=at * at).mul_(by).add_(second, alpha=odd)
    return kernel.contiguous(memory_format=torch.channels_last)


def _four_rows(rows: Tensor, start: int, kernel_at: Callable[[int], Tensor], bias: Tensor | None, out: Tensor) -> None:
    """`rows` (n, H, W, C) into `out` (n, 4 · blocks, W, C'), the result from row `start` on.

    Each of x0 ... x5 holds one row of every block of six.
    """
    n, height, width, channels = rows.shape
    last = out.shape[1]
    padded = rows.new_empty(n, last + 2, width, channels)
    first, end = max(0, start - 1), min(height, start + last + 1)
    before, filled = first - (start - 1), end - first
    padded[:, :before] = 0
    padded[:, before : before + filled] = rows[:, first:end]
    padded[:, before + filled :] = 0
    x0, x1, x2, x3, x4, x5 = (padded[:, j : j + last - 3 : ROWS] for j in range(6))

    def product(x: Tensor, point: int) -> Tensor:
        kernel = kernel_at(point)
        y = conv2d(x.flatten(0, 1)[:, None].permute(0, 3, 1, 2), kernel, padding=(0, kernel.shape[3] // 2))
        return y.permute(0, 2, 3, 1).view(n, -1, width, len(kernel))

    even, odd = torch.sub(x4, x2, alpha=QQ), torch.sub(x3, x1, alpha=QQ)
    at_p, below = product(torch.add(even, odd, alpha=P), 1), product(torch.sub(even, odd, alpha=P), 2)
    near, near_odd = at_p + below, at_p.sub_(below)
    torch.sub(x4, x2, alpha=PP, out=even)
    torch.sub(x3, x1, alpha=PP, out=odd)
    at_q, below = product(torch.add(even, odd, alpha=Q), 3), product(torch.sub(even, odd, alpha=Q), 4)
    far, far_odd = at_q + below, at_q.sub_(below)
    torch.sub(x4, x2, alpha=PP + QQ, out=even)
    torch.sub(x5, x3, alpha=PP + QQ, out=odd)
    zero, infinity = product(even.add_(x0, alpha=PP * QQ), 0), product(odd.add_(x1, alpha=PP * QQ), INFINITY)
    if bias is not None:
        zero += bias
        infinity += bias
        inner = bias
    else:
        inner = rows.new_zeros(())
    torch.add(zero.add_(near), far, out=out[:, 0::ROWS])
    torch.add(torch.add(inner, near_odd, alpha=P), far_odd, alpha=Q, out=out[:, 1::ROWS])
    torch.add(torch.add(inner, near, alpha=PP), far, alpha=QQ, out=out[:, 2::ROWS])
    torch.add(infinity.add_(near_odd, alpha=P**3), far_odd, alpha=Q**3, out=out[:, 3::ROWS])
