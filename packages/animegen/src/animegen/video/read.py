"""Clips from files: every frame as `(H, W, 3) uint8 RGB`, with the colours the file means."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from animegen.errors import InputError
from animegen.imageio import lay_on, no_such_file, open_header, what_it_is
from animegen.video.folder import FrameFolder

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from animegen.media import Image

# Not playlists and the like, which make libav open other files and addresses.
_DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpeg,mpegts,mpegvideo,h264,hevc,ogg,asf,ivf,nut"
_OPTIONS = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "file"}
_READABLE = "MP4, MOV, MKV, WebM, AVI, GIF, animated WebP and PNG, and folders of PNGs are read."
_MATRICES = {  # by their number in ITU-T H.273
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
}


class VideoReader:
    """The frames of a video, an animated picture or a folder of pictures, in order; iterate as often as you like.

    ``with VideoReader(path) as video: ...`` closes the file when an iteration was left early.

    Args:
        path: The file or folder.
        fps: Frames per second, for a folder, which does not keep them.
        role: What the file was named as, for messages.

    Attributes:
        fps: Frames per second (the average where they vary).
        size: Width and height.
        frames: How many there are, or None where the file does not say.
        comment: The comment tag, or an empty string.

    Raises:
        InputError: The file is absent, not a video or broken; while iterating, a broken or missing frame.
    """

    fps: Fraction
    size: tuple[int, int]
    frames: int | None
    comment: str = ""

    def __init__(self, path: str | Path, *, fps: Fraction | None = None, role: str = "") -> None:
        self.path = Path(path)
        self._role = role
        self._running: list[Generator[Image, None, None]] = []
        self._animated = False
        self._folder, head = self._look()
        if self._folder is not None:
            if fps is None:
                raise InputError(
                    f"{self.path} is a folder of frames, which does not say how fast they play.",
                    hint="say it: fps=24",
                )
            self.fps, self.size, self.frames = fps, self._folder.size, len(self._folder)
        elif head.startswith((b"GIF8", b"\x89PNG")) or head[8:12] == b"WEBP":
            self._animated = True
            data = self.path.read_bytes()
            header = open_header(data, str(self.path), role)
            try:
                self.size, self.frames = header.size, header.n_frames
                delays = _delays(header, data)
            except Exception as error:  # a decoder fed with broken bytes may raise anything
                raise self._unreadable(f"broken or truncated: {error}") from error
            tick = Fraction(10 if header.format == "GIF" else 1)
            self.fps = _simplest_rate(len(delays), sum(delays, Fraction(0)), tick)
            comment = header.info.get("comment", b"")
            self.comment = comment.decode(errors="replace") if isinstance(comment, bytes) else str(comment)
        else:
            self._probe(head)

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the iterations that are under way."""
        while self._running:
            self._running.pop().close()

    def __iter__(self) -> Iterator[Image]:
        if self._folder is not None:
            return iter(self._folder)
        frames = self._animation() if self._animated else self._video()
        self._running.append(frames)
        return frames

    def _look(self) -> tuple[FrameFolder | None, bytes]:
        """The folder, or the first bytes of the file."""
        try:
            if self.path.is_dir():
                return FrameFolder(self.path), b""
            with self.path.open("rb") as file:
                head = file.read(64)
        except FileNotFoundError:
            raise no_such_file(self.path, self._role) from None
        except (OSError, ValueError) as error:
            reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
            raise InputError(f"{self.path} cannot be read: {reason}.") from error
        if not head:
            raise self._unreadable("0 bytes")
        return None, head

    def _unreadable(self, why: str) -> InputError:
        named = f"it was named as {self._role}; " if self._role else ""
        return InputError(f"{self.path} is not a video this program can read ({why}).", hint=f"{named}{_READABLE}")

    def _probe(self, head: bytes) -> None:
        if self.path.stat().st_size < _segment_end(head):  # Matroska has no count of frames to notice it by
            raise self._unreadable("truncated")
        try:
            with self._open() as container:
                if not container.streams.video:
                    raise self._unreadable("it has no picture, only sound or text")
                stream = container.streams.video[0]
                first = next(container.decode(stream), None)
                if first is None:
                    raise self._unreadable("it has no frames")
                height, width = _rgb(first).shape[:2]
                self.size = (width, height)
                self.frames = stream.frames or None
                rate = stream.average_rate or stream.guessed_rate or stream.base_rate
                tags = {key.lower(): value for key, value in container.metadata.items()}
                self.comment = tags.get("comment", "")
        except av.error.FFmpegError as error:
            what = what_it_is(head)
            known = what.startswith(("a ", "it ")) and what != "a video"
            raise self._unreadable(what if known else f"broken, or of another kind: {error.strerror}") from error
        if not rate:
            raise self._unreadable("it does not say how many frames there are per second")
        self.fps = Fraction(rate)

    def _open(self) -> Any:
        container = av.open(f"file:{self.path}", options=_OPTIONS, metadata_errors="replace")
        for stream in container.streams.video[:1]:
            stream.thread_type = "AUTO"
        return container

    def _video(self) -> Generator[Image, None, None]:
        count = 0
        try:
            with self._open() as container:
                for frame in container.decode(video=0):
                    if frame.is_corrupt:
                        raise self._unreadable(f"frame {count} is broken")
                    image = _rgb(frame)
                    if image.shape[1::-1] != self.size:
                        raise self._unreadable(f"frame {count} is of another size than those before it")
                    yield image
                    count += 1
        except av.error.FFmpegError as error:
            raise self._unreadable(f"frame {count} is broken: {error.strerror}") from error
        if self.frames is not None and count < self.frames:
            raise self._unreadable(f"it ends after {count} of {self.frames} frames")

    def _animation(self) -> Generator[Image, None, None]:
        header = open_header(self.path.read_bytes(), str(self.path), self._role)
        for index in range(header.n_frames):
            try:
                header.seek(index)
                rgba = np.asarray(header.convert("RGBA"))
            except Exception as error:  # a decoder fed with broken bytes may raise anything
                raise self._unreadable(f"frame {index} is broken: {error}") from error
            yield lay_on(np.ascontiguousarray(rgba[..., :3]), rgba[..., 3], 255)


