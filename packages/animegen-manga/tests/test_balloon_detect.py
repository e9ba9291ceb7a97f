"""Balloons without annotation, and the stage that chooses between both ways."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from animegen.media import Box, union_mask
from animegen.stages import Detector
from animegen_manga.balloons import balloon_masks, detect_balloons
from animegen_manga.balloons.stage import Balloons
from animegen_manga.plugin import BalloonOptions

TEXTS = [Box(120, 120, 192, 240), Box(500, 300, 548, 420)]


def page() -> tuple[np.ndarray, np.ndarray]:
    """Two balloons, a face and a window on a page of strokes; the truth holds the balloons."""
    grey = np.full((900, 640), 255, np.uint8)
    rng = np.random.default_rng(4)
    for _ in range(60):
        a, b = rng.integers(0, 640, 2), rng.integers(0, 900, 2)
        cv2.line(grey, (int(a[0]), int(b[0])), (int(a[1]), int(b[1])), 0, 2, cv2.LINE_AA)
    truth = np.zeros_like(grey)
    for centre, axes in (((156, 180), (80, 100)), ((524, 360), (60, 95))):
        for canvas, fill, line in ((grey, 255, 0), (truth, 1, 1)):
            cv2.ellipse(canvas, centre, axes, 0, 0, 360, fill, cv2.FILLED)
            cv2.ellipse(canvas, centre, axes, 0, 0, 360, line, 3, cv2.LINE_AA if canvas is grey else cv2.LINE_8)
    for box in TEXTS:
        for x in range(box.x0, box.x1 - 15, 22):
            for y in range(box.y0, box.y1 - 15, 18):
                for _ in range(4):
                    p, q = rng.integers(1, 15, 2) + np.array([x, y]), rng.integers(1, 15, 2) + np.array([x, y])
                    cv2.line(grey, (int(p[0]), int(p[1])), (int(q[0]), int(q[1])), 0, 2, cv2.LINE_AA)
    cv2.ellipse(grey, (300, 650), (90, 120), 0, 0, 360, 255, cv2.FILLED)  # a face: eyes and a mouth are no text
    cv2.ellipse(grey, (300, 650), (90, 120), 0, 0, 360, 0, 3, cv2.LINE_AA)
    for x in (265, 335):
        cv2.circle(grey, (x, 630), 9, 0, 2, cv2.LINE_AA)
    cv2.ellipse(grey, (300, 710), (25, 8), 0, 0, 180, 0, 2, cv2.LINE_AA)
    return np.repeat(grey[..., None], 3, axis=2), truth > 0


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_balloons_are_found_by_their_lettering_and_a_face_is_not():
    image, truth = page()
    regions = detect_balloons(image)
    assert [region.method for region in regions] == ["detected"] * 2
    assert iou(union_mask(regions, *truth.shape), truth) > 0.95


def test_a_page_without_lettering_has_no_balloon():
    assert detect_balloons(np.full((400, 300, 3), 255, np.uint8)) == []
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    assert detect_balloons(noise) == []


def test_minimum_score_drops_the_less_sure():
    image, _ = page()
    image[295:425, 495:553] = 255
    image[330:365, 520:525] = image[372:378, 520:526] = 0  # a lone exclamation mark is less sure
    scores = sorted(region.score for region in detect_balloons(image, min_score=0.01))
    assert scores[0] < scores[-1] <= 1
    assert len(detect_balloons(image, min_score=scores[-1])) < len(scores)


class Lent:
    """A context: this stage asks for nothing."""

    devices = ("cpu",)
    dtype = "auto"


def test_the_stage_uses_text_boxes_where_there_are_any():
    image, truth = page()
    stage = Balloons(BalloonOptions(), Lent())
    assert isinstance(stage, Detector)
    for regions, methods in ((stage(image, TEXTS), {"flood"}), (stage(image), {"detected"})):
        assert {region.method for region in regions} == methods
        assert all(region.kind == "balloon" for region in regions)
        assert all(region.mask.shape == (region.box.height, region.box.width) for region in regions)
        assert iou(union_mask(regions, *truth.shape), truth) > 0.95


def test_the_image_is_left_as_it_is():
    image, _ = page()
    before = image.copy()
    detect_balloons(image)
    balloon_masks(image, TEXTS)
    assert np.array_equal(image, before)


@pytest.mark.data
@pytest.mark.parametrize(("title", "index", "floor"), [("PageBlanche", 6, 0.97), ("PepperCarrot17", 4, 0.95)])
def test_real_pages_keep_their_overlap(real_data, title, index, floor):
    from xml.etree import ElementTree

    folder = real_data / "pages"
    tree = ElementTree.parse(folder / "annotations" / f"{title}.xml")
    (found,) = (p for p in tree.getroot().iter("page") if int(p.attrib["index"]) == index)
    boxes = {
        tag: [Box(*(int(e.attrib[k]) for k in ("xmin", "ymin", "xmax", "ymax"))) for e in found.findall(tag)]
        for tag in ("frame", "text")
    }
    image = cv2.imread(str(folder / "images" / title / f"{index:03d}.jpg"))[..., ::-1].copy()
    truth = cv2.imread(str(folder / "masks" / title / f"{index:03d}.png"), cv2.IMREAD_GRAYSCALE) > 127
    annotated = balloon_masks(image, boxes["text"], frames=boxes["frame"])
    assert iou(union_mask(annotated, *truth.shape), truth) > floor
    assert iou(union_mask(detect_balloons(image), *truth.shape), truth) > floor
