"""The stage over small TorchScript archives with the call of the published ones, loaded as those are."""

# ruff: noqa: E402 - what may be absent is looked for first

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

torch = pytest.importorskip("torch", reason="torch is not installed here; pip install animegen-lama brings it")
pytest.importorskip("simple_lama_inpainting", reason="simple-lama-inpainting is not installed here")

from animegen.contract import check_stage, failed
from animegen.errors import InputError, MissingError, ResourceError
from animegen.registry import Registry
from animegen.stages import Weight
from animegen.weights.store import WeightStore
from animegen_lama import plugin
from animegen_lama.plugin import MANGA, PLACES, LamaOptions
from animegen_lama.stage import Lama


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


class Negative(torch.nn.Module):
    """Turns every pixel over, hole or not, so that each can be followed to where it lands."""

    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return 1.0 - image


class Reddish(torch.nn.Module):
    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return torch.tensor([0.9, 0.4, 0.2]).reshape(1, 3, 1, 1).expand_as(image)


class Unlike(torch.nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image


class Context:
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


def save(module: torch.nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.jit.script(module).save(str(path))
    return path


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(MeanFill(), tmp_path_factory.mktemp("lama") / "mean.pt")


@pytest.fixture
def make(archive: Path) -> Callable[..., Lama]:
    def lama(**options: Any) -> Lama:
        return Lama(LamaOptions(**options), Context(archive))

    return lama


@pytest.fixture(autouse=True)
def no_surprise_download(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the library does when it is left to itself would fail the test."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("simple-lama-inpainting tried to download")

    monkeypatch.delenv("LAMA_MODEL", raising=False)
    monkeypatch.setattr("simple_lama_inpainting.models.model.download_model", refuse)
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)


def noise(height: int, width: int, *channels: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, *channels), dtype=np.uint8)


def box(height: int, width: int, y0: int, y1: int, x0: int, x1: int) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[y0:y1, x0:x1] = True
    return mask


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
def test_any_size_comes_back_as_it_was(make: Callable[..., Lama], height: int, width: int) -> None:
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


def test_a_mask_of_one_pixel(make: Callable[..., Lama]) -> None:
    image, mask = noise(37, 53, 3), box(37, 53, 11, 12, 30, 31)
    filled = make()(image, mask)
    assert (filled != image).any(axis=2).sum() == 1
    assert (filled[~mask] == image[~mask]).all()


def test_a_picture_masked_as_a_whole(make: Callable[..., Lama]) -> None:
    assert make()(noise(40, 40, 3), np.ones((40, 40), bool)).shape == (40, 40, 3)


def test_nothing_masked_loads_nothing(make: Callable[..., Lama], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.jit.load", lambda *_, **__: pytest.fail("the archive was loaded"))
    image = noise(20, 20, 3)
    stage = make()
    same = stage(image, np.zeros((20, 20), bool))
    assert (same == image).all()
    assert same is not image
    # JPEG noise around black is not a hole.
    assert (stage(image, np.full((20, 20), 126, np.uint8)) == image).all()


def test_the_archive_is_loaded_once_and_again_after_close(
    make: Callable[..., Lama], monkeypatch: pytest.MonkeyPatch
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


def test_loading_is_silent(make: Callable[..., Lama]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make()(noise(40, 40, 3), box(40, 40, 5, 9, 5, 9))


# The table of what people hand in (inputs that are refused: test_lama_inputs.py)


@pytest.mark.parametrize("shape", [(37, 53), (37, 53, 1), (37, 53, 4)])
def test_grey_and_rgba(make: Callable[..., Lama], shape: tuple[int, ...]) -> None:
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
def test_pillow_images(make: Callable[..., Lama], mode: str) -> None:
    picture = Pillow.fromarray(noise(37, 53, 3)).convert(mode)
    mask = Pillow.fromarray(box(37, 53, 10, 20, 10, 20))
    assert mask.mode == "1"
    if mode == "1":
        with pytest.raises(InputError, match="bool; uint8"):
            make()(picture, mask)
    else:
        assert make()(picture, mask).shape[:2] == (37, 53)


def test_every_kind_of_mask_means_the_same(make: Callable[..., Lama]) -> None:
    image, hole = noise(37, 53, 3), box(37, 53, 10, 20, 10, 20)
    eight = hole.astype(np.uint8) * 255
    stage = make()
    expected = stage(image, hole)
    noisy = np.where(hole, 255 - noise(37, 53) // 8, noise(37, 53) // 8).astype(np.uint8)
    for mask in (eight, eight[..., None], np.repeat(eight[..., None], 3, 2), Pillow.fromarray(eight), noisy):
        assert (stage(image, mask) == expected).all()


def test_unequal_sizes_paths_and_floats_are_refused(make: Callable[..., Lama]) -> None:
    stage, image, mask = make(), noise(20, 20, 3), box(20, 20, 5, 9, 5, 9)
    for wrong in ((image, mask[:-1]), ("panel.png", mask), (image, "mask.png"), (image / 255, mask)):
        with pytest.raises(InputError):
            stage(*wrong)


def test_a_grey_page_stays_grey(tmp_path: Path) -> None:
    path = save(Reddish(), tmp_path / "red.pt")
    stage = Lama(LamaOptions(), Context(path))
    page, mask = np.repeat(noise(40, 40, 1), 3, axis=2), box(40, 40, 10, 20, 10, 20)

    filled = stage(page, mask)
    assert (filled[..., 0] == filled[..., 1]).all()
    assert (filled[..., 1] == filled[..., 2]).all()

    page[0, 0] = (200, 10, 10)  # one pixel of colour is enough
    assert np.abs(stage(page, mask)[15, 15].astype(int) - (229, 102, 51)).max() <= 1


# Large pictures


def test_a_large_picture_is_filled_hole_by_hole(make: Callable[..., Lama]) -> None:
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
def test_every_pixel_lands_where_it_belongs(tmp_path: Path, options: dict[str, Any]) -> None:
    stage = Lama(LamaOptions(file=str(save(Negative(), tmp_path / "negative.pt")), **options), Context(None))
    image = noise(701, 907, 3)
    mask = np.zeros((701, 907), bool)
    for y0, x0, height, width in np.random.default_rng(3).integers((0, 0, 1, 1), (700, 900, 90, 120), (25, 4)):
        mask[y0 : y0 + height, x0 : x0 + width] = True

    filled = stage(image, mask).astype(int)

    assert (filled[~mask] == image[~mask]).all()
    assert np.abs(filled[mask] - (255 - image[mask].astype(int))).max() <= 1


def test_a_resized_result_is_not_shifted(tmp_path: Path) -> None:
    path = str(save(Negative(), tmp_path / "negative.pt"))
    stage = Lama(LamaOptions(file=path, strategy="resize", longest=300), Context(None))
    y, x = np.mgrid[:701, :907]
    image = np.stack([y / 701 * 255, x / 907 * 255, (x + y) / 1608 * 255], axis=2).astype(np.uint8)
    mask = box(701, 907, 50, 650, 60, 850)
    filled = stage(image, mask).astype(int)
    assert np.abs(filled[mask] - (255 - image[mask].astype(int))).max() <= 3


def test_up_to_800_pixels_a_picture_is_taken_as_a_whole(make: Callable[..., Lama]) -> None:
    image = noise(60, 800, 3)
    image[:, 400:] //= 4
    mask = box(60, 800, 20, 30, 20, 30)
    whole = make(strategy="original")(image, mask)
    assert (make()(image, mask) == whole).all()
    assert not (make(crop_from=799)(image, mask) == whole).all()


def test_the_margin_decides_what_is_seen(make: Callable[..., Lama]) -> None:
    image = np.full((400, 1000, 3), 200, np.uint8)
    image[:, 560:] = 0
    mask = box(400, 1000, 180, 200, 480, 500)
    assert (make(margin=32)(image, mask)[mask] == 200).all()
    assert (make(margin=200)(image, mask)[mask] < 190).all()


def test_other_holes_are_hidden_from_a_crop(make: Callable[..., Lama]) -> None:
    image = np.full((300, 1000, 3), 200, np.uint8)
    mask = box(300, 1000, 100, 150, 100, 450) | box(300, 1000, 100, 150, 500, 900)
    image[mask] = 0  # lettering
    assert (make()(image, mask)[mask] == 200).all()


def test_resize_keeps_every_known_pixel(make: Callable[..., Lama]) -> None:
    image, mask = noise(401, 903, 3), box(401, 903, 100, 180, 200, 300)
    filled = make(strategy="resize", longest=300)(image, mask)
    assert (filled[~mask] == image[~mask]).all()
    assert np.abs(filled[mask].astype(float) - image[~mask].mean(axis=0)).max() < 3


def test_resize_lets_nothing_of_the_lettering_shine_through(make: Callable[..., Lama]) -> None:
    image = np.full((400, 900, 3), 200, np.uint8)
    mask = box(400, 900, 101, 180, 203, 301)
    image[mask] = 0
    assert (make(strategy="resize", longest=250)(image, mask)[mask] == 200).all()


def test_a_crop_longer_than_the_limit_is_scaled_down(
    make: Callable[..., Lama], monkeypatch: pytest.MonkeyPatch
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


# Weights


def test_absent_weights_name_both_files(make: Callable[..., Lama]) -> None:
    with pytest.raises(MissingError, match="anime-manga-big-lama") as caught:
        Lama(LamaOptions(), Context(None))
    text = " ".join(caught.value.hints)
    assert "animegen weights fetch lama" in text
    assert "animegen weights fetch lama/big-lama.pt, then -o inpainter.weights=places" in text
    with pytest.raises(MissingError, match="needs big-lama") as caught:
        Lama(LamaOptions(weights="places"), Context(None))
    assert caught.value.hints == ("animegen weights fetch lama",)


def test_each_choice_asks_for_its_file(archive: Path) -> None:
    for choice, weight in plugin.WEIGHTS.items():
        context = Context(archive)
        Lama(LamaOptions(weights=choice), context)
        assert context.asked == [weight.file]


def known(weight: Weight, archive: Path) -> Weight:
    """The record, for the small archive of this test."""
    data = archive.read_bytes()
    return dataclasses.replace(weight, sha256=hashlib.sha256(data).hexdigest(), md5=None, size=len(data))


@pytest.fixture
def stage_of(archive: Path) -> Any:
    """The stage as the registry knows it, its first weight being the small archive."""
    (stage,) = Registry([("animegen-lama", plugin)]).stages("inpainter")
    return dataclasses.replace(stage, spec=dataclasses.replace(stage.spec, weights=(known(MANGA, archive), PLACES)))


def test_the_contract_of_inpainters_is_kept(stage_of: Any, archive: Path, tmp_path: Path) -> None:
    store = WeightStore(tmp_path, environ={})
    store.fetch("animegen-lama", stage_of.spec.weights[0], source_file=archive)

    findings = check_stage(stage_of, weights=store, devices=("cpu",))

    assert not failed(findings), "\n".join(map(str, findings))
    assert not [str(finding) for finding in findings if finding.level in ("skipped", "warning")]
    assert {"absent weights", "empty mask", "full mask", "one pixel", "close"} <= {f.check for f in findings}


def test_an_archive_that_was_tampered_with_is_never_loaded(
    stage_of: Any, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = stage_of.spec.weights[0]
    store = WeightStore(tmp_path, environ={})
    place = store.place("animegen-lama", weight)
    place.parent.mkdir(parents=True)
    shutil.copy(archive, place)
    data = bytearray(place.read_bytes())
    data[len(data) // 2] ^= 1
    place.write_bytes(data)
    monkeypatch.setattr("torch.jit.load", lambda *_, **__: pytest.fail("the archive was loaded"))

    class Stored(Context):
        def weight(self, file: str) -> Path:
            return store.path("animegen-lama", weight)

    with pytest.raises(MissingError, match="damaged: SHA-256 expected"):
        Lama(LamaOptions(), Stored(None))


def test_a_file_of_ones_own_is_loaded_with_a_warning(archive: Path, tmp_path: Path) -> None:
    context = Context(None)
    stage = Lama(LamaOptions(file=str(archive)), context)
    assert context.asked == []
    assert "nobody has published what it should contain" in context.warnings[0]
    assert stage(noise(40, 40, 3), box(40, 40, 5, 9, 5, 9)).shape == (40, 40, 3)
    with pytest.raises(InputError, match="is not a file"):
        Lama(LamaOptions(file=str(tmp_path / "nowhere.pt")), Context(None))


def test_what_is_no_lama_archive_is_told(tmp_path: Path) -> None:
    picture, mask = noise(40, 40, 3), box(40, 40, 5, 9, 5, 9)
    text = tmp_path / "text.pt"
    text.write_text("404: not found")
    checkpoint = tmp_path / "model.ckpt"
    torch.save({"state_dict": {"a": torch.zeros(3)}}, checkpoint)
    for path in (text, checkpoint):
        with pytest.raises(InputError, match="is not a TorchScript archive") as caught:
            Lama(LamaOptions(file=str(path)), Context(None))(picture, mask)
        assert "plain checkpoint" in caught.value.hints[0]
    other = save(Unlike(), tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"failed on a picture of 40 × 40") as caught:
        Lama(LamaOptions(file=str(other)), Context(None))(picture, mask)
    assert "is it a LaMa archive" in caught.value.hints[0]


def test_the_library_is_never_left_to_its_environment(
    make: Callable[..., Lama], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LAMA_MODEL", str(tmp_path / "elsewhere.pt"))
    make()(noise(40, 40, 3), box(40, 40, 5, 9, 5, 9))
    assert os.environ["LAMA_MODEL"] == str(tmp_path / "elsewhere.pt")


# Devices and memory


def test_devices(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def device(*names: str) -> torch.device:
        return Lama(LamaOptions(), Context(archive, names))._device

    assert device("cpu").type == "cpu"
    assert device("mps", "cpu").type == "cpu", "no Fourier transform there"
    with pytest.raises(ResourceError, match="lama runs on cuda and cpu, not on mps"):
        device("mps")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert device("auto").type == "cpu"
    with pytest.raises(ResourceError, match="--device cuda:0 was asked for"):
        device("cuda:0", "cpu")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert device("auto") == torch.device("cuda:0")
    assert device("cuda:1") == torch.device("cuda:1")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_too_little_memory_says_what_needs_less(make: Callable[..., Lama], error: Exception) -> None:
    stage, image, mask = make(), noise(40, 40, 3), box(40, 40, 5, 9, 5, 9)
    stage(image, mask)

    def fail(*_: object) -> None:
        raise error

    stage._archive._lama = fail  # type: ignore[union-attr, assignment]
    with pytest.raises(ResourceError, match=r"out of memory on cpu in lama, on a picture of 40 × 40") as caught:
        stage(image, mask)
    assert "inpainter.longest" in caught.value.hints[0]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same(archive: Path) -> None:
    image, mask = noise(401, 903, 3), box(401, 903, 100, 180, 200, 300)
    stage = Lama(LamaOptions(), Context(archive, ("auto",)))
    on_gpu = stage(image, mask)
    assert stage._device.type == "cuda"
    on_cpu = Lama(LamaOptions(), Context(archive))(image, mask)
    assert np.abs(on_gpu.astype(int) - on_cpu).max() <= 1
    stage.close()