def _rgb(frame: Any) -> Image:
    """RGB by the matrix the frame names; without a name, BT.709 for what is larger than standard television."""
    rotation = getattr(frame, "rotation", 0)
    if frame.format.name.startswith(("yuv4", "yuvj4")):
        large = frame.width > 1024 or frame.height > 576
        matrix = _MATRICES.get(frame.colorspace, Colorspace.ITU709 if large else Colorspace.ITU601)
        whole = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
        meant = {"src_colorspace": matrix, "src_color_range": ColorRange.JPEG if whole else ColorRange.MPEG}
        # Colour first goes to full size by cubic interpolation: the direct way repeats it among 2 × 2 pixels,
        # which costs 7 dB along drawn lines.
        same = {"dst_colorspace": matrix, "dst_color_range": meant["src_color_range"]}
        full = "yuvj444p" if frame.format.name.startswith("yuvj") else "yuv444p"
        frame = frame.reformat(format=full, interpolation="BICUBIC", **meant, **same)
        frame = frame.reformat(format="rgb24", dst_color_range=ColorRange.JPEG, **meant)
    else:
        frame = frame.reformat(format="rgb24")
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(), round(rotation / 90) % 4))


def _delays(header: Any, data: bytes) -> list[Fraction]:
    """How long each frame of an animated picture stays, in milliseconds."""
    if header.format == "WEBP":  # Pillow knows only after decoding
        return [Fraction(int.from_bytes(body[12:15], "little")) for kind, body in _riff(data) if kind == b"ANMF"]
    delays = []
    for index in range(header.n_frames):
        header.seek(index)
        delays.append(Fraction(header.info.get("duration", 0)).limit_denominator(1000))
    return delays


def _riff(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of the chunks of a WebP file."""
    place = 12
    while place + 8 <= len(data):
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        yield data[place : place + 4], data[place + 8 : place + 8 + size]
        place += 8 + size + size % 2


def _simplest_rate(count: int, total: Fraction, tick: Fraction) -> Fraction:
    """The rate with the smallest denominator whose `count` frames last `total` ms, up to a tick of the clock."""
    if not total:
        return Fraction(10)  # what viewers do with a delay of 0
    exact = 1000 * count / total
    for denominator in (1, 2, 3, 4, 1001):
        rate = Fraction(round(exact * denominator), denominator)
        if rate and abs(1000 * count / rate - total) <= tick:
            return rate
    return exact.limit_denominator(1001)


def _segment_end(head: bytes) -> int:
    """Where the one segment of a Matroska file ends (RFC 8794, section 4), or 0 where it does not say."""
    if not head.startswith(b"\x1a\x45\xdf\xa3"):
        return 0
    head = head.ljust(128, b"\0")
    size, place = _vint(head, 4)
    place += size
    if head[place : place + 4] != b"\x18\x53\x80\x67":
        return 0
    size, place = _vint(head, place + 4)
    return place + size if size else 0


def _vint(data: bytes, place: int) -> tuple[int, int]:
    """A number of variable length and the place after it; 0 stands for "unknown"."""
    length = 9 - data[place].bit_length()
    bits = 7 * length
    value = int.from_bytes(data[place : place + length], "big") & ((1 << bits) - 1)
    return (0 if value == (1 << bits) - 1 else value), place + length
