"""Cuts between real shots: what the detector finds and what it takes for a cut, beside the measure of RIFE's script.

    python benchmarks/cuts.py [--data DIR] [--threshold 0.47] [--golden scene_ssim.npz]

No cut: neighbouring frames of every clip, at its rate and with every second or third frame alone; pans and zooms over
pages, dissolves, fades, flicker. A cut: every clip, panel and page against every other (both ways), clips from a
random frame to a random frame, other places of one page, black and blank frames. The other measure is a Gaussian SSIM
of both pictures at 32 × 32, a cut below 0.2 (``--golden`` checks it against values of the original).
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from animegen._cv2 import cv2
from animegen.imageio import read_image
from animegen.upsampling.cuts import THRESHOLD, CutDetector
from animegen.upsampling.frames import ArrayFrame
from animegen.video import FrameFolder, VideoReader

DEFAULT_DATA = Path(os.environ.get("ANIMEGEN_DATA", Path(__file__).parents[2] / "shared" / "data"))
WIDTH, HEIGHT = 640, 480
SSIM_CUT = 0.2
OTHER_SCENE = ("06_peppercarrot17_quarrel", "09_harukosan_icecream")
"""Pairs of panels that are two shots; the others show one scene twice."""


class Case(NamedTuple):
    """Two frames, (H, W, 3) uint8 RGB, and whether they are two shots."""

    kind: str
    cut: bool
    first: np.ndarray
    last: np.ndarray


def clips(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Name and frames (T, H, W, 3) uint8 RGB of every clip: a folder of ``.png`` frames wins over an ``.mp4``."""
    exact = sorted(path for path in folder.iterdir() if path.is_dir() and any(path.glob("*.png")))
    for path in exact:
        yield path.name, np.stack(list(FrameFolder(path)))
    for file in sorted(folder.glob("*.mp4")):
        if folder / file.stem not in exact:
            with VideoReader(file) as reader:
                yield file.stem, np.stack(list(reader))


def fitted(image: np.ndarray) -> np.ndarray:
    """`image` filling 640 × 480, its middle kept."""
    height, width = image.shape[:2]
    scale = max(WIDTH / width, HEIGHT / height)
    size = max(WIDTH, round(width * scale)), max(HEIGHT, round(height * scale))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    y, x = (image.shape[0] - HEIGHT) // 2, (image.shape[1] - WIDTH) // 2
    return np.ascontiguousarray(image[y : y + HEIGHT, x : x + WIDTH])


def cases(data: Path) -> Iterator[Case]:
    """All of them, always the same."""
    rng = np.random.default_rng(0)
    films = {name: list(frames) for name, frames in clips(data / "clips")}
    panels = {path.stem: fitted(read_image(path)) for path in sorted((data / "panels").glob("*.png"))}
    sheets = {f"{path.parent.name} {path.stem}": read_image(path) for path in sorted(data.glob("pages/images/*/*.jpg"))}
    for (name, frames), step in itertools.product(films.items(), (1, 2, 3)):
        for first, last in zip(frames, frames[step:], strict=False):
            yield Case(f"{name}, 1 of {step}", False, first, last)

    stills = panels | {name: fitted(image) for name, image in sheets.items()}
    shots = {name: (frames[0], frames[-1]) for name, frames in films.items()}
    shots |= {name: (image, image) for name, image in stills.items()}
    for one, other in itertools.permutations(shots, 2):
        same_scene = one in panels and other in panels and one[:-2] == other[:-2] and one[:-2] not in OTHER_SCENE
        if not same_scene:
            kind = f"{'clip' if one in films else 'still'} | {'clip' if other in films else 'still'}"
            yield Case(kind, True, fitted(shots[one][1]), fitted(shots[other][0]))
    for one, other in itertools.permutations(films.values(), 2):
        for _ in range(10):
            first, last = (frames[rng.integers(len(frames))] for frames in (one, other))
            yield Case("clip | clip, any frames", True, fitted(first), fitted(last))
    yield from within_pages(sheets, rng)
    yield from between_stills([image for _, image in sorted(stills.items())], rng)


