"""Pictures, masks and crops of the LaMa plugin; no torch is needed for these."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

pytest.importorskip("animegen_lama", reason="the plugin animegen-lama is not installed here")

from animegen.errors import InputError
from animegen.media import Box
from animegen.options import describe_options, resolve
from animegen_lama.crops import crops, window
from animegen_lama.pictures import is_grey, put_back, to_array, to_hole, to_rgb
from animegen_lama.plugin import WEIGHTS, LamaOptions, animegen_inpainters


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


def test_the_record_is_light_and_complete() -> None:
    code = "import sys, animegen_lama.plugin; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert set(out.split()) & {"torch", "numpy", "cv2", "simple_lama_inpainting"} == set()
    (spec,) = animegen_inpainters()
    assert [weight.file for weight in spec.weights if weight.required] == ["anime-manga-big-lama.pt"]
    for weight in spec.weights:
        assert weight.urls
        assert weight.license
        assert len(weight.sha256 or "") == 64
        assert all(url.startswith("https://") for url in weight.urls)
    assert resolve(LamaOptions).values.weights in WEIGHTS
    assert len(describe_options(LamaOptions)) == 6


@pytest.mark.parametrize("shape", [(7, 5), (7, 5, 1), (7, 5, 2)])
def test_grey_becomes_three_equal_channels(shape: tuple[int, ...]) -> None:
    image = noise(*shape)
    rgb = to_rgb(image)
    grey = image if image.ndim == 2 else image[..., 0]
    assert rgb.shape == (7, 5, 3)
    assert all((rgb[..., channel] == grey).all() for channel in range(3))


def test_alpha_is_left_out_and_put_back() -> None:
    image = noise(7, 5, 4)
    hole = np.zeros((7, 5), bool)
    hole[2, 3] = True
    filled = noise(7, 5, 3) // 2

    result = put_back(image, filled, hole)

    assert (to_rgb(image) == image[..., :3]).all()
    assert (result[..., 3] == image[..., 3]).all()
    assert (result[2, 3, :3] == filled[2, 3]).all()
    assert (result[~hole] == image[~hole]).all()


@pytest.mark.parametrize("shape", [(7, 5), (7, 5, 1), (7, 5, 2)])
def test_grey_comes_back_as_grey(shape: tuple[int, ...]) -> None:
    image = noise(*shape)
    hole = np.zeros((7, 5), bool)
    hole[2, 3] = True
    result = put_back(image, np.full((7, 5, 3), 77, np.uint8), hole)
    assert result.shape == shape
    assert np.atleast_1d(result[2, 3])[0] == 77
    assert (result[~hole] == image[~hole]).all()


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((4, 4, 3), np.float32), "is float32; uint8"),
        (np.zeros((4, 4, 3)), "is float64; uint8"),
        (np.zeros((4, 4), bool), "is bool; uint8"),
        (np.zeros((4, 4, 5), np.uint8), r"has the shape \(4, 4, 5\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), "has the shape"),
        (np.zeros((0, 4, 3), np.uint8), "has the shape"),
        (np.zeros(4, np.uint8), "has the shape"),
    ],
)
def test_other_images_are_refused(image: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        to_rgb(image)


@pytest.mark.parametrize("value", ["panel.png", b"...", None, [[1]]])
def test_what_is_no_picture_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="an array or a Pillow image is expected"):
        to_array(value, "the image")


def test_pillow_images_of_all_modes() -> None:
    rgb = Pillow.fromarray(noise(8, 8, 3))
    assert (to_array(rgb, "it") == np.asarray(rgb)).all()
    palette = rgb.convert("P")
    assert (to_array(palette, "it") == np.asarray(palette.convert("RGB"))).all()
    assert to_array(rgb.convert("L"), "it").shape == (8, 8)
    assert to_array(rgb.convert("1"), "it").dtype == bool
    assert to_array(rgb.convert("CMYK"), "it").shape == (8, 8, 3)


def test_a_hole_begins_at_127() -> None:
    mask = np.array([[0, 1, 126, 127, 255]], np.uint8)
    assert to_hole(mask, 1, 5).tolist() == [[False, False, False, True, True]]
    assert to_hole(mask > 1, 1, 5).tolist() == [[False, False, True, True, True]]


def test_masks_with_channels() -> None:
    mask = np.zeros((4, 4), np.uint8)
    mask[1, 2] = 255
    for given_mask in (mask[..., None], np.repeat(mask[..., None], 3, axis=2)):
        assert (to_hole(given_mask, 4, 4) == (mask > 0)).all()
    coloured = np.zeros((4, 4, 3), np.uint8)
    coloured[1, 2, 0] = 255
    with pytest.raises(InputError, match="in colour"):
        to_hole(coloured, 4, 4)


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.eye(4, dtype=np.uint8), "holds only 0 and 1"),
        (np.zeros((4, 4), np.float32), "is float32; bool"),
        (np.zeros((4, 4), np.int64), "is int64; bool"),
        (np.zeros((4, 5), bool), r"has the shape \(4, 5\), the image is 4 × 4"),
        (np.zeros((4, 4, 2), bool), "must be of one size"),
        (np.zeros(4, bool), "must be of one size"),
    ],
)
def test_other_masks_are_refused(mask: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        to_hole(mask, 4, 4)


def test_grey_pages_are_known_as_grey() -> None:
    page = np.repeat(noise(6, 6, 1), 3, axis=2)
    hole = np.zeros((6, 6), bool)
    hole[0, 0] = True
    page[0, 0] = (255, 0, 0)
    assert is_grey(page, hole)
    assert not is_grey(page, np.zeros((6, 6), bool))
    assert not is_grey(page, np.ones((6, 6), bool)), "nothing is known"


def test_windows_move_inwards_at_the_rim() -> None:
    assert window(Box(500, 500, 600, 550), 128, 2000, 1000) == Box(372, 372, 728, 678)
    assert window(Box(10, 980, 60, 1000), 128, 2000, 1000) == Box(0, 724, 306, 1000)
    assert window(Box(0, 0, 1900, 900), 128, 2000, 1000) == Box(0, 0, 2000, 1000)


def test_one_crop_for_each_hole_that_lies_apart() -> None:
    hole = np.zeros((1200, 1600), bool)
    hole[100:200, 100:300] = True
    hole[1000:1100, 1300:1500] = True
    found = crops(hole, 128, 800)
    assert [crop.box for crop in found] == [Box(0, 0, 456, 356), Box(1144, 844, 1600, 1200)]
    assert [int(crop.hole.sum()) for crop in found] == [20_000, 20_000]


def test_a_line_of_lettering_is_one_crop() -> None:
    hole = np.zeros((1000, 1000), bool)
    hole[300:310, 300:500:4] = True
    assert len(crops(hole, 128, 800)) == 1


def test_holes_that_touch_at_a_corner_are_one() -> None:
    hole = np.zeros((1000, 1000), bool)
    hole[100, 100] = hole[101, 101] = True
    assert len(crops(hole, 16, 1)) == 1


@settings(max_examples=40, deadline=None)
@given(
    boxes=st.lists(
        st.tuples(st.integers(0, 299), st.integers(0, 199), st.integers(1, 120), st.integers(1, 90)), max_size=12
    ),
    margin=st.integers(8, 64),
    join=st.integers(64, 300),
)
def test_crops_cover_every_hole_exactly_once(boxes: list[tuple[int, int, int, int]], margin: int, join: int) -> None:
    hole = np.zeros((200, 300), bool)
    for x, y, w, h in boxes:
        hole[y : y + h, x : x + w] = True
    times = np.zeros(hole.shape, int)
    for crop in crops(hole, margin, join):
        x0, y0, x1, y1 = crop.box
        assert 0 <= x0 < x1 <= 300
        assert 0 <= y0 < y1 <= 200
        assert crop.hole.shape == (y1 - y0, x1 - x0)
        times[y0:y1, x0:x1] += crop.hole
        ys, xs = np.nonzero(crop.hole)
        ys, xs = ys + y0, xs + x0
        # The margin is kept wherever the picture has room for it.
        assert x0 <= max(0, xs.min() - margin)
        assert x1 >= min(300, xs.max() + 1 + margin)
        assert y0 <= max(0, ys.min() - margin)
        assert y1 >= min(200, ys.max() + 1 + margin)
    assert (times == hole).all()
