"""``animegen run`` and ``animegen upsample`` with FILM. Its parameters are drawn, or random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("animegen_cli")

from animegen.imageio import write_image
from animegen.pipeline.record import read_record
from animegen.video import VideoReader
from animegen_cli.main import main
from animegen_film.plugin import FilmOptions
from animegen_film.stage import FilmStage


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def clip(self) -> Path:
        assert self.code == 0, self.err
        return Path(self.out.strip())


Call = Callable[..., Result]


@pytest.fixture
def animegen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """``animegen(*args)`` in an empty folder, with no weights and no settings of the user's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANIMEGEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("ANIMEGEN_CONFIG", "ANIMEGEN_OFFLINE"):
        monkeypatch.setenv(name, "")

    def call(*args: object) -> Result:
        capfd.readouterr()
        code = main([str(arg) for arg in args])
        return Result(code, *capfd.readouterr())

    return call


def pictures(count: int) -> list[np.ndarray]:
    """A disc that goes to the right, 64 × 48."""
    y, x = np.mgrid[:48, :64]
    discs = (np.hypot(y - 24, x - 16 - 12 * number) < 10 for number in range(count))
    return [np.where(disc[..., None], (40, 60, 90), (230, 220, 210)).astype(np.uint8) for disc in discs]


@pytest.mark.slow
def test_a_run_between_two_panels_without_weights(animegen: Call) -> None:
    for name, picture in zip("ab", pictures(2), strict=True):
        write_image(Path(f"{name}.png"), picture)
    run = ("run", "a.png", "b.png", "--interpolator", "film", "--frames", 3, "--size", "64x48", "--dtype", "float32")
    clip = animegen(*run, "--untrained").clip
    record = read_record(clip.parent)
    assert record["untrained"] == ["animegen-film:film"] and "untrained" in clip.name
    frames = list(VideoReader(clip.parent / "frames", fps=Fraction(8)))
    assert len(frames) == 3 and frames[0].shape == (48, 64, 3)
    refused = animegen(*run)
    assert refused.code == 3 and "animegen weights fetch film" in refused.err


@pytest.mark.slow
def test_a_clip_is_upsampled_with_what_the_stage_draws(
    animegen: Call, published: Path, stage_context: Callable[..., object]
) -> None:
    source = pictures(3)
    for index, picture in enumerate(source):
        write_image(Path("frames") / f"{index:04d}.png", picture)
    options = ("-o", f"film.file={published}", "--dtype", "float32", "--format", "frames")
    made = animegen("upsample", "frames", "--with", "film", "--factor", 4, "--source-fps", 8, *options)
    frames = list(VideoReader(made.clip, fps=Fraction(32)))
    assert len(frames) == 12
    stage = FilmStage(FilmOptions(file=str(published)), stage_context(dtype="float32"))  # type: ignore[arg-type]
    for pair in range(2):
        drawn = stage(source[pair], source[pair + 1], (0.25, 0.5, 0.75))
        assert all(np.array_equal(frames[4 * pair + 1 + index], frame) for index, frame in enumerate(drawn))
        assert np.array_equal(frames[4 * pair], source[pair])
    assert not np.array_equal(frames[1], frames[2])
