"""Descreening: screentone becomes flat grey, lines stay.

For each lattice that `animegen.builtin.screentone` finds, the picture is filtered at that lattice's pitch and
mixed in where the lattice is, so that hatching, untoned line art and painted colour keep every pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from animegen.builtin.screentone import MIN_AMPLITUDE, Lattice, find_lattices, is_grey, lattice_strength

if TYPE_CHECKING:
    from collections.abc import Sequence

    from animegen.builtin.plugin import DescreenOptions
    from animegen.builtin.screentone import Plane
    from animegen.media import Image
    from animegen.stages import Context

_SQUARE = np.ones((3, 3), np.uint8)
_BAND = 1024
"""Rows filtered at once; bounds the memory of a large spread."""


class Descreen:
    """Line-aware screentone removal at the picture's own resolution (before any resize, which makes moiré).

    Without tone, the result is the input, byte for byte. Works on lightness; a and b of coloured tone are
    blurred by half a pitch. A grey picture stays exactly grey.
    """

    def __init__(self, options: DescreenOptions, context: Context) -> None:
        self.options = options

    def __call__(self, image: Image) -> Image:
        """(H, W, 3) uint8 RGB of any size to the same size."""
        grey_picture = is_grey(image)
        lab = None if grey_picture else cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
        plane = (image if lab is None else lab)[..., 0].astype(np.float32)
        lattices = self._lattices(plane)
        if not lattices:
            return image.copy(order="C")
        cleaned, tone = np.empty_like(plane), np.empty_like(plane)
        halo = 4 * int(np.ceil(4 * max(lattice.pitch for lattice in lattices) + 4))
        for top in range(0, len(plane), _BAND):
            start, stop = max(0, top - halo), min(len(plane), top + _BAND + halo)
            inner, outer = slice(top, min(len(plane), top + _BAND)), slice(top - start, top - start + _BAND)
            for whole, part in zip((cleaned, tone), self._clean(plane[start:stop], lattices), strict=True):
                whole[inner] = part[outer]
        lightness = np.rint(np.clip(cleaned, 0, 255)).astype(np.uint8)
        touched = tone > 0
        if lab is None:
            return np.ascontiguousarray(np.where(touched, lightness, image[..., 0])[..., None].repeat(3, axis=2))
        colour = cv2.GaussianBlur(lab[..., 1:].astype(np.float32), (0, 0), lattices[0].pitch / 2)
        mixed = lab[..., 1:] + tone[..., None] * (colour - lab[..., 1:])
        new = np.dstack([lightness, np.rint(mixed).astype(np.uint8)])
        out = cv2.cvtColor(new, cv2.COLOR_LAB2RGB)
        return np.ascontiguousarray(np.where(touched[..., None], out, image))

    def _lattices(self, plane: Plane) -> tuple[Lattice, ...]:
        """What to remove: lattices found, or the pitch given, or nothing."""
        pitch = self.options.pitch
        if pitch is not None and not self.options.local:
            return (Lattice(pitch, (), 0),)
        lattices, share = find_lattices(plane)
        if pitch is not None:
            return tuple(found for found in lattices if abs(found.pitch / pitch - 1) < 0.15)
        return lattices if share >= self.options.min_share else ()

    def _clean(self, plane: Plane, lattices: tuple[Lattice, ...]) -> tuple[Plane, Plane]:
        """Cleaned lightness and how much of it is cleaned, both (H, W) float32."""
        contrast = self.options.line_contrast
        if not self.options.local:
            return line_aware(plane, lattices[0].pitch, contrast), np.ones_like(plane)
        change, total = np.zeros_like(plane), np.zeros_like(plane)
        for group in _by_pitch(lattices):
            pitch = group[0].pitch
            weight = tone_weight(plane, group)
            if weight.any():
                change += weight * (line_aware(plane, pitch, contrast, weight) - plane)
                total += weight
        cleaned = (plane + change / np.maximum(total, 1)).astype(np.float32)
        return cleaned, np.minimum(total, 1).astype(np.float32)


def _by_pitch(lattices: tuple[Lattice, ...]) -> list[list[Lattice]]:
    """Lattices that one filter serves: pitches within a tenth of the most frequent one's."""
    groups: list[list[Lattice]] = []
    for lattice in lattices:
        for group in groups:
            if abs(lattice.pitch / group[0].pitch - 1) < 0.1:
                group.append(lattice)
                break
        else:
            groups.append([lattice])
    return groups


