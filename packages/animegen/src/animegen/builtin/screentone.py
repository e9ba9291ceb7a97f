"""Finding screentone: printed lattices of dots or lines, their pitch, and where in a picture they lie.

A lattice shows in the spectrum of a 64-pixel tile as an isolated peak. A ring of a spectrum is a poor thing to
compare a peak with: the straight stroke that any drawing is made of lights a whole spoke, and half the tiles of
any page then count as toned. So a peak counts when it stands above everything 4 to 6 bins around it, which
spokes, hatching and painted texture do not do. The lattices found in whole tiles are then looked for at every
pixel, by demodulation, so that a toned sleeve of 20 pixels is found once its tone is known from a wall.

Source: the tile spectra follow the line-aware descreening of this project's screentone notes; demodulation is
the classical fringe analysis of Takeda et al. 1982.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Image

    Plane: TypeAlias = NDArray[Any]
    """(H, W) float32."""

TILE, STEP = 64, 32
_HALF, _RIM = TILE // 2, 6
MAX_PITCH = 11.0
"""Coarser lattices are details of a drawing, not tone. The finest is the picture's own limit, 1.41 px."""
MIN_AMPLITUDE = 6.0
"""Grey levels (half of peak to peak) below which a lattice does not show, and JPEG's own 8-pixel one lies."""
PROMINENCE = 3.0
"""How far a peak stands above all else around it. Toned pages: 10-30 % of tiles; hatched, painted: under 1 %."""
MAX_LATTICES = 6


@dataclass(frozen=True)
class Lattice:
    """One screentone's lattice.

    Attributes:
        pitch: Distance of its dots or lines in pixels.
        waves: One frequency (dy, dx) in cycles per pixel for lines, two for dots.
        tiles: Number of tiles in which it was found.
    """

    pitch: float
    waves: tuple[tuple[float, float], ...]
    tiles: int


@dataclass(frozen=True)
class ScreentoneReport:
    """What `analyse_screentone` found.

    Attributes:
        pitch: Pitch of the most frequent lattice in pixels, or None where there is no tone.
        share: Share of the 64-pixel tiles that hold tone, in [0, 1].
        lattices: All lattices, most frequent first.
        residual: Strength of the lattices left in a cleaned picture, as a share of the strength before
            (0: tone gone, 1: untouched); None when no cleaned picture was given or there is no tone.
    """

    pitch: float | None
    share: float
    lattices: tuple[Lattice, ...]
    residual: float | None = None


def lightness(image: Image) -> Plane:
    """(H, W) float32 lightness in 0..255: the grey itself of a grey picture, else L of CIE L*a*b*."""
    if is_grey(image):
        return image[..., 0].astype(np.float32)
    plane: Plane = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)[..., 0].astype(np.float32)
    return plane


def is_grey(image: Image) -> bool:
    """Whether the three channels are equal everywhere."""
    first = image[..., 0]
    return bool(np.array_equal(first, image[..., 1]) and np.array_equal(first, image[..., 2]))


def analyse_screentone(image: Image, cleaned: Image | None = None) -> ScreentoneReport:
    """Pitch of the screentone of a picture, how much of the picture has it, and what cleaning left of it.

    Args:
        image: (H, W, 3) uint8 RGB of any size; under 32 pixels a side nothing is found.
        cleaned: The same picture after cleaning, for `ScreentoneReport.residual`.
    """
    grey = lightness(image)
    lattices, share = find_lattices(grey)
    if not lattices:
        return ScreentoneReport(None, share, ())
    residual = None
    if cleaned is not None:
        after = lightness(cleaned)
        before_energy = after_energy = 0.0
        for lattice in lattices:
            strength = lattice_strength(grey, lattice)
            where = strength > MIN_AMPLITUDE
            before_energy += float(strength[where].sum())
            after_energy += float(lattice_strength(after, lattice)[where].sum())
        residual = after_energy / before_energy if before_energy else None
    return ScreentoneReport(lattices[0].pitch, share, lattices, residual)


def find_lattices(grey: Plane) -> tuple[tuple[Lattice, ...], float]:
    """Lattices of a (H, W) float32 lightness, most frequent first, and the share of tiles that hold one."""
    if min(grey.shape) < _HALF:
        return (), 0.0
    count, found = 0, []
    for row in _tile_rows(grey):
        count += len(row)
        tiles, peaks = _peaks(row)
        for tile in np.unique(tiles):
            waves = _fundamental(peaks[tiles == tile])
            if waves:
                found.append(waves)
    lattices = _gather(found, count)
    return lattices, sum(lattice.tiles for lattice in lattices) / count


