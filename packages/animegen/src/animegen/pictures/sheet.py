"""A clip at a glance: every n-th frame with its number and time, the two panels at the ends."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from animegen._cv2 import cv2
from animegen.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from animegen.media import Frames, Image

_GROUND, _INK, _MARK = (236, 236, 236), (40, 40, 40), (214, 92, 46)
_GAP = 12
_LABEL = 24
_NARROWEST = 104  # px; a label fits
_TALLEST = 480
_AREA = 260 * 260  # of a tile, px, unless `columns` says otherwise


class _Tile(NamedTuple):
    image: Image
    label: str
    is_panel: bool


def contact_sheet(
    frames: Frames | Sequence[Image],
    *,
    first: Image | None = None,
    last: Image | None = None,
    panels: Sequence[tuple[int, str, Image]] = (),
    caption: str = "",
    numbers: Sequence[int] | None = None,
    fps: Fraction | None = None,
    columns: int | None = None,
    max_width: int = 1600,
    count: int = 16,
) -> Image:
    """Draw a contact sheet.

    Args:
        frames: (T, H, W, 3) uint8 RGB, or a sequence that reads a frame when asked; only those shown are read.
        first: The first panel, shown before the frames.
        last: The last panel, shown after them.
        panels: Further panels in order, each with the index of the frame that it is shown before, and its label.
        caption: A line above everything, e.g. what the clip is not to be taken for.
        numbers: Which frames of a clip `frames` are, where they are a selection.
        fps: Frames per second, to write the time under each frame.
        columns: Tiles in a row; chosen by the aspect of the frames when absent.
        max_width: Largest width of the sheet, px.
        count: Largest number of frames shown, evenly spaced, the first and the last always among them.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        UsageError: There are no frames, or there is no room for them.
    """
    if not len(frames):
        raise UsageError("a contact sheet needs at least one frame.")
    if count < 1 or (columns is not None and columns < 1):
        raise UsageError(f"a contact sheet of {count} frames in {columns} columns cannot be drawn.")
    waiting = deque(panels)
    tiles = [_Tile(first, "first panel", True)] if first is not None else []
    for index in _chosen(len(frames), count):
        while waiting and waiting[0][0] <= index:
            tiles.append(_panel_tile(waiting.popleft()))
        number = index if numbers is None else numbers[index]
        time = "" if fps is None else f"   {float(number / fps):.2f} s"
        tiles.append(_Tile(frames[index], f"{number}{time}", False))
    tiles += map(_panel_tile, waiting)
    if last is not None:
        tiles.append(_Tile(last, "last panel", True))
    height, width = frames[0].shape[:2]
    columns, width, height = _layout(len(tiles), width, height, columns, max_width)
    cell = max(width, _NARROWEST)
    rows = -(-len(tiles) // columns)
    sheet = np.empty((_GAP + rows * (height + _LABEL + _GAP), _GAP + columns * (cell + _GAP), 3), np.uint8)
    sheet[:] = _GROUND
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        x, y = _GAP + column * (cell + _GAP), _GAP + row * (height + _LABEL + _GAP)
        _draw(sheet, tile, x, y, cell, width, height)
    return np.vstack([_headline(caption, sheet.shape[1]), sheet]) if caption else sheet


def _panel_tile(panel: tuple[int, str, Image]) -> _Tile:
    _, label, image = panel
    return _Tile(image, label, True)


def _headline(text: str, width: int) -> Image:
    """A line of text across the sheet, as large as fits."""
    line = np.empty((_LABEL + _GAP, width, 3), np.uint8)
    line[:] = _GROUND
    (wide, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 1)
    scale = min(0.6, (width - 2 * _GAP) / wide)
    cv2.putText(line, text, (_GAP, _LABEL), cv2.FONT_HERSHEY_SIMPLEX, scale, _MARK, 1, cv2.LINE_AA)
    return line


def _chosen(total: int, count: int) -> list[int]:
    """At most `count` evenly spaced indices below `total`, both ends among them."""
    if count == 1 or total == 1:
        return [0]
    return sorted({round(index) for index in np.linspace(0, total - 1, min(count, total))})


def _layout(tiles: int, width: int, height: int, columns: int | None, limit: int) -> tuple[int, int, int]:
    """Columns, and the width and height of a tile."""
    room = limit - _GAP
    if room < _NARROWEST + _GAP or (columns or 1) * (_NARROWEST + _GAP) > room:
        raise UsageError(f"{columns or 1} columns of a contact sheet do not fit into {limit} px.")
    if columns is None:
        wanted = width * math.sqrt(_AREA / (width * height))
        wanted = min(max(wanted, _NARROWEST), room - _GAP)
        most = max(1, int(room // (wanted + _GAP)))
        rows = -(-tiles // most)
        columns = -(-tiles // rows)  # as few columns as these rows need, so that the last one is not left over
    columns = min(columns, tiles)
    # As wide as the columns allow, but not larger than life unless life is tiny, and not endlessly tall.
    scale = min((room // columns - _GAP) / width, _TALLEST / height, max(1.0, _NARROWEST / width))
    return columns, max(1, round(width * scale)), max(1, round(height * scale))


def _draw(sheet: Image, tile: _Tile, x: int, y: int, cell: int, width: int, height: int) -> None:
    source_height, source_width = tile.image.shape[:2]
    scale = min(width / source_width, height / source_height)
    w, h = max(1, round(source_width * scale)), max(1, round(source_height * scale))
    smaller = scale < 1
    picture = cv2.resize(tile.image, (w, h), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_NEAREST)
    left, top = x + (cell - w) // 2, y + (height - h) // 2
    sheet[top : top + h, left : left + w] = picture
    if tile.is_panel:
        cv2.rectangle(sheet, (left - 3, top - 3), (left + w + 2, top + h + 2), _MARK, 2)
    colour = _MARK if tile.is_panel else _INK
    font = cv2.FONT_HERSHEY_SIMPLEX  # OpenCV brings it along: no font has to be installed
    (wide, _), _ = cv2.getTextSize(tile.label, font, 0.48, 1)
    place = (x + (cell - wide) // 2, y + height + _LABEL - 6)
    cv2.putText(sheet, tile.label, place, font, 0.48, colour, 1, cv2.LINE_AA)
