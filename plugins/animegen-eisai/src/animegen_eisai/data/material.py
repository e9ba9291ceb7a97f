"""The videos that somebody names: found, looked at, and given names that they keep."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from animegen.atomic import write_bytes
from animegen.documents import read_json
from animegen.errors import InputError
from animegen.video.even import EvenVideo
from animegen.weights.store import default_home

VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".ts", ".m2ts", ".gif", ".apng")
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
NAMES = "videos.json"
_SAMPLED = 1 << 20  # bytes at both ends of a file by which it is known again


@dataclass(frozen=True)
class Video:
    """A video of the material.

    Attributes:
        even: It, at the rate that is asked for.
        digest: By which it is known again.
    """

    even: EvenVideo
    digest: str


def find_videos(material: Sequence[Path], rate: Fraction | None) -> list[Video]:
    """Look at every video, each once; folders of videos are looked through, in the order of names.

    Raises:
        InputError: One is no video, or there is none.
    """
    found: dict[str, Video] = {}
    for place in material:
        paths = list(_paths(place))
        if not paths:
            raise InputError(f"{place} holds no video.", hint=f"videos ({', '.join(VIDEOS)}) or folders of pictures")
        for path in paths:
            digest = mark(path)
            if digest not in found:
                found[digest] = Video(EvenVideo.look(path, rate, index=default_home() / "videos"), digest)
    return list(found.values())


def names_of(videos: Sequence[Video], folder: Path) -> list[str]:
    """A name for each, which it keeps while others are added: that of its file, with a number where two have one."""
    path = folder / NAMES
    known: dict[str, str] = dict(read_json(path, "the names of videos")) if path.is_file() else {}
    names = {digest: name for name, digest in known.items()}
    for video in videos:
        if video.digest in names:
            continue
        stem = re.sub(r"[^\w.+-]+", "_", video.even.path.stem).strip("._") or "video"
        number = 1
        while (name := stem if number == 1 else f"{stem}-{number}") in known:
            number += 1
        known[name], names[video.digest] = video.digest, name
    write_bytes(path, (json.dumps(known, indent=2, ensure_ascii=False) + "\n").encode())
    return [names[video.digest] for video in videos]


def mark(path: Path) -> str:
    """By what a file is known again: its size and both its ends; or names and sizes of a folder's pictures."""
    digest = hashlib.sha256()
    if path.is_dir():
        for entry in sorted(path.iterdir()):
            if entry.suffix.lower() in PICTURES:
                digest.update(f"{entry.name}:{entry.stat().st_size}\n".encode())
        return digest.hexdigest()
    try:
        size = path.stat().st_size
        digest.update(str(size).encode())
        with path.open("rb") as file:
            digest.update(file.read(_SAMPLED))
            file.seek(max(0, size - _SAMPLED))
            digest.update(file.read(_SAMPLED))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {os.strerror(error.errno or 0)}.") from error
    return digest.hexdigest()


def _paths(place: Path) -> Iterator[Path]:
    if not place.is_dir():
        yield place
        return
    pictures = False
    for entry in sorted(place.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _paths(entry)
        elif entry.suffix.lower() in VIDEOS:
            yield entry
        elif entry.suffix.lower() in PICTURES:
            pictures = True
    if pictures:
        yield place
