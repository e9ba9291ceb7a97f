"""Whatever a user hands in: one line that says what is wrong, the right exit code, and nothing left behind."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest

from animegen.imageio import write_image

Call = Callable[..., Any]


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def refused(result: Any, code: int, *words: str) -> None:
    """One ``error:`` line with `words`, no traceback, nothing on standard output."""
    assert result.code == code, result.err
    assert len(result.errors) == 1, result.err
    assert "Traceback" not in result.err
    assert result.out == ""
    for word in words:
        assert word in result.err, (word, result.err)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(path: Path) -> None:
    """A PNG of a few kilobytes whose header promises 20000 × 20000 pixels: 1.2 GB once decoded."""
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(60_001) * 200, 9)
    data = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)


def truncated(path: Path) -> None:
    rng = np.random.default_rng(1)
    write_image(path, rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


UNREADABLE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing": ("nowhere.png", lambda path: None, "does not exist"),
    "empty": ("b2.webp", lambda path: path.write_bytes(b""), "0 bytes"),
    "truncated png": ("half.png", truncated, "half.png"),
    "truncated jpeg": ("half.jpg", truncated, "half.jpg"),
    "text": ("text.png", lambda path: path.write_text("this is no picture\n" * 9), "text.png"),
    "folder": ("folder.png", lambda path: path.mkdir(), "folder.png"),
    "bomb": ("bomb.png", bomb, "20000"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_unreadable_pictures_are_one_line(animegen: Call, pair: tuple[Path, Path], quick: Any, case: str) -> None:
    name, make, words = UNREADABLE[case]
    bad = pair[0].with_name(name)
    make(bad)
    before = files(bad.parent)
    started = time.process_time()
    refused(animegen("run", pair[0], bad, *quick), 4, name, words)
    assert time.process_time() - started < 3, "a picture that is refused is refused at once"
    assert files(bad.parent) == before


def test_a_picture_above_the_limit_is_refused_with_the_option_that_lifts_it(
    animegen: Call, pair: tuple[Path, Path], quick: Any
) -> None:
    refused(animegen("run", *pair, *quick, "--max-pixels", 100), 4, "a.png", "max-pixels")


def save_png16(path: Path, image: np.ndarray) -> None:
    cv2.imwrite(str(path), image.astype(np.uint16)[:, :, ::-1] * 257)


def save_animation(path: Path, image: np.ndarray) -> None:
    frames = [PIL.Image.fromarray(np.roll(image, 9 * step, axis=1)) for step in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=80)


UNUSUAL: dict[str, tuple[str, Callable[[Path, np.ndarray], object]]] = {
    "16 bit": ("x.png", save_png16),
    "grey": ("x.png", lambda path, image: PIL.Image.fromarray(image).convert("L").save(path)),
    "palette": ("x.png", lambda path, image: PIL.Image.fromarray(image).convert("P").save(path)),
    "alpha": ("x.png", lambda path, image: PIL.Image.fromarray(image).convert("RGBA").save(path)),
    "cmyk": ("x.jpg", lambda path, image: PIL.Image.fromarray(image).convert("CMYK").save(path)),
    "spaces": ("my panel (1).png", write_image),
    "unicode": ("パネル 一.png", write_image),
    "emoji": ("🐈.png", write_image),
    "upper case": ("PANEL.PNG", lambda path, image: PIL.Image.fromarray(image).save(path, "PNG")),
}


@pytest.mark.parametrize("case", UNUSUAL)
def test_unusual_pictures_just_work(
    animegen: Call, pair: tuple[Path, Path], quick: Any, picture: Any, case: str
) -> None:
    name, save = UNUSUAL[case]
    path = pair[0].with_name(name)
    save(path, picture(64, 48, 0))
    result = animegen("run", path, pair[1], *quick)
    assert (result.code, result.errors) == (0, []), result.err
    assert Path(result.out.strip()).stat().st_size > 0


@pytest.mark.parametrize("name", ["x.gif", "x.webp"])
def test_of_an_animation_the_first_frame_is_taken_and_said_so(
    animegen: Call, pair: tuple[Path, Path], quick: Any, picture: Any, name: str
) -> None:
    path = pair[0].with_name(name)
    save_animation(path, picture(64, 48, 0))
    result = animegen("run", path, pair[1], *quick)
    assert result.code == 0, result.err
    assert any(line.startswith("note") and name in line for line in result.err.splitlines()), result.err


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (3, 7), (640, 1)])
def test_the_smallest_pictures_make_clips(
    animegen: Call, place: Path, quick: Any, picture: Any, size: tuple[int, int]
) -> None:
    for name in ("p.png", "q.png"):
        write_image(place / name, picture(*size, 0))
    result = animegen("run", "p.png", "q.png", *quick)
    assert result.code == 0, result.err
    assert Path(result.out.strip()).stat().st_size > 0


def test_panels_of_two_sizes_make_a_clip_of_the_first_ones_size(
    animegen: Call, pair: tuple[Path, Path], quick: Any, picture: Any
) -> None:
    write_image("tall.png", picture(30, 90, 0))
    result = animegen("run", pair[0], "tall.png", *quick)
    assert result.code == 0, result.err
    assert "64x48" in result.err


def test_one_panel_is_too_few(animegen: Call, pair: tuple[Path, Path]) -> None:
    refused(animegen("run", pair[0]), 2, "LAST is missing")


def test_a_file_in_place_of_the_output_folder(animegen: Call, pair: tuple[Path, Path], quick: Any) -> None:
    blocked = pair[0].with_name("blocked")
    blocked.write_text("a file")
    before = files(blocked.parent)
    refused(animegen("run", *pair, *quick, "--out", blocked), 5, "blocked", "--out")
    assert files(blocked.parent) == before


USAGE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "unknown stage": (("--interpolator", "crosfade"), ("crosfade", "did you mean 'crossfade'")),
    "unknown stage of a plugin": (("--interpolator", "animegen:rife"), ("animegen:rife",)),
    "unknown option": (("--interpolater", "flow"), ("--interpolater", "did you mean '--interpolator'")),
    "unknown stage option": (("-o", "flow.linez=1"), ("flow.linez", "did you mean 'lines'")),
    "option of an unknown stage": (("-o", "flwo.lines=1"), ("flwo", "did you mean 'flow'")),
    "option of an idle stage": (("-o", "telea.radius=3"), ("telea", "no effect")),
    "no option": (("-o", "flow"), ("KIND.OPTION=VALUE",)),
    "out of range": (("--factor", "65"), ("factor", "65", "1 .. 64")),
    "out of range of a stage": (("-o", "flow.lines=8"), ("lines", "8", "0 .. 1", "command line")),
    "no number": (("--seed", "x"), ("seed", "'x'", "whole number")),
    "negative": (("--seed", "-1"), ("seed", "-1")),
    "not a number": (("--grow", "nan"), ("grow",)),
    "no rate": (("--fps", "0"), ("fps", "'0'")),
    "size": (("--size", "10"), ("size", "10")),
    "format": (("--format", "mp5"), ("format", "did you mean 'mp4'")),
    "dtype": (("--dtype", "float8"), ("dtype", "float8")),
    "no interpolator": (("--interpolator", "none"), ("interpolator",)),
    "recipe": (("--recipe", "quik"), ("quik", "did you mean 'quick'")),
    "progress": (("--progress", "loud"), ("loud",)),
    "balloon": (("--detector", "balloons", "--keep-balloon", "7"), ("balloon 7",)),
    "two minds": (("--resume", "--force"), ("--resume", "--force")),
}


@pytest.mark.parametrize("case", USAGE)
def test_wrong_usage_is_one_line_with_the_next_thing_to_type(
    animegen: Call, pair: tuple[Path, Path], quick: Any, case: str
) -> None:
    args, words = USAGE[case]
    base = () if case == "option of an idle stage" else ("--detector", "none", "--frames", "3")
    refused(animegen("run", *pair, *base, *args), 2, *words)
    if case != "balloon":  # only the panels themselves tell how many balloons there are
        assert not list(pair[0].parent.glob("runs*"))


def test_a_further_panel_that_is_not_there(animegen: Call, pair: tuple[Path, Path]) -> None:
    refused(animegen("run", *pair, "c.png"), 4, "c.png", "LAST")
    refused(animegen("run", pair[0], "c.png", pair[1]), 4, "c.png", "PANEL 2")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[run\nseed = 1", ("animegen.toml", "line 1")),
        ("seed = 1", ("seed", "outside any table")),
        ("[run]\nsead = 1", ("sead", "animegen.toml", "did you mean 'seed'")),
        ("[run]\nseed = -1", ("seed", "animegen.toml")),
        ("[interpolater]\nlines = 1", ("interpolater", "did you mean 'interpolator'")),
        ("[plugins]\nof = ['x']", ("plugins.of", "did you mean 'off'")),
        ("[plugins]\noff = 'x'", ("plugins.off", "list")),
        ("[run]\nseed = 1\n\xff", ("animegen.toml",)),
    ],
)
def test_malformed_settings_name_the_file_and_the_place(
    animegen: Call, pair: tuple[Path, Path], quick: Any, text: str, words: tuple[str, ...]
) -> None:
    Path("animegen.toml").write_bytes(text.encode("latin-1"))
    refused(animegen("run", *pair, *quick), 2, *words)


def test_a_settings_file_that_is_not_there(animegen: Call, pair: tuple[Path, Path]) -> None:
    refused(animegen("--config", "none.toml", "run", *pair), 4, "none.toml")


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("no json", 4, ("boxes.json",)),
        ("[1, 2]", 2, ("boxes.json",)),
        ('{"first": [[5, 5, 5, 9]]}', 2, ("[5, 5, 5, 9]",)),
        ('{"first": [[1, 2, 3]]}', 2, ("[1, 2, 3]",)),
        ('{"first": 7}', 2, ("boxes.json",)),
        ('{"third": []}', 2, ("boxes.json",)),
    ],
)
def test_text_boxes_that_are_none(
    animegen: Call, pair: tuple[Path, Path], quick: Any, text: str, code: int, words: tuple[str, ...]
) -> None:
    Path("boxes.json").write_text(text)
    refused(animegen("run", *pair, *quick, "--text-boxes", "boxes.json"), code, *words)


def test_a_mask_of_another_size(animegen: Call, pair: tuple[Path, Path], quick: Any, picture: Any) -> None:
    write_image("mask.png", picture(10, 10, 0))
    refused(animegen("run", *pair, *quick, "--first-mask", "mask.png"), 4, "mask", "FIRST")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema_version": 99}', '{"schema_version": 1}', "\x00"])
def test_a_record_that_is_none(animegen: Call, place: Path, text: str) -> None:
    (place / "run.json").write_text(text)
    refused(animegen("run", "--from", "run.json"), 4, "run.json")


def test_with_json_an_error_is_a_document_too(animegen: Call, pair: tuple[Path, Path]) -> None:
    import json

    result = animegen("run", *pair, "--interpolator", "nothing", "--json")
    document = json.loads(result.out)
    assert (result.code, document["exit_code"], document["status"]) == (2, 2, "failed")
    assert "nothing" in document["error"]
    assert len(result.errors) == 1
