"""``animegen upsample`` with RIFE, on real clips: lengths, times and source frames. The parameters are drawn."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("animegen_cli")
import torch

from animegen.pipeline.record import read_record
from animegen.upsampling.fill import fill
from animegen.upsampling.frames import ArrayFrame
from animegen.upsampling.gaps import gaps, mark
from animegen.upsampling.timeline import Factor
from animegen.video import VideoReader
from animegen_cli.main import main
from animegen_rife.plugin import animegen_interpolators
from animegen_rife.stage import Rife

CLIPS = ("bigbuckbunny_rise", "drascula_bat_4x3", "drascula_castle_pan_4x3", "drascula_hall_4x3", "synfig_eye_look")


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def clip(self) -> Path:
        assert self.code == 0, self.err
        return Path(self.out.strip())


@pytest.fixture
def animegen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
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


@pytest.fixture
def drawn(checkpoint: Callable[..., Path]) -> tuple[str, ...]:
    """Options for parameters that are drawn, not trained; motion is sought at a quarter of the size, for speed."""
    return "-o", f"rife.file={checkpoint('4.15.lite')}", "-o", "rife.scale=0.25"


@pytest.fixture
def threads(_one_thread: None) -> Iterator[None]:
    """As many as there are: whole videos are worth it."""
    torch.set_num_threads(os.cpu_count() or 1)
    yield
    torch.set_num_threads(1)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("name", CLIPS)
def test_real_clips(animegen: Callable[..., Result], real_data: Path, drawn: tuple[str, ...], name: str) -> None:
    path = real_data / "clips" / f"{name}.mp4"
    with VideoReader(path) as video:
        fps, source = video.fps, list(video.timed())
        images = [frame.image() for frame in source]
    clip = animegen("upsample", path, "--with", "rife", *drawn, "--factor", 2, "--format", "mkv").clip
    cuts = {cut["frame"] for cut in read_record(clip.parent)["steps"][0]["info"]["cuts"]}
    count = 0
    with VideoReader(clip) as made:
        assert (made.fps, made.size) == (2 * fps, (images[0].shape[1], images[0].shape[0]))
        for number, frame in enumerate(made.timed()):
            index, between = divmod(number, 2)
            held = between and (index + 1 == len(images) or index + 1 in cuts)
            assert np.array_equal(frame.image(), images[index]) == (not between or held), number
            assert frame.time == source[index].time + Fraction(between, 2) / fps
            count += 1
    assert count == 2 * len(images)
    record = read_record(clip.parent)
    assert record["outputs"]["seconds"] == pytest.approx(float(len(images) / fps), abs=1e-3)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.usefixtures("threads")
def test_a_real_clip_at_another_rate(animegen: Callable[..., Result], real_data: Path, drawn: tuple[str, ...]) -> None:
    """12 to 60 frames per second of a clip of 15: five for each, of which every fifth is the source's own."""
    path = real_data / "clips" / "drascula_bat_4x3.mp4"
    with VideoReader(path) as video:
        images = [frame.image() for frame in video.timed()]
    clip = animegen("upsample", path, "--with", "rife", *drawn, "--fps", 60, "--format", "mkv").clip
    with VideoReader(clip) as made:
        frames = list(made.timed())
        assert made.fps == 60
    assert [frame.time for frame in frames] == [Fraction(number, 60) for number in range(75)]
    assert all(np.array_equal(frames[5 * index].image(), image) for index, image in enumerate(images))
    assert not any(np.array_equal(frames[number].image(), frames[number - 1].image()) for number in range(1, 71))


@pytest.mark.data
def test_without_weights_it_is_refused(animegen: Callable[..., Result], real_data: Path) -> None:
    for name in CLIPS:
        result = animegen("upsample", real_data / "clips" / f"{name}.mp4", "--with", "rife", "--factor", 2)
        assert result.code == 3
        assert not result.out
        assert len([line for line in result.err.splitlines() if line.startswith("error:")]) == 1
        assert "animegen weights fetch rife" in result.err
    assert not Path("runs").exists()


def test_a_generated_clip_and_a_film_are_the_same_code(
    animegen: Callable[..., Result], drawn: tuple[str, ...], checkpoint: Callable[..., Path], made: Callable[..., Rife]
) -> None:
    """`animegen run`, `animegen upsample` of its frames, and `fill` itself give the same frames."""
    args = ("--sample", "--frames", 4, "--size", "160x120", "--interpolator", "crossfade")
    before = animegen("run", *args, "--out", "before").clip.parent
    after = animegen("run", *args, "--upsampler", "rife", *drawn, "--factor", 3, "--out", "after").clip.parent
    film = animegen("upsample", before, "--with", "rife", *drawn, "--factor", 3, "--format", "frames").clip

    def frames_of(folder: Path) -> list[np.ndarray]:
        return list(VideoReader(folder, fps=Fraction(8)))

    source, of_run, of_film = frames_of(before / "frames"), frames_of(after / "frames"), frames_of(film)
    (spec,) = animegen_interpolators()
    plans = Factor(3, tail=False).place(
        gaps(mark(ArrayFrame(index, Fraction(index), image) for index, image in enumerate(source)))
    )
    stage = made("4.15.lite", scale=0.25)
    of_fill = [frame.image for frame in fill("rife", spec, stage, plans)]
    assert len(of_run) == len(of_fill) == 3 * (len(source) - 1) + 1
    assert len(of_film) == 3 * len(source)
    for number, image in enumerate(of_fill):
        assert np.array_equal(of_run[number], image)
        assert np.array_equal(of_film[number], image)
    assert not np.array_equal(of_fill[1], of_fill[2])
