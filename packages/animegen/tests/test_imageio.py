"""Reading and writing pictures: the right pixels, or one clear sentence."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from animegen.errors import InputError, MissingError, ResourceError, UsageError
from animegen.imageio import (
    decode_image,
    encode_png,
    image_size,
    read_image,
    read_mask,
    write_image,
    write_mask,
)

RELAXED = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def drawing(height: int = 40, width: int = 60, seed: int = 0) -> np.ndarray:
    """Soft colours with one hard line."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    image = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    image[height // 3] = 0
    return image


def saved(image: PIL.Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def refusal(path: Path, **options: object) -> InputError:
    with pytest.raises(InputError) as caught:
        read_image(path, **options)
    return caught.value


# --- what cannot be read ------------------------------------------------------------------------------------


def test_missing_file_names_a_neighbour(tmp_path: Path):
    write_image(tmp_path / "panel_a.png", drawing())
    error = refusal(tmp_path / "panel_b.png", role="LAST")
    assert "does not exist" in error.message
    assert "LAST" in error.hints[0]
    assert "'panel_a.png'" in error.hints[0]
    assert "no folder" in refusal(tmp_path / "nowhere" / "a.png").hints[0]


def test_folder(tmp_path: Path):
    assert "is a folder" in refusal(tmp_path).message


def test_empty_file_is_worded_as_documented(tmp_path: Path):
    path = tmp_path / "b.webp"
    path.touch()
    error = refusal(path, role="LAST")
    assert error.message == f"{path} is not an image this program can read (0 bytes)."
    assert error.hints == ("it was named as LAST; PNG, JPEG, WebP, BMP and TIFF are read.",)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"first panel\n", "it holds text"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF document"),
        (b"PK\x03\x04\x14\x00", "a zip archive"),
        (b"\x00\x00\x00\x20ftypisom", "a video"),
        (b"\xff\x00\xfe\x01" * 20, "not one of the formats"),
    ],
)
def test_something_else_named_png(tmp_path: Path, content: bytes, what: str):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert what in refusal(path).message


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"])
def test_truncated_file_never_gives_another_picture(kind: str):
    data = saved(PIL.Image.fromarray(drawing()), kind)
    whole = decode_image(data, name="whole")
    refused = 0
    for length in range(1, len(data) - 1, max(1, len(data) // 50)):
        try:
            part = decode_image(data[:length], name="part")
        except InputError as error:
            refused += 1
            assert "part is not an image this program can read" in error.message
        else:  # only the closing bytes are gone
            assert length > len(data) - 30
            assert np.array_equal(part, whole)
    assert refused > 45


def test_flipped_bit_in_a_png_is_noticed():
    data = bytearray(saved(PIL.Image.fromarray(drawing()), "PNG"))
    data[len(data) // 2] ^= 4
    with pytest.raises(InputError, match="broken or truncated"):
        decode_image(bytes(data), name="flipped")


@RELAXED
@given(st.sampled_from(["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"]), st.data())
def test_broken_bytes_give_a_picture_or_an_input_error(kind: str, data: st.DataObject):
    content = bytearray(saved(PIL.Image.fromarray(drawing()), kind))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        image = decode_image(bytes(content), name="broken", max_pixels=10**6, warn=lambda _: None)
    except InputError:
        return
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    start = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + start + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_bomb_is_refused_on_its_header(tmp_path: Path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(20_000, 20_000))
    error = refusal(path)
    assert "20000x20000" in error.message
    assert "100,000,000" in error.message
    assert "--max-pixels 400000000" in error.hints[0]
    assert image_size(path) == (20_000, 20_000)
    assert "broken" in refusal(path, max_pixels=10**9).message  # now it is decoded, and there is nothing in it


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.png"
    write_image(path, drawing())

    def deny(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)  # chmod means nothing to root
    assert "cannot be read: Permission denied" in refusal(path).message


def test_names_the_system_refuses():
    assert "cannot be read" in refusal(Path("a\0b.png")).message
    assert "cannot be read" in refusal(Path("x" * 5000 + ".png")).message


# --- the right pixels ---------------------------------------------------------------------------------------


@RELAXED
@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 9), st.integers(0, 2**32 - 1))
def test_png_round_trip(tmp_path: Path, height: int, width: int, level: int, seed: int):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    write_image(tmp_path / "a.png", image, level=level)
    assert np.array_equal(read_image(tmp_path / "a.png"), image)
    assert np.array_equal(decode_image(encode_png(image), name="a"), image)
    assert image_size(tmp_path / "a.png") == (width, height)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".webp"])
