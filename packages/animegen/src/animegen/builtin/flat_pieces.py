"""Piecewise flat filling: drawn art is areas of one tone with clean edges, so a hole in it is continued as such.

The rim's colours are gathered into a few tones. Every hole pixel takes the tone that diffusion from the drawing
around brings it most of; diffusing and deciding in turns (Merriman, Bence and Osher 1992, motion by mean curvature)
then pulls the edges between tones straight. Tones that pass softly into one another along the rim count as one, and
are joined by a membrane; where that leaves one tone, the hole is not for this filling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from animegen.builtin.flat_membrane import smoothest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Image, Mask

    Array = NDArray[Any]

_TONES = 4
_NEAR = 36.0
"""Grey levels within which a rim's colour is explained by a tone."""
_EXPLAINED = 0.8
"""Share of the rim that the tones must explain."""
_SHARP = 0.45
"""Part of the difference of two tones that must lie in the step from one to the other along the rim."""
_STEP = 5
"""Pixels to both sides of a change of tone within which that step is measured."""
_GRID = 64
"""Pixels of the coarse grid's longer side on which edges are drawn."""
_SIGMAS = (4.0,) * 3 + (2.5,) * 3 + (1.5,) * 2
"""Standard deviations of the diffusions in turn, coarse pixels; more of the first pull edges straighter."""
_BIAS = 0.5
"""Weight of edges going on straight against diffusion."""
_BEFORE = 6
"""Coarse pixels around an edge's end from which its direction is taken."""
_AHEAD = 0.4
"""How far an edge goes on straight, as a part of the root of the hole's area."""
_NARROW = 0.5
"""The same as a part of the way to the next edge."""
_FLAT = 12.0
"""Grey levels within which the rim of one tone is flat."""


