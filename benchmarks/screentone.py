"""How well clean-up removes screentone and keeps lines, on drawings made here with a known answer.

    python benchmarks/screentone.py [--size 384] [--drawings 2] [--kind dot line stipple] [--pitch 2.5 4 6 9]

Each drawing has toned shapes (12 to 55 % ink), free strokes of 1 to 3 px and solid blacks, is drawn at four
times its size, then blurred, made noisy and saved as JPEG as a scan would be. Its twin with flat greys instead
of tone is the answer. Columns:

    keep   darkness of the lines below the grey around them, result / answer (1: intact)
    prec   share of dark pixels that are lines, give or take a pixel (tone left over lowers it)
    resid  standard deviation inside toned areas, result / input (0: tone gone)
    PSNR   against the answer, dB
    ms     wall time per image
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from animegen.builtin.descreen import Descreen
from animegen.builtin.lab import Lab
from animegen.builtin.plugin import DescreenOptions, LabOptions
from animegen.builtin.screentone import analyse_screentone

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Image

ZOOM = 4
INK = (0.12, 0.25, 0.40, 0.55)


@dataclass(frozen=True)
class Drawing:
    """A toned drawing and what is known of it, all (H, W): scan and answer uint8, the rest as named."""

    scan: NDArray[np.uint8]
    answer: NDArray[np.uint8]
    paper: NDArray[np.uint8]
    """The answer without any line."""
    line: NDArray[np.bool_]
    tone: NDArray[np.bool_]
    """Toned pixels more than 4 px from a line."""


def screen(kind: str, size: int, pitch: float, ink: float, angle: float, rng: np.random.Generator) -> Any:
    """(size, size) bool, True where a tone of this kind prints ink."""
    if kind == "stipple":
        grains = cv2.GaussianBlur(rng.standard_normal((size, size)), (0, 0), pitch / 4)
        return grains > np.quantile(grains, 1 - ink)
    y, x = np.mgrid[:size, :size].astype(np.float32) * (2 * np.pi / pitch)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    wave = np.cos(u) + (np.cos(v) if kind == "dot" else 0)
    return wave > np.quantile(wave, 1 - ink)


def draw(kind: str, pitch: float, seed: int, size: int = 384) -> Drawing:
    """One drawing; the same arguments give the same drawing."""
    rng, big = np.random.default_rng(seed), size * ZOOM
    toned, flat = np.full((big, big), 255, np.float32), np.full((big, big), 255, np.float32)
    lines, area = np.zeros((big, big), np.uint8), np.zeros((big, big), bool)
    for index, ink in enumerate(rng.permutation(INK)):
        centre = (np.array([0.3, 0.3]) + 0.4 * np.array([index % 2, index // 2]) + rng.uniform(-0.05, 0.05, 2)) * big
        corners = np.linspace(0, 2 * np.pi, 9)[:-1]
        radius = rng.uniform(0.18, 0.26, 8) * big
        points = np.rint(centre + radius[:, None] * np.stack([np.cos(corners), np.sin(corners)], 1)).astype(np.int32)
        inside = cv2.fillPoly(np.zeros((big, big), np.uint8), [points], 1).astype(bool)
        cover = screen(kind, big, pitch * ZOOM, float(ink), rng.uniform(0, np.pi / 3), rng)
        toned[inside] = np.where(cover, 0, 255)[inside]
        flat[inside] = 255 * (1 - cover.mean())
        area |= inside
        lines[inside] = 0
        cv2.polylines(lines, [points], True, 1, 2 * ZOOM)
    for _ in range(10):
        start, bend, end = rng.uniform(0.05, 0.95, (3, 2)) * big
        t = np.linspace(0, 1, 40)[:, None]
        curve = np.rint((1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end).astype(np.int32)
        cv2.polylines(lines, [curve], False, 1, int(rng.integers(1, 4)) * ZOOM)
    solid = np.zeros((big, big), np.uint8)
    for _ in range(3):
        cv2.circle(solid, tuple(int(v) for v in rng.uniform(0.1, 0.9, 2) * big), int(0.04 * big), 1, -1)
    black = (lines | solid).astype(bool)
    paper = _shrink(flat)
    line = _shrink(lines * 255.0) > 127
    line &= cv2.dilate(solid[::ZOOM, ::ZOOM], np.ones((9, 9), np.uint8)) == 0
    near = cv2.dilate((_shrink(black * 255.0) > 20).astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
    inner = cv2.erode(_shrink(area * 255.0), np.ones((9, 9), np.uint8)) > 254
    scan = cv2.GaussianBlur(_shrink(np.where(black, 0, toned)), (0, 0), 0.5) + rng.normal(0, 2, (size, size))
    answer = cv2.GaussianBlur(_shrink(np.where(black, 0, flat)), (0, 0), 0.5)
    jpeg = cv2.imencode(".jpg", _grey(scan), [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
    read: Any = cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE)
    return Drawing(read, _grey(answer), _grey(paper), line, inner & ~near)


def _shrink(plane: NDArray[Any]) -> NDArray[Any]:
    side = plane.shape[0] // ZOOM
    small: NDArray[Any] = cv2.resize(plane.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    return small


def _grey(plane: NDArray[Any]) -> NDArray[np.uint8]:
    levels: NDArray[np.uint8] = np.rint(np.clip(plane, 0, 255)).astype(np.uint8)
    return levels


def score(drawing: Drawing, result: NDArray[np.uint8]) -> dict[str, float]:
    """keep, prec, resid and PSNR of a cleaned scan."""
    out, answer, paper = (plane.astype(np.float64) for plane in (result, drawing.answer, drawing.paper))
    keep = (paper - out)[drawing.line].mean() / (paper - answer)[drawing.line].mean()
    dark = out < paper - 0.3 * 255
    true = cv2.dilate((answer < paper - 0.3 * 255).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    rest = [(plane - paper)[drawing.tone].std() for plane in (out, drawing.scan.astype(np.float64))]
    psnr = 10 * np.log10(255**2 / np.mean((out - answer) ** 2))
    return {"keep": keep, "prec": (dark & true).sum() / max(1, dark.sum()), "resid": rest[0] / rest[1], "PSNR": psnr}


class Quiet:
    """A context for stages outside a run."""

    devices: tuple[str, ...] = ("cpu",)
    dtype = "auto"

    def warn(self, message: str) -> None:
        print(message)


def methods() -> dict[str, Callable[[Image], Image]]:
    context: Any = Quiet()
    lab, descreen = Lab(LabOptions(), context), Descreen(DescreenOptions(), context)
    gentle = Lab(replace(LabOptions(), clahe_clip=0.0, unsharp_amount=0.3), context)
    return {
        "input": lambda image: image,
        "lab": lab,
        "descreen": descreen,
        "descreen, lab": lambda image: lab(descreen(image)),
        "descreen, lab without CLAHE": lambda image: gentle(descreen(image)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--drawings", type=int, default=2)
    parser.add_argument("--kind", nargs="+", default=["dot", "line", "stipple"], choices=["dot", "line", "stipple"])
    parser.add_argument("--pitch", nargs="+", type=float, default=[2.5, 4.0, 6.0, 9.0])
    parser.add_argument("--each", action="store_true", help="a table for each pitch as well")
    args = parser.parse_args()
    for kind in args.kind:
        rows: dict[str, list[tuple[float, dict[str, float]]]] = {name: [] for name in methods()}
        for pitch in args.pitch:
            found = []
            for seed in range(args.drawings):
                drawing = draw(kind, pitch, seed, args.size)
                image = np.ascontiguousarray(drawing.scan[..., None].repeat(3, axis=2))
                report = analyse_screentone(image)
                found.append("none" if report.pitch is None else f"{report.pitch:.2f}")
                for name, method in methods().items():
                    start = time.perf_counter()
                    result = method(image)[..., 0]
                    spent = 1000 * (time.perf_counter() - start)
                    rows[name].append((pitch, {**score(drawing, result), "ms": spent}))
            print(f"{kind} {pitch:g} px: pitch found {', '.join(found)}")
        for which in [None, *(args.pitch if args.each else ())]:
            print(f"\n| {kind}{'' if which is None else f' {which:g} px'} | keep | prec | resid | PSNR | ms |")
            print("| --- | --- | --- | --- | --- | --- |")
            for name, scores in rows.items():
                chosen = [s for pitch, s in scores if which in (None, pitch)]
                mean = {key: float(np.mean([s[key] for s in chosen])) for key in chosen[0]}
                print(
                    f"| {name} | {mean['keep']:.2f} | {mean['prec']:.2f} | {mean['resid']:.2f} "
                    f"| {mean['PSNR']:.1f} | {mean['ms']:.0f} |"
                )
        print()


if __name__ == "__main__":
    main()