def test_lossless_formats(tmp_path: Path, suffix: str):
    image = drawing()
    write_image(tmp_path / f"a{suffix}", image, quality=100)
    assert np.array_equal(read_image(tmp_path / f"a{suffix}"), image)


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".webp"])
def test_lossy_formats_keep_red_red(tmp_path: Path, suffix: str):
    image = np.zeros((32, 48, 3), np.uint8)
    image[...] = (200, 60, 20)
    write_image(tmp_path / f"a{suffix}", image)
    assert np.abs(read_image(tmp_path / f"a{suffix}").astype(int) - image).max() <= 4


def test_unicode_and_spaces_in_a_path(tmp_path: Path):
    path = tmp_path / "第一話 その壱" / "コマ ü 1.png"
    write_image(path, drawing())
    assert np.array_equal(read_image(path), drawing())


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "RGBA", "I;16"])
def test_modes_against_pillow(mode: str):
    rgb = PIL.Image.fromarray(drawing())
    if mode == "I;16":
        source = PIL.Image.fromarray(np.arange(40 * 60, dtype=np.uint16).reshape(40, 60) * 27)
        grey = np.round(np.asarray(source) / 257).astype(np.uint8)
        expected = np.stack([grey] * 3, axis=2)
    else:
        source = rgb.convert(mode)
        if mode in ("LA", "RGBA"):
            source.putalpha(PIL.Image.fromarray(np.tile(np.linspace(0, 255, 60).astype(np.uint8), (40, 1))))
        paper = PIL.Image.new("RGBA", rgb.size, "white")
        expected = np.asarray(PIL.Image.alpha_composite(paper, source.convert("RGBA")).convert("RGB"))
    image = decode_image(saved(source, "PNG"), name=mode)
    assert np.abs(image.astype(int) - expected).max() <= (1 if mode in ("LA", "RGBA") else 0)


def test_palette_with_a_transparent_colour_is_laid_on_white():
    source = PIL.Image.fromarray(np.array([[0, 1], [2, 0]], np.uint8)).convert("P")
    source.putpalette([10, 20, 30, 200, 0, 0, 0, 200, 0])
    image = decode_image(saved(source, "PNG", transparency=0), name="palette")
    assert image.tolist() == [[[255] * 3, [200, 0, 0]], [[0, 200, 0], [255] * 3]]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_sixteen_bits_are_rounded(channels: int, suffix: str):
    deep = np.random.default_rng(1).integers(0, 65536, (9, 11, channels), dtype=np.uint16)
    if channels == 4:
        deep[..., 3] = np.where(deep[..., 3] < 30_000, 0, 65535)
    data = bytes(cv2.imencode(suffix, deep)[1])
    expected = np.round(deep / 257.0).astype(np.uint8)
    if channels == 4:
        expected = np.where(expected[..., 3:] == 0, 255, expected[..., :3])
    expected = np.repeat(expected, 3, axis=2) if channels == 1 else expected[..., ::-1]
    assert np.array_equal(decode_image(data, name="deep"), expected)


def test_sixteen_bit_grey_with_alpha():
    rows = np.array([[[0, 65535], [65535, 65535], [30_000, 65535], [0, 0]]], ">u2")
    body = b"\0" + rows.tobytes()

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    start = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 1, 16, 4, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + start + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")
    assert decode_image(data, name="LA16")[0, :, 0].tolist() == [0, 255, 117, 255]


