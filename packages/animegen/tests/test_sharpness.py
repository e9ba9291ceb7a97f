"""CPBD and the edges it counts: the golden values, scikit-image's Canny, what it cannot measure."""

from __future__ import annotations

import json

import numpy as np
import pytest

from animegen.builtin.canny import canny
from animegen.builtin.sharpness import Cpbd, edge_widths, grey_levels, sharpness, upright_edges
from animegen.measuring import Missing, Sample


def drawing(seed=0, size=(128, 192)):
    """Bars and discs on paper, (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    image = np.full((*size, 3), 250, np.uint8)
    for _ in range(8):
        centre, radius = rng.uniform(0, size), rng.uniform(8, 30)
        image[np.hypot(y - centre[0], x - centre[1]) < radius] = rng.integers(0, 255, 3)
    return image


@pytest.mark.parametrize("seed", range(6))
def test_canny_is_scikit_images(seed):
    reference = pytest.importorskip("skimage.feature").canny
    rng = np.random.default_rng(seed)
    clean = grey_levels(drawing(seed))
    grainy = np.rint(np.clip(clean + rng.normal(0, 3, clean.shape), 0, 255))
    for grey in (rng.uniform(0, 255, (41, 67)), np.rint(rng.uniform(0, 9, (50, 33))), grainy):
        assert np.array_equal(canny(grey), reference(grey))
    # Without grain both sides of an edge are alike, and which is the crest is decided by the last bit of a sum.
    assert (canny(clean) != reference(clean)).sum() < 0.03 * reference(clean).sum()


def test_grey_levels_are_pillows():
    image = pytest.importorskip("PIL.Image")
    picture = np.random.default_rng(0).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    assert np.array_equal(grey_levels(picture), np.asarray(image.fromarray(picture).convert("L")))


def test_width_of_an_edge_is_how_far_it_rises():
    steps = [2, 9, 20, 40, 40, 20, 9, 2]
    up = np.concatenate([np.zeros(30), np.cumsum(steps), np.full(30, sum(steps))]).astype(float)
    widths = edge_widths(np.tile(np.concatenate([up, up[::-1]]), (20, 1)))
    assert widths[10][widths[10] > 0].tolist() == [len(steps)] * 2


def test_blur_lowers_it():
    import cv2

    sharp = grey_levels(drawing())
    values = [sharpness(cv2.GaussianBlur(sharp, (0, 0), sigma) if sigma else sharp) for sigma in (0, 1, 2, 4)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.9
    assert values[-1] < 0.1


def test_what_has_no_edge_is_missing_and_not_zero():
    flat = np.full((2, 128, 128, 3), 128, np.uint8)
    small = np.stack([drawing(size=(60, 60))] * 2)
    for frames in (flat, small):
        assert all(isinstance(value, Missing) for value in Cpbd()(Sample(frames, (0, 1)))["cpbd"])


def test_ratio_to_the_panels():
    frames = np.stack([drawing(0), drawing(1)])
    assert isinstance(Cpbd()(Sample(frames, (0, 1)))["cpbd-ratio"], Missing)
    found = Cpbd()(Sample(frames, (0, 1), panels=frames))
    assert np.mean(found["cpbd-ratio"]) == pytest.approx(1)


@pytest.mark.data
def test_golden_values(real_data):
    folder = real_data.parent / "reference" / "metrics"
    if not (folder / "golden.json").is_file():
        pytest.skip("no golden values beside the data")
    golden = json.loads((folder / "golden.json").read_text())["cpbd"]
    pictures = np.load(folder / "cpbd.npz")
    for name, picture in pictures.items():
        assert sharpness(picture.astype(float)) == pytest.approx(golden["values"][name], abs=1e-9)
    for name, stages in golden["stages"].items():
        grey = pictures[name].astype(float)
        widths = edge_widths(grey)
        assert canny(grey).sum() == stages["canny_count"]
        assert upright_edges(grey).sum() == stages["sobel_thinned_count"]
        assert (widths > 0).sum() == stages["edge_width_nonzero"]
        assert widths.sum() == stages["edge_width_sum"]
