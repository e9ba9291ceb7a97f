"""Images from files and back: `(H, W, 3) uint8 RGB` inside, whatever PNG, JPEG, WebP, … hold outside.

Pillow decodes: it refuses a truncated file, where OpenCV (depending on its version) hands back half a
picture, and it knows palettes, transparency and CMYK. OpenCV decodes what has 16 bits per channel, which
Pillow cuts down without rounding, and encodes, because it can be told the PNG filter (half of Pillow's time).

Transparent pixels are laid on white paper. Colour profiles are not applied.
"""

from __future__ import annotations

import codecs
import io
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image

from animegen._cv2 import cv2
from animegen.atomic import write_bytes
from animegen.errors import InputError, ResourceError, UsageError, did_you_mean
from animegen.media import describe, is_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from animegen.media import Image, Mask

MAX_PIXELS = 100_000_000
"""Largest picture that is decoded unless the caller says otherwise; checked on the header."""

# What Pillow says about odd parts of broken files would come before our one line.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.(Tiff|Png)ImagePlugin")

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "AVIF")  # never EPS and the like, which run programs
_READABLE = "PNG, JPEG, WebP, BMP and TIFF are read."
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".avif")
_HEAD = 64


def read_image(
    path: str | Path,
    *,
    max_pixels: int = MAX_PIXELS,
    role: str = "",
    warn: Callable[[str], None] | None = None,
) -> Image:
    """Read the picture in `path`: (H, W, 3) uint8 RGB, turned as its EXIF orientation says.

    16 bits per channel are rounded to 8; transparency is laid on white; an animation gives its first frame.

    Args:
        path: A PNG, JPEG, WebP, BMP or TIFF file (GIF and AVIF where Pillow has them).
        max_pixels: Refuse a larger picture on its header, before a byte of it is decoded.
        role: What the file was named as, for messages: ``LAST``.
        warn: Called with one sentence when the file holds more than is read; without it, `warnings.warn`.

    Raises:
        InputError: The file is absent, unreadable, not an image, broken, truncated or too large.
        ResourceError: The memory does not suffice.
    """
    return decode_image(_read_bytes(path, role), name=str(path), max_pixels=max_pixels, role=role, warn=warn)


def decode_image(
    data: bytes,
    *,
    name: str,
    max_pixels: int = MAX_PIXELS,
    role: str = "",
    warn: Callable[[str], None] | None = None,
) -> Image:
    """`read_image` for a file that is in memory already; `name` stands for it in messages."""
    image, alpha = _decode(data, name, max_pixels, role, warn)
    return image if alpha is None else lay_on(image, alpha, 255)


def read_rgba(path: str | Path, *, max_pixels: int = MAX_PIXELS, role: str = "") -> Image:
    """Read the picture in `path` with its transparency: (H, W, 4) uint8, straight alpha (255 where it has none).

    Raises:
        InputError: As for `read_image`.
    """
    image, alpha = _decode(_read_bytes(path, role), str(path), max_pixels, role, None)
    return np.dstack([image, np.full(image.shape[:2], 255, np.uint8) if alpha is None else alpha])


def read_mask(path: str | Path, *, max_pixels: int = MAX_PIXELS, role: str = "") -> Mask:
    """Read a mask: (H, W) bool, True where the picture's luma is at least 128 and it is not transparent.

    Raises:
        InputError: As for `read_image`.
    """
    image, alpha = _decode(_read_bytes(path, role), str(path), max_pixels, role, None)
    rgb = (image if alpha is None else lay_on(image, alpha, 0)).astype(np.uint32)
    luma = rgb[..., 0] * 299 + rgb[..., 1] * 587 + rgb[..., 2] * 114  # ITU-R BT.601, in thousandths
    return np.asarray(luma >= 128_000)


def image_size(path: str | Path, *, role: str = "") -> tuple[int, int]:
    """Width and height of the picture as `read_image` would return it, from its header alone.

    Raises:
        InputError: The file is absent, unreadable, or its header is not that of an image.
    """
    data = _read_bytes(path, role)
    header = open_header(data, str(path), role)
    width, height = header.size
    orientation = _orientation(header)
    if header.format == "TIFF":  # newer releases of Pillow turn the size at once, older ones on decoding
        tags = header.tag_v2
        width, height, orientation = tags[256], tags[257], tags.get(274, 1)
    return (height, width) if orientation in (5, 6, 7, 8) else (width, height)


