"""How near fillings of holes on drawing come to what is really there.

    python benchmarks/fills.py [--data DIR] [--holes 60] [--title TITLE] [--overlay OUTDIR] [--seed 0]

Balloons' shapes from the masks of a title's pages are moved to other places in the same pages' frames where no
balloon is, so that the truth is known; a filling sees the frame and nothing beyond it. Only places that `flat` does
not call flat are counted: there all fillings are one and the same. Columns, means over the holes:

    MAE     mean absolute error over the hole, grey levels, averaged over channels
    PSNR    dB over the hole
    near    share of the hole's pixels within 24 grey levels of the truth in every channel
    smudge  share of pixels more than 24 levels from every colour that is common on the rim, less the truth's share
    ms      wall time per hole

`--overlay` writes, for each hole, at twice the size: what the filling sees, each filling, the truth.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np

from animegen.builtin.flat import Flat
from animegen.builtin.plugin import FlatOptions

METHODS = ("pieces", "membrane", "telea")
LEVELS = 24
LINE = 6  # px of a frame's drawn line
CLEAR = 6  # px from a true balloon
ROOM = 60  # px of page around a hole that a filling sees


class Quiet:
    """A context that counts warnings: there is one where a hole is not flat."""

    devices = ("auto",)
    dtype = "auto"

    def __init__(self) -> None:
        self.warned = 0

    def warn(self, message: str) -> None:
        self.warned += 1

    def progress(self, done: int, total: int, unit: str = "steps") -> None:
        pass


Page = tuple[np.ndarray, np.ndarray, list[tuple[int, int, int, int]]]


def read(root: Path, title: str) -> list[Page]:
    """Pages (RGB), balloon masks and frames (x0, y0, x1, y1 within the drawn line) of a title."""
    pages = []
    for page in ElementTree.parse(root / "annotations" / f"{title}.xml").getroot().iter("page"):
        name = f"{int(page.attrib['index']):03d}"
        mask = cv2.imread(str(root / "masks" / title / f"{name}.png"), cv2.IMREAD_GRAYSCALE) > 127
        image = cv2.imread(str(root / "images" / title / f"{name}.jpg"))
        boxes = [[int(frame.attrib[key]) for key in ("xmin", "ymin", "xmax", "ymax")] for frame in page.iter("frame")]
        frames = [(max(0, a) + LINE, max(0, b) + LINE, c - LINE, d - LINE) for a, b, c, d in boxes]
        pages.append((np.ascontiguousarray(image[..., ::-1]), mask, frames))
    return pages


def shapes(pages: list[Page]) -> list[np.ndarray]:
    """Balloons' shapes, widened as a mask for inpainting is."""
    found = []
    for _, mask, _ in pages:
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        for number in range(1, count):
            x, y, width, height, area = stats[number]
            if area < 400 or max(width, height) > 300:
                continue
            shape = np.pad(labels[y : y + height, x : x + width] == number, 4).astype(np.uint8)
            found.append(cv2.dilate(shape, np.ones((5, 5), np.uint8)).astype(bool))
    return found


