"""Backward warping by optical flow: every output pixel reads the image where its flow vector points.

A flow is (N, 2, H, W), channels (dx, dy), in pixels of the image it belongs to; the output at x reads the image at
x + dx. Published networks disagree about how pixels are turned into the -1 to 1 of torch's sampler, and a network only
gives its published result under its own `Convention`.

`warp` does everything. Whoever needs a warped image only at some pixels (RIFE sees it at an eighth of the size) takes
the two steps apart: `sampling_grid` with the rows and columns wanted, then `sample`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

Convention = Literal["corners", "centres", "mixed"]
"""Where -1 and 1 lie on the image, and what a pixel of flow is divided by.

corners: the centres of the outermost pixels; (size - 1) / 2. RIFE, AnimeInterp. Zero flow is the identity.
centres: the outer edges of the outermost pixels (half-pixel centres); size / 2. FILM. Zero flow is the identity.
mixed: the grid of "corners" sampled as "centres", flow divided by size / 2. EISAI. Zero flow stretches the image by up
    to half a pixel at its rim: a slip of the original that its weights are used to.
"""
Border = Literal["border", "zeros"]
"""What lies outside the image: the nearest pixel of its rim, or nothing."""

KEPT = 16
"""Sizes whose coordinates are kept. Each is H + W numbers, so that all of them together are below a megabyte."""


@dataclass(frozen=True)
class Coordinates:
    """The sampler's coordinates of the pixels of one image size, float32 (float64 for a float64 flow).

    Attributes:
        x: (W,), from left to right.
        y: (H,), from top to bottom.
        unit: Pixels of flow in one unit of the coordinates, (x, y).
    """

    x: Tensor
    y: Tensor
    unit: tuple[float, float]


_cache: OrderedDict[tuple[object, ...], Coordinates] = OrderedDict()
_lock = threading.Lock()


def coordinates(
    height: int,
    width: int,
    *,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    convention: Convention = "corners",
) -> Coordinates:
    """Coordinates of the pixels of an image of `height` × `width`; the last `KEPT` sizes are kept."""
    if torch.compiler.is_compiling():  # a compiler makes them on the spot; what it traces must not be kept
        return _coordinates(height, width, device, dtype, convention)
    key = (height, width, device, dtype, convention)
    with _lock:
        found = _cache.pop(key, None)
        if found is None:
            # Made under inference mode they could never take part in training again.
            with torch.inference_mode(False):
                found = _coordinates(height, width, device, dtype, convention)
        _cache[key] = found
        while len(_cache) > KEPT:
            _cache.popitem(last=False)
    return found


def forget_coordinates() -> None:
    """Drop all kept coordinates, for instance when a stage is closed."""
    with _lock:
        _cache.clear()


def _coordinates(
    height: int, width: int, device: torch.device, dtype: torch.dtype, convention: Convention
) -> Coordinates:
    if convention == "corners":
        unit = (max(width - 1, 1) / 2, max(height - 1, 1) / 2)
    else:
        unit = (width / 2, height / 2)
    ends = (1 - 1 / width, 1 - 1 / height) if convention == "centres" else (1.0, 1.0)
    x = torch.linspace(-ends[0], ends[0], width, device=device, dtype=dtype)
    y = torch.linspace(-ends[1], ends[1], height, device=device, dtype=dtype)
    return Coordinates(x, y, unit)


def sampling_grid(
    flow: Tensor,
    size: tuple[int, int] | None = None,
    *,
    rows: slice | Tensor | None = None,
    columns: slice | Tensor | None = None,
    convention: Convention = "corners",
) -> Tensor:
    """The coordinates that `flow` points to, for torch's sampler.

    Args:
        flow: (N, 2, h, w), (dx, dy) in pixels of the image; half precision is computed in float32.
        size: (H, W) of the image the flow belongs to; that of the flow where it has a vector for every pixel.
        rows: Which rows of the image the h rows of `flow` are: a slice or indices. All by default.
        columns: Likewise for columns.

    Returns:
        (N, h, w, 2), x before y. In memory it lies as (N, 2, h, w) does, which torch samples just as fast as the usual
        order and which spares a copy.

    Raises:
        ValueError: The flow does not have a vector for each of the rows and columns.
    """
    flow = flow if flow.dtype == torch.float64 else flow.float()
    height, width = size or (flow.shape[2], flow.shape[3])
    at = coordinates(height, width, device=flow.device, dtype=flow.dtype, convention=convention)
    x = at.x if columns is None else at.x[columns]
    y = at.y if rows is None else at.y[rows]
    if flow.dim() != 4 or flow.shape[1:] != (2, len(y), len(x)):
        raise ValueError(f"the flow has the shape {tuple(flow.shape)}; (N, 2, {len(y)}, {len(x)}) is expected")
    # Divided, not multiplied by the inverse: the last bit decides which side of a pixel's edge is read.
    if torch.compiler.is_compiling() or (flow.requires_grad and torch.is_grad_enabled()):
        grid = torch.stack((flow[:, 0] / at.unit[0] + x, flow[:, 1] / at.unit[1] + y[:, None]), 1)
    else:  # the same without a second copy
        grid = torch.empty_like(flow, memory_format=torch.contiguous_format)
        torch.div(flow[:, 0], at.unit[0], out=grid[:, 0]).add_(x)
        torch.div(flow[:, 1], at.unit[1], out=grid[:, 1]).add_(y[:, None])
    return grid.permute(0, 2, 3, 1)


def sample(image: Tensor, grid: Tensor, *, border: Border = "border", convention: Convention = "corners") -> Tensor:
    """`image` at the points of `grid`, bilinear.

    Args:
        image: (N, C, H, W). Half precision is sampled in float32: a grid in half precision misses its pixel beyond
            about 2000 of them.
        grid: (N, h, w, 2) from `sampling_grid` under the same convention.

    Returns:
        (N, C, h, w) in the type of `image`.
    """
    corners = convention == "corners"
    if border == "border" and grid.device.type == "mps":  # that sampler has no border of its own there
        height, width = image.shape[2:]
        ends = grid.new_tensor((1.0, 1.0) if corners else (1 - 1 / width, 1 - 1 / height))
        grid, border = grid.clamp(-ends, ends), "zeros"
    result = grid_sample(image.to(grid.dtype), grid, mode="bilinear", padding_mode=border, align_corners=corners)
    return result.to(image.dtype)


def warp(image: Tensor, flow: Tensor, *, border: Border = "border", convention: Convention = "corners") -> Tensor:
    """`image` read along `flow`, bilinear: output(x) = image(x + flow(x)).

    Args:
        image: (N, C, H, W), any floating type; several images under one flow are best joined along C, for the sampler
            then works out its weights once.
        flow: (N, 2, H, W), (dx, dy) in pixels.
        border: What is read outside the image.
        convention: How the network the flow comes from counts its pixels.

    Returns:
        (N, C, H, W) in the type of `image`; the sampling itself is in float32 (float64 for a float64 flow).

    Raises:
        ValueError: The flow has another size than the image.
    """
    if image.shape[2:] != flow.shape[2:]:
        raise ValueError(f"the image is {tuple(image.shape)}, its flow {tuple(flow.shape)}: the sizes differ")
    grid = sampling_grid(flow, convention=convention)
    return sample(image, grid, border=border, convention=convention)


def warp_into(
    out: Tensor, image: Tensor, flow: Tensor, *, border: Border = "border", convention: Convention = "corners"
) -> None:
    """`warp` into a tensor that is there already, such as some channels of a larger one.

    On a processor rows are shared out between threads: its sampler has one thread for each entry of a batch, and so
    only one for a single image.

    Args:
        out: (1, C, H, W), any layout and floating type.
        image: (1, C, H, W).
        flow, border, convention: As for `warp`.

    Raises:
        ValueError: Sizes differ.
    """
    if image.shape != out.shape or image.shape[2:] != flow.shape[2:] or len(image) != 1:
        raise ValueError(f"{tuple(image.shape)} along {tuple(flow.shape)} does not fit into {tuple(out.shape)}")
    if image.requires_grad or flow.requires_grad:
        out.copy_(warp(image, flow, border=border, convention=convention))
        return
    grid = sampling_grid(flow, convention=convention)
    height, width = flow.shape[2:]
    strips = _strips(grid.device, height)
    grid = grid.reshape(strips, height // strips, width, 2)
    result = sample(image.to(grid.dtype).expand(strips, -1, -1, -1), grid, border=border, convention=convention)
    out[0].view(out.shape[1], strips, -1, width).copy_(result.transpose(0, 1))


def _strips(device: torch.device, rows: int) -> int:
    """In how many strips of equal height to sample."""
    if device.type != "cpu" or torch.compiler.is_compiling():
        return 1
    return next((strips for strips in range(torch.get_num_threads(), 1, -1) if rows % strips == 0), 1)
