"""Panel detection on drawn pages whose panels are known, and on real ones."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from animegen.media import Box
from animegen.options import describe_options
from animegen_manga import Manga109, detect_panels
from animegen_manga.panels import Panels
from animegen_manga.plugin import PanelOptions, animegen_detectors

W, H = 600, 840
GRID = [Box(310, 30, 570, 400), Box(30, 30, 298, 400), Box(30, 412, 570, 810)]


def scribble(page, polygon, rng, ink=(20, 20, 20)):
    """A drawing inside a polygon: curves, a grey patch and a dark one, nothing that is straight and long."""
    mask = np.zeros(page.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.array(polygon, np.int32)], 255)
    layer = np.full_like(page, 235)
    x0, y0, x1, y1 = (*np.min(polygon, axis=0), *np.max(polygon, axis=0))
    for _ in range(14):
        centre = (int(rng.integers(x0, x1)), int(rng.integers(y0, y1)))
        axes = (int(rng.integers(10, 90)), int(rng.integers(10, 90)))
        fill = -1 if rng.random() < 0.4 else 2
        shade = ink if rng.random() < 0.5 else (150, 140, 160)
        cv2.ellipse(layer, centre, axes, float(rng.integers(0, 180)), 0, 360, shade, fill, cv2.LINE_AA)
    page[mask > 0] = layer[mask > 0]


def draw(panels, *, background=255, seed=0, width=W, height=H, frame=(0, 0, 0)):
    rng = np.random.default_rng(seed)
    page = np.full((height, width, 3), background, np.uint8)
    for panel in panels:
        polygon = corners(panel)
        scribble(page, polygon, rng)
        cv2.polylines(page, [np.array(polygon, np.int32)], True, frame, 3, cv2.LINE_AA)
    noise = rng.normal(0, 2, page.shape)
    return np.clip(page + noise, 0, 255).astype(np.uint8)


def corners(panel):
    if isinstance(panel, Box):
        return [(panel.x0, panel.y0), (panel.x1, panel.y0), (panel.x1, panel.y1), (panel.x0, panel.y1)]
    return panel


def bounding(panel):
    p = np.array(corners(panel))
    return Box(*p.min(0).tolist(), *p.max(0).tolist())


def assert_found(page, panels, **options):
    regions = detect_panels(page, **options)
    expected = [bounding(panel).clip(page.shape[1], page.shape[0]) for panel in panels]
    overlaps = [region.box.iou(box) for region, box in zip(regions, expected, strict=True)]
    assert min(overlaps) > 0.9, overlaps
    for region in regions:
        assert region.kind == "panel"
        assert 0 <= region.score <= 1
        assert len(region.polygon) >= 3
    return regions


@pytest.mark.parametrize("seed", range(3))
def test_a_grid_in_reading_order(seed):
    page = draw(GRID, seed=seed)
    assert_found(page, GRID)
    mirrored = page[:, ::-1].copy()
    flipped = [Box(W - b.x1, b.y0, W - b.x0, b.y1) for b in GRID]
    assert_found(mirrored, flipped, direction="ltr")


def test_slanted_gutters_give_slanted_polygons():
    panels = [
        [(330, 30), (570, 30), (570, 400), (270, 400)],
        [(30, 30), (318, 30), (258, 400), (30, 400)],
        Box(30, 412, 570, 810),
    ]
    regions = assert_found(draw(panels), panels)
    found = sorted(x for x, y in regions[0].polygon if y < 60)[0]
    assert abs(found - 330) < 8


def test_panels_that_run_off_the_page():
    panels = [Box(306, -5, 605, 400), Box(-5, -5, 294, 400), Box(-5, 412, 605, 845)]
    assert_found(draw(panels), panels)


@pytest.mark.parametrize(("background", "frame"), [(0, (255, 255, 255)), (0, (90, 90, 90)), (128, (0, 0, 0))])
def test_black_and_grey_pages(background, frame):
    assert_found(draw(GRID, background=background, frame=frame), GRID)


def test_yellowed_paper():
    page = draw(GRID)
    page = (page * np.array([1.0, 0.95, 0.82])).astype(np.uint8)
    assert_found(page, GRID)


def test_a_pinwheel():
    panels = [
        Box(30, 30, 390, 200),
        Box(410, 30, 570, 610),
        Box(210, 220, 390, 610),
        Box(30, 220, 190, 810),
        Box(210, 630, 570, 810),
    ]
    regions = detect_panels(draw(panels))
    assert len(regions) == 5
    assert all(max(region.box.iou(box) for region in regions) > 0.9 for box in panels)


def test_a_balloon_over_the_gutter():
    page = draw(GRID)
    cv2.ellipse(page, (304, 110), (60, 70), 0, 0, 360, (255, 255, 255), -1)
    cv2.ellipse(page, (304, 110), (60, 70), 0, 0, 360, (0, 0, 0), 2, cv2.LINE_AA)
    for y in range(70, 150, 20):
        cv2.rectangle(page, (296, y), (312, y + 12), (0, 0, 0), -1)
    assert_found(page, GRID)
    assert_found(page, GRID, text_boxes=[Box(294, 68, 314, 144)])


def test_a_double_page_is_read_half_by_half():
    half = [Box(b.x0 + 600, b.y0, b.x1 + 600, b.y1) for b in GRID]
    panels = [*half, *GRID]
    assert_found(draw(panels, width=1200), panels)


def test_pages_that_meet_at_the_fold_are_two_and_a_drawing_over_it_makes_them_one():
    right = [Box(600, 0, 1200, 300), Box(600, 312, 1200, 840)]
    left = [Box(0, 0, 600, 500), Box(0, 512, 600, 840)]
    assert_found(draw([*right, *left], width=1200), [*right, *left])
    across = [Box(30, 30, 1170, 500), Box(610, 512, 1170, 810), Box(30, 512, 598, 810)]
    assert_found(draw(across, width=1200), across)


def test_sizes_do_not_matter():
    page = draw(GRID)
    large = cv2.resize(page, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    assert_found(large, [Box(*(3 * v for v in b)) for b in GRID])


@pytest.mark.parametrize(
    "page",
    [
        np.full((H, W, 3), 255, np.uint8),
        np.zeros((37, 53, 3), np.uint8),
        np.full((1, 1, 3), 9, np.uint8),
        np.random.default_rng(0).integers(0, 256, (200, 150, 3), dtype=np.uint8),
    ],
)
def test_the_whole_page_where_nothing_is_found(page):
    (region,) = detect_panels(page)
    assert region.box == Box(0, 0, page.shape[1], page.shape[0])
    assert region.method == "page"
    assert region.score == 0.5


def test_one_drawing_is_not_cut():
    page = np.full((H, W, 3), 255, np.uint8)
    scribble(page, [(0, 0), (W, 0), (W, H), (0, H)], np.random.default_rng(4))
    assert len(detect_panels(page)) == 1


def test_the_stage_and_its_record():
    (spec,) = [spec for spec in animegen_detectors() if spec.name == "panels"]
    assert (spec.finds, spec.options) == ("panel", PanelOptions)
    assert {info.name for info in describe_options(PanelOptions)} == {"direction", "background", "threshold"}
    page = draw(GRID)
    before = page.copy()
    regions = Panels(PanelOptions(direction="ltr"), context=None)(page)  # type: ignore[arg-type]
    assert [r.box.x0 < 100 for r in regions[:2]] == [True, False]
    assert np.array_equal(page, before)


@pytest.mark.data
@pytest.mark.slow
def test_real_pages(real_data):
    """The floor below which a change has broken something; benchmarks/pages.py prints the whole table."""
    right = wrong = missed = 0
    data = Manga109(real_data / "pages")
    for book in data:
        for page in book.pages:
            found = [r.box for r in detect_panels(data.read_image(book.title, page), direction=book.direction)]
            matched = sum(any(f.iou(frame.box) >= 0.8 for f in found) for frame in page.frames)
            right, missed = right + matched, missed + len(page.frames) - matched
            wrong += len(found) - matched
    assert 2 * right / (2 * right + wrong + missed) > 0.85
