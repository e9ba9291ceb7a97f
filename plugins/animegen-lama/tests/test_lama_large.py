"""Large pictures: hole by hole, scaled down, or as a whole; every pixel where it belongs."""

# ruff: noqa: E402 - what may be absent is looked for first

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here; pip install animegen-lama brings it")
pytest.importorskip("simple_lama_inpainting", reason="simple-lama-inpainting is not installed here")

from animegen_lama.plugin import LamaOptions
from animegen_lama.stage import Lama

pytestmark = pytest.mark.usefixtures("no_surprise_download")
Arrays = Callable[..., np.ndarray]
Lend = Callable[..., Any]
Make = Callable[..., Lama]
Save = Callable[..., Path]


class Negative(torch.nn.Module):
    """Turns every pixel over, hole or not, so that each can be followed to where it lands."""

    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return 1.0 - image


def test_a_large_picture_is_filled_hole_by_hole(make: Make, noise: Arrays, box: Arrays) -> None:
    image = noise(900, 1200, 3)
    image[:, 600:] //= 4
    mask = box(900, 1200, 200, 260, 150, 260) | box(900, 1200, 700, 760, 1000, 1100)
    stage = make()

    filled = stage(image, mask)

    assert (filled[~mask] == image[~mask]).all()
    for y0, y1, x0, x1 in ((72, 388, 22, 388), (572, 888, 872, 1200)):
        # The second reaches beyond the right rim with its margin and moves inwards: as wide as it would be.
        x0 = min(x0, 1200 - 356) if x1 == 1200 else x0
        part = np.s_[y0:y1, x0:x1]
        alone = make(strategy="original")(image[part], mask[part])
        assert (filled[part][mask[part]] == alone[mask[part]]).all()
    assert stage.context.steps == [(0, 2, "crops"), (1, 2, "crops"), (2, 2, "crops")]


@pytest.mark.parametrize("options", [{}, {"crop_from": 64}, {"crop_from": 64, "margin": 8}, {"strategy": "original"}])
def test_every_pixel_lands_where_it_belongs(
    tmp_path: Path,
    options: dict[str, Any],
    save: Save,
    lend: Lend,
    noise: Arrays,
) -> None:
    stage = Lama(LamaOptions(file=str(save(Negative(), tmp_path / "negative.pt")), **options), lend(None))
    image = noise(701, 907, 3)
    mask = np.zeros((701, 907), bool)
    for y0, x0, height, width in np.random.default_rng(3).integers((0, 0, 1, 1), (700, 900, 90, 120), (25, 4)):
        mask[y0 : y0 + height, x0 : x0 + width] = True

    filled = stage(image, mask).astype(int)

    assert (filled[~mask] == image[~mask]).all()
    assert np.abs(filled[mask] - (255 - image[mask].astype(int))).max() <= 1


def test_a_resized_result_is_not_shifted(tmp_path: Path, save: Save, lend: Lend, box: Arrays) -> None:
    path = str(save(Negative(), tmp_path / "negative.pt"))
    stage = Lama(LamaOptions(file=path, strategy="resize", longest=300), lend(None))
    y, x = np.mgrid[:701, :907]
    image = np.stack([y / 701 * 255, x / 907 * 255, (x + y) / 1608 * 255], axis=2).astype(np.uint8)
    mask = box(701, 907, 50, 650, 60, 850)
    filled = stage(image, mask).astype(int)
    assert np.abs(filled[mask] - (255 - image[mask].astype(int))).max() <= 3


def test_up_to_800_pixels_a_picture_is_taken_as_a_whole(make: Make, noise: Arrays, box: Arrays) -> None:
    image = noise(60, 800, 3)
    image[:, 400:] //= 4
    mask = box(60, 800, 20, 30, 20, 30)
    whole = make(strategy="original")(image, mask)
    assert (make()(image, mask) == whole).all()
    assert not (make(crop_from=799)(image, mask) == whole).all()


def test_the_margin_decides_what_is_seen(make: Make, box: Arrays) -> None:
    image = np.full((400, 1000, 3), 200, np.uint8)
    image[:, 560:] = 0
    mask = box(400, 1000, 180, 200, 480, 500)
    assert (make(margin=32)(image, mask)[mask] == 200).all()
    assert (make(margin=200)(image, mask)[mask] < 190).all()


def test_other_holes_are_hidden_from_a_crop(make: Make, box: Arrays) -> None:
    image = np.full((300, 1000, 3), 200, np.uint8)
    mask = box(300, 1000, 100, 150, 100, 450) | box(300, 1000, 100, 150, 500, 900)
    image[mask] = 0  # lettering
    assert (make()(image, mask)[mask] == 200).all()


def test_resize_keeps_every_known_pixel(make: Make, noise: Arrays, box: Arrays) -> None:
    image, mask = noise(401, 903, 3), box(401, 903, 100, 180, 200, 300)
    filled = make(strategy="resize", longest=300)(image, mask)
    assert (filled[~mask] == image[~mask]).all()
    assert np.abs(filled[mask].astype(float) - image[~mask].mean(axis=0)).max() < 3


def test_resize_lets_nothing_of_the_lettering_shine_through(make: Make, box: Arrays) -> None:
    image = np.full((400, 900, 3), 200, np.uint8)
    mask = box(400, 900, 101, 180, 203, 301)
    image[mask] = 0
    assert (make(strategy="resize", longest=250)(image, mask)[mask] == 200).all()


def test_a_crop_longer_than_the_limit_is_scaled_down(
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    noise: Arrays,
    box: Arrays,
) -> None:
    seen = []
    import animegen_lama.archive as module

    real = module.Archive.fill
    monkeypatch.setattr(
        module.Archive, "fill", lambda self, image, hole: seen.append(hole.shape) or real(self, image, hole)
    )
    image, mask = noise(300, 1500, 3), box(300, 1500, 100, 200, 100, 1400)
    make(longest=640)(image, mask)
    make(longest=640, strategy="original")(image, mask)
    assert seen == [(128, 640), (300, 1500)]
