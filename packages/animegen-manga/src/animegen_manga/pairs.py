"""Pairs of panels that follow one another, with a score that says how well they lend themselves to a clip.

Every neighbouring pair is returned, with its score or with the reason it was rejected; choosing is a
separate step, seeded and by a rule that is fixed beforehand. Terms: characters in common (Jaccard index),
faces in the same place (intersection over union once both panels fill the same frame) and how alike the pictures
are (structural similarity of small, lettering-free pictures). What is not known is left out and the other
weights make up for it, so that pages without annotation are scored too.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from animegen._cv2 import cv2
from animegen.errors import UsageError
from animegen.media import Box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Image
    from animegen_manga.annotation import Page

WEIGHTS: Mapping[str, float] = {"characters": 0.4, "faces": 0.3, "picture": 0.3}
"""Weight of each term; they are divided by their sum over the terms that are known."""
THUMBNAIL = 128
"""Side of the small pictures that are compared: small enough for screentone to become grey."""
FRAME = (512, 320)
"""Width and height both panels are stretched to before faces are compared."""


@dataclass(frozen=True)
class PanelInfo:
    """What is known of a panel.

    Attributes:
        id: Unique name.
        title: What it belongs to.
        page: Index of its page.
        number: Its place on the page, from 1.
        box: Where it is on the page.
        uncertain: Whether its place in the order is.
        text_boxes: Lettering, in the panel's own pixels.
        characters: Ids of who is in it, or None where nobody has said.
        faces: Their faces, in the panel's own pixels, or None.
        thumbnail: (128, 128) float32 grey in [0, 1] without lettering, or None.
        excluded: Reason why it takes part in no pair, or empty.
    """

    id: str
    title: str
    page: int
    number: int
    box: Box
    uncertain: bool = False
    text_boxes: tuple[Box, ...] = ()
    characters: frozenset[str] | None = None
    faces: tuple[tuple[str, Box], ...] | None = None
    thumbnail: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    excluded: str = ""


@dataclass(frozen=True)
class PairRules:
    """What is rejected.

    Attributes:
        across_pages: Whether the last panel of a page and the first of the next are a pair.
        area_ratio: Largest ratio of areas.
        min_side: Smallest width and height, pixels.
        aspect_ratio: Largest ratio of aspect ratios.
        text_share: Largest share of a panel covered by lettering.
    """

    across_pages: bool = False
    area_ratio: float = 4.0
    min_side: int = 96
    aspect_ratio: float = 2.0
    text_share: float = 0.6


@dataclass(frozen=True)
class ScoredPair:
    """Two panels that follow one another.

    Attributes:
        first, last: The panels.
        score: How well they lend themselves to a clip, in [0, 1].
        terms: What the score is made of; only what is known.
        rejected: Reason why it should not be used, or empty.
    """

    first: PanelInfo
    last: PanelInfo
    score: float
    terms: Mapping[str, float]
    rejected: str = ""

    @property
    def id(self) -> str:
        return f"{self.first.id}__{self.last.id}"


def score_pairs(panels: Sequence[PanelInfo], rules: PairRules | None = None) -> list[ScoredPair]:
    """All neighbouring pairs of `panels`, which are in reading order, title by title."""
    rules = rules or PairRules()
    pairs = []
    for first, last in itertools.pairwise(panels):
        same_page = first.title == last.title and first.page == last.page
        next_page = first.title == last.title and last.page == first.page + 1
        if not same_page and not (rules.across_pages and next_page):
            continue
        terms = _terms(first, last)
        known = sum(WEIGHTS[name] for name in terms)
        score = sum(WEIGHTS[name] * value for name, value in terms.items()) / known if known else 0.0
        pairs.append(ScoredPair(first, last, score, terms, _rejection(first, last, rules)))
    return pairs


def select_pairs(
    pairs: Sequence[ScoredPair], *, per_title: int, threshold: float = 0.0, seed: int = 0
) -> list[ScoredPair]:
    """A fixed number of pairs for each title, drawn at random from those that are not rejected.

    The draw of a title depends on its own pairs and the seed only, so that adding a title leaves the others as
    they were. The result is in reading order.

    Args:
        pairs: As `score_pairs` gives them.
        per_title: Pairs for each title; all of them where it has fewer.
        threshold: Smallest score that takes part.
        seed: Seed of the draw.
    """
    if per_title < 1:
        raise UsageError(f"per_title is {per_title}; at least 1 pair can be drawn from a title.")
    chosen: set[str] = set()
    for title in dict.fromkeys(pair.first.title for pair in pairs):
        usable = [p for p in pairs if p.first.title == title and not p.rejected and p.score >= threshold]
        draw = random.Random(f"{seed}/{title}")  # text: seeding by it is the same on every platform
        chosen.update(pair.id for pair in draw.sample(usable, min(per_title, len(usable))))
    return [pair for pair in pairs if pair.id in chosen]


def thumbnail(image: Image, text_boxes: Sequence[Box] = ()) -> NDArray[np.float32]:
    """Small grey picture of a panel, lettering replaced by the ground it stands on: (128, 128) in [0, 1]."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    for box in text_boxes:
        inside = box.clip(grey.shape[1], grey.shape[0])
        if inside.area:
            margin = max(2, round(0.1 * min(inside.width, inside.height)))
            ring = Box(inside.x0 - margin, inside.y0 - margin, inside.x1 + margin, inside.y1 + margin)
            ring = ring.clip(grey.shape[1], grey.shape[0])
            around = grey[ring.y0 : ring.y1, ring.x0 : ring.x1]
            grey[inside.y0 : inside.y1, inside.x0 : inside.x1] = round(float(np.median(around)))
    small = cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return np.asarray(small / np.float32(255), np.float32)


