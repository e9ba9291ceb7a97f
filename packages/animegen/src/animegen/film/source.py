"""What is upsampled: a video, an animated picture, a folder of pictures, an earlier run, or a clip in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animegen.clip import Clip
from animegen.errors import InputError, UsageError
from animegen.imageio import no_such_file
from animegen.pipeline.hashing import array_digest, file_digest
from animegen.pipeline.record import FILE_NAME, read_record
from animegen.upsampling.frames import ArrayFrame
from animegen.video import VideoReader
from animegen.video.stream import open_file

if TYPE_CHECKING:
    from animegen.media import Image
    from animegen.upsampling.frames import SourceFrame

ROLE = "VIDEO"
_LOSSLESS = (".mkv", ".apng")


@dataclass(frozen=True, eq=False)
class Source:
    """A source that is open, looked at, and found fit.

    Attributes:
        reader: Its frames.
        name: What people call it; it names the run's folder.
        facts: What run.json keeps of it; with ``sha256`` of all that is read.
        about: How many frames it has, by its header or by its length; None where neither is said.
        odd: What is odd about it, in sentences; grows while it is read, in another thread.
    """

    reader: VideoReader | ClipReader
    name: str
    facts: Mapping[str, Any]
    about: int | None = None
    odd: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """What a result depends on."""
        return str(self.facts["sha256"])


class ClipReader:
    """A clip in memory, as a `VideoReader` would read it.

    Args:
        clip: The clip.
    """

    alpha = False
    bits = 8
    colour = None
    tracks = ()
    comment = ""
    is_stream = False
    path: Path | None = None
    start = Fraction(0)
    aspect = Fraction(1)
    variable = False

    def __init__(self, clip: Clip) -> None:
        self._frames = clip.frames
        self.fps, self.size, self.frames = clip.fps, clip.size, len(clip)
        self.tick = 1 / clip.fps

    def __iter__(self) -> Iterator[Image]:
        return iter(self._frames)

    def timed(self) -> Iterator[SourceFrame]:
        """Its frames with their times."""
        for index, image in enumerate(self._frames):
            yield ArrayFrame(index, index / self.fps, image, 1 / self.fps)

    def close(self) -> None:
        """Nothing is held open."""


def open_source(
    source: str | Path | Clip,
    *,
    fps: Fraction | None = None,
    eight_bit: bool = False,
    max_pixels: int = 100_000_000,
) -> Source:
    """Open a source and look at its first frames, so that what is wrong is said at once.

    Args:
        source: A file, a folder of pictures, the folder of an earlier run, or a clip.
        fps: Frames per second of a folder of pictures.
        eight_bit: Whether more than 8 bits a channel may be reduced to 8.
        max_pixels: Largest picture that is read.

    Raises:
        InputError: It is absent, no video, broken, without two frames, too large, or has more than 8 bits a channel.
        UsageError: A folder of pictures, and no `fps`.
    """
    odd: list[str] = []
    facts: dict[str, Any]
    if isinstance(source, Clip):
        clip = ClipReader(source)
        reader: VideoReader | ClipReader = clip
        name, facts = "clip", {"sha256": _frames_digest(clip)}
    else:
        typed = Path(source)
        path, rate = _look(typed, fps)
        name = typed.name if typed.is_dir() else typed.stem
        reader = VideoReader(path, fps=rate, role=ROLE, eight_bit=eight_bit, warn=odd.append)
        facts = {"path": str(typed.absolute()), "sha256": ""}
    _check(reader, str(source) if not isinstance(source, Clip) else "the clip", max_pixels)
    if not facts["sha256"]:
        facts["sha256"] = _digest(path)
    facts |= {
        "name": name,
        "size": list(reader.size),
        "fps": str(reader.fps),
        "frames": reader.frames,
        "bits": reader.bits,
        "alpha": reader.alpha,
    }
    return Source(reader, name, facts, reader.frames or _by_length(reader), odd)


def _look(path: Path, fps: Fraction | None) -> tuple[Path, Fraction | None]:
    """What to read at `path`, and how fast it plays where it cannot say."""
    if not path.exists():
        raise no_such_file(path, ROLE)
    if not path.is_dir():
        if not path.is_file():
            raise InputError(
                f"{path} is a pipe or a device; a video is read more than once.",
                hint="save it as a file, and name that",
            )
        if fps is not None:
            raise UsageError(f"--source-fps is for a folder of pictures; {path} says itself how fast it plays.")
        return path, None
    if not (path / FILE_NAME).is_file():
        if fps is None:
            raise UsageError(
                f"{path} is a folder of pictures, which does not say how fast they play.",
                hint=f"say it: animegen upsample {path} --source-fps 24",
            )
        return path, fps
    return _run_clip(path, fps)


def _run_clip(folder: Path, fps: Fraction | None) -> tuple[Path, Fraction | None]:
    """The most exact form of an earlier run's clip: its frames, else a lossless clip, else whatever clip there is."""
    outputs = read_record(folder).get("outputs") or {}
    if not outputs:
        raise InputError(f"{folder} is a run that was not finished.", hint="go on with it first: its command, --resume")
    rate = fps or Fraction(outputs["fps"])
    names = sorted(outputs["clip"], key=lambda name: not name.endswith(_LOSSLESS))
    for name in [*([outputs["frames"]] if "frames" in outputs else []), *names]:
        path = folder / name
        if path.exists():
            return path, rate if path.is_dir() else None
    raise InputError(f"{folder} is a run whose clip is gone ({', '.join(names)}).")


def _check(reader: VideoReader | ClipReader, name: str, max_pixels: int) -> None:
    width, height = reader.size
    if width * height > max_pixels:
        raise InputError(
            f"{name} is {width}x{height}, more than {max_pixels} pixels.", hint="--max-pixels sets another limit"
        )
    frames = reader.timed()
    found = sum(1 for _ in islice(frames, 2))  # which also refuses what cannot be read as it should be
    if close := getattr(frames, "close", None):
        close()
    if found < 2:
        raise InputError(f"{name} holds one frame; frames are drawn between two.", hint="animegen run FIRST LAST")


def _by_length(reader: VideoReader | ClipReader) -> int | None:
    """Frames by length and rate: a Matroska file does not count them."""
    assert reader.path is not None  # a clip in memory counts its frames
    with open_file(reader.path) as container:
        return round(container.duration * reader.fps / 1_000_000) if container.duration else None


def _digest(path: Path) -> str:
    """Of a file, or of all pictures of a folder in the order of their names."""
    if not path.is_dir():
        return file_digest(path)
    digest = hashlib.sha256()
    for file in sorted(path.iterdir()):
        if file.is_file():
            digest.update(f"{file.name}:{file_digest(file)};".encode())
    return digest.hexdigest()


def _frames_digest(reader: ClipReader) -> str:
    digest = hashlib.sha256(str(reader.fps).encode())
    for image in reader:
        digest.update(array_digest(image).encode())
    return digest.hexdigest()