def _tile_rows(grey: Plane) -> Iterator[Plane]:
    """Rows of overlapping tiles, each (N, 64, 64): a page's spectra never lie in memory all at once."""
    short = [max(0, TILE - side) for side in grey.shape]
    padded = cv2.copyMakeBorder(grey, 0, short[0], 0, short[1], cv2.BORDER_CONSTANT, value=float(grey.mean()))
    down, right = (sorted({*range(0, side - TILE, STEP), side - TILE}) for side in padded.shape)
    for y in down:
        yield np.stack([padded[y : y + TILE, x : x + TILE] for x in right])


_hann = np.hanning(TILE + 1)[:TILE]
_WINDOW = (np.outer(_hann, _hann) / _hann.sum() ** 2).astype(np.float32)
_FY = np.fft.fftfreq(TILE, 1 / TILE)
_FX = np.arange(_HALF + 1)
_twice = ((_FX == 0) | (_FX == _HALF))[None] & (_FY < 0)[:, None]  # a real signal's own mirror images
_BAND = (np.hypot(_FY[:, None], _FX[None]) >= TILE / MAX_PITCH) & ~_twice
# The half spectrum with a rim of 6 bins all around, read from the half spectrum by symmetry.
_rows = np.arange(-_RIM, TILE + _RIM) % TILE
_columns = np.arange(-_RIM, _HALF + 1 + _RIM)
_mirrored = (_columns < 0) | (_columns > _HALF)
_RIM_ROWS = np.where(_mirrored[None], (-_rows[:, None]) % TILE, _rows[:, None])
_RIM_COLUMNS = np.broadcast_to(
    np.where(_columns < 0, -_columns, np.where(_columns > _HALF, TILE - _columns, _columns)), _RIM_ROWS.shape
)
_ABOVE = np.hypot(_FY[_RIM_ROWS], _RIM_COLUMNS) >= TILE / MAX_PITCH - 1  # what is slower than any tone is shading
_around = np.mgrid[-_RIM : _RIM + 1, -_RIM : _RIM + 1].reshape(2, -1)
_AROUND = _around[:, (np.hypot(*_around) >= 3.5) & (np.hypot(*_around) <= 6.5)]


def _peaks(tiles: Plane) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Isolated peaks of each tile's spectrum: tile numbers, and rows (fy, fx, amplitude, prominence).

    Frequencies are in bins, amplitudes in grey levels; the prominence counts shading among its rivals.
    """
    spectrum = np.fft.rfft2((tiles - tiles.mean((1, 2), keepdims=True)) * _WINDOW)
    power = (2 * np.abs(spectrum)).astype(np.float32)
    rimmed = np.ascontiguousarray(power[:, _RIM_ROWS, _RIM_COLUMNS])
    highest = cv2.dilate(rimmed.reshape(-1, rimmed.shape[2]), np.ones((3, 3), np.uint8)).reshape(rimmed.shape)
    summit = power >= highest[:, _RIM:-_RIM, _RIM:-_RIM]
    n, y, x = np.nonzero(summit & (power > MIN_AMPLITUDE) & _BAND)
    around = rimmed[n[:, None], y[:, None] + _RIM + _AROUND[0], x[:, None] + _RIM + _AROUND[1]]
    all_around = power[n, y, x] / np.maximum(around.max(1, initial=0), 1e-6)
    around *= _ABOVE[y[:, None] + _RIM + _AROUND[0], x[:, None] + _RIM + _AROUND[1]]
    prominence = power[n, y, x] / np.maximum(around.max(1, initial=0), 1e-6)
    # A tile is toned by one clear peak; that peak may be an overtone of one that strokes crowd a little.
    toned = np.isin(n, n[prominence > PROMINENCE])
    keep = toned & (prominence > 0.6 * PROMINENCE)
    n, y, x, all_around = n[keep], y[keep], x[keep], all_around[keep]

    def log(dy: int, dx: int) -> NDArray[np.float64]:
        logs: NDArray[np.float64] = np.log(rimmed[n, y + _RIM + dy, x + _RIM + dx].astype(np.float64) + 1e-9)
        return logs

    def offset(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float64]:
        bend = np.minimum(before - 2 * log(0, 0) + after, -1e-9)  # a parabola through three bins
        shift: NDArray[np.float64] = np.clip((before - after) / (2 * bend), -0.5, 0.5)
        return shift

    fy = _FY[y] + offset(log(-1, 0), log(1, 0))
    fx = _FX[x] + offset(log(0, -1), log(0, 1))
    return n, np.stack([fy, fx, power[n, y, x], all_around], axis=1)


Waves: TypeAlias = tuple[tuple[float, float], ...]


def _fundamental(peaks: NDArray[np.float64]) -> Waves:
    """The one or two base waves, in bins, of one tile's peaks: the lowest strong one and its partner."""
    length = np.hypot(peaks[:, 0], peaks[:, 1])
    strong = peaks[:, 2] >= 0.4 * peaks[:, 2].max()
    first = int(np.flatnonzero(strong)[length[strong].argmin()])
    base = peaks[first, :2]
    cosine = peaks[:, :2] @ base / (length * length[first])
    partner = (np.abs(length / length[first] - 1) < 0.2) & (np.abs(cosine) < 0.65) & strong
    if not partner.any():
        # One wave alone may be an even row of strokes: it must stand above shading too.
        return ((float(base[0]), float(base[1])),) if peaks[first, 3] > PROMINENCE else ()
    other = peaks[np.flatnonzero(partner)[peaks[partner, 2].argmax()], :2]
    ordered = sorted([(float(base[0]), float(base[1])), (float(other[0]), float(other[1]))])
    return tuple(ordered)


