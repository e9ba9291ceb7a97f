"""From annotated text boxes to balloon masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Literal

import numpy as np

from animegen.media import Box, Region
from animegen_manga.balloons.candidates import Candidate, flood_candidates
from animegen_manga.balloons.ellipse import open_balloon
from animegen_manga.balloons.finish import outline_width, region_of
from animegen_manga.balloons.joined import Found, resolve_shared
from animegen_manga.balloons.letters import letter_block, letter_strokes
from animegen_manga.balloons.paper import distance_from, find_paper
from animegen_manga.balloons.rim import Evidence, weigh
from animegen_manga.balloons.scale import enlarge, scale_boxes, shrink, working_scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Image, Mask

Trace = list[tuple[Box, Box, Candidate, float, Evidence]]
"""Text box, window, candidate, score and evidence of everything that was tried."""

DrawnText = Literal["block", "letters", "keep"]

ACCEPT = 0.5
"""Score from which a candidate is taken for the text's balloon. Drawn balloons lie near 1; see benchmarks."""

SURE = 0.95
"""Score at which no other candidate is tried."""

HALO = 1.25
"""Times the text's area below which a region is less believed: the halo of letters set on tone hugs its text."""

REACHES = (1.5, 3.0)
"""How far the search window goes beyond the text box, in its longer sides; the second only if the first fails."""


@dataclass(frozen=True, eq=False)
class Seen:
    """The best candidate for one text, in a window of the picture."""

    candidate: Candidate
    evidence: Evidence
    score: float
    window: Box
    allowed: Mask
    difference: NDArray[np.uint8]


def look(image: Image, text: Box, texts: Mask, frames: Sequence[Box], trace: Trace | None = None) -> Seen | None:
    """The best-scoring candidate for a text box, or None where nothing floods.

    Balloons may stick out of their frame, and may be open to the gutter: both views, with and without the frames as
    a wall, are tried and the score decides.
    """
    height, width = image.shape[:2]
    best: Seen | None = None
    for reach in REACHES:
        margin = round(reach * max(text.width, text.height))
        window = Box(text.x0 - margin, text.y0 - margin, text.x1 + margin, text.y1 + margin).clip(width, height)
        crop = image[window.y0 : window.y1, window.x0 : window.x1]
        box = text.shift(-window.x0, -window.y0)
        difference = distance_from(crop, find_paper(crop, box))
        lettering = texts[window.y0 : window.y1, window.x0 : window.x1]
        open_edge = _open_edge(window, width, height)
        for through_tone, allowed in product((False, True), _views(window, text, frames)):
            for candidate in flood_candidates(difference, box, allowed, through_tone=through_tone):
                evidence = weigh(candidate, difference, box, allowed, open_edge, lettering)
                if evidence is None:
                    continue
                score = evidence.score * min(1.0, evidence.ratio / HALO) * 0.99**candidate.thickness
                if trace is not None:
                    trace.append((text, window, candidate, score, evidence))
                if best is None or score > best.score:
                    best = Seen(candidate, evidence, score, window, allowed, difference)
                if best.score >= SURE:
                    return best
        if best is not None and best.score >= ACCEPT:
            break
    return best


def _open_edge(window: Box, width: int, height: int) -> Mask:
    """The window's outermost pixels where the picture goes on beyond them."""
    edge = np.zeros((window.height, window.width), bool)
    edge[0] = window.y0 > 0
    edge[-1] |= window.y1 < height
    edge[:, 0] |= window.x0 > 0
    edge[:, -1] |= window.x1 < width
    return edge


def _views(window: Box, text: Box, frames: Sequence[Box]) -> list[Mask]:
    """Where a balloon may be: anywhere in the window, and inside the frames its text lies in."""
    everywhere = np.ones((window.height, window.width), bool)
    inside = np.zeros_like(everywhere)
    for frame in frames:
        if text.intersection(frame).area > 0.1 * text.area:
            part = frame.intersection(window).shift(-window.x0, -window.y0)
            inside[part.y0 : part.y1, part.x0 : part.x1] = True
    return [everywhere, inside] if inside.any() and not inside.all() else [everywhere]


