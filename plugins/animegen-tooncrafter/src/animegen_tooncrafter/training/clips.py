"""Clips to learn from: found in a folder, looked through once for cuts, and read sixteen frames at a time."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from animegen._cv2 import cv2
from animegen.atomic import write_bytes
from animegen.errors import AnimeGenError, InputError
from animegen.upsampling.cuts import CutDetector
from animegen.video import VideoReader
from animegen.video.material import find_videos, video_digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".gif", ".apng")
METADATA = ("metadata.jsonl", "metadata.csv")


@dataclass(frozen=True)
class Clip:
    """One clip of the material.

    Attributes:
        path: A video, or a folder of pictures.
        name: Its path within the material, with forward slashes.
        text: Its caption, or an empty string.
        fps: Frames per second.
        shots: (first, past the last) frame of each piece without a cut.
        size: Width and height.
        digest: Of the file.
    """

    path: Path
    name: str
    text: str
    fps: float
    shots: tuple[tuple[int, int], ...]
    size: tuple[int, int]
    digest: str

    @property
    def frames(self) -> int:
        """All of them."""
        return self.shots[-1][1] if self.shots else 0

    def longest_stride(self, frames: int) -> int:
        """The largest stride at which some shot holds `frames` frames; 0 where none does."""
        return max((max(0, last - first - 1) // (frames - 1) for first, last in self.shots), default=0)

    def starts(self, frames: int, stride: int) -> list[range]:
        """Where `frames` frames, each `stride` behind the one before, may begin."""
        span = (frames - 1) * stride
        return [range(first, last - span) for first, last in self.shots if last - first > span]

    def read(self, start: int, stride: int, frames: int) -> list[NDArray[np.uint8]]:
        """`frames` pictures, (H, W, 3) uint8 RGB; a video is decoded from its beginning.

        Raises:
            InputError: It ends before that, or cannot be read.
        """
        with VideoReader(self.path, fps=Fraction(self.fps).limit_denominator(1001)) as video:
            wanted = islice(iter(video), start, start + (frames - 1) * stride + 1, stride)
            found = [np.array(picture) for picture in wanted]
        if len(found) < frames:
            raise InputError(f"{self.path} ends before frame {start + (frames - 1) * stride}; it has changed.")
        return found


def find_clips(
    folder: Path,
    *,
    threshold: float,
    folder_fps: float,
    index: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Clip], list[str]]:
    """The clips in a folder and all folders in it, in the order of their names.

    A caption stands in ``clip.txt`` beside ``clip.mp4`` (or beside, or as ``caption.txt`` in, a folder of pictures), or
    in ``metadata.jsonl`` or ``metadata.csv`` in the folder of all clips, with ``file_name``, ``text`` and perhaps
    ``fps``. Each video is decoded once to find its cuts; `index` is a folder that keeps what was found.

    Returns:
        The clips, and a sentence for each thing that cannot be read.

    Raises:
        InputError: There is no clip, or the metadata cannot be read.
    """
    if folder.is_file():
        raise InputError(f"{folder} is a file; clips to learn from lie in a folder.")
    metadata = _metadata(folder)
    paths = list(find_videos(folder, VIDEOS))
    clips, odd = [], []
    for number, path in enumerate(paths):
        name = path.relative_to(folder).as_posix()
        row = metadata.get(name, {})
        fps = Fraction(str(row["fps"])) if row.get("fps") else Fraction(folder_fps).limit_denominator(1001)
        text = str(row.get("text") or _caption(path))
        digest = video_digest(path)
        try:
            found = _looked_through(path, digest, threshold, fps, index)
        except AnimeGenError as error:
            odd.append(f"{name} is left out: {error.message}")
            continue
        shots = tuple((int(first), int(last)) for first, last in found["shots"])
        width, height = found["size"]
        clips.append(Clip(path, name, text, float(found["fps"]), shots, (width, height), digest))
        if progress:
            progress(number + 1, len(paths))
    if not clips:
        raise InputError(
            f"{folder} holds no clips.",
            hint=(f"videos ({', '.join(VIDEOS)}) or folders of pictures are read, in folders too", *odd[:3]),
        )
    return clips, odd


def material_digest(clips: Sequence[Clip]) -> str:
    """What the material is: names, captions, speeds, shots, sizes and both ends of every file."""
    digest = hashlib.sha256()
    for clip in clips:
        facts = {key: value for key, value in asdict(clip).items() if key != "path"}
        digest.update(json.dumps(facts, sort_keys=True).encode())
    return digest.hexdigest()


def fit(picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """A picture resized until it covers `width` × `height`, and its middle cut out."""
    tall, wide = picture.shape[:2]
    scale = max(width / wide, height / tall)
    size = max(width, round(wide * scale)), max(height, round(tall * scale))
    if size != (wide, tall):
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        picture = cv2.resize(picture, size, interpolation=method)
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    return np.ascontiguousarray(picture[top : top + height, left : left + width])


def _caption(path: Path) -> str:
    places = [path.with_name(f"{path.name}.txt"), path / "caption.txt"] if path.is_dir() else [path.with_suffix(".txt")]
    for place in places:
        if place.is_file():
            return " ".join(place.read_text("utf-8", errors="replace").split())
    return ""


def _metadata(folder: Path) -> dict[str, Mapping[str, Any]]:
    for name in METADATA:
        path = folder / name
        if not path.is_file():
            continue
        try:
            text = path.read_text("utf-8-sig")
            lines = [line for line in text.splitlines() if line.strip()]
            rows = [json.loads(line) for line in lines] if name.endswith("jsonl") else list(csv.DictReader(lines))
            return {str(row["file_name"]): row for row in rows}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path} cannot be read: {type(error).__name__}: {error}.",
                hint='a row for each clip, with "file_name" and "text"',
            ) from None
    return {}


def _looked_through(path: Path, digest: str, threshold: float, fps: Fraction, index: Path | None) -> dict[str, Any]:
    """Speed, size and shots of a clip, from the index where it was looked through before."""
    key = hashlib.sha256(f"1 {digest} {threshold} {fps if path.is_dir() else ''}".encode()).hexdigest()
    kept = index / f"{key[:32]}.json" if index else None
    if kept and kept.is_file():
        try:
            found: dict[str, Any] = json.loads(kept.read_text("utf-8"))
            return found
        except ValueError:
            pass
    detector = CutDetector(threshold)
    edges, count = [0], 0
    with VideoReader(path, fps=fps, eight_bit=True, warn=lambda text: None) as video:
        for frame in video.timed():
            if detector(frame) >= threshold:
                edges.append(count)
            count += 1
        found = {
            "fps": float(video.fps),
            "size": list(video.size),
            "shots": list(zip(edges, [*edges[1:], count], strict=True)),
        }
    if kept:
        write_bytes(kept, json.dumps(found).encode())
    return found