def people_in(page: Page, frames: Sequence[Box]) -> list[tuple[frozenset[str], tuple[tuple[str, Box], ...]]]:
    """Who is in each frame of an annotated page, and their faces in the frame's own pixels.

    A body belongs to the frame that holds most of it, and at least half; a face to the frame with its centre.
    """
    people: list[set[str]] = [set() for _ in frames]
    faces: list[list[tuple[str, Box]]] = [[] for _ in frames]
    for body in page.bodies:
        shares = [frame.intersection(body.box).area for frame in frames]
        best = int(np.argmax(shares)) if shares else -1
        if best >= 0 and body.character and shares[best] >= 0.5 * body.box.area:
            people[best].add(body.character)
    for face in page.faces:
        x, y = (face.box.x0 + face.box.x1) / 2, (face.box.y0 + face.box.y1) / 2
        holders = [i for i, f in enumerate(frames) if f.x0 <= x < f.x1 and f.y0 <= y < f.y1]
        if holders and face.character:
            i = min(holders, key=lambda i: frames[i].area)
            people[i].add(face.character)
            faces[i].append((face.character, face.box.shift(-frames[i].x0, -frames[i].y0)))
    return [(frozenset(p), tuple(f)) for p, f in zip(people, faces, strict=True)]


def structural_similarity(first: NDArray[np.float32], last: NDArray[np.float32]) -> float:
    """SSIM (Wang et al. 2004) of two grey pictures in [0, 1], Gaussian window of 1.5 px; in [-1, 1]."""
    c1, c2 = 0.01**2, 0.03**2

    def blur(picture: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.GaussianBlur(picture, (11, 11), 1.5), np.float32)

    a, b = blur(first), blur(last)
    aa, bb, ab = blur(first * first) - a * a, blur(last * last) - b * b, blur(first * last) - a * b
    ssim = ((2 * a * b + c1) * (2 * ab + c2)) / ((a * a + b * b + c1) * (aa + bb + c2))
    return float(ssim[5:-5, 5:-5].mean())


def _terms(first: PanelInfo, last: PanelInfo) -> dict[str, float]:
    terms = {}
    if first.characters is not None and last.characters is not None:
        union = first.characters | last.characters
        terms["characters"] = len(first.characters & last.characters) / len(union) if union else 0.0
    if first.faces is not None and last.faces is not None:
        terms["faces"] = _faces(first, last)
    if first.thumbnail is not None and last.thumbnail is not None:
        terms["picture"] = max(0.0, structural_similarity(first.thumbnail, last.thumbnail))
    return terms


def _faces(first: PanelInfo, last: PanelInfo) -> float:
    best = 0.0
    for character, box in first.faces or ():
        for other, other_box in last.faces or ():
            if character == other:
                best = max(best, _stretched(box, first.box).iou(_stretched(other_box, last.box)))
    return best


def _stretched(box: Box, panel: Box) -> Box:
    x, y = FRAME[0] / max(1, panel.width), FRAME[1] / max(1, panel.height)
    return Box(round(box.x0 * x), round(box.y0 * y), round(box.x1 * x), round(box.y1 * y))


def _rejection(first: PanelInfo, last: PanelInfo, rules: PairRules) -> str:
    for panel in (first, last):
        if panel.excluded:
            return panel.excluded
        if panel.uncertain:
            return "the reading order is uncertain"
        if min(panel.box.width, panel.box.height) < rules.min_side:
            return f"a panel is smaller than {rules.min_side} px"
        covered = sum(box.clip(panel.box.width, panel.box.height).area for box in panel.text_boxes)
        if covered > rules.text_share * panel.box.area:
            return f"lettering covers more than {rules.text_share:.0%} of a panel"
    small, large = sorted((first.box.area, last.box.area))
    if large > rules.area_ratio * small:
        return f"one panel is more than {rules.area_ratio:g} times as large"
    aspects = [panel.box.width / panel.box.height for panel in (first, last)]
    if abs(math.log(aspects[0] / aspects[1])) > math.log(rules.aspect_ratio):
        return "the panels differ too much in shape"
    return ""