def test_cmyk_jpeg_has_the_colours_pillow_shows():
    data = saved(PIL.Image.fromarray(drawing()).convert("CMYK"), "JPEG", quality=95, subsampling=0)
    image = decode_image(data, name="cmyk")
    assert np.abs(image.astype(int) - drawing()).mean() < 3


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, kind: str, orientation: int):
    source = PIL.Image.fromarray(drawing(24, 40))
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    if kind == "WEBP":
        options = {"lossless": True}
    data = saved(source, kind, exif=exif, **options)
    from PIL import ImageOps

    shown = np.asarray(ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(data))).convert("RGB"))
    image = decode_image(data, name="turned")
    assert np.array_equal(image, shown)
    assert image.flags.c_contiguous
    path = tmp_path / f"a.{kind}"
    path.write_bytes(data)
    assert image_size(path) == (image.shape[1], image.shape[0])


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_animation_gives_its_first_frame_and_a_warning(kind: str):
    pictures = [PIL.Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(pictures[0], kind, save_all=True, append_images=pictures[1:], duration=100, **options)
    said: list[str] = []
    image = decode_image(data, name="moving", warn=said.append)
    assert image[4, 4].tolist() == [255, 0, 0]
    assert said == ["moving holds 3 frames; only the first is used."]
    with pytest.warns(UserWarning, match="only the first"):
        decode_image(data, name="moving")


def test_a_still_image_says_nothing(capfd: pytest.CaptureFixture[str]):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decode_image(saved(PIL.Image.fromarray(drawing()), "JPEG"), name="still")
    for cut in (50, 200, 400):
        with pytest.raises(InputError):
            decode_image(saved(PIL.Image.fromarray(drawing()), "PNG")[:cut], name="cut")
        with pytest.raises(InputError):
            decode_image(bytes(cv2.imencode(".png", np.zeros((90, 90, 3), np.uint16))[1])[:-cut], name="cut")
    assert capfd.readouterr() == ("", "")


def test_one_pixel(tmp_path: Path):
    image = np.array([[[1, 2, 3]]], np.uint8)
    write_image(tmp_path / "a.png", image)
    assert read_image(tmp_path / "a.png").tolist() == image.tolist()


def test_result_can_be_written_to(tmp_path: Path):
    write_image(tmp_path / "a.png", drawing())
    image = read_image(tmp_path / "a.png")
    image[0, 0] = 7
    assert image.flags.owndata or image.base is not None


# --- masks --------------------------------------------------------------------------------------------------


def test_mask_round_trip_and_threshold(tmp_path: Path):
    mask = np.random.default_rng(3).random((31, 17)) > 0.5
    write_mask(tmp_path / "m.png", mask)
    assert PIL.Image.open(tmp_path / "m.png").mode == "L"
    assert np.array_equal(read_mask(tmp_path / "m.png"), mask)
    grey = np.array([[0, 127, 128, 255]], np.uint8)
    (tmp_path / "g.png").write_bytes(saved(PIL.Image.fromarray(grey), "PNG"))
    assert read_mask(tmp_path / "g.png").tolist() == [[False, False, True, True]]


def test_mask_painted_on_a_transparent_layer(tmp_path: Path):
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[1, 1] = 255
    rgba[2, 2] = (255, 255, 255, 0)
    (tmp_path / "m.png").write_bytes(saved(PIL.Image.fromarray(rgba), "PNG"))
    assert np.argwhere(read_mask(tmp_path / "m.png")).tolist() == [[1, 1]]


def test_mask_must_be_bool(tmp_path: Path):
    with pytest.raises(UsageError, match="uint8"):
        write_mask(tmp_path / "m.png", np.zeros((3, 3), np.uint8))


# --- writing ------------------------------------------------------------------------------------------------


def test_unknown_suffix_and_wrong_array(tmp_path: Path):
    with pytest.raises(UsageError) as caught:
        write_image(tmp_path / "a.pgn", drawing())
    assert "'.png'" in caught.value.hints[0]
    with pytest.raises(UsageError, match="float64"):
        write_image(tmp_path / "a.png", drawing() / 255)
    with pytest.raises(UsageError):
        encode_png(np.zeros((0, 3, 3), np.uint8))


def test_full_disk_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.png"
    write_image(path, drawing())
    before = path.read_bytes()

    def full(self: Path, data: bytes) -> None:
        with self.open("wb") as file:
            file.write(data[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ResourceError, match="No space left on device"):
        write_image(path, drawing(seed=1))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_writing_below_a_file_is_a_resource_error(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match="cannot be written"):
        write_image(tmp_path / "file" / "a.png", drawing())


def test_missing_system_library_is_named(monkeypatch: pytest.MonkeyPatch):
    import animegen._cv2 as guard

    def fail(_: str) -> None:
        raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(guard, "import_module", fail)
    with pytest.raises(MissingError, match=r"libGL\.so\.1") as caught:
        guard.load_cv2()
    assert "apt-get install libgl1 libglib2.0-0" in caught.value.hints[0]
    assert "opencv-python-headless" in caught.value.hints[1]


# --- real material ------------------------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.slow
def test_every_real_picture_equals_what_pillow_shows(real_data: Path):
    paths = sorted(p for p in real_data.rglob("*") if p.suffix in (".png", ".jpg") and "masks" not in p.parts)
    assert len(paths) > 50
    for path in paths:
        assert np.array_equal(read_image(path), np.asarray(PIL.Image.open(path).convert("RGB"))), path
    for path in (real_data / "pages" / "masks").rglob("*.png"):
        assert read_mask(path).any()
