"""How well balloons are found on real pages: with annotated text boxes and without.

    python benchmarks/balloons.py [--data DIR] [--overlay OUTDIR] [--title TITLE]

Per balloon: the truth is the part of the page's mask that belongs to the balloon (inside its annotated box; where
boxes overlap, the pixels go to the nearer text box), the prediction is the union of the regions found for its texts,
and pixels of other balloons' truth do not count. "±5 px" leaves out a band of 5 px on both sides of the truth's rim.
"outside" counts predicted pixels that lie in no frame and more than 8 px from every true balloon. "inside" is the IoU
of the masks without the drawn outline, 2 px smaller still: what there is to compare with polygons that were drawn
inside the outline. Detection matches regions and true balloons one to one, best IoU first, IoU 0.5 or more.
"single panels" crops every annotated frame out of its page and detects in it alone, as it is and enlarged twice: a
balloon counts where 60 % of it or more lies in the crop; a region that is mostly a balloon cut off further counts
neither way.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np

from animegen.media import Box, Region, union_mask
from animegen_manga.balloons import balloon_masks, detect_balloons


@dataclass
class Page:
    title: str
    index: int
    image: np.ndarray
    mask: np.ndarray
    frames: list[Box]
    texts: list[Box]
    balloons: list[Box]


def box_of(element: ElementTree.Element) -> Box:
    return Box(*(int(element.attrib[key]) for key in ("xmin", "ymin", "xmax", "ymax")))


def read_pages(root: Path, only: str = "") -> list[Page]:
    pages = []
    for file in sorted((root / "annotations").glob("*.xml")):
        if only and file.stem != only:
            continue
        for page in ElementTree.parse(file).getroot().iter("page"):
            index = int(page.attrib["index"])
            image = cv2.imread(str(root / "images" / file.stem / f"{index:03d}.jpg"))
            mask = cv2.imread(str(root / "masks" / file.stem / f"{index:03d}.png"), cv2.IMREAD_GRAYSCALE)
            boxes = {tag: [box_of(e) for e in page.findall(tag)] for tag in ("frame", "text", "balloon")}
            pages.append(
                Page(
                    file.stem,
                    index,
                    image[..., ::-1].copy(),
                    mask > 127,
                    boxes["frame"],
                    boxes["text"],
                    boxes["balloon"],
                )
            )
    return pages


def distance_to(box: Box, shape: tuple[int, int]) -> np.ndarray:
    y, x = np.ogrid[: shape[0], : shape[1]]
    dx = np.maximum(np.maximum(box.x0 - x, x - box.x1 + 1), 0)
    dy = np.maximum(np.maximum(box.y0 - y, y - box.y1 + 1), 0)
    return np.hypot(dx, dy)


def truths(page: Page) -> tuple[list[np.ndarray], list[list[int]]]:
    """Mask of each annotated balloon, and the indices of its texts."""
    owner: list[list[int]] = [[] for _ in page.balloons]
    for t, text in enumerate(page.texts):
        owner[
            max(
                range(len(page.balloons)),
                key=lambda b: (text.intersection(page.balloons[b]).area, -page.balloons[b].area),
            )
        ].append(t)
    best = np.full(page.mask.shape, np.inf)
    label = np.full(page.mask.shape, -1)
    for b, box in enumerate(page.balloons):
        inside = np.zeros(page.mask.shape, bool)
        inside[box.y0 : box.y1, box.x0 : box.x1] = True
        texts = [page.texts[t] for t in owner[b]] or [box]
        distance = np.min([distance_to(text, page.mask.shape) for text in texts], axis=0)
        take = inside & page.mask & (distance < best)
        best[take], label[take] = distance[take], b
    return [label == b for b in range(len(page.balloons))], owner


def iou(a: np.ndarray, b: np.ndarray) -> float:
    union = (a | b).sum()
    return float((a & b).sum() / union) if union else 0.0


def band(mask: np.ndarray, width: int = 5) -> np.ndarray:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    m = mask.astype(np.uint8)
    return (cv2.dilate(m, kernel) - cv2.erode(m, kernel)) > 0


def whole(region: Region, page: Page) -> np.ndarray:
    return union_mask([region], *page.mask.shape)


@dataclass
class Score:
    strict: list[float]
    tolerant: list[float]
    methods: Counter
    found: int = 0
    true: int = 0
    both: int = 0
    union: int = 0
    outside: int = 0
    inner: list[float] = field(default_factory=list)
    framed: list[int] = field(default_factory=lambda: [0, 0])
    hits: int = 0
    given: int = 0
    seconds: float = 0.0
    seconds_detect: float = 0.0
    pages: int = 0


def of_texts(masks: list[np.ndarray], texts: list[Box], page: Page) -> np.ndarray:
    """Union of the masks that cover a fifth or more of one of the texts."""
    mine = [m for m in masks if any(m[t.y0 : t.y1, t.x0 : t.x1].mean() > 0.2 for t in texts)]
    return np.logical_or.reduce(mine) if mine else np.zeros(page.mask.shape, bool)


def matched(regions: list[Region], true: list[np.ndarray], page: Page) -> tuple[list[tuple[float, int, int]], int]:
    """(IoU, region, balloon) of every overlap, best first, and how many match one to one at IoU 0.5."""
    found = [whole(r, page) for r in regions]
    pairs = sorted(
        ((iou(f, t), i, j) for i, f in enumerate(found) for j, t in enumerate(true) if (f & t).any()), reverse=True
    )
    used_f: set[int] = set()
    used_t: set[int] = set()
    for value, i, j in pairs:
        if value >= 0.5 and i not in used_f and j not in used_t:
            used_f.add(i)
            used_t.add(j)
    return pairs, len(used_t)


def measure(page: Page, score: Score, overlay: Path | None, options: dict[str, Any]) -> None:
    shape = page.mask.shape
    cv2.setRNGSeed(0)
    start = time.process_time()
    regions = balloon_masks(page.image, page.texts, frames=page.frames, **options)
    score.seconds += time.process_time() - start
    masks = [whole(r, page) for r in regions]
    everything = np.logical_or.reduce(masks) if masks else np.zeros(shape, bool)
    score.methods.update(r.method for r in regions)
    true, owner = truths(page)
    rows = []
    inner = balloon_masks(page.image, page.texts, frames=page.frames, **(options | {"outline": False, "grow": -2}))
    inner_masks = [whole(r, page) for r in inner]
    for b, truth in enumerate(true):
        texts = [page.texts[t] for t in owner[b]]
        others = page.mask & ~truth
        predicted = of_texts(masks, texts, page)
        strict = iou(predicted & ~others, truth)
        skip = others | band(truth)
        tolerant = iou(predicted & ~skip, truth & ~skip)
        score.strict.append(strict)
        score.tolerant.append(tolerant)
        score.inner.append(iou(of_texts(inner_masks, texts, page) & ~others, truth))
        rows.append((strict, tolerant, page.balloons[b]))
    score.both += int((everything & page.mask).sum())
    score.union += int((everything | page.mask).sum())
    score.true += int(page.mask.sum())
    near = cv2.dilate(page.mask.astype(np.uint8), np.ones((17, 17), np.uint8)) > 0
    inside = union_mask([Region("panel", f) for f in page.frames], *shape)
    score.outside += int((everything & ~inside & ~near).sum())

    start = time.process_time()
    detected = detect_balloons(page.image)
    score.seconds_detect += time.process_time() - start
    pairs, hits = matched(detected, true, page)
    score.hits += hits
    score.found += len(detected)
    framed = detect_balloons(page.image, frames=page.frames)
    score.framed[0] += matched(framed, true, page)[1]
    score.framed[1] += len(framed)
    score.given += len(true)
    score.pages += 1
    if overlay:
        draw(page, regions, rows, overlay / f"{page.title}_{page.index:03d}_annotated.png")
        scores = [
            (max((v for v, a, _ in pairs if a == i), default=0.0), r.score, r.box) for i, r in enumerate(detected)
        ]
        draw(page, detected, scores, overlay / f"{page.title}_{page.index:03d}_detected.png")


INSIDE = 0.6
"""Share of a balloon that lies in a crop for it to count there."""

SCALES = (1, 2)
"""Enlargements at which single panels are measured."""


@dataclass
class Singles:
    """Detection on single panels at one scale, with its CPU time and the pixels it was given."""

    hits: int = 0
    found: int = 0
    given: int = 0
    seconds: float = 0.0
    pixels: int = 0


def single_panels(page: Page, scores: dict[int, Singles], overlay: Path | None) -> None:
    """Detect in every frame of a page cropped out and enlarged; the annotation is only used to judge."""
    true, _ = truths(page)
    for k, frame in enumerate(page.frames):
        crop = frame.clip(page.mask.shape[1], page.mask.shape[0])
        if not crop.area:
            continue
        view = slice(crop.y0, crop.y1), slice(crop.x0, crop.x1)
        parts = [(t[view], t[view].sum() >= INSIDE * t.sum()) for t in true if t[view].any()]
        for scale, score in scores.items():
            size = crop.width * scale, crop.height * scale
            image = page.image[view]
            if scale != 1:
                image = cv2.resize(image, size, interpolation=cv2.INTER_LANCZOS4)
            grown = [cv2.resize(t.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0 for t, _ in parts]
            wanted = [t for t, (_, counts) in zip(grown, parts, strict=True) if counts]
            cut_off = [t for t, (_, counts) in zip(grown, parts, strict=True) if not counts]
            mask = np.logical_or.reduce(grown) if grown else np.zeros(size[::-1], bool)
            panel = Page(page.title, page.index, np.ascontiguousarray(image), mask, [], [], [])
            start = time.process_time()
            regions = detect_balloons(panel.image)
            score.seconds += time.process_time() - start
            score.pixels += size[0] * size[1]
            seen = [(r, whole(r, panel)) for r in regions]
            kept = [r for r, m in seen if not any((m & t).sum() > 0.5 * m.sum() for t in cut_off)]
            pairs, hits = matched(kept, wanted, panel)
            score.hits += hits
            score.found += len(kept)
            score.given += len(wanted)
            if overlay:
                best = [max((v for v, a, _ in pairs if a == i), default=0.0) for i in range(len(kept))]
                rows = [(v, r.score, r.box) for v, r in zip(best, kept, strict=True)]
                draw(panel, regions, rows, overlay / f"{page.title}_{page.index:03d}_panel{k:02d}_x{scale}.png")


def print_singles(singles: dict[str, dict[int, Singles]]) -> None:
    print("\nsingle panels: every frame cropped out, without annotation, IoU >= 0.5")
    heads = "title", "scale", "true", "found", "P", "R", "F1", "s/Mpx"
    print("{:16} {:>5} {:>4} {:>5} {:>6} {:>6} {:>6} {:>6}".format(*heads))
    rows = [(title, str(scale), [one[scale]]) for title, one in singles.items() for scale in SCALES]
    rows += [("all", str(scale), [one[scale] for one in singles.values()]) for scale in SCALES]
    rows.append(("all", "both", [score for one in singles.values() for score in one.values()]))
    for title, scale, scores in rows:
        hits, found, given = (sum(getattr(s, name) for s in scores) for name in ("hits", "found", "given"))
        p, r, f = f1(hits, found, given)
        speed = ratio(sum(s.seconds for s in scores), sum(s.pixels for s in scores) / 1e6)
        print(f"{title:16} {scale:>5} {given:4d} {found:5d} {p:6.3f} {r:6.3f} {f:6.3f} {speed:6.2f}")


def draw(page: Page, regions: list[Region], rows: list[tuple[float, float, Box]], file: Path) -> None:
    """Green: right, red: too much, blue: missed; figures: strict IoU and IoU with tolerance (or score)."""
    out = page.image[..., ::-1].astype(np.float32)
    mask = union_mask(regions, *page.mask.shape)
    for where, colour in (
        (mask & page.mask, (0, 200, 0)),
        (mask & ~page.mask, (0, 0, 255)),
        (~mask & page.mask, (255, 80, 0)),
    ):
        out[where] = out[where] * 0.55 + np.array(colour, np.float32) * 0.45
    out = np.ascontiguousarray(out.astype(np.uint8))
    for region in regions:
        found, _ = cv2.findContours(whole(region, page).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(out, found, -1, (0, 160, 160), 1)
        cv2.putText(
            out, f"{region.method} {region.score:.2f}", (region.box.x0, region.box.y1 + 10), 0, 0.38, (200, 0, 200), 1
        )
    for value, second, box in rows:
        cv2.putText(out, f"{value:.2f} {second:.2f}", (box.x0, box.y0 + 10), 0, 0.42, (0, 0, 220), 1)
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), out)


def ratio(a: float, b: float) -> float:
    return a / b if b else 0.0


def f1(hits: int, found: int, given: int) -> tuple[float, float, float]:
    precision, recall = ratio(hits, found), ratio(hits, given)
    return precision, recall, ratio(2 * precision * recall, precision + recall)


def main() -> None:
    default = os.environ.get("ANIMEGEN_DATA", Path(__file__).parent.parent.parent / "shared" / "data")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--overlay", type=Path)
    parser.add_argument("--title", default="")
    parser.add_argument("--drawn-text", choices=("block", "letters", "keep"))
    parser.add_argument("--list", action="store_true", help="print every balloon below 0.85")
    args = parser.parse_args()
    options = {"drawn_text": args.drawn_text} if args.drawn_text else {}
    scores: dict[str, Score] = {}
    singles: dict[str, dict[int, Singles]] = {}
    for page in read_pages(args.data / "pages", args.title):
        score = scores.setdefault(page.title, Score([], [], Counter()))
        before = len(score.strict)
        single_panels(page, singles.setdefault(page.title, {k: Singles() for k in SCALES}), args.overlay)
        measure(page, score, args.overlay, options)
        if args.list:
            for b, value in enumerate(score.strict[before:]):
                if value < 0.85:
                    print(
                        f"  {page.title} {page.index:03d} {tuple(page.balloons[b])} strict {value:.2f} "
                        f"tolerant {score.tolerant[before + b]:.2f}"
                    )
    print("with annotated text boxes and frames")
    heads = "title", "N", "IoU", "±5 px", "inside", "page IoU", "recall", "outside", "s/page"
    print("{:16} {:>3} {:>6} {:>6} {:>6} {:>8} {:>6} {:>7} {:>6}  methods".format(*heads))
    for title, s in scores.items():
        print(
            f"{title:16} {len(s.strict):3d} {np.mean(s.strict):6.3f} {np.mean(s.tolerant):6.3f} "
            f"{np.mean(s.inner):6.3f} {ratio(s.both, s.union):8.3f} {ratio(s.both, s.true):6.3f} {s.outside:7d} "
            f"{s.seconds / s.pages:6.2f}  " + ", ".join(f"{k} {v}" for k, v in s.methods.most_common())
        )
    print("\nwithout annotation, IoU >= 0.5 (with frames: panel boxes given, no text boxes)")
    print(f"{'title':16} {'true':>4} {'found':>5} {'P':>6} {'R':>6} {'F1':>6} {'with frames F1':>15} {'s/page':>6}")
    for title, s in scores.items():
        p, r, f = f1(s.hits, s.found, s.given)
        framed = f1(s.framed[0], s.framed[1], s.given)[2]
        print(
            f"{title:16} {s.given:4d} {s.found:5d} {p:6.3f} {r:6.3f} {f:6.3f} {framed:15.3f} "
            f"{s.seconds_detect / s.pages:6.2f}"
        )
    hits, found, given = (sum(getattr(s, name) for s in scores.values()) for name in ("hits", "found", "given"))
    p, r, f = f1(hits, found, given)
    framed = f1(*(sum(s.framed[k] for s in scores.values()) for k in (0, 1)), given)[2]
    print(f"{'all':16} {given:4d} {found:5d} {p:6.3f} {r:6.3f} {f:6.3f} {framed:15.3f}")
    print_singles(singles)


if __name__ == "__main__":
    main()