def within_pages(sheets: dict[str, np.ndarray], rng: np.random.Generator) -> Iterator[Case]:
    """A camera over a page: moved, it is one shot; put somewhere else, it is another."""
    for image in sheets.values():
        width, height = image.shape[1] // 2, image.shape[1] * 3 // 8
        places = list(itertools.product(range(0, image.shape[0] - height, height), (0, width)))
        for one, other in itertools.pairwise(places):
            first, last = (image[y : y + height, x : x + width] for y, x in (one, other))
            yield Case("other place of one page", True, first, last)
        for share in (0.02, 0.05, 0.1, 0.15, 0.2, 0.25):
            dx = int(share * width)
            x, y = rng.integers(0, image.shape[1] - width - dx), rng.integers(0, image.shape[0] - height)
            pair = [image[y : y + height, left : left + width] for left in (x, x + dx)]
            kind = "pan over a page, up to 15 %" if share <= 0.15 else "pan over a page, 20 and 25 %"
            yield Case(kind, False, *pair)
            yield Case(kind, False, *pair[::-1])
        for zoom in (1.03, 1.08, 1.15):
            inside = image[y : y + int(height / zoom), x : x + int(width / zoom)]
            yield Case("zoom", False, image[y : y + height, x : x + width], inside)


def between_stills(stills: list[np.ndarray], rng: np.random.Generator) -> Iterator[Case]:
    """What is done to pictures as a whole."""
    black, white = np.zeros_like(stills[0]), np.full_like(stills[0], 255)
    for index, image in enumerate(stills):
        yield Case("to black", True, image, black)
        yield Case("from black", True, black, image)
        yield Case("a blank white frame", True, image, white)
        for gain, offset in ((1.15, 5), (0.7, 0), (1.4, 20)):
            light = np.clip(image * gain + offset, 0, 255).astype(np.uint8)
            yield Case("flicker", False, image, light)
        noise = rng.normal(0, 4, image.shape)
        yield Case("noise", False, image, np.clip(image + noise, 0, 255).astype(np.uint8))
        for length, other in ((12, black), (6, black), (12, stills[index - 7]), (6, stills[index - 7])):
            steps = [cv2.addWeighted(image, 1 - k / length, other, k / length, 0) for k in range(length + 1)]
            kind = f"{'fade' if other is black else 'dissolve'} of {length} frames"
            for first, last in itertools.pairwise(steps):
                yield Case(kind, False, first, last)


def ours(case: Case) -> float:
    """The detector's score."""
    detect = CutDetector()
    detect(ArrayFrame(0, Fraction(0), np.ascontiguousarray(case.first)))
    return detect(ArrayFrame(1, Fraction(1), np.ascontiguousarray(case.last)))


