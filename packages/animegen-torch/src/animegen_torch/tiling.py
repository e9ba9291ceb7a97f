"""Pictures too large for the device, tile by tile, with seams that cannot be seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

Size = int | tuple[int, int]


def tiled(
    function: Callable[..., Tensor], pictures: Sequence[Tensor], tile: Size, *, overlap: Size = 32, scale: int = 1
) -> Tensor:
    """`function` over tiles of one or several pictures, blended smoothly where tiles overlap.

    Each new tile is faded in over what is there, so weights sum to 1 everywhere, and a function that treats every pixel
    by itself gives the very bits that it gives without tiles. Besides the result no more than one strip of it and
    one tile are in memory.

    Args:
        function: Called with the same tile of every picture, each (N, C, h, w), gives (N, C', h × scale, w × scale).
        pictures: Each (N, C, H, W) of one H and W, for instance two frames and their flow.
        tile: Size of a tile, or (height, width), in pixels of the pictures. A picture that is smaller is one tile.
        overlap: By how much neighbours overlap at least, or (height, width): best twice as far as the function looks.
        scale: How many times larger its result is.

    Returns:
        (N, C', H × scale, W × scale).

    Raises:
        ValueError: The overlap is not smaller than the tile, the pictures differ in size, or the function gives
            another size than `scale` says.
    """
    size = pictures[0].shape[2:]
    if any(picture.shape[2:] != size for picture in pictures):
        raise ValueError(f"pictures of different sizes: {[tuple(picture.shape) for picture in pictures]}")
    (th, tw), (oh, ow) = _both(tile), _both(overlap)
    rows, columns = spans(size[0], th, oh), spans(size[1], tw, ow)
    result: Tensor | None = None
    done = 0
    for top, bottom in rows:
        strip = _strip(function, pictures, top, bottom, columns, scale)
        if result is None:
            if len(rows) == 1:
                return strip
            result = strip.new_empty(*strip.shape[:2], size[0] * scale, strip.shape[3])
        _fade_in(result, strip, top * scale, done, dim=2)
        done = bottom * scale
    assert result is not None
    return result


def spans(size: int, tile: int, overlap: int) -> list[tuple[int, int]]:
    """Where tiles begin and end along one axis: as few as possible, spread evenly, all of one length.

    Raises:
        ValueError: The overlap is negative or not smaller than the tile.
    """
    if not 0 <= overlap < tile:
        raise ValueError(f"tiles of {tile} cannot overlap by {overlap}")
    if size <= tile:
        return [(0, size)]
    count = math.ceil((size - overlap) / (tile - overlap))
    starts = [round(number * (size - tile) / (count - 1)) for number in range(count)]
    assert all(one + tile - other >= overlap for one, other in pairwise(starts))
    return [(start, start + tile) for start in starts]


def ramp(length: int, *, device: torch.device | None = None, dtype: torch.dtype = torch.float32) -> Tensor:
    """(length,) weights of a new tile over an overlap, from just above 0 to just below 1 without a corner."""
    places = (torch.arange(length, device=device, dtype=torch.float32) + 0.5) / max(length, 1)
    return (torch.sin(places * (math.pi / 2)) ** 2).to(dtype)


def _strip(
    function: Callable[..., Tensor],
    pictures: Sequence[Tensor],
    top: int,
    bottom: int,
    columns: Sequence[tuple[int, int]],
    scale: int,
) -> Tensor:
    width = pictures[0].shape[3]
    strip: Tensor | None = None
    done = 0
    for (left, right), part in _cut(pictures, top, bottom, columns):
        new = function(*part)
        if new.shape[2:] != ((bottom - top) * scale, (right - left) * scale):
            raise ValueError(f"a tile of {bottom - top} × {right - left} became {tuple(new.shape)}, scale is {scale}")
        if len(columns) == 1:
            return new
        if strip is None:
            strip = new.new_empty(*new.shape[:3], width * scale)
        _fade_in(strip, new, left * scale, done, dim=3)
        done = right * scale
    assert strip is not None
    return strip


def _cut(
    pictures: Sequence[Tensor], top: int, bottom: int, columns: Sequence[tuple[int, int]]
) -> Iterator[tuple[tuple[int, int], list[Tensor]]]:
    for left, right in columns:
        yield (left, right), [picture[:, :, top:bottom, left:right] for picture in pictures]


def _fade_in(canvas: Tensor, new: Tensor, start: int, done: int, *, dim: int) -> None:
    """Lay `new` on `canvas` from `start` on along `dim`, of which everything before `done` is already drawn."""
    shared = done - start if done else 0
    length = new.shape[dim]
    if shared:
        there = canvas.narrow(dim, start, shared)
        weight = ramp(shared, device=new.device, dtype=new.dtype)
        # a + w (b - a): equal to a where b is, to the bit, which a sum of two weighted values is not.
        there.copy_(torch.lerp(there, new.narrow(dim, 0, shared), weight[:, None] if dim == 2 else weight))
    canvas.narrow(dim, start + shared, length - shared).copy_(new.narrow(dim, shared, length - shared))


def _both(size: Size) -> tuple[int, int]:
    return size if isinstance(size, tuple) else (size, size)
