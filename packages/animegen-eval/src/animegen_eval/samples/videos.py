"""A video file as a clip."""

from __future__ import annotations

from pathlib import Path

import av

from animegen.errors import InputError
from animegen_eval.samples.pictures import Held, Memory, VideoPictures
from animegen_eval.samples.sources import Source, Storage


def video(path: Path, name: str, config: str, memory: Memory) -> Source:
    """The clip in a video file. Raises InputError where it is no video, or broken."""
    pictures = VideoPictures(path)
    return Source(name, config, str(path), Held(pictures, memory), pictures.fps, storage=stored(path))


def stored(path: Path) -> Storage:
    """Codec and pixel format of a video file."""
    try:
        with av.open(str(path)) as container:
            context = container.streams.video[0].codec_context
            return Storage("video", str(context.name), str(context.pix_fmt))
    except (av.FFmpegError, IndexError, OSError) as error:
        raise InputError(
            f"{path} is not a video this program can read ({error}).",
            hint="a folder of its frames as PNG will do, and loses nothing",
        ) from error