def balloon_masks(
    image: Image,
    text_boxes: Sequence[Box],
    *,
    frames: Sequence[Box] = (),
    grow: int = 0,
    outline: bool = True,
    drawn_text: DrawnText = "block",
    trace: Trace | None = None,
) -> list[Region]:
    """Masks of the balloons around annotated text boxes.

    Args:
        image: (H, W, 3) uint8 RGB, a page or one panel.
        text_boxes: Boxes of lettering, in the image's pixels; parts outside the image are cut off.
        frames: Panel boxes, where they are known: a balloon open to the gutter ends at its frame.
        grow: Pixels added all around each mask; negative takes pixels away.
        outline: Whether masks take the drawn outline too.
        drawn_text: What to do with lettering that stands in no balloon.
        trace: A list that is given every candidate with its evidence, for looking into a result.

    Returns:
        One region per balloon, in the order of their first text: two texts in one balloon give one region, joined
        balloons with a text each give two. Methods and scores: ``flood`` (the outline holds) and ``thickened`` (it has
        gaps) with the evidence for the region in [0.5, 1]; ``ellipse`` (0.5, the outline is wide open); ``letters``
        (0.4) and ``rectangle`` (0.2) for lettering in no balloon.
    """
    scale = working_scale(image)
    if scale < 1:
        small = balloon_masks(
            shrink(image, scale),
            scale_boxes(text_boxes, scale),
            frames=scale_boxes(frames, scale),
            grow=round(grow * scale),
            outline=outline,
            drawn_text=drawn_text,
        )
        return [enlarge(region, scale, image.shape[1], image.shape[0]) for region in small]
    height, width = image.shape[:2]
    boxes = [box for text in text_boxes if (box := Box(*text).clip(width, height)).area]
    texts = np.zeros((height, width), bool)
    for box in boxes:
        texts[max(0, box.y0 - 3) : box.y1 + 3, max(0, box.x0 - 3) : box.x1 + 3] = True
    found: list[Found] = []
    for box in boxes:
        seen = look(image, box, texts, frames, trace)
        if seen is not None and seen.score >= ACCEPT:
            found.append(_placed(seen, box, height, width))
            continue
        opened = _opened(seen, box, height, width) if seen is not None else None
        if opened is not None:
            found.append(opened)
        elif drawn_text != "keep":
            found.append(_drawn(image, box, drawn_text))
    regions = []
    for one in resolve_shared(found):
        extra = grow + (one.outline if outline else 0)
        regions.append(region_of(one.mask, one.score, one.method, grow=extra, within=one.within))
    return regions


def _placed(seen: Seen, text: Box, height: int, width: int) -> Found:
    mask = np.zeros((height, width), bool)
    w = seen.window
    mask[w.y0 : w.y1, w.x0 : w.x1] = seen.candidate.mask
    within = None
    if not seen.allowed.all():
        within = np.zeros((height, width), bool)
        within[w.y0 : w.y1, w.x0 : w.x1] = seen.allowed
    extra = outline_width(seen.candidate.mask, seen.difference)
    method = "thickened" if seen.candidate.thickness else "flood"
    return Found(mask, (text,), seen.score, method, extra, within)


def _opened(seen: Seen, text: Box, height: int, width: int) -> Found | None:
    w = seen.window
    part = open_balloon(seen.difference, text.shift(-w.x0, -w.y0), seen.allowed)
    if part is None:
        return None
    mask = np.zeros((height, width), bool)
    mask[w.y0 : w.y1, w.x0 : w.x1] = part
    return Found(mask, (text,), 0.5, "ellipse", 2)


def _drawn(image: Image, box: Box, drawn_text: DrawnText) -> Found:
    strokes = letter_strokes(image, box)
    if not strokes.any():
        return Found(letter_block(strokes, box), (box,), 0.2, "rectangle", 0)
    mask = strokes if drawn_text == "letters" else letter_block(strokes, box)
    return Found(mask, (box,), 0.4, "letters", 0)
