"""Sizes: aspect is kept, the clip's size comes back, and nothing is resampled without need."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animegen.errors import StageError, UsageError
from animegen.pictures.sizing import paper_colour, parse_size, plan_fit
from animegen.stages import Needs

SIDES = st.integers(1, 90)
SIZES = st.tuples(SIDES, SIDES)
MODES = st.one_of(st.just("fit"), st.just("crop"), SIZES)
NEEDS = st.builds(Needs, multiple_of=st.sampled_from([1, 2, 8, 32, 64]), size=st.none() | SIZES)
QUICK = settings(max_examples=60, deadline=None)


def picture(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


def size_of(image: np.ndarray) -> tuple[int, int]:
    return image.shape[1], image.shape[0]


@QUICK
@given(SIZES, SIZES, MODES, NEEDS)
def test_sizes_in_and_out(first, last, mode, needs):
    fitting = plan_fit(first, last, mode=mode, needs=needs)
    assert fitting.size == (mode if isinstance(mode, tuple) else first)
    assert all(side % needs.multiple_of == 0 for side in fitting.working)
    if needs.size is not None:
        assert all(a >= b > a - needs.multiple_of for a, b in zip(fitting.working, needs.size, strict=True))
    for which, size in enumerate((first, last)):
        image = fitting.apply(picture(size), which)
        assert size_of(image) == fitting.working
        assert image.flags.c_contiguous
        assert image.dtype == np.uint8
    assert size_of(fitting.restore(picture(fitting.working))) == fitting.size


@QUICK
@given(SIZES, st.sampled_from(["fit", "crop"]), st.sampled_from([1, 2, 8, 32]))
def test_nothing_is_resampled_where_the_sizes_agree(size, mode, multiple):
    fitting = plan_fit(size, size, mode=mode, needs=Needs(multiple_of=multiple))
    for which in (0, 1):
        image = picture(size, which)
        seen = fitting.apply(image, which)
        assert np.array_equal(seen[: size[1], : size[0]], image)
        assert np.array_equal(fitting.restore(seen), image)
        assert fitting.identity == (fitting.working == size)
        if fitting.identity:
            assert seen is image
            assert fitting.restore(seen) is seen


def test_padding_goes_on_as_the_edge_ends():
    fitting = plan_fit((5, 3), (5, 3), needs=Needs(multiple_of=8))
    image = picture((5, 3))
    seen = fitting.apply(image, 0)
    assert np.array_equal(seen, np.pad(image, ((0, 5), (0, 3), (0, 0)), mode="edge"))


def spread(image: np.ndarray, background: tuple[int, int, int]) -> tuple[int, int]:
    """Width and height of what differs from the background."""
    ys, xs = np.nonzero(np.abs(image.astype(int) - background).sum(axis=2) > 200)
    return int(np.ptp(xs)) + 1, int(np.ptp(ys)) + 1


def disc(size: tuple[int, int]) -> np.ndarray:
    image = np.full((size[1], size[0], 3), (250, 240, 200), np.uint8)
    cv2.circle(image, (size[0] // 2, size[1] // 2), min(size) // 6, (20, 20, 120), -1)
    return image


@pytest.mark.parametrize("mode", ["fit", "crop", "640x360", "300x700"])
@pytest.mark.parametrize("needs", [Needs(), Needs(multiple_of=64), Needs(size=(512, 320))])
@pytest.mark.parametrize("sizes", [((907, 327), (592, 596)), ((600, 888), (900, 999)), ((400, 300), (300, 800))])
def test_a_circle_stays_a_circle(sizes, needs, mode):
    fitting = plan_fit(*sizes, mode=mode, needs=needs)
    for which in (0, 1):
        seen = fitting.apply(disc(sizes[which]), which)
        for image in (seen, fitting.restore(seen)):
            width, height = spread(image, (250, 240, 200))
            assert abs(width - height) <= 0.03 * max(width, height) + 3


def test_the_other_panel_lies_centred_on_its_own_paper():
    last = np.full((100, 50, 3), (10, 200, 30), np.uint8)
    seen = plan_fit((200, 100), (50, 100)).apply(last, 1)
    assert size_of(seen) == (200, 100)
    assert (seen == (10, 200, 30)).all()
    last[20:80, 10:40] = (255, 0, 0)
    seen = plan_fit((200, 100), (50, 100)).apply(last, 1)
    assert np.array_equal(seen[:, 75:125], last)


def test_crop_fills_the_clip_from_the_middle():
    last = np.zeros((100, 300, 3), np.uint8)
    last[:, 100:200] = (1, 2, 3)
    seen = plan_fit((100, 100), (300, 100), mode="crop").apply(last, 1)
    assert (seen == (1, 2, 3)).all()


def test_bands_around_the_size_a_stage_was_made_for_are_cut_off_again():
    first = disc((850, 460))
    fitting = plan_fit((850, 460), (850, 460), needs=Needs(size=(512, 320), multiple_of=64))
    assert fitting.working == (512, 320)
    assert (fitting.inner.width, fitting.inner.height) == (512, 277)
    assert str(fitting) == "850x460 at 512x277 in 512x320"
    error = fitting.restore(fitting.apply(first, 0)).astype(int) - first
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 27
    assert np.abs(error[:10]).max() == 0


@pytest.mark.parametrize("text", ["640", "0x5", "x", "640x", "-3x4", "99999x2", "fitt", "16385x16", "1x2x3"])
def test_not_a_size(text):
    with pytest.raises(UsageError, match="WIDTHxHEIGHT"):
        plan_fit((3, 3), (3, 3), mode=text)


def test_sizes_as_people_write_them():
    assert parse_size("640x480") == parse_size(" 640 × 480 ") == parse_size((640, 480)) == (640, 480)


def test_paper_is_the_median_of_the_border():
    image = np.full((60, 80, 3), (244, 240, 230), np.uint8)
    image[10:50, 10:70] = 0
    image[0, :20] = 0
    assert paper_colour(image) == (244, 240, 230)


def test_an_image_of_another_size_is_refused():
    fitting = plan_fit((30, 20), (20, 30), needs=Needs(multiple_of=8))
    with pytest.raises(StageError, match="20x30 came where 30x20"):
        fitting.apply(picture((20, 30)), 0)
    with pytest.raises(StageError, match="30x20 came where 32x24"):
        fitting.restore(picture((30, 20)))