def holes(pages: list[Page], count: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Crops (RGB) and their holes, all on drawing and clear of balloons; the truth is in the crop."""
    rng = np.random.default_rng(seed)
    forms, made = shapes(pages), 0
    taken = [
        cv2.dilate(mask.astype(np.uint8), np.ones((2 * CLEAR + 1,) * 2, np.uint8)).astype(bool) for _, mask, _ in pages
    ]
    for _ in range(count * 400):
        if made == count:
            return
        number, form = int(rng.integers(len(pages))), forms[int(rng.integers(len(forms)))]
        page, _, frames = pages[number]
        x0, y0, x1, y1 = frames[int(rng.integers(len(frames)))] if frames else (0, 0, 0, 0)
        height, width = form.shape
        if height > 0.8 * (y1 - y0) or width > 0.8 * (x1 - x0):
            continue
        y, x = int(rng.integers(y0, y1 - height + 1)), int(rng.integers(x0, x1 - width + 1))
        if (taken[number][y : y + height, x : x + width] & form).any():
            continue
        top, left = max(y0, y - ROOM), max(x0, x - ROOM)
        crop = page[top : min(y1, y + height + ROOM), left : min(x1, x + width + ROOM)]
        hole = np.zeros(crop.shape[:2], bool)
        hole[y - top : y - top + height, x - left : x - left + width] = form
        context = Quiet()
        Flat(FlatOptions(otherwise="telea"), context)(crop, hole)
        if not context.warned:
            continue
        made += 1
        yield crop, hole


def common(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """(N, 3) colours that make up 5 % or more of the 12 px around a hole, in cells of 32 levels."""
    ring = cv2.dilate(hole.astype(np.uint8), np.ones((25, 25), np.uint8)).astype(bool) & ~hole
    known = image[ring].astype(np.float64)
    cells, index = np.unique((known // 32).astype(int), axis=0, return_inverse=True)
    share = np.bincount(index.ravel(), minlength=len(cells)) / len(known)
    return np.stack([known[index.ravel() == cell].mean(0) for cell in np.flatnonzero(share >= 0.05)])


def odd(values: np.ndarray, colours: np.ndarray) -> float:
    away = np.abs(values[:, None].astype(np.float64) - colours[None]).max(2).min(1)
    return float((away > LEVELS).mean())


def score(out: np.ndarray, truth: np.ndarray, hole: np.ndarray) -> tuple[float, float, float, float]:
    difference = np.abs(out[hole].astype(np.float64) - truth[hole])
    psnr = 10 * np.log10(255**2 / max((difference**2).mean(), 1e-2))
    colours = common(truth, hole)
    return (
        difference.mean(),
        psnr,
        (difference.max(1) <= LEVELS).mean(),
        odd(out[hole], colours) - odd(truth[hole], colours),
    )


def main() -> None:
    default = os.environ.get("ANIMEGEN_DATA", Path(__file__).parent.parent.parent / "shared" / "data")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--holes", type=int, default=60)
    parser.add_argument("--title", default="")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--overlay", type=Path)
    args = parser.parse_args()
    root = args.data / "pages"
    print(f"{'title':16}{'fill':10}{'holes':>6}{'MAE':>8}{'PSNR':>8}{'near':>7}{'smudge':>8}{'ms':>7}")
    for folder in sorted((root / "masks").iterdir()):
        if args.title not in ("", folder.name):
            continue
        rows = defaultdict(list)
        differs = 0
        for number, (truth, hole) in enumerate(holes(read(root, folder.name), args.holes, args.seed)):
            blank = np.where(hole[..., None], np.uint8(255), truth)
            outs = {}
            for method in METHODS:
                start = time.perf_counter()
                outs[method] = Flat(FlatOptions(otherwise=method), Quiet())(blank, hole)
                rows[method].append((*score(outs[method], truth, hole), (time.perf_counter() - start) * 1000))
            differs += bool((outs["pieces"] != outs["membrane"]).any())
            if args.overlay:
                args.overlay.mkdir(parents=True, exist_ok=True)
                seen = np.where(hole[..., None], np.uint8([255, 200, 200]), truth)
                strip = np.hstack([seen, *(outs[m] for m in METHODS), truth]).repeat(2, 0).repeat(2, 1)
                cv2.imwrite(str(args.overlay / f"{folder.name}_{number:03d}.png"), strip[..., ::-1])
        for method, values in rows.items():
            mae, psnr, near, smudge, ms = np.mean(values, axis=0)
            print(
                f"{folder.name:16}{method:10}{len(values):6}{mae:8.1f}{psnr:8.2f}{near:7.3f}{smudge:8.3f}{ms:7.1f}",
                flush=True,
            )
        print(f"{'':16}{differs} of {args.holes} filled with pieces, the others with a membrane")


if __name__ == "__main__":
    main()
