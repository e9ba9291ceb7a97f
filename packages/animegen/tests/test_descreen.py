"""Finding screentone and taking it away, on small drawings with a known answer."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest

from animegen.builtin.descreen import Descreen
from animegen.builtin.plugin import DescreenOptions
from animegen.builtin.screentone import analyse_screentone

ZOOM, SIZE = 4, 256


def grow(mask, size):
    return cv2.dilate(mask.astype(np.uint8), np.ones((size, size), np.uint8)).astype(bool)


def shrink(plane):
    return cv2.resize(np.float32(plane), (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def grey(plane):
    return np.rint(np.clip(plane, 0, 255)).astype(np.uint8)


def rgb(plane):
    return np.ascontiguousarray(plane[..., None].repeat(3, axis=2))


@cache
def drawing(kind, pitch, ink=0.3, angle=0.6):
    """A toned disc with strokes across it: scan, answer with flat grey, paper without lines, lines, inner tone."""
    big = SIZE * ZOOM
    y, x = np.mgrid[:big, :big] * (2 * np.pi / (pitch * ZOOM))
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    wave = np.cos(u) + (np.cos(v) if kind == "dot" else 0)
    disc = cv2.circle(np.zeros((big, big), np.uint8), (big // 2, big // 2), int(0.4 * big), 1, -1).astype(bool)
    dots = np.where(wave > np.quantile(wave, 1 - ink), 0, 255)
    lines = np.zeros((big, big), np.uint8)
    cv2.circle(lines, (big // 2, big // 2), int(0.4 * big), 1, 2 * ZOOM)
    for k, width in enumerate((1, 2, 3, 2)):
        start, end = (int(big * (0.08 + 0.2 * k)), int(0.1 * big)), (int(big * (0.2 + 0.22 * k)), int(0.95 * big))
        cv2.line(lines, start, end, 1, width * ZOOM)
    toned = np.where(disc & (kind != "none"), dots, 255)
    flat = np.where(disc & (kind != "none"), 255 * (1 - ink), 255)
    scan, answer = (cv2.GaussianBlur(shrink(np.where(lines, 0, plane)), (0, 0), 0.5) for plane in (toned, flat))
    noisy = grey(scan + np.random.default_rng(0).normal(0, 2, scan.shape))
    jpeg = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
    line = shrink(lines) > 0.5
    inner = (cv2.erode(shrink(disc), np.ones((9, 9), np.uint8)) > 0.99) & ~grow(shrink(lines) > 0.05, 9)
    return cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE), grey(answer), grey(shrink(flat)), line, inner


def clean(image, **options):
    return Descreen(DescreenOptions(**options), None)(image)


@pytest.mark.parametrize("kind", ["dot", "line"])
@pytest.mark.parametrize("pitch", [2.5, 4.0, 6.0, 9.0])
@pytest.mark.parametrize("angle", [0.25, 0.785])
def test_pitch_is_found_within_five_percent(kind, pitch, angle):
    report = analyse_screentone(rgb(drawing(kind, pitch, angle=angle)[0]))
    assert report.pitch == pytest.approx(pitch, rel=0.05)
    assert 0.05 < report.share < 0.9
    assert len(report.lattices[0].waves) == (2 if kind == "dot" else 1)


@pytest.mark.parametrize("pitch", [2.5, 4.0])
@pytest.mark.parametrize("ink", [0.15, 0.3, 0.5])
def test_dots_go_and_lines_stay(pitch, ink):
    scan, answer, paper, line, inner = (plane.astype(float) for plane in drawing("dot", pitch, ink))
    out = clean(rgb(grey(scan)))[..., 0].astype(float)
    line, inner = line > 0, inner > 0
    keep = (paper - out)[line].mean() / (paper - answer)[line].mean()
    resid = (out - paper)[inner].std() / (scan - paper)[inner].std()
    assert keep >= 0.95
    assert resid <= 0.2
    assert abs((out - paper)[inner].mean()) < 6  # flat grey of the right level
    assert np.mean((out - answer) ** 2) < 0.3 * np.mean((scan - answer) ** 2)


@pytest.mark.parametrize("pitch", [2.5, 4.0])
def test_parallel_line_tone_goes_too(pitch):
    scan, answer, paper, line, inner = drawing("line", pitch)
    out = clean(rgb(scan))[..., 0].astype(float)
    assert (out - paper)[inner].std() <= 0.25 * (scan.astype(float) - paper)[inner].std()
    assert (paper - out)[line].mean() >= 0.95 * (paper.astype(float) - answer)[line].mean()


def test_residual_is_reported():
    image = rgb(drawing("dot", 4.0)[0])
    assert analyse_screentone(image).residual is None
    assert analyse_screentone(image, image).residual == pytest.approx(1)
    assert analyse_screentone(image, clean(image)).residual < 0.25


def test_drawing_without_tone_is_returned_byte_for_byte():
    image = rgb(drawing("none", 4.0)[0])
    report = analyse_screentone(image)
    assert (report.pitch, report.share, report.lattices) == (None, 0.0, ())
    out = clean(image)
    assert out.tobytes() == image.tobytes()
    assert out is not image


def test_hand_hatching_is_not_tone():
    """Strokes that waver by a pixel or two, at a spacing that tone could have."""
    rng, plane = np.random.default_rng(5), np.full((SIZE, SIZE), 255, np.uint8)
    for x in np.arange(10, 240, 5):
        for y in range(10, 230, 40):
            a, b = rng.normal(0, 1.2, 2)
            cv2.line(plane, (int(x + a), y), (int(x + b + 8), y + 34 + int(rng.integers(-4, 5))), 0, 1, cv2.LINE_AA)
    image = rgb(plane)
    assert clean(image).tobytes() == image.tobytes()


def test_stipple_and_painted_noise_are_left_alone():
    grains = cv2.GaussianBlur(np.random.default_rng(1).normal(0, 1, (SIZE, SIZE)), (0, 0), 0.8)
    image = rgb(grey(255 * (grains > np.quantile(grains, 0.4))))
    assert clean(image).tobytes() == image.tobytes()


def test_only_toned_places_change():
    toned, plain = rgb(drawing("dot", 4.0)[0]), rgb(drawing("none", 4.0)[0])
    page = np.ascontiguousarray(np.concatenate([toned, plain], axis=1))
    out = clean(page)
    assert np.array_equal(out[:, SIZE + 20 :], page[:, SIZE + 20 :])
    assert not np.array_equal(out[:, :SIZE], page[:, :SIZE])
    everywhere = clean(page, local=False)
    assert not np.array_equal(everywhere[:, SIZE + 20 :], page[:, SIZE + 20 :])


def test_grey_stays_grey_and_colour_keeps_its_hue():
    image = rgb(drawing("dot", 4.0)[0])
    out = clean(image)
    assert (out == out[..., :1]).all()
    tint = np.rint(image * np.array([1.0, 0.85, 0.7])).astype(np.uint8)
    cleaned = clean(tint)
    inner = drawing("dot", 4.0)[4]
    ratio = cleaned[inner].mean(0) / tint[inner].mean(0)
    assert np.ptp(ratio / ratio.mean()) < 0.12
    assert cleaned[inner].std(0).max() < 0.35 * tint[inner].std(0).max()


def test_pitch_option():
    image = rgb(drawing("dot", 4.0)[0])
    assert clean(image, pitch=4.1).tobytes() == clean(image).tobytes()
    assert clean(image, pitch=8.0).tobytes() == image.tobytes()  # local: no tone of that pitch here
    assert clean(image, pitch=4.0, local=False).tobytes() != image.tobytes()


def test_min_share_option():
    image = rgb(drawing("dot", 4.0)[0])
    assert clean(image, min_share=1.0).tobytes() == image.tobytes()


def test_bands_of_a_large_page_join_without_a_seam(monkeypatch):
    image = rgb(drawing("dot", 4.0)[0])
    whole = clean(image)
    monkeypatch.setattr("animegen.builtin.descreen._BAND", 100)
    assert np.abs(clean(image).astype(int) - whole).max() <= 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (37, 53), (31, 200), (65, 64)])
def test_any_size(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    for options in ({}, {"pitch": 3.0, "local": False}):
        out = clean(image, **options)
        assert out.shape == image.shape
        assert out.dtype == np.uint8
        assert out.flags.c_contiguous


def test_small_panel_full_of_tone():
    image = rgb(drawing("dot", 4.0)[0][110:147, 100:153])
    report = analyse_screentone(image)
    assert report.pitch == pytest.approx(4, rel=0.1)
    assert clean(image).std() < 0.7 * image.std()


def test_same_bytes_again_and_input_unchanged():
    image = rgb(drawing("dot", 2.5)[0])
    kept = image.copy()
    assert clean(image).tobytes() == clean(image).tobytes()
    assert np.array_equal(image, kept)


@pytest.mark.data
@pytest.mark.parametrize(
    ("page", "toned"),
    [("HarukoSan/007", True), ("HarukoSan/003", True), ("PageBlanche/008", False), ("PepperCarrot17/002", False)],
)
def test_real_pages(real_data, page, toned):
    image = cv2.imread(str(real_data / f"pages/images/{page}.jpg"))[..., ::-1].copy()
    out = clean(image)
    assert (out.tobytes() != image.tobytes()) == toned
    report = analyse_screentone(image, out)
    assert (report.share >= 0.05) == toned
    if toned:
        assert report.residual < 0.35
        assert (out == image).all(axis=2).mean() > 0.6


@pytest.mark.data
def test_real_hatching_is_left_alone(real_data):
    page = cv2.imread(str(real_data / "pages/images/ToriNoMe/001.jpg"))[..., ::-1].copy()
    assert clean(page).tobytes() == page.tobytes()
    for top in range(0, 2700, 450):  # panel by panel as well: a small picture needs fewer tiles
        part = np.ascontiguousarray(page[top : top + 450])
        assert clean(part).tobytes() == part.tobytes()
