"""Animated GIF, WebP and PNG: their delays and pictures, decoded by Pillow."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from animegen.media import Image

NO_DELAY = Fraction(100)
"""Milliseconds that viewers show a frame which names no delay."""


def picture(header: Any, index: int) -> Image:
    """Frame `index` of the Pillow image `header`, laid upon those before as the file says: (H, W, 4) uint8 RGBA."""
    header.seek(index)
    return np.array(header.convert("RGBA"))


def delays(header: Any, data: bytes) -> list[Fraction]:
    """How long each frame stays, in milliseconds; `data` is the whole file."""
    if header.format == "WEBP":  # Pillow knows only after decoding
        named = [Fraction(int.from_bytes(body[12:15], "little")) for kind, body in _riff(data) if kind == b"ANMF"]
        return [delay or NO_DELAY for delay in named] or [NO_DELAY] * header.n_frames
    found = []
    for index in range(header.n_frames):
        header.seek(index)
        found.append(Fraction(header.info.get("duration", 0)).limit_denominator(1000) or NO_DELAY)
    return found


def simplest_rate(count: int, total: Fraction, tick: Fraction) -> Fraction:
    """The rate with the smallest denominator whose `count` frames last `total` ms, up to a tick of the clock."""
    exact = 1000 * count / total
    for denominator in (1, 2, 3, 4, 1001):
        rate = Fraction(round(exact * denominator), denominator)
        if rate and abs(1000 * count / rate - total) <= tick:
            return rate
    return exact.limit_denominator(1001)


def _riff(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of the chunks of a WebP file."""
    place = 12
    while place + 8 <= len(data):
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        yield data[place : place + 4], data[place + 8 : place + 8 + size]
        place += 8 + size + size % 2