def _close(a: tuple[float, float], b: tuple[float, float], within: float = 1.2) -> bool:
    """Whether two waves are the same one; a wave and its negative are."""
    dy, dx = min((abs(a[0] - b[0]), abs(a[1] - b[1])), (abs(a[0] + b[0]), abs(a[1] + b[1])), key=sum)
    return dy * dy + dx * dx <= within * within


def _gather(found: list[Waves], count: int) -> tuple[Lattice, ...]:
    """Lattices from the waves of all tiles. A single wave that belongs to a dot lattice counts for it."""
    groups: list[list[Waves]] = []
    for waves in sorted(found, key=lambda w: -len(w)):  # dots first, so that they may take in single waves
        for group in groups:
            known = group[0]
            if all(any(_close(wave, other) for other in known) for wave in waves):
                group.append(waves)
                break
        else:
            groups.append([waves])
    lattices = []
    for group in sorted(groups, key=lambda g: -len(g))[:MAX_LATTICES]:
        size = len(group[0])
        # Stray tiles are hatching that happened to be even; lines alone can be that more easily than dots.
        if len(group) < min(count / 8, max(2, 0.05 * len(found)) if size == 2 else max(4, 0.02 * count)):
            continue
        same = np.array([[_align(w, ref) for w, ref in zip(g, group[0], strict=True)] for g in group if len(g) == size])
        waves = np.median(same, axis=0) / TILE
        pitch = float(1 / np.hypot(waves[:, 0], waves[:, 1]).mean())
        lattices.append(Lattice(pitch, tuple((float(y), float(x)) for y, x in waves), len(group)))
    return tuple(lattices)


def _align(wave: tuple[float, float], reference: tuple[float, float]) -> tuple[float, float]:
    """The wave or its negative, whichever has the direction of the reference."""
    same = wave[0] * reference[0] + wave[1] * reference[1] >= 0
    return wave if same else (-wave[0], -wave[1])


_STRIDE = 4


def lattice_strength(grey: Plane, lattice: Lattice) -> Plane:
    """Amplitude of a lattice around every pixel, (H, W) float32 in grey levels; of dots, the weaker wave's.

    Each wave is shifted to zero frequency and what remains there is kept. A stroke carries some of any one
    wave, but not of both waves of a dot lattice. Works at a quarter of the size: strength varies slowly.
    """
    height, width = grey.shape
    sigma = max(4.5, 1.5 * lattice.pitch)
    detail = grey - cv2.GaussianBlur(grey, (0, 0), max(1.5, lattice.pitch), borderType=cv2.BORDER_REFLECT)
    detail = cv2.copyMakeBorder(detail, 0, -height % _STRIDE, 0, -width % _STRIDE, cv2.BORDER_CONSTANT)
    size = (detail.shape[1] // _STRIDE, detail.shape[0] // _STRIDE)
    weakest: Plane | None = None
    for dy, dx in lattice.waves:
        down = 2 * np.pi * dy * np.arange(detail.shape[0])[:, None]
        right = 2 * np.pi * dx * np.arange(detail.shape[1])[None]
        cos_y, sin_y, cos_x, sin_x = (f(v).astype(np.float32) for v in (down, right) for f in (np.cos, np.sin))
        parts = (detail * (cos_y * cos_x - sin_y * sin_x), detail * (sin_y * cos_x + cos_y * sin_x))
        small = (cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in parts)
        even, odd = (cv2.GaussianBlur(s, (0, 0), sigma / _STRIDE, borderType=cv2.BORDER_REFLECT) for s in small)
        strength = 2 * cv2.magnitude(even, odd)
        weakest = strength if weakest is None else cv2.min(weakest, strength)
    assert weakest is not None
    full = cv2.resize(weakest, detail.shape[::-1], interpolation=cv2.INTER_LINEAR)
    result: Plane = full[:height, :width]
    return result