def ssim(case: Case) -> float:
    """Gaussian SSIM over the three planes of both pictures at 32 × 32, window 11 in all three directions."""
    size = tuple(-(-side // 128) * 128 for side in case.first.shape[:2])
    small = []
    for image in (case.first, case.last):
        padded = np.zeros((*size, 3), np.float32)
        padded[: image.shape[0], : image.shape[1]] = image / np.float32(255)
        small.append(bilinear(padded, 32).transpose(2, 0, 1).astype(np.float64))
    a, b = small
    mean_a, mean_b = blur(a), blur(b)
    spread = blur(a * a) - mean_a**2 + blur(b * b) - mean_b**2 + 0.03**2
    common = 2 * (blur(a * b) - mean_a * mean_b) + 0.03**2
    light = (2 * mean_a * mean_b + 0.01**2) / (mean_a**2 + mean_b**2 + 0.01**2)
    return float((light * common / spread).mean())


def bilinear(image: np.ndarray, size: int) -> np.ndarray:
    """`image` at `size` × `size`, sampled at the centres and not averaged, as torch's interpolate does it."""
    for axis in (0, 1):
        at = (np.arange(size) + 0.5) * image.shape[axis] / size - 0.5
        low = np.clip(np.floor(at).astype(int), 0, image.shape[axis] - 1)
        high = np.minimum(low + 1, image.shape[axis] - 1)
        part = np.clip(at - low, 0, 1).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        image = np.take(image, low, axis) * (1 - part) + np.take(image, high, axis) * part
    return image


def blur(planes: np.ndarray) -> np.ndarray:
    """Gaussian of sigma 1.5 along all three axes, edges repeated."""
    window = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window /= window.sum()
    for axis in range(3):
        padded = np.pad(planes, [(5, 5) if axis == other else (0, 0) for other in range(3)], mode="edge")
        planes = sum(
            weight * np.take(padded, range(place, place + planes.shape[axis]), axis)
            for place, weight in enumerate(window)
        )
    return planes


def check_golden(path: Path) -> None:
    """Print how far `ssim` is from the values of the original."""
    golden = np.load(path)
    names = sorted(name.removeprefix("ssim_") for name in golden.files if name.startswith("ssim_"))
    for name in names:
        value, truth = ssim(Case("", False, golden[f"a_{name}"], golden[f"b_{name}"])), float(golden[f"ssim_{name}"])
        print(f"golden {name:10} {value:.6f}  original {truth:.6f}  difference {abs(value - truth):.1e}")


def cost() -> tuple[float, float]:
    """CPU milliseconds for one 1920 × 1080 frame that moves, and for one that stands: the least of many."""
    rng = np.random.default_rng(1)
    drawn = cv2.GaussianBlur(rng.integers(0, 256, (1080, 2400), np.uint8), (0, 0), 40)
    drawn = cv2.normalize(drawn, None, 0, 255, cv2.NORM_MINMAX)
    frames = [np.ascontiguousarray(drawn[:, x : x + 1920]) for x in (0, 400)]

    def least(order: tuple[int, int]) -> float:
        detect, best = CutDetector(), 1.0
        for number in range(60):
            image = frames[order[number % 2]]
            frame = ArrayFrame(number, Fraction(number), image, None)
            frame._luma.append(image)  # a video's luma is there already
            started = time.process_time()
            detect(frame)
            best = min(best, time.process_time() - started) if number else best
        return best * 1000

    return least((0, 1)), least((0, 0))


def main() -> None:
    """One row a kind, then both measures as a whole."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--threshold", type=float, default=THRESHOLD)
    parser.add_argument("--golden", type=Path, help="values of the other measure, to check it here")
    arguments = parser.parse_args()
    if arguments.golden:
        check_golden(arguments.golden)
    rows: dict[tuple[bool, str], list[tuple[float, float]]] = {}
    for case in cases(arguments.data):
        rows.setdefault((case.cut, case.kind), []).append((ours(case), ssim(case)))
    print(f"{'':8} {'kind':34} {'n':>5} {'score':>13} {'wrong':>6} {'SSIM':>14} {'wrong':>6}")
    for (cut, kind), values in sorted(rows.items()):
        scores, others = (np.array(column) for column in zip(*values, strict=True))
        wrong = int(((scores >= arguments.threshold) != cut).sum())
        wrong_other = int(((others < SSIM_CUT) != cut).sum())
        ranges = f"{scores.min():5.2f} .. {scores.max():4.2f} {wrong:6} {others.min():5.2f} .. {others.max():5.2f}"
        print(f"{'cut' if cut else 'no cut':8} {kind:34} {len(values):5} {ranges} {wrong_other:6}")
    everything = [(cut, *values) for (cut, _), pairs in rows.items() for values in pairs]
    truth, scores, others = (np.array(column) for column in zip(*everything, strict=True))
    tries: dict[str, Callable[[], np.ndarray]] = {
        f"this detector, from {arguments.threshold:g}": lambda: scores >= arguments.threshold,
        f"SSIM below {SSIM_CUT:g}": lambda: others < SSIM_CUT,
        "SSIM below 0.6": lambda: others < 0.6,
    }
    for name, decide in tries.items():
        found = decide()
        precision, recall = (found & truth).sum() / max(found.sum(), 1), (found & truth).sum() / truth.sum()
        print(f"{name:34} precision {precision:7.2%}  recall {recall:7.2%}")
    moving, still = cost()
    print(f"cost at 1920 × 1080 luma: {moving:.2f} ms CPU a frame that moves, {still:.2f} ms one that does not")


if __name__ == "__main__":
    main()
