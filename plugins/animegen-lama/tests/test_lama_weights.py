"""Which file is loaded, and which is refused."""

# ruff: noqa: E402 - what may be absent is looked for first

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here; pip install animegen-lama brings it")
pytest.importorskip("simple_lama_inpainting", reason="simple-lama-inpainting is not installed here")

from animegen.contract import check_stage, failed
from animegen.errors import InputError, MissingError
from animegen.registry import Registry
from animegen.stages import Weight
from animegen.weights.store import WeightStore
from animegen_lama import plugin
from animegen_lama.plugin import MANGA, PLACES, LamaOptions
from animegen_lama.stage import Lama

pytestmark = pytest.mark.usefixtures("no_surprise_download")
Arrays = Callable[..., np.ndarray]
Lend = Callable[..., Any]
Make = Callable[..., Lama]
Save = Callable[..., Path]


class Unlike(torch.nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image


def test_absent_weights_name_both_files(make: Make, lend: Lend) -> None:
    with pytest.raises(MissingError, match="anime-manga-big-lama") as caught:
        Lama(LamaOptions(), lend(None))
    text = " ".join(caught.value.hints)
    assert "animegen weights fetch lama" in text
    assert "animegen weights fetch lama/big-lama.pt, then -o inpainter.weights=places" in text
    with pytest.raises(MissingError, match="needs big-lama") as caught:
        Lama(LamaOptions(weights="places"), lend(None))
    assert caught.value.hints == ("animegen weights fetch lama",)


def test_each_choice_asks_for_its_file(archive: Path, lend: Lend) -> None:
    for choice, weight in plugin.WEIGHTS.items():
        context = lend(archive)
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
    stage_of: Any, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lend: Lend
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

    context = lend(None)
    context.weight = lambda file: store.path("animegen-lama", weight)
    with pytest.raises(MissingError, match="damaged: SHA-256 expected"):
        Lama(LamaOptions(), context)


def test_a_file_of_ones_own_is_loaded_with_a_warning(
    archive: Path,
    tmp_path: Path,
    lend: Lend,
    noise: Arrays,
    box: Arrays,
) -> None:
    context = lend(None)
    stage = Lama(LamaOptions(file=str(archive)), context)
    assert context.asked == []
    assert "nobody has published what it should contain" in context.warnings[0]
    assert stage(noise(40, 40, 3), box(40, 40, 5, 9, 5, 9)).shape == (40, 40, 3)
    with pytest.raises(InputError, match="is not a file"):
        Lama(LamaOptions(file=str(tmp_path / "nowhere.pt")), lend(None))


def test_what_is_no_lama_archive_is_told(
    tmp_path: Path,
    save: Save,
    lend: Lend,
    noise: Arrays,
    box: Arrays,
) -> None:
    picture, mask = noise(40, 40, 3), box(40, 40, 5, 9, 5, 9)
    text = tmp_path / "text.pt"
    text.write_text("404: not found")
    checkpoint = tmp_path / "model.ckpt"
    torch.save({"state_dict": {"a": torch.zeros(3)}}, checkpoint)
    for path in (text, checkpoint):
        with pytest.raises(InputError, match="is not a TorchScript archive") as caught:
            Lama(LamaOptions(file=str(path)), lend(None))(picture, mask)
        assert "plain checkpoint" in caught.value.hints[0]
    other = save(Unlike(), tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"failed on a picture of 40 × 40") as caught:
        Lama(LamaOptions(file=str(other)), lend(None))(picture, mask)
    assert "is it a LaMa archive" in caught.value.hints[0]


def test_the_library_is_never_left_to_its_environment(
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    noise: Arrays,
    box: Arrays,
) -> None:
    monkeypatch.setenv("LAMA_MODEL", str(tmp_path / "elsewhere.pt"))
    make()(noise(40, 40, 3), box(40, 40, 5, 9, 5, 9))
    assert os.environ["LAMA_MODEL"] == str(tmp_path / "elsewhere.pt")
