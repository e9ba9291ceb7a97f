"""How the pictures of a video are coded, said once: each of its segments and the whole file are opened by it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from animegen.errors import MissingError, StageError, UsageError
from animegen.media import describe
from animegen.video.colour import BT709, Colour, tag, to_yuv420
from animegen.video.encode import LOSSLESS, h264

if TYPE_CHECKING:
    from collections.abc import Callable

    from animegen.media import Image
    from animegen.video.read import VideoReader

CodecName: TypeAlias = Literal["h264", "ffv1"]
_FINEST = 2**31 - 1  # ticks a second that MP4 and NUT can count


@dataclass(frozen=True)
class Coding:
    """What an encoder has to be told. Equal codings give equal headers, so that segments can be put together.

    Attributes:
        codec: ``h264`` (yuv420p; an odd width or height gains one repeated column or row) or ``ffv1`` (lossless RGB,
            with alpha where there is some).
        size: Width and height of the images.
        fps: Frames per second (the average where they vary).
        tick: The clock of the time stamps in seconds; 1/`fps` where the rate does not vary.
        colour: What the images are coded as (H.264) and what is named in the file.
        alpha: Whether the images have four channels.
        aspect: Width of a pixel by its height.
        quality: 1 .. 100, of H.264.
    """

    codec: CodecName
    size: tuple[int, int]
    fps: Fraction
    tick: Fraction
    colour: Colour
    alpha: bool
    aspect: Fraction
    quality: int

    def __post_init__(self) -> None:
        if self.alpha and self.codec == "h264":
            raise no_alpha()
        if not self.fps > 0:
            raise UsageError(f"{self.fps} frames per second cannot be played; it takes a number above 0.")
        if not 1 <= self.quality <= 100:
            raise UsageError(f"quality is {self.quality}; it takes 1 .. 100.")

    def dumps(self) -> str:
        """As text, for the file of a segment."""
        fields = asdict(self) | {name: str(getattr(self, name)) for name in ("fps", "tick", "aspect")}
        return json.dumps(fields, sort_keys=True)

    @classmethod
    def loads(cls, text: str) -> Coding:
        """The opposite of `dumps`. Raises ValueError, KeyError or TypeError for anything else."""
        fields = json.loads(text)
        fields |= {name: Fraction(fields[name]) for name in ("fps", "tick", "aspect")}
        return cls(**fields | {"size": tuple(fields["size"]), "colour": Colour(**fields["colour"])})

    def add_to(self, container: Any, *, even: bool = True) -> Any:
        """A stream in `container` with the encoder opened on first use; `even` names the rate in the container.

        Raises:
            MissingError: The encoder is not in this build of PyAV.
        """
        codec = h264(self.quality) if self.codec == "h264" else LOSSLESS
        if codec.name not in av.codecs_available:
            raise MissingError(
                f"this build of PyAV cannot write {self.codec}: it has no {codec.name} encoder.",
                hint="python -m pip install --force-reinstall --only-binary=av av",
            )
        options = dict(codec.options)
        if self.codec == "h264":
            options["threads"] = "4"  # what x264 writes depends on their number, and must not on the machine
        elif self.size[0] == 1:  # FFV1 cuts a frame into slices, and cannot cut what is one pixel wide
            options["slices"] = "1"
        # Matroska names a rate unless it is finer than its clock.
        stream = container.add_stream(codec.name, rate=self.fps if even else 2000, options=options, time_base=self.tick)
        width, height = self.size
        pad = 2 if self.codec == "h264" else 1
        stream.width, stream.height = width + width % pad, height + height % pad
        stream.pix_fmt = "yuv420p" if self.codec == "h264" else "bgra" if self.alpha else "bgr0"
        context = stream.codec_context
        context.framerate = self.fps
        context.sample_aspect_ratio = self.aspect
        tag(context, self.colour, rgb=self.codec == "ffv1")
        return stream

    def painter(self) -> Callable[[Image], Any]:
        """A function from images to the pictures the encoder takes."""
        reformatter = VideoReformatter()
        width, height = self.size
        shape = (height, width, 4 if self.alpha else 3)

        def paint(image: Image) -> Any:
            if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape != shape:
                raise StageError(f"a frame is {describe(image)}, not {shape} uint8.")
            image = np.ascontiguousarray(image)
            if self.codec == "h264":
                return to_yuv420(reformatter, even_sized(image), self.colour)
            picture = av.VideoFrame.from_ndarray(image, format="rgba" if self.alpha else "rgb24")
            return reformatter.reformat(picture, format="bgra" if self.alpha else "bgr0")

        return paint


def no_alpha() -> UsageError:
    """The error for alpha where there is no place for it."""
    return UsageError(
        "H.264 cannot hold alpha, which these frames have.",
        hint="write .mkv, .webp, .apng or a folder of frames, which keep it",
    )


def coding(
    size: tuple[int, int],
    fps: Fraction,
    codec: CodecName,
    colour: Colour | None = None,
    alpha: bool = False,
    *,
    tick: Fraction | None = None,
    aspect: Fraction = Fraction(1),
    quality: int = 90,
) -> Coding:
    """A `Coding`; None for `colour` is RGB, coded as BT.709."""
    # Full range is a matter of luma; RGB always goes from 0 to 255.
    meant = colour or BT709
    return Coding(codec, size, fps, tick or 1 / fps, meant, alpha, aspect, quality)


def clock(reader: VideoReader, factor: int) -> Fraction:
    """A clock that tells all times of `reader` and those that cut each gap in `factor`, exactly where it can be."""
    whole = math.lcm(reader.tick.denominator, (1 / reader.fps).denominator) * factor
    coarse = reader.tick.denominator * factor
    return Fraction(1, next((ticks for ticks in (whole, coarse) if ticks <= _FINEST), 1_000_000_000))


def even_sized(image: Image) -> Image:
    """`image` with its last row and column repeated where needed: yuv420p shares a colour among 2 × 2 pixels."""
    height, width = image.shape[:2]
    if height % 2 == width % 2 == 0:
        return image
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