def pieces(image: Image, clean: Image, hole: Mask, known: Mask) -> Image | None:
    """Fill a hole with the tones of its rim, a clean edge between each two.

    Args:
        image: (H, W, 3) uint8 RGB.
        clean: The same with strokes left out on the rim of the hole.
        hole: (H, W) bool, pixels to fill.
        known: (H, W) bool, pixels whose colour may be used.

    Returns:
        The picture with its hole filled, or None where tones with clean edges explain the rim badly.
    """
    rim = cv2.dilate(hole.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & known
    colours = clean[rim].astype(np.float32)
    if len(colours) < 8:
        return None
    tones, nearest = _tones(colours)
    away = np.abs(colours - tones[nearest]).max(axis=1)
    if (away <= _NEAR).mean() < _EXPLAINED:
        return None
    group = _joined(np.argwhere(rim), colours, tones, nearest)
    if group.max() == 0:
        return None
    share = _territory(_membership(image, known, tones, group), hole, known)
    surfaces = []
    for number in range(group.max() + 1):
        own = group[nearest] == number
        surfaces.append(_surface(clean, rim, own, colours))
    filled = sum(part[..., None] * surface for part, surface in zip(np.moveaxis(share, 2, 0), surfaces, strict=True))
    out: Image = np.rint(np.clip(filled, 0, 255)).astype(np.uint8)
    return out


def _tones(colours: Array) -> tuple[Array, Array]:
    """(K, 3) mean colours of 1 to 4 tones and which of them each colour is nearest to; as few as explain them."""
    centres = np.median(colours, axis=0, keepdims=True)
    nearest = np.zeros(len(colours), np.intp)
    while True:
        for _ in range(10):
            distance = np.abs(colours[:, None] - centres[None]).max(axis=2)
            nearest = distance.argmin(axis=1)
            centres = np.stack(
                [
                    np.median(colours[nearest == number], axis=0) if (nearest == number).any() else centres[number]
                    for number in range(len(centres))
                ]
            )
        away = np.abs(colours - centres[nearest]).max(axis=1)
        if len(centres) == _TONES or (away <= _NEAR).mean() >= 0.97:
            break
        far = np.quantile(away, 0.98)  # not the one furthest colour, which may be all alone
        centres = np.concatenate([centres, colours[np.abs(away - far).argmin()][None]])
    used, nearest = np.unique(nearest, return_inverse=True)
    return centres[used], nearest


def _joined(points: Array, colours: Array, tones: Array, nearest: Array) -> Array:
    """(K,) number of the group of each tone: tones are in one where each passes softly into the next."""
    group = np.arange(len(tones))
    for first in range(len(tones)):
        for second in range(first + 1, len(tones)):
            one, other = nearest == first, nearest == second
            gap = np.abs(points[one][:, None] - points[other][None]).max(axis=2)
            at_one, at_other = gap.min(axis=1) <= _STEP, gap.min(axis=0) <= _STEP
            if not at_one.any() or not at_other.any():
                continue
            step = np.abs(colours[one][at_one].mean(axis=0) - colours[other][at_other].mean(axis=0)).max()
            if step < _SHARP * np.abs(tones[first] - tones[second]).max():
                group[group == group[second]] = group[first]
    joined: Array = np.unique(group, return_inverse=True)[1].reshape(-1)
    return joined


def _membership(image: Image, known: Mask, tones: Array, group: Array) -> Array:
    """(H / 2, W / 2, G) 1 where a group of tones prevails in what is known around; strokes are outvoted."""
    smooth = _blurred(image.astype(np.float32), known, 2.0)[::2, ::2]  # blurred, half of it tells as much
    away = np.stack([_away(smooth, tone) for tone in tones])
    one_hot = np.eye(group.max() + 1, dtype=np.float32)
    voted = _blurred(one_hot[group[away.argmin(axis=0)]], known[::2, ::2], 2.5)
    member: Array = one_hot[voted.argmax(axis=2)]
    return member


def _away(colours: Array, tone: Array) -> Array:
    red, green, blue = (np.abs(colours[..., channel] - tone[channel]) for channel in range(3))
    away: Array = np.maximum(np.maximum(red, green), blue)
    return away


def _blurred(values: Array, known: Mask, sigma: float) -> Array:
    """Gaussian mean of the known values around each pixel."""
    total = cv2.GaussianBlur(known.astype(np.float32), (0, 0), sigma)
    summed = cv2.GaussianBlur(np.where(known[..., None], values, 0), (0, 0), sigma)
    if summed.ndim == 2:
        summed = summed[..., None]
    mean: Array = summed / np.maximum(total, 1e-6)[..., None]
    return mean


def _territory(membership: Array, hole: Mask, known: Mask) -> Array:
    """(H, W, G) part of each group in each hole pixel: 0 or 1 but for the anti-aliased edges."""
    height, width = hole.shape
    scale = max(1.0, max(height, width) / _GRID)
    size = (max(1, round(width / scale)), max(1, round(height / scale)))
    weight = cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    half = known[::2, ::2].astype(np.float32)
    coarse = cv2.resize(membership * half[..., None], size, interpolation=cv2.INTER_AREA)
    coarse = coarse / np.maximum(cv2.resize(half, size, interpolation=cv2.INTER_AREA), 1e-6)[..., None]
    inside = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5
    fixed = (weight > 0) & ~inside & (coarse.sum(axis=2) > 0)
    domain = inside | fixed
    guess = _BIAS * _continued(coarse, inside, fixed)
    soft = smoothest(coarse, fixed)
    for sigma in _SIGMAS:
        label = np.eye(soft.shape[2], dtype=np.float32)[(soft + guess).argmax(axis=2)]
        label = np.where(fixed[..., None], coarse, label)
        soft = _blurred(label, domain, sigma)
    soft = np.where(fixed[..., None], coarse, soft)
    full = cv2.resize(soft, (width, height), interpolation=cv2.INTER_CUBIC)
    full = cv2.GaussianBlur(full, (0, 0), 0.5 * scale)
    return _edges(full)


def _continued(part: Array, inside: Mask, fixed: Mask) -> Array:
    """(H, W, G) how much the edges that end at the hole speak for each group: each goes on straight for a while."""
    votes = np.zeros(part.shape, np.float32)
    total = np.zeros(inside.shape, np.float32)
    ys, xs = np.mgrid[: inside.shape[0], : inside.shape[1]].astype(np.float32)
    ends = _ends(part.argmax(axis=2), inside, fixed)
    places = np.array([(y, x) for _, _, y, x in ends])
    for number, (one, other, y, x) in enumerate(ends):
        near = fixed & (np.abs(ys - y) <= _BEFORE) & (np.abs(xs - x) <= _BEFORE)
        difference = (part[..., one] - part[..., other])[near]
        design = np.column_stack([ys[near] - y, xs[near] - x, np.ones(len(difference))])
        if difference.std() == 0:
            continue
        down, right, level = np.linalg.lstsq(design, difference, rcond=None)[0]
        sure = max(0.0, float(np.corrcoef(design @ (down, right, level), difference)[0, 1])) ** 2
        # A narrow piece is not carried far: it would end as a lump somewhere in the hole.
        apart = np.hypot(*np.delete(places - (y, x), number, axis=0).T).min(initial=np.inf)
        reach = max(1.0, min(_AHEAD * float(np.sqrt(inside.sum())), _NARROW * apart))
        weight = sure * np.exp(-((ys - y) ** 2 + (xs - x) ** 2) / (2 * reach**2))
        first = down * (ys - y) + right * (xs - x) + level > 0
        votes[..., one] += weight * first
        votes[..., other] += weight * ~first
        total += weight
    spoken: Array = votes / np.maximum(total, 1)[..., None]
    return spoken


def _ends(label: Array, inside: Mask, fixed: Mask) -> list[tuple[int, int, float, float]]:
    """Where an edge between two groups meets the hole: both groups, y and x."""
    square = np.ones((3, 3), np.uint8)
    rim = cv2.dilate(inside.astype(np.uint8), square).astype(bool) & fixed
    wide = [cv2.dilate((rim & (label == group)).astype(np.uint8), square) for group in range(label.max() + 1)]
    found = []
    for one in range(len(wide)):
        for other in range(one + 1, len(wide)):
            both: Array = np.logical_and(wide[one], wide[other]) & rim
            count, _, _, centres = cv2.connectedComponentsWithStats(both.astype(np.uint8), connectivity=8)
            found += [(one, other, float(y), float(x)) for x, y in centres[1:count]]
    return found


def _edges(soft: Array) -> Array:
    """The parts made as steep as an anti-aliased edge: from 0 to 1 within a pixel."""
    top = np.sort(soft, axis=2)
    best, second = top[..., -1:], top[..., -2:-1]
    lead = soft - np.where(soft == best, second, best)
    slope_y, slope_x = (np.gradient(lead, axis=axis) if lead.shape[axis] > 1 else 0 * lead for axis in (0, 1))
    part = np.clip(0.5 + lead / np.maximum(np.hypot(slope_y, slope_x), 1e-4), 0, 1)
    share: Array = part / np.maximum(part.sum(axis=2, keepdims=True), 1e-6)
    return share


def _surface(clean: Image, rim: Mask, own: Array, colours: Array) -> Array:
    """(H, W, 3) colours of one piece: flat, or a membrane where its part of the rim is not."""
    middle = np.median(colours[own], axis=0)
    if (np.abs(colours[own] - middle).max(axis=1) <= _FLAT).mean() >= 0.7:
        flat: Array = np.broadcast_to(np.rint(middle).astype(np.float32), clean.shape)
        return flat
    fixed = np.zeros(rim.shape, bool)
    fixed[rim] = own
    return smoothest(clean, fixed)
