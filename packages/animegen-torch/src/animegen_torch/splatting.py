"""Forward warping: every pixel goes where its flow vector points and lands on the four pixels around that place.

Source: Niklaus & Liu, "Softmax Splatting for Video Frame Interpolation", CVPR 2020, section 3.1. Where several pixels
land on one, their values are added (summation), averaged (average), or averaged with a weight for each that is given
(linear) or the exponential of what is given (softmax).

How it is computed: a bilinear splat is the transpose of bilinear sampling, so it is what torch's sampler computes as
the gradient of its image. One pass over the pixels, where index arithmetic makes four and keeps eight intermediates.
The sampler takes coordinates from -1 to 1, which would shift whole pixels by a rounding error and leak a trace of them
into the holes beside; with sides that are powers of two the conversion is exact for whole pixels, so the sampler is
shown such a canvas.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

Mode = Literal["summation", "average", "linear", "softmax"]

MANY = 24
"""Channels from which on index arithmetic adds whole pixels."""
_CENTRES = {"interpolation_mode": 0, "padding_mode": 0, "align_corners": False}  # bilinear, zeros outside


def splat(
    values: Tensor, flow: Tensor, *, mode: Mode = "summation", metric: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """`values` moved along `flow`.

    Args:
        values: (N, C, H, W), any floating type; sums are kept in float32 (float64 for float64).
        flow: (N, 2, H, W), (dx, dy) in pixels. What lands outside is dropped, as is a vector that is not a number.
        mode: What happens where several pixels land on one.
        metric: (N, 1, H, W): the weight of each pixel (linear), or its logarithm (softmax; nothing is subtracted
            from it, so keep it below about 80).
        eps: None leaves places where nothing landed at 0 and divides the others by exactly their weight (EISAI,
            AnimeInterp); a number is added to every weight (1e-7 in the authors' own code of softmax splatting).

    Returns:
        (N, C, H, W) in the type of `values`. Gradients reach values, flow and metric. On the processor equal input
        gives equal bits; on CUDA the order of additions varies.

    Raises:
        ValueError: The shapes do not belong together, or a metric is missing or given in vain.
    """
    if (metric is not None) != (mode in ("linear", "softmax")):
        raise ValueError(f"mode {mode} {'takes no metric' if metric is not None else 'needs a metric'}")
    if mode == "summation":
        return splat_sum(values, flow)
    weight = torch.ones_like(values[:, :1]) if metric is None else metric.to(_wide(values.dtype))
    if mode == "softmax":
        weight = weight.exp()
    total, weights = splat_weighted(values, flow, weight)
    divisor = torch.where(weights == 0, 1, weights) if eps is None else weights + eps
    return (total / divisor).to(values.dtype)


def splat_weighted(values: Tensor, flow: Tensor, weight: Tensor, *, exact: bool = False) -> tuple[Tensor, Tensor]:
    """The sums of values × weight, and of weights, where they land: ((N, C, H, W), (N, 1, H, W)), in float32 or wider.

    The second is 0 exactly where nothing landed: a map of holes.

    Args:
        exact: Take positions to their last bit, as index arithmetic has them: two to four times the time for few
            channels, the same for many. The sampler's coordinates are good to some 1e-5 of a pixel, which shows where
            hardly anything lands and the sums are divided by one another.
    """
    wide = _wide(values.dtype)
    weight = weight.to(wide)
    together = torch.cat((values.to(wide) * weight, weight), 1)
    both = scatter(together, flow.to(wide)) if exact else splat_sum(together, flow)
    return both[:, :-1], both[:, -1:]


def splat_sum(values: Tensor, flow: Tensor) -> Tensor:
    """Summation splatting: `splat` without a weight."""
    if values.dim() != 4 or flow.shape != (values.shape[0], 2, *values.shape[2:]):
        raise ValueError(f"values {tuple(values.shape)} and flow {tuple(flow.shape)} do not belong together")
    wide = _wide(values.dtype)
    arguments = values.to(wide), flow.to(wide)
    # Apple's backend has no gradient of the sampler.
    result: Tensor = scatter(*arguments) if values.device.type == "mps" else _Splat.apply(*arguments)
    return result.to(values.dtype)


def scatter(values: Tensor, flow: Tensor) -> Tensor:
    """Summation splatting by plain index arithmetic: right to the last bit on every device and in every type of float.

    Of many channels whole pixels are added, of few each by itself: the sums are the same, in the same order.
    """
    N, C, H, W = values.shape
    x, y = _landing(flow)
    left, top = x.floor(), y.floor()
    many = C >= MANY
    source = values.permute(0, 2, 3, 1).reshape(-1, C) if many else values
    start = torch.arange(N, device=values.device).view(N, 1, 1) * (H * W)
    result = values.new_zeros(N * H * W, C) if many else values.new_zeros(N, C, H * W)
    for column, across in ((left, left + 1 - x), (left + 1, x - left)):
        for row, down in ((top, top + 1 - y), (top + 1, y - top)):
            inside = (column >= 0) & (column < W) & (row >= 0) & (row < H)
            place = torch.where(inside, row * W + column, 0).long()
            weight = across * down * inside
            if many:
                result.index_add_(0, (place + start).flatten(), source * weight.flatten()[:, None])
            else:
                part = source * weight[:, None]
                result.scatter_add_(2, place.view(N, 1, -1).expand(-1, C, -1), part.reshape(N, C, -1))
    return result.view(N, H, W, C).permute(0, 3, 1, 2) if many else result.view(N, C, H, W)


class _Splat(torch.autograd.Function):
    """splat(values, flow) is linear in values; sampling at the same points is its transpose."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, flow: Tensor) -> Tensor:
        ctx.save_for_backward(values, flow)
        N, C, H, W = values.shape
        canvas = _canvas(H, W)
        grid = _grid(flow, canvas)
        groups = _groups(C, N, values.device)
        result, _ = torch.ops.aten.grid_sampler_2d_backward(
            values.reshape(N * groups, C // groups, H, W),
            values.new_empty(1).expand(N * groups, C // groups, *canvas),  # only its shape is looked at
            grid.repeat_interleave(groups, 0) if groups > 1 else grid,
            **_CENTRES,
            output_mask=[True, False],
        )
        cut: Tensor = result.view(N, C, *canvas)[:, :, :H, :W]
        return cut

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        values, flow = ctx.saved_tensors
        H, W = values.shape[2:]
        canvas = _canvas(H, W)
        grid = _grid(flow, canvas)
        gradient = pad(gradient, (0, canvas[1] - W, 0, canvas[0] - H))
        of_values = of_flow = None
        if ctx.needs_input_grad[0]:
            of_values = torch.ops.aten.grid_sampler_2d(gradient, grid, **_CENTRES)
        if ctx.needs_input_grad[1]:
            _, of_grid = torch.ops.aten.grid_sampler_2d_backward(
                values.contiguous(), gradient, grid, **_CENTRES, output_mask=[False, True]
            )
            of_flow = of_grid.permute(0, 3, 1, 2) * of_grid.new_tensor((2 / canvas[1], 2 / canvas[0])).view(1, 2, 1, 1)
        return of_values, of_flow


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def _canvas(height: int, width: int) -> tuple[int, int]:
    """The next powers of two."""
    return 1 << (height - 1).bit_length(), 1 << (width - 1).bit_length()


def _landing(flow: Tensor) -> tuple[Tensor, Tensor]:
    """Where each pixel lands, (N, H, W) each for x and y; what is far outside is brought to just outside."""
    H, W = flow.shape[2:]
    x = flow[:, 0] + torch.arange(W, device=flow.device, dtype=flow.dtype)
    y = flow[:, 1] + torch.arange(H, device=flow.device, dtype=flow.dtype)[:, None]
    return x.clamp(-2, W + 1).nan_to_num(-2), y.clamp(-2, H + 1).nan_to_num(-2)


def _grid(flow: Tensor, canvas: tuple[int, int]) -> Tensor:
    """`_landing` as coordinates of the sampler, in as few passes over as little memory as there can be."""
    grid = torch.empty_like(flow, memory_format=torch.contiguous_format)
    H, W = flow.shape[2:]
    steps = (
        torch.arange(W, device=flow.device, dtype=flow.dtype),
        torch.arange(H, device=flow.device, dtype=flow.dtype)[:, None],
    )
    for axis, (step, size, side) in enumerate(zip(steps, (W, H), canvas[::-1], strict=True)):
        part = grid[:, axis]
        part.copy_(flow[:, axis]).add_(step).clamp_(-2, size + 1).nan_to_num_(-2).add_(0.5).mul_(2 / side).sub_(1)
    return grid.permute(0, 2, 3, 1)


def _groups(channels: int, pictures: int, device: torch.device) -> int:
    """Into how many groups of channels to divide: the sampler shares out pictures among threads, never channels."""
    if device.type != "cpu" or torch.compiler.is_compiling():
        return 1
    most = max(1, torch.get_num_threads() // pictures)
    return max(number for number in range(1, min(most, channels) + 1) if channels % number == 0)
