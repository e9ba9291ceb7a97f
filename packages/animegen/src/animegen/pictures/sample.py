"""A pair of panels drawn by the project itself, so that a first run needs no picture: a cat on a wall at night.

The first panel has a speech balloon and both have screentone, as manga has. The drawing is made on the spot, at
twice its size and then halved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from animegen._cv2 import cv2
from animegen.media import Box, Panel, PanelPair

if TYPE_CHECKING:
    from animegen.media import Image

WIDTH, HEIGHT = 640, 480
_SCALE = 2  # drawn larger, then averaged: anti-aliased ink and tone in one go
_INK, _PAPER = 0, 255
_PITCH = 8.5 * _SCALE / 2  # of the dot tone, in pixels of the large drawing: about 4 px in the panel
_TEXT_BOX = Box(92, 84, 234, 132)


def sample_pair() -> PanelPair:
    """The two panels, 640 × 480; the text box of the balloon is annotated."""
    first = Panel(_draw(0.0, balloon=True), text_boxes=(_TEXT_BOX,), name="sample-a")
    last = Panel(_draw(1.0, balloon=False), text_boxes=(), name="sample-b")
    return PanelPair(first, last, prompt="a black cat on a wall at night looks up", id="sample")


def _draw(pose: float, *, balloon: bool) -> Image:
    """The scene at `pose` 0 (the cat looks at us) or 1 (it has seen the moon)."""
    canvas = np.full((HEIGHT * _SCALE, WIDTH * _SCALE), _PAPER, np.uint8)
    _sky(canvas)
    _moon(canvas)
    _cloud(canvas, 430 + 46 * pose, 120)
    _cloud(canvas, 60 + 30 * pose, 215)
    _wall(canvas)
    _cat(canvas, pose)
    if balloon:
        _balloon(canvas)
    cv2.rectangle(canvas, (0, 0), (canvas.shape[1] - 1, canvas.shape[0] - 1), _INK, 4 * _SCALE)
    grey = cv2.resize(canvas, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(np.repeat(grey[:, :, None], 3, axis=2))


def _sky(canvas: Any) -> None:
    """Dot screentone at 45 degrees, denser towards the top."""
    height, width = canvas.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    wave = np.cos(2 * np.pi * (x + y) / (_PITCH * 2**0.5)) + np.cos(2 * np.pi * (x - y) / (_PITCH * 2**0.5))
    ink = 0.34 - 0.24 * y / height
    canvas[wave > 2 - 4 * ink] = _INK


def _moon(canvas: Any) -> None:
    _disc(canvas, 530, 92, 46, _PAPER)
    _ring(canvas, 530, 92, 46, 2)
    for dx, dy, radius in ((-14, -10, 9), (16, 8, 6), (-4, 20, 5)):
        _ring(canvas, 530 + dx, 92 + dy, radius, 1)


def _cloud(canvas: Any, x: float, y: float) -> None:
    puffs = ((0, 0, 26), (32, -12, 32), (70, -4, 28), (100, 4, 20))
    for dx, dy, radius in puffs:
        _disc(canvas, x + dx, y + dy, radius + 2, _INK)
    for dx, dy, radius in puffs:
        _disc(canvas, x + dx, y + dy, radius, _PAPER)


def _wall(canvas: Any) -> None:
    top = 372
    _polygon(canvas, [(0, top), (WIDTH, top), (WIDTH, HEIGHT), (0, HEIGHT)], _PAPER)
    _stroke(canvas, [(0, top), (WIDTH, top)], 4)
    for row in range(4):
        y = top + 30 * row
        _stroke(canvas, [(0, y), (WIDTH, y)], 2)
        for column in range(-1, 9):
            x = 80 * column + (40 if row % 2 else 0)
            _stroke(canvas, [(x, y), (x, y + 30)], 2)
            if (3 * row + column) % 5 == 0:  # a few bricks hatched, as a pen would
                for step in range(5):
                    _stroke(canvas, [(x + 8 + 7 * step, y + 24), (x + 16 + 7 * step, y + 8)], 1)


def _cat(canvas: Any, pose: float) -> None:
    sway = np.linspace(0, 1, 24)
    tail_x = 400 + 70 * sway + (46 - 64 * pose) * sway**2 * np.sin(np.pi * sway / 2)
    tail_y = 366 - 118 * sway + 26 * np.sin(2.2 * np.pi * sway)
    _stroke(canvas, list(zip(tail_x, tail_y, strict=True)), 17)
    _ellipse(canvas, 350, 312, 66, 70, 0, _INK)
    for x in (322, 364):
        _ellipse(canvas, x, 366, 20, 11, 0, _INK)
    dx, dy, tilt = 16 * pose, -10 * pose, -14 * pose
    _head(canvas, 340 + dx, 218 + dy, tilt, pose)
    _ellipse(canvas, 342, 318, 22, 32, 0, _PAPER)


def _head(canvas: Any, x: float, y: float, tilt: float, pose: float) -> None:
    turn = np.deg2rad(tilt)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])

    def at(points: Any) -> list[tuple[float, float]]:
        placed = np.asarray(points, float) @ rotation.T + (x, y)
        return [(float(px), float(py)) for px, py in placed]

    for side in (-1, 1):
        _polygon(canvas, at([(side * 20, -40), (side * 50, -86), (side * 62, -18)]), _INK)
        _polygon(canvas, at([(side * 34, -44), (side * 48, -66), (side * 53, -34)]), _PAPER)
    _ellipse(canvas, x, y, 66, 54, tilt, _PAPER, grow=2)
    _ellipse(canvas, x, y, 66, 54, tilt, _INK)
    gaze = (9 * pose, -7 * pose)
    for side in (-1, 1):
        ((ex, ey),) = at([(side * 26, -4)])
        _ellipse(canvas, ex, ey, 18, 21, tilt, _PAPER)
        ((px, py),) = at([(side * 26 + gaze[0], -4 + gaze[1])])
        _ellipse(canvas, px, py, 7, 13, tilt, _INK)
        _disc(canvas, px + 3, py - 5, 3, _PAPER)
        for whisker in (-8, 2, 12):
            _stroke(canvas, at([(side * 38, 22 + whisker / 3), (side * 96, 20 + whisker)]), 2)
    _polygon(canvas, at([(-6, 20), (6, 20), (0, 27)]), _PAPER)
    mouth = [(-12, 34), (-6, 38), (0, 32), (6, 38), (12, 34)]
    _stroke(canvas, at(mouth), 2, _PAPER)


def _balloon(canvas: Any) -> None:
    centre, axes = (164, 108), (112, 64)
    tail = [(212, 152), (282, 186), (246, 136)]
    _ellipse(canvas, *centre, *axes, 0, _INK, grow=3)
    _polygon(canvas, tail, _INK)
    _ellipse(canvas, *centre, *axes, 0, _PAPER)
    _polygon(canvas, [(214, 148), (272, 179), (243, 136)], _PAPER)
    origin = (round(96 * _SCALE), round(124 * _SCALE))
    cv2.putText(canvas, "MEOW?", origin, cv2.FONT_HERSHEY_DUPLEX, 1.28 * _SCALE, _INK, 3 * _SCALE, cv2.LINE_AA)


def _points(points: Any) -> Any:
    return np.rint(np.asarray(points, float) * _SCALE).astype(np.int32)


def _polygon(canvas: Any, points: Any, ink: int) -> None:
    cv2.fillPoly(canvas, [_points(points)], ink)


def _stroke(canvas: Any, points: Any, width: float, ink: int = _INK) -> None:
    cv2.polylines(canvas, [_points(points)], False, ink, round(width * _SCALE))


def _disc(canvas: Any, x: float, y: float, radius: float, ink: int) -> None:
    cv2.circle(canvas, tuple(map(int, _points((x, y)))), round(radius * _SCALE), ink, cv2.FILLED)


def _ring(canvas: Any, x: float, y: float, radius: float, width: float) -> None:
    cv2.circle(canvas, tuple(map(int, _points((x, y)))), round(radius * _SCALE), _INK, round(width * _SCALE))


def _ellipse(
    canvas: Any, x: float, y: float, across: float, down: float, tilt: float, ink: int, *, grow: float = 0
) -> None:
    axes = tuple(map(int, _points((across + grow, down + grow))))
    cv2.ellipse(canvas, tuple(map(int, _points((x, y)))), axes, tilt, 0, 360, ink, cv2.FILLED)
