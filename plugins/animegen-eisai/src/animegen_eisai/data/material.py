"""The videos that somebody names: found, looked at, and given names that they keep."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from animegen.atomic import write_bytes
from animegen.documents import read_json
from animegen.errors import InputError
from animegen.video import material
from animegen.video.even import EvenVideo
from animegen.weights.store import default_home

VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".ts", ".m2ts", ".gif", ".apng")
NAMES = "videos.json"


@dataclass(frozen=True)
class Video:
    """A video of the material.

    Attributes:
        even: It, at the rate that is asked for.
        digest: By which it is known again.
    """

    even: EvenVideo
    digest: str


def find_videos(places: Sequence[Path], rate: Fraction | None) -> list[Video]:
    """Look at every video, each once; folders of videos are looked through, in the order of names.

    Raises:
        InputError: One is no video, or there is none.
    """
    found: dict[str, Video] = {}
    for place in places:
        paths = list(material.find_videos(place, VIDEOS))
        if not paths:
            raise InputError(f"{place} holds no video.", hint=f"videos ({', '.join(VIDEOS)}) or folders of pictures")
        for path in paths:
            digest = material.video_digest(path)
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
