"""Small TorchScript archives with the call of the published ones, what the pipeline lends, pictures and masks.

torch is imported where it is used: what needs none of it is tested without.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from animegen.errors import MissingError

if TYPE_CHECKING:
    from animegen_lama.stage import Lama


class _Context:
    """Lends what the pipeline lends."""

    def __init__(self, path: Path | None, devices: tuple[str, ...] = ("cpu",)) -> None:
        self.path = path
        self.devices = devices
        self.dtype = "auto"
        self.asked: list[str] = []
        self.steps: list[tuple[int, int, str]] = []
        self.warnings: list[str] = []

    def weight(self, file: str) -> Path:
        self.asked.append(file)
        if self.path is None:
            raise MissingError(f"lama needs {file}, which is not here.", hint="animegen weights fetch lama")
        return self.path

    def progress(self, done: int, total: int, unit: str = "steps") -> None:
        self.steps.append((done, total, unit))

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def _save(module: Any, path: Path) -> Path:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.jit.script(module).save(str(path))
    return path


def _noise(height: int, width: int, *channels: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, *channels), dtype=np.uint8)


def _box(height: int, width: int, y0: int, y1: int, x0: int, x1: int) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[y0:y1, x0:x1] = True
    return mask


@pytest.fixture(scope="session")
def lend() -> Callable[..., Any]:
    """``lend(path, devices)``: a context that lends the file at `path` for every weight; none where that is None."""
    return _Context


@pytest.fixture(scope="session")
def save() -> Callable[..., Path]:
    """``save(module, path)``: the module as a TorchScript archive."""
    return _save


@pytest.fixture(scope="session")
def noise() -> Callable[..., np.ndarray]:
    """``noise(height, width, *channels)``: uint8, the same for the same size."""
    return _noise


@pytest.fixture(scope="session")
def box() -> Callable[..., np.ndarray]:
    """``box(height, width, y0, y1, x0, x1)``: a mask of one rectangle."""
    return _box


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive that fills with the mean of what is known, whose limits are the real network's."""
    torch = pytest.importorskip("torch")

    class MeanFill(torch.nn.Module):
        """Fills with the mean of what is known and spoils what is known, so that nothing but the stage can keep it.

        Like the real network it stops on sizes that are no multiple of 8, and on fewer than 16 pixels.
        """

        def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            if image.dtype != torch.float32 or mask.dtype != torch.int64:
                raise RuntimeError("dtype")
            if image.dim() != 4 or image.shape[1] != 3 or mask.shape[1] != 1 or image.shape[2:] != mask.shape[2:]:
                raise RuntimeError("shape")
            if image.shape[2] % 8 != 0 or image.shape[3] % 8 != 0 or min(image.shape[2], image.shape[3]) < 16:
                raise RuntimeError("size")
            if int(mask.min()) < 0 or int(mask.max()) > 1 or float(image.max()) > 1.0:
                raise RuntimeError("range")
            known = 1.0 - mask.to(torch.float32)
            count = known.sum(dim=[2, 3], keepdim=True).clamp(min=1.0)
            mean = (image * known).sum(dim=[2, 3], keepdim=True) / count
            return mean.expand_as(image)

    return _save(MeanFill(), tmp_path_factory.mktemp("lama") / "mean.pt")


@pytest.fixture
def make(archive: Path) -> Callable[..., Lama]:
    """``make(**options)``: the stage over `archive`."""
    from animegen_lama.plugin import LamaOptions
    from animegen_lama.stage import Lama

    return lambda **options: Lama(LamaOptions(**options), _Context(archive))


@pytest.fixture
def no_surprise_download(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the library does when it is left to itself would fail the test."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("simple-lama-inpainting tried to download")

    monkeypatch.delenv("LAMA_MODEL", raising=False)
    monkeypatch.setattr("simple_lama_inpainting.models.model.download_model", refuse)
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
