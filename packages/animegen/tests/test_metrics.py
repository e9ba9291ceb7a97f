"""PSNR, SSIM and line chamfer: golden values, properties, refusals.

The golden pictures are drawn here again by their recipe or by hand; the numbers of the reference set
(scikit-image and EISAI's own functions) are checked where that set lies beside the data.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from animegen.builtin.lines import line_distance, line_map, luma
from animegen.builtin.metrics import InterpolationError, LineChamfer, Psnr, Ssim
from animegen.errors import UsageError
from animegen.measuring import Missing, Sample

METRICS = [Psnr, InterpolationError, Ssim, LineChamfer]


def noise(seed, shape=(2, 40, 50, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def value(metric, frames, reference, name=None):
    result = metric()(Sample(frames, range(len(frames)), reference=reference))
    assert tuple(result) == metric.names
    assert all(len(result[name]) == len(frames) for name in metric.names)
    return float(np.mean(result[name or metric.names[0]]))


def line(x, size=32):
    """White paper with one vertical stroke of 1 px at column x."""
    image = np.full((1, size, size, 3), 255, np.uint8)
    image[:, 8:23, x] = 0
    return image


def test_psnr_of_a_known_error():
    black = np.zeros((1, 4, 4, 3), np.uint8)
    assert value(Psnr, black, black + 255) == 0
    assert value(Psnr, black, black + 1) == pytest.approx(48.130803609, abs=1e-8)  # 20 log10 255
    assert value(Psnr, black, black) == float("inf")


def test_psnr_averages_decibels_not_errors():
    black = np.zeros((2, 4, 4, 3), np.uint8)
    other = black.copy()
    other[0] += 1
    other[1] += 100
    assert value(Psnr, black, other) == pytest.approx((48.1308036 + 8.1308036) / 2)


def test_interpolation_error_is_a_distance_of_colours_not_of_channels():
    black = np.zeros((1, 4, 4, 3), np.uint8)
    other = black.copy()
    other[..., 0], other[..., 1] = 3, 4
    other[0, :2] = 0
    assert value(InterpolationError, black, other) == pytest.approx(2.5)  # half of the pixels are 5 levels away
    assert value(InterpolationError, black, black + 255) == pytest.approx(255 * 3**0.5)


def test_ssim_agrees_with_scikit_image():
    structural_similarity = pytest.importorskip("skimage.metrics").structural_similarity
    frames = noise(0)
    reference = np.clip(frames + np.random.default_rng(1).normal(0, 30, frames.shape), 0, 255).astype(np.uint8)
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    expected = [structural_similarity(a, b, channel_axis=2, **wang) for a, b in zip(frames, reference, strict=True)]
    assert value(Ssim, frames, reference) == pytest.approx(np.mean(expected), abs=1e-9)


@pytest.mark.parametrize(("name", "level"), [("ssim-skimage", 255), ("ssim-atd12k", 510)])
def test_ssim_of_uniform_windows_agrees_with_scikit_image(name, level):
    structural_similarity = pytest.importorskip("skimage.metrics").structural_similarity
    frames, reference = noise(0), noise(1)
    expected = [
        structural_similarity(a, b, channel_axis=2, data_range=level) for a, b in zip(frames, reference, strict=True)
    ]
    assert value(Ssim, frames, reference, name) == pytest.approx(np.mean(expected), abs=1e-9)


def test_ssim_of_two_flat_pictures_is_the_luminance_term():
    a, b = np.full((1, 20, 20, 3), 100, np.uint8), np.full((1, 20, 20, 3), 150, np.uint8)
    c1 = (0.01 * 255) ** 2
    assert value(Ssim, a, b) == pytest.approx((2 * 100 * 150 + c1) / (100**2 + 150**2 + c1), abs=1e-9)


def test_chamfer_of_a_shifted_stroke_grows_with_the_shift():
    distances = [value(LineChamfer, line(10), line(10 + shift)) for shift in range(6)]
    assert distances[0] == 0
    assert distances == sorted(distances)
    assert distances[5] > distances[1] > 0


def test_distances_to_lines_do_not_depend_on_where_a_picture_lies_in_memory() -> None:
    rng = np.random.default_rng(0)
    lines = rng.random((64, 77)) < 0.01
    at = np.argwhere(lines)
    squares = ((np.indices(lines.shape).reshape(2, -1).T[:, None] - at) ** 2).sum(axis=2).min(axis=1)
    expected = np.sqrt(squares).reshape(lines.shape).astype(np.float32)
    beside = []
    for size in rng.integers(1, 5000, 200):
        beside = [*beside[-20:], np.empty(size, np.uint8)]
        assert np.array_equal(line_distance(lines), expected)


def test_chamfer_to_an_empty_page_is_the_share_of_lines_over_two():
    empty = np.full((1, 32, 32, 3), 255, np.uint8)
    lines = line_map(luma(line(10)[0]))
    # Every line pixel lies a diagonal away from lines that are not there; the other way round costs nothing.
    assert value(LineChamfer, empty, line(10)) == pytest.approx(lines.mean() / 2)
    assert value(LineChamfer, empty, line(10)) == value(LineChamfer, line(10), empty)
    assert value(LineChamfer, empty, empty) == 0


def test_chamfer_per_line_does_not_depend_on_how_much_paper_there_is():
    wide, whole = line(10, 64), line(14, 64)
    shares = [
        value(LineChamfer, a, b, "line-chamfer-per-line") * np.hypot(*a.shape[1:3])
        for a, b in ((wide, whole), (wide[:, :, :32], whole[:, :, :32]))
    ]
    assert shares[0] == pytest.approx(shares[1], rel=0.05)
    empty = np.full((1, 32, 32, 3), 255, np.uint8)
    found = LineChamfer()(Sample(empty, (0,), reference=empty))
    assert found["line-chamfer"] == [0]
    assert isinstance(found["line-chamfer-per-line"][0], Missing)


def test_distance_is_exact_and_euclidean():
    lines = np.zeros((40, 60), bool)
    lines[5, 7] = lines[30, 50] = True
    y, x = np.mgrid[:40, :60]
    expected = np.minimum(np.hypot(y - 5, x - 7), np.hypot(y - 30, x - 50))
    assert np.allclose(line_distance(lines), expected, atol=1e-4)
    assert np.allclose(line_distance(np.zeros((30, 40), bool)), 50)


@pytest.mark.parametrize("metric", METRICS)
def test_symmetric_best_for_equals_and_reads_only(metric):
    frames, reference = noise(0), noise(1)
    before = frames.copy(), reference.copy()
    assert value(metric, frames, reference) == pytest.approx(value(metric, reference, frames))
    assert np.array_equal(frames, before[0])
    assert np.array_equal(reference, before[1])
    assert value(metric, frames, frames) == {Psnr: float("inf"), Ssim: 1}.get(metric, 0)
    assert type(value(metric, frames, reference)) is float


@pytest.mark.parametrize("metric", METRICS)
def test_refuses_what_cannot_be_compared(metric):
    frames = noise(0)
    assert isinstance(metric()(Sample(frames, (0, 1)))[metric.names[0]], Missing)
    with pytest.raises(UsageError, match="shape"):
        value(metric, frames, frames[:1])
    with pytest.raises(UsageError, match="shape"):
        value(metric, frames, noise(0, (2, 50, 40, 3)))
    with pytest.raises(UsageError, match="uint8"):
        value(metric, frames, frames / 255)
    with pytest.raises(UsageError, match="uint8"):
        value(metric, frames[0], frames[0])
    with pytest.raises(UsageError, match="at least one"):
        value(metric, frames[:0], frames[:0])


def test_ssim_refuses_frames_smaller_than_its_window():
    with pytest.raises(UsageError, match="11"):
        value(Ssim, noise(0, (1, 10, 40, 3)), noise(1, (1, 10, 40, 3)))


@pytest.mark.data
@pytest.mark.parametrize("pair", ["cartoon_a|cartoon_b", "cartoon_a|cartoon_c", "noise_a|noise_b", "line_a|line_b"])
def test_golden_values(real_data, pair):
    folder = real_data.parent / "reference" / "metrics"
    if not (folder / "golden.json").is_file():
        pytest.skip("no golden values beside the data")
    golden = json.loads((folder / "golden.json").read_text())
    pictures = np.load(folder / "images.npz")
    a, b = (
        np.atleast_3d(pictures[name]).repeat(3 if pictures[name].ndim == 2 else 1, 2)[None] for name in pair.split("|")
    )
    assert value(Psnr, a, b) == pytest.approx(golden["psnr"][pair]["common_metrics_video"], abs=1e-9)
    wang = golden["ssim"][pair]["skimage_gauss11_sigma1.5_N (Wang 2004)"]
    assert value(Ssim, a, b) == pytest.approx(wang, abs=1e-6)
    uniform = golden["ssim"][pair]["skimage_default_uniform7_N-1_u8"]
    assert value(Ssim, a, b, "ssim-skimage") == pytest.approx(uniform, abs=1e-6)
    published = golden["ssim"][pair]["skimage_default_uniform7_float_data_range_2 (ATD-12K papers)"]
    assert value(Ssim, a, b, "ssim-atd12k") == pytest.approx(published, abs=1e-6)
    lines = golden["eisai_line_distance"].get(pair)
    if lines:
        assert value(LineChamfer, a, b) == pytest.approx(lines["chamfer_symmetric"], abs=1e-7)
