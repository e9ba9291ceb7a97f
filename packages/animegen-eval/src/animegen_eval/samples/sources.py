"""Paths that a user names, as clips that can be scored: runs, folders of frames, videos, and folders of all these."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from animegen.errors import InputError
from animegen.imageio import no_such_file
from animegen.pipeline.record import FILE_NAME
from animegen_eval.samples.pictures import FolderPictures, Held, Memory, Pictures

if TYPE_CHECKING:
    from animegen.media import Box, Mask

VIDEOS = (".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v", ".gif", ".apng")
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
LOSSLESS = ("ffv1", "png", "apng", "rawvideo", "huffyuv", "gif")


@dataclass(frozen=True)
class Storage:
    """What frames were read from: decoding a lossy video adds error of its own, so tables say it.

    Attributes:
        kind: ``frames`` or ``video``.
        codec: Of a video.
        pixel_format: Of a video, e.g. ``yuv420p``.
    """

    kind: str = "frames"
    codec: str = ""
    pixel_format: str = ""

    @property
    def lossless(self) -> bool:
        return self.kind == "frames" or self.codec in LOSSLESS

    def __str__(self) -> str:
        return self.kind if self.kind == "frames" else f"{self.codec} {self.pixel_format}"


@dataclass(frozen=True, eq=False)
class Source:
    """One clip.

    Attributes:
        name: Of the clip, the same for all systems that made one of the same panels.
        config: Of the system that made it.
        title: What it belongs to (a book, a film); clips of one title are not independent.
        run: Where it comes from, for people.
        pictures: Its frames.
        fps: Frames per second; None where nobody says.
        storage: What the frames were read from.
        panels: Both panels as drawn, at the clip's size; None where nobody knows them.
        ignored: (2, H, W) bool, the balloons of each panel; None where nobody knows them.
        prompt: What was asked for in words.
        notes: What was odd about it.
        settings: Digest of a run's settings, which tells apart systems of one name; empty where there is none.
        subsets: Parts of its dataset that it belongs to.
        region: Where something moves, as somebody marked it, in the clip's pixels; None where nobody did.
    """

    name: str
    config: str
    run: str
    pictures: Pictures
    fps: Fraction | None = None
    title: str = ""
    storage: Storage = field(default_factory=Storage)
    panels: Pictures | None = None
    ignored: Mask | None = None
    prompt: str = ""
    notes: tuple[str, ...] = ()
    settings: str = ""
    subsets: tuple[str, ...] = ()
    region: Box | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Title and name: what clips of different systems are paired by."""
        return self.title, self.name


def find_sources(
    paths: Sequence[Path], memory: Memory, *, fps: Fraction | None = None, note: Callable[[str], None]
) -> list[Source]:
    """The clips that `paths` name: runs, folders of frames, videos, or folders that hold several of these.

    Args:
        paths: What the user named.
        memory: Where decoded clips are kept.
        fps: Frames per second of folders of frames, which do not keep them.
        note: Told what was left out, and why.

    Raises:
        InputError: A path is absent, or there is no clip in it; or two clips of one system have the same name.
    """
    found: list[Source] = []
    for path in paths:
        found += _found(path, memory, fps, note)
    return _named(found)


def _found(path: Path, memory: Memory, fps: Fraction | None, note: Callable[[str], None]) -> list[Source]:
    from animegen_eval.samples.videos import video

    if not path.exists():
        raise no_such_file(path)
    if path.is_file():
        if path.suffix.lower() not in VIDEOS:
            raise InputError(
                f"{path} is no clip.", hint="name runs, videos, folders of frames, or folders that hold some of these"
            )
        return [video(path, path.stem, path.absolute().parent.name, memory)]
    if (one := _one(path, path.absolute().parent.name, memory, fps)) is not None:
        return [one]
    children = sorted(child for child in path.iterdir() if not child.name.startswith("."))
    clips: dict[str, Source] = {}
    for child in children:
        if child.is_dir() and (one := _one(child, path.absolute().name, memory, fps, note)) is not None:
            clips[child.name] = one
    for child in children:
        if not child.is_file() or child.suffix.lower() not in VIDEOS:
            continue
        if child.stem in clips:
            note(f"{child.name} is left out: {child.stem} holds the same clip as frames, without loss")
        else:
            clips[child.stem] = video(child, child.stem, path.absolute().name, memory)
    if not clips:
        raise InputError(
            f"{path} holds no clip.",
            hint="a run has a run.json; a folder of frames has pictures; a folder of clips has runs, videos or folders",
        )
    return list(clips.values())


def _one(
    path: Path, config: str, memory: Memory, fps: Fraction | None, note: Callable[[str], None] | None = None
) -> Source | None:
    """The clip that a folder is, if it is one. With `note`, a run that is not finished is told and left out."""
    from animegen_eval.samples.runs import run

    if (path / FILE_NAME).is_file():
        return run(path, memory, note)
    if any(_is_picture(child) for child in path.iterdir()):
        return Source(path.name, config, str(path), Held(FolderPictures(path), memory), fps)
    return None


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURES and not path.name.startswith(".")


def _named(found: Sequence[Source]) -> list[Source]:
    """Systems and clips with names of their own. Raises InputError where two clips cannot be told apart."""
    kinds: dict[str, set[str]] = {}
    for source in found:
        kinds.setdefault(source.config, set()).add(source.settings)
    named = [
        replace(source, config=f"{source.config} #{source.settings}") if len(kinds[source.config]) > 1 else source
        for source in found
    ]
    counts = Counter((source.config, *source.key) for source in named)
    twice = sorted(f"{name} of {config}" for (config, _, name), count in counts.items() if count > 1)
    if twice:
        raise InputError(
            f"{len(twice)} clips come several times from one system: {', '.join(twice[:5])}"
            f"{' …' if len(twice) > 5 else ''}.",
            hint="name each of them once, or give each system a folder of its own",
        )
    return named