def write_image(path: str | Path, image: Image, *, level: int = 1, quality: int = 95) -> None:
    """Write (H, W, 3) uint8 RGB to `path`, in the format of its suffix; the file is whole or absent.

    Args:
        path: Ends in .png, .jpg, .jpeg, .webp, .bmp, .tif, .tiff or .avif. Missing folders are made.
        image: The picture; a PNG may also hold (H, W, 4) uint8 RGBA.
        level: How hard PNG is compressed, 0 .. 9; 1 is made for speed, 4 saves a third on black and white.
        quality: Of JPEG, WebP and AVIF, 1 .. 100; 100 makes WebP lossless.

    Raises:
        UsageError: The suffix is none of these, or `image` is not an image.
        ResourceError: The disk is full or read-only.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise UsageError(
            f"{path} does not say which image format is meant (its suffix is {path.suffix!r}).",
            hint=f"{did_you_mean(suffix, _SUFFIXES)}end it in one of {' '.join(_SUFFIXES)}",
        )
    transparent = suffix == ".png" and isinstance(image, np.ndarray) and image.ndim == 3 and image.shape[2] == 4
    if not is_image(image[..., :3] if transparent else image):
        raise UsageError(f"an image is (H, W, 3) uint8 RGB, not {describe(image)}.")
    order = cv2.COLOR_RGBA2BGRA if transparent else cv2.COLOR_RGB2BGR
    write_bytes(path, _encode(suffix, cv2.cvtColor(image, order), level, quality))


def encode_png(image: Image, *, level: int = 1) -> bytes:
    """The bytes of a PNG file holding `image`, (H, W, 3) uint8 RGB."""
    if not is_image(image):
        raise UsageError(f"an image is (H, W, 3) uint8 RGB, not {describe(image)}.")
    return _encode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), level, 95)


def write_mask(path: str | Path, mask: Mask) -> None:
    """Write (H, W) bool as a PNG with one channel, 255 where True; the file is whole or absent.

    Raises:
        UsageError: `mask` is not a mask.
        ResourceError: The disk is full or read-only.
    """
    if not isinstance(mask, np.ndarray) or mask.ndim != 2 or mask.dtype != np.bool_ or not mask.size:
        raise UsageError(f"a mask is (H, W) bool, not {describe(mask)}.")
    write_bytes(path, _encode(".png", mask.astype(np.uint8) * 255, 1, 95))


def _encode(suffix: str, bgr: Any, level: int, quality: int) -> bytes:
    flags: list[int] = []
    if suffix == ".png":
        flags = [cv2.IMWRITE_PNG_COMPRESSION, level]
        if level == 1 and hasattr(cv2, "IMWRITE_PNG_FILTER"):
            # One filter for all rows and run lengths only. On coloured panels this takes 0.55 times as long to
            # write as zlib's own level 1 and is as small; on grey ones it is 1.6 times as large.
            flags += [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
            flags += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]
    elif suffix in (".jpg", ".jpeg"):
        flags = [cv2.IMWRITE_JPEG_QUALITY, quality]
        if hasattr(cv2, "IMWRITE_JPEG_SAMPLING_FACTOR"):  # coloured lines fray when colour is halved
            flags += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    elif suffix == ".webp":
        flags = [cv2.IMWRITE_WEBP_QUALITY, 101 if quality >= 100 else quality]  # above 100 is lossless
    elif suffix == ".avif" and hasattr(cv2, "IMWRITE_AVIF_QUALITY"):
        flags = [cv2.IMWRITE_AVIF_QUALITY, quality]
    try:
        done, data = cv2.imencode(suffix, bgr, flags)
    except cv2.error as error:
        raise UsageError(f"this OpenCV cannot write {suffix} files of this size ({describe(bgr)}).") from error
    if not done:
        raise UsageError(f"this OpenCV cannot write {suffix} files of this size ({describe(bgr)}).")
    return bytes(data)


def _read_bytes(path: str | Path, role: str) -> bytes:
    path = Path(path)
    named = f"it was named as {role}; " if role else ""
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder, not an image.", hint=f"{named}name one of its images")
        with path.open("rb") as file:
            head = file.read(_HEAD)
            if not _claims(head):  # spares reading gigabytes of something else
                raise _unreadable(str(path), what_it_is(head), role)
            return head + file.read()
    except FileNotFoundError:
        raise no_such_file(path, role) from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise InputError(f"{path} cannot be read: {reason}.", hint=named.rstrip("; ") or ()) from error
    except MemoryError as error:
        raise ResourceError(f"{path} does not fit in the memory.") from error


def no_such_file(path: Path, role: str = "") -> InputError:
    """The error for a file that is not there; names its nearest neighbour."""
    folder = path.parent
    if folder.is_dir():
        near = did_you_mean(path.name, sorted(entry.name for entry in folder.iterdir())).rstrip()
        hint = near or f"nothing in {folder.resolve()} has a similar name"
    else:
        hint = f"there is no folder {folder} either"
    return InputError(f"{path} does not exist.", hint=f"it was named as {role}; {hint}" if role else hint)


def _unreadable(name: str, why: str, role: str) -> InputError:
    named = f"it was named as {role}; " if role else ""
    return InputError(f"{name} is not an image this program can read ({why}).", hint=f"{named}{_READABLE}")


_MAGIC = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive"),
    (b"Rar!", "a rar archive"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"8BPS", "a Photoshop document"),
    (b"gimp xcf", "a GIMP document"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
)


def what_it_is(head: bytes) -> str:
    """What the first bytes of a file that is not an image say it is."""
    if not head:
        return "0 bytes"
    for magic, what in _MAGIC:
        if head.startswith(magic):
            return what
    if head[4:8] == b"ftyp":
        return "HEIC" if head[8:12] in (b"heic", b"heix", b"mif1") else "a video"
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # the last letter may be cut
    except UnicodeDecodeError:
        return "not one of the formats below"
    plain = text.replace("\n", "").replace("\r", "").replace("\t", "").isprintable()
    return "it holds text" if plain else "not one of the formats below"


def _claims(head: bytes) -> Any:
    """The Pillow class whose format `head` starts, or None.

    Not ``PIL.Image.open``: its limit on pixels is a global of the process and hides the size from us.
    """
    PIL.Image.init()
    for name in _FORMATS:
        factory, accept = PIL.Image.OPEN.get(name, (None, None))
        if factory and accept and accept(head[:16]) is True:
            return factory
    return None


def open_header(data: bytes, name: str, role: str) -> Any:
    """The Pillow image of a file in memory, its header read and nothing decoded."""
    factory = _claims(data[:_HEAD])
    if factory is None:
        raise _unreadable(name, what_it_is(data[:_HEAD]), role)
    try:
        return factory(io.BytesIO(data), "")
    except Exception as error:  # a decoder fed with broken bytes may raise anything
        raise _unreadable(name, f"its header is broken: {error}", role) from error


def _orientation(header: Any) -> int:
    """EXIF orientation, 1 .. 8. Pillow turns TIFF by itself."""
    if header.format == "TIFF":
        return 1
    try:
        value = header.getexif().get(0x0112, 1)
    except Exception:  # unreadable EXIF is no reason to refuse a picture
        return 1
    return int(value) if value in range(1, 9) else 1


def _turn(array: Any, orientation: int) -> Any:
    """`array` as a viewer that honours EXIF shows it."""
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def _bits(header: Any, data: bytes) -> int:
    if header.format == "PNG":
        return data[24]  # in IHDR, always the first chunk
    if header.format == "TIFF":
        return int(max(header.tag_v2.get(258, (1,))))
    return 8


def _decode(
    data: bytes, name: str, max_pixels: int, role: str, warn: Callable[[str], None] | None
) -> tuple[Image, Any]:
    """RGB and, where there is transparency, alpha: (H, W, 3) and (H, W) or None, both uint8."""
    header = open_header(data, name, role)
    width, height = header.size
    if width * height > max_pixels:
        raise InputError(
            f"{name} is {width}x{height} = {width * height:,} pixels; the limit is {max_pixels:,}.",
            hint=f"make it smaller, or raise the limit: --max-pixels {width * height}",
        )
    try:
        frames = 1 if header.format == "MPO" else getattr(header, "n_frames", 1)
        if header.format == "PNG":
            open_header(data, name, role).verify()  # checksums, and the closing chunk
        if _bits(header, data) > 8:
            image, alpha = _decode_deep(data)
        else:
            image, alpha = _decode_pillow(header)
    except MemoryError as error:
        raise ResourceError(f"{name} ({width}x{height}) does not fit in the memory.") from error
    except Exception as error:  # as in open_header
        raise _unreadable(name, f"{header.format}, broken or truncated: {error}", role) from error
    if frames > 1:
        kind = "pages" if header.format == "TIFF" else "frames"
        (warn or warnings.warn)(f"{name} holds {frames} {kind}; only the first is used.")
    orientation = _orientation(header)
    return _turn(image, orientation), None if alpha is None else _turn(alpha, orientation)


def _decode_pillow(header: Any) -> tuple[Any, Any]:
    if header.mode in ("F", "I") or header.mode.startswith("I;"):
        raise ValueError(f"pixels of type {header.mode}")
    if header.has_transparency_data:
        rgba = np.array(header.convert("RGBA"))
        return np.ascontiguousarray(rgba[..., :3]), rgba[..., 3]
    return np.array(header if header.mode == "RGB" else header.convert("RGB")), None


def _decode_deep(data: bytes) -> tuple[Any, Any]:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("more than 16 bits per channel" if pixels is not None else "the data does not decode")
    pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)  # 65535 / 257 = 255
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2), None
    alpha = np.ascontiguousarray(pixels[..., 3]) if pixels.shape[2] == 4 else None
    return np.ascontiguousarray(pixels[..., 2::-1]), alpha


def lay_on(image: Image, alpha: Any, paper: int) -> Image:
    """`image` over a plain sheet of grey value `paper`."""
    opacity = alpha[..., None].astype(np.uint16)
    laid: Image = ((image * opacity + paper * (255 - opacity) + 127) // 255).astype(np.uint8)
    return laid
