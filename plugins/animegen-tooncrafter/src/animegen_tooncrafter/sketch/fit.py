"""Drawings at the size of the keyframes, letterboxed like them: hints for the sketch encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

import numpy as np

from animegen._cv2 import cv2
from animegen.builtin.descreen import Descreen
from animegen.builtin.plugin import DescreenOptions
from animegen.errors import InputError
from animegen.media import Box
from animegen.pictures.sizing import plan_fit
from animegen.stages import Context, Needs
from animegen_tooncrafter.sketch.drawings import is_drawing, lines_of_drawing
from animegen_tooncrafter.sketch.lines import lines_of_clip

if TYPE_CHECKING:
    from animegen.media import Image
    from animegen_tooncrafter.sketch.lines import Plane

_SLACK = 2  # pixels by which two ways of rounding may differ
_BAR = 4  # narrower even margins are no letterbox


def hints(
    drawings: Mapping[int, Image],
    keyframe: Image,
    kind: str = "auto",
    *,
    warn: Callable[[str], None] = lambda message: None,
) -> dict[int, Plane]:
    """Sketches by frame, (H, W) float32 of the keyframe's size, white lines (1) on black (0).

    Args:
        drawings: By frame, (h, w, 3) uint8 RGB of any one size, with the aspect of the first panel.
        keyframe: The first keyframe as the stage sees it, (H, W, 3) uint8 RGB, perhaps letterboxed.
        kind: One of `options.KINDS`.
        warn: Told when the aspect seems to differ, and when there are no lines.

    Raises:
        InputError: The aspect differs from that of the keyframe.
    """
    height, width = keyframe.shape[:2]
    tall, wide = next(iter(drawings.values())).shape[:2]
    box = plan_fit((wide, tall), (wide, tall), needs=Needs(size=(width, height))).inner
    _check_aspect(keyframe, box, (wide, tall), warn)
    if kind == "auto":
        votes = [is_drawing(drawing) for drawing in drawings.values()]
        kind = "lines" if 2 * sum(votes) > len(votes) else "frames"
    size = (box.width, box.height)
    frames = sorted(drawings)
    if kind == "lines":
        found = [lines_of_drawing(drawings[frame], size) for frame in frames]
    else:
        found = lines_of_clip([_resized(without_tone(drawings[frame]), size) for frame in frames], numbers=frames)
    if empty := [str(frame) for frame, lines in zip(frames, found, strict=True) if lines.max() < 0.5]:
        warn(f"The drawing for frame {', '.join(empty)} has no lines; it steers towards an empty picture.")
    placed = {}
    for frame, lines in zip(frames, found, strict=True):
        placed[frame] = np.zeros((height, width), np.float32)
        placed[frame][box.y0 : box.y1, box.x0 : box.x1] = lines
    return placed


def without_tone(picture: Image) -> Image:
    """`picture` with flat grey for printed screentone, whose rows of dots would be lines; itself where it has none."""
    # Before any resizing, which makes moiré of it. The stage asks nothing of its context.
    cleaned: Image = Descreen(DescreenOptions(), cast("Context", None))(picture)
    return cleaned


def _check_aspect(keyframe: Image, box: Box, size: tuple[int, int], warn: Callable[[str], None]) -> None:
    """Whether the bars that the drawings get are bars in the keyframe too, and the other way round.

    The stage does not see the panel, only the keyframe. Its bars have one colour exactly; so has many a panel's own
    margin, and that is why the second case is no error.
    """
    picture = _picture_in(keyframe)
    if picture is None:
        return
    inside = (
        box.x0 <= picture.x0 + _SLACK
        and box.y0 <= picture.y0 + _SLACK
        and box.x1 >= picture.x1 - _SLACK
        and box.y1 >= picture.y1 - _SLACK
    )
    said = f"{size[0]}x{size[1]}, an aspect of {size[0] / size[1]:.2f}"
    if not inside:
        raise InputError(
            f"The drawings (option sketch of tooncrafter) are {said}; the panels have one of about "
            f"{picture.width / picture.height:.2f}.",
            hint="draw over a copy of the first panel, or cut the drawings to its aspect",
        )
    height, width = keyframe.shape[:2]
    across, down = min(picture.x0, width - picture.x1), min(picture.y0, height - picture.y1)
    barred = (across >= _BAR and abs(picture.x0 - (width - picture.x1)) <= 1) or (
        down >= _BAR and abs(picture.y0 - (height - picture.y1)) <= 1
    )
    if barred and abs(np.log(picture.width / picture.height / (size[0] / size[1]))) > 0.03:
        warn(
            f"The drawings are {said}; the picture in the keyframe seems to have one of "
            f"{picture.width / picture.height:.2f}. If so, they are not where they should be."
        )


def _picture_in(keyframe: Image) -> Box | None:
    """The keyframe without rows and columns at its rim that have, all of them, exactly the colour of its corner.

    None where it is all of that colour.
    """
    differs = (keyframe != keyframe[0, 0]).any(axis=2)
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not rows.size:
        return None
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def _resized(picture: Image, size: tuple[int, int]) -> Image:
    """As the core does it."""
    if (picture.shape[1], picture.shape[0]) == size:
        return picture
    smaller = size[0] * size[1] < picture.shape[0] * picture.shape[1]
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC))
