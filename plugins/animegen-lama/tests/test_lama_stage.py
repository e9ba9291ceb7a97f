"""The stage over a small archive: sizes, masks, kinds of pictures, loading."""

# ruff: noqa: E402 - what may be absent is looked for first

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

torch = pytest.importorskip("torch", reason="torch is not installed here; pip install animegen-lama brings it")
pytest.importorskip("simple_lama_inpainting", reason="simple-lama-inpainting is not installed here")

from animegen.errors import InputError
from animegen_lama.plugin import LamaOptions
from animegen_lama.stage import Lama

pytestmark = pytest.mark.usefixtures("no_surprise_download")
Arrays = Callable[..., np.ndarray]
Lend = Callable[..., Any]
Make = Callable[..., Lama]
Save = Callable[..., Path]


class Reddish(torch.nn.Module):
    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return torch.tensor([0.9, 0.4, 0.2]).reshape(1, 3, 1, 1).expand_as(image)


def mean_of_known(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """What `MeanFill` fills with when it sees just this, padded as it is padded before it reaches the network."""
    grow = [max(side, 32) - side for side in mask.shape]
    pads = [(0, extra) for extra in grow]
    image, mask = np.pad(image, (*pads, (0, 0)), mode="symmetric"), np.pad(mask, pads, mode="symmetric")
    pads = [(0, -side % 8) for side in mask.shape]
    image, mask = np.pad(image, (*pads, (0, 0)), mode="symmetric"), np.pad(mask, pads, mode="symmetric")
    known = image[~mask]
    return known.mean(axis=0) if known.size else np.zeros(3)


@pytest.mark.parametrize(
    ("height", "width"), [(64, 64), (37, 53), (53, 37), (50, 61), (8, 8), (9, 200), (1, 1), (1, 90), (17, 16)]
)
def test_any_size_comes_back_as_it_was(make: Make, height: int, width: int, noise: Arrays, box: Arrays) -> None:
    image = noise(height, width, 3)
    mask = box(
        height, width, height // 3, height // 3 + max(1, height // 4), width // 2, width // 2 + max(1, width // 5)
    )
    before = image.copy(), mask.copy()

    filled = make()(image, mask)

    assert filled.shape == image.shape
    assert filled.dtype == np.uint8
    assert (filled[~mask] == image[~mask]).all()
    assert np.abs(filled[mask].astype(float) - mean_of_known(image, mask)).max() <= 1
    assert (image == before[0]).all()
    assert (mask == before[1]).all()
    assert not np.shares_memory(filled, image)


def test_a_mask_of_one_pixel(make: Make, noise: Arrays, box: Arrays) -> None:
    image, mask = noise(37, 53, 3), box(37, 53, 11, 12, 30, 31)
    filled = make()(image, mask)
    assert (filled != image).any(axis=2).sum() == 1
    assert (filled[~mask] == image[~mask]).all()


def test_a_picture_masked_as_a_whole(make: Make, noise: Arrays) -> None:
    assert make()(noise(40, 40, 3), np.ones((40, 40), bool)).shape == (40, 40, 3)


def test_nothing_masked_loads_nothing(make: Make, monkeypatch: pytest.MonkeyPatch, noise: Arrays) -> None:
    monkeypatch.setattr("torch.jit.load", lambda *_, **__: pytest.fail("the archive was loaded"))
    image = noise(20, 20, 3)
    stage = make()
    same = stage(image, np.zeros((20, 20), bool))
    assert (same == image).all()
    assert same is not image
    # JPEG noise around black is not a hole.
    assert (stage(image, np.full((20, 20), 126, np.uint8)) == image).all()


def test_the_archive_is_loaded_once_and_again_after_close(
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    noise: Arrays,
    box: Arrays,
) -> None:
    loads = []
    real = torch.jit.load
    monkeypatch.setattr("torch.jit.load", lambda *args, **options: loads.append(args) or real(*args, **options))
    stage, image, mask = make(), noise(40, 40, 3), box(40, 40, 5, 9, 5, 9)
    first = stage(image, mask)
    stage(image, mask)
    assert len(loads) == 1
    stage.close()
    stage.close()
    assert (stage(image, mask) == first).all()
    assert len(loads) == 2


def test_loading_is_silent(make: Make, noise: Arrays, box: Arrays) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make()(noise(40, 40, 3), box(40, 40, 5, 9, 5, 9))


# The table of what people hand in (inputs that are refused: test_lama_inputs.py)


@pytest.mark.parametrize("shape", [(37, 53), (37, 53, 1), (37, 53, 4)])
def test_grey_and_rgba(make: Make, shape: tuple[int, ...], noise: Arrays, box: Arrays) -> None:
    image, mask = noise(*shape), box(37, 53, 10, 20, 10, 20)
    filled = make()(image, mask)
    assert filled.shape == image.shape
    assert (filled[~mask] == image[~mask]).all()
    colour = filled[..., :3] if shape[-1] == 4 else filled
    known = image[..., :3][~mask] if shape[-1] == 4 else image[~mask]
    assert np.abs(colour[mask].astype(float) - known.reshape(len(known), -1).mean(axis=0)).max() < 5
    if shape[-1] == 4:
        assert (filled[..., 3] == image[..., 3]).all()


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "1"])
def test_pillow_images(make: Make, mode: str, noise: Arrays, box: Arrays) -> None:
    picture = Pillow.fromarray(noise(37, 53, 3)).convert(mode)
    mask = Pillow.fromarray(box(37, 53, 10, 20, 10, 20))
    assert mask.mode == "1"
    if mode == "1":
        with pytest.raises(InputError, match="bool; uint8"):
            make()(picture, mask)
    else:
        assert make()(picture, mask).shape[:2] == (37, 53)


def test_every_kind_of_mask_means_the_same(make: Make, noise: Arrays, box: Arrays) -> None:
    image, hole = noise(37, 53, 3), box(37, 53, 10, 20, 10, 20)
    eight = hole.astype(np.uint8) * 255
    stage = make()
    expected = stage(image, hole)
    noisy = np.where(hole, 255 - noise(37, 53) // 8, noise(37, 53) // 8).astype(np.uint8)
    for mask in (eight, eight[..., None], np.repeat(eight[..., None], 3, 2), Pillow.fromarray(eight), noisy):
        assert (stage(image, mask) == expected).all()


def test_unequal_sizes_paths_and_floats_are_refused(make: Make, noise: Arrays, box: Arrays) -> None:
    stage, image, mask = make(), noise(20, 20, 3), box(20, 20, 5, 9, 5, 9)
    for wrong in ((image, mask[:-1]), ("panel.png", mask), (image, "mask.png"), (image / 255, mask)):
        with pytest.raises(InputError):
            stage(*wrong)


def test_a_grey_page_stays_grey(
    tmp_path: Path,
    save: Save,
    lend: Lend,
    noise: Arrays,
    box: Arrays,
) -> None:
    path = save(Reddish(), tmp_path / "red.pt")
    stage = Lama(LamaOptions(), lend(path))
    page, mask = np.repeat(noise(40, 40, 1), 3, axis=2), box(40, 40, 10, 20, 10, 20)

    filled = stage(page, mask)
    assert (filled[..., 0] == filled[..., 1]).all()
    assert (filled[..., 1] == filled[..., 2]).all()

    page[0, 0] = (200, 10, 10)  # one pixel of colour is enough
    assert np.abs(stage(page, mask)[15, 15].astype(int) - (229, 102, 51)).max() <= 1