def tone_weight(grey: Plane, lattices: Sequence[Lattice]) -> Plane:
    """How much each pixel belongs to tone of these lattices (of one pitch): (H, W) float32 in 0..1.

    Strength is known to within some pitches only. The exact edge is that of the ink: what lies between dots,
    or between a dot and a stroke, is tone; what lies beyond them is paper.
    """
    strength = lattice_strength(grey, lattices[0])
    for lattice in lattices[1:]:
        strength = cv2.max(strength, lattice_strength(grey, lattice))
    pitch = lattices[0].pitch
    likely = (strength > 0.75 * MIN_AMPLITUDE).astype(np.uint8)
    if not likely.any():
        return np.zeros_like(grey)
    # A patch that is nowhere clearly a lattice is stipple or hatching that happens to have some of its wave.
    _, patches = cv2.connectedComponents(likely)
    sure = np.zeros(int(patches.max()) + 1, bool)
    sure[np.unique(patches[strength > 2 * MIN_AMPLITUDE])] = True
    sure[0] = False
    edges = (cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, _SQUARE) > 32).astype(np.uint8)
    between = cv2.morphologyEx(edges, cv2.MORPH_CLOSE, np.ones((2 * int(np.ceil(0.6 * pitch)) + 1,) * 2, np.uint8))
    ramp = np.clip(strength / MIN_AMPLITUDE - 0.75, 0, 1) * sure[patches] * between
    weight: Plane = _blur(ramp.astype(np.float32), 0.6) * (ramp > 0)
    return weight


def _blur(plane: Plane, sigma: float) -> Plane:
    blurred: Plane = cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return blurred


def _blur_where(plane: Plane, weight: Plane, sigma: float) -> Plane:
    """Blur that sees only pixels of weight; a trace of all others stands in where there is none near."""
    weight = weight + np.float32(1e-3)
    return _blur(plane * weight, sigma) / _blur(weight, sigma)


def line_aware(grey: Plane, pitch: float, contrast: float = 24.0, where: Plane | None = None) -> Plane:
    """Replace everything but lines by its local mean over a pitch.

    Blurring at 0.45 of a pitch leaves 2 % of a dot lattice but a third of a line's contrast: that gap finds
    the lines (same family as Ito et al., Eurographics 2015). Dots that touch a line would come with it, so a
    line must also be the darkest of its neighbourhood and stay dark for 1.8 pitches in some direction.

    Args:
        grey: (H, W) float32 in 0..255.
        pitch: Distance of the dots or lines of the tone, pixels.
        contrast: Grey levels by which a line is darker than the tone around it.
        where: (H, W) float32 in 0..1, what is tone; a mean is taken over tone only. None for all of it.
    """
    broad = _blur(grey, 1.6 * pitch) - _blur(grey, max(0.8, 0.45 * pitch))
    near = 2 * max(1, round(pitch / 2)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (near, near))
    core = ((broad > 8) & (broad > 0.35 * cv2.dilate(broad, disc))).astype(np.uint8)
    around = _blur_where(grey, 1 - cv2.dilate(core, disc).astype(np.float32), 1.2 * pitch)
    line: Plane = cv2.dilate(core, _SQUARE) * (grey < around - contrast)
    clearly = np.clip(0.4 * around, contrast, 2 * contrast)  # on dark tone there is less to be darker by
    strokes = (_long_strokes(grey, 1.8 * pitch) < around - clearly).astype(np.uint8)
    line = line & strokes
    open_tone = 1 - cv2.dilate(line, _SQUARE).astype(np.float32)
    tone = _blur_where(grey, open_tone if where is None else open_tone * where, max(1.8, 0.75 * pitch))
    soft = np.clip(2 * _blur(line.astype(np.float32), 0.7), 0, 1)
    keep = np.clip((tone - grey) / contrast, 0, 1) * soft
    result: Plane = tone + keep * (grey - tone)
    return result


def _long_strokes(grey: Plane, length: float) -> Plane:
    """Grey levels of what is dark over a length in some direction, (H, W) uint8: closings along lines."""
    size = max(3, round(length) | 1)
    half, directions = size // 2, max(4, int(size))
    plane = grey.astype(np.uint8)
    darkest: Plane | None = None
    for angle in np.pi * np.arange(directions) / directions:
        dx, dy = round(half * np.cos(angle)), round(half * np.sin(angle))
        segment = cv2.line(np.zeros((size, size), np.uint8), (half - dx, half - dy), (half + dx, half + dy), 1)
        closed = cv2.morphologyEx(plane, cv2.MORPH_CLOSE, segment)
        darkest = closed if darkest is None else cv2.min(darkest, closed)
    assert darkest is not None
    return darkest
