"""Pictures and clips of a report: small, under names of their own, of a kind that every browser plays."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from animegen._cv2 import cv2
from animegen.atomic import replacing
from animegen.documents import read_json
from animegen.errors import AnimeGenError
from animegen.imageio import read_image, write_image
from animegen.pipeline.record import FILE_NAME
from animegen.video import write_video
from animegen_eval import controls
from animegen_eval.report.material import ClipPlace, PairMaterial
from animegen_eval.samples.pictures import ArrayPictures, FolderPictures, Pictures, VideoPictures
from animegen_eval.samples.sources import VIDEOS
from animegen_eval.samples.videos import stored

if TYPE_CHECKING:
    from animegen.media import Image

CLIP_WIDTH, POSTER_WIDTH, PANEL_HEIGHT = 512, 320, 200
_QUALITY = 75
_FPS = Fraction(12)
_PLAYABLE = ("h264 yuv420p",)


@dataclass(frozen=True)
class Played:
    """A clip in the report.

    Attributes:
        config: System or control.
        control: Whether it is no system.
        file: Relative to the page.
        poster: Its middle frame, relative to the page.
        fps: Frames per second.
        frames: Number of frames.
        width, height: As it is shown, px.
        about: What the system is made of, as a configuration's levels: ``flat · none · flow x4``.
    """

    config: str
    control: bool
    file: str
    poster: str
    fps: float
    frames: int
    width: int
    height: int
    about: str = ""


@dataclass(frozen=True)
class PairMedia:
    """A pair in the report.

    Attributes:
        clip, title, licence: As in `PairMaterial`.
        panels: Pictures of both panels, relative to the page; None where there are none.
        clips: Systems, then controls.
        lost: What could not be shown, and why.
    """

    clip: str
    title: str
    licence: str
    panels: tuple[str, str] | None
    clips: tuple[Played, ...]
    lost: tuple[str, ...]


def gather(
    pair: PairMaterial,
    number: int,
    out: Path,
    *,
    with_controls: bool,
    levels: Mapping[str, Sequence[str]] | None = None,
) -> PairMedia:
    """Bring what can be played of a pair into the folder of a report.

    Args:
        pair: The pair.
        number: Of the pair, which names its files: whatever a pair is called, a file name is letters and digits.
        out: Folder of the report.
        with_controls: Draw the controls of its panels too.
        levels: By configuration of an ablation, its levels.
    """
    clips: list[Played] = []
    lost: list[str] = []
    ends: list[Image] = []
    fps, frames = _FPS, 0
    for place, clip in enumerate(pair.clips):
        try:
            pictures, rate, file = opened(clip)
            name = f"{number:03d}-{place:02d}"
            kept = _kept(out, name, clip.config, pictures, rate, file)
            clips.append(replace(kept, about=" · ".join((levels or {}).get(clip.config, ()))))
        except (AnimeGenError, OSError) as error:
            lost.append(f"{clip.config}: {error}")
            continue
        if not ends or len(pictures) < frames:  # controls have as many frames as the shortest clip
            fps, frames = rate, len(pictures)
            ends = list(pictures.at((0, len(pictures) - 1)))
    try:
        panels = [read_image(path) for path in pair.panels or ()] or ends
    except AnimeGenError as error:
        lost.append(f"panels: {error}")
        panels = ends
    if with_controls and len(ends) == 2 and frames > 2:
        clips += _controls(out, number, ends, frames, fps)
    names = []
    for side, panel in zip("ab", panels, strict=False):
        names.append(f"thumbs/{number:03d}-{side}.jpg")
        write_image(_ready(out / names[-1]), smaller(panel, height=PANEL_HEIGHT), quality=82)
    both = (names[0], names[1]) if len(names) == 2 else None
    return PairMedia(pair.clip, pair.title, pair.licence, both, tuple(clips), tuple(lost))


def opened(clip: ClipPlace) -> tuple[Pictures, Fraction, Path | None]:
    """Frames of a clip, their rate, and the video file that browsers play as it is, if there is one.

    Raises:
        InputError: It is gone or broken.
    """
    path, fps = clip.path, clip.fps
    if (path / FILE_NAME).is_file():
        outputs: Mapping[str, Any] = read_json(path / FILE_NAME, "a run.json")["outputs"]
        rate = Fraction(outputs["fps"])
        videos = [path / name for name in outputs["clip"]]
        file = next((video for video in videos if _plays(video)), None)
        if "frames" in outputs and (path / outputs["frames"]).is_dir():
            return FolderPictures(path / outputs["frames"]), rate, file
        return VideoPictures(file or videos[0]), rate, file
    if path.suffix.lower() in VIDEOS and not path.is_dir():
        video = VideoPictures(path)
        return video, video.fps or _FPS, path if _plays(path) else None
    return FolderPictures(path), fps or _FPS, None


def smaller(image: Image, *, width: int | None = None, height: int | None = None) -> Image:
    """A picture brought down to a width or a height; never up."""
    tall, wide = image.shape[:2]
    scale = min(1.0, (width or wide) / wide, (height or tall) / tall)
    if scale == 1.0:
        return image
    size = max(1, round(wide * scale)), max(1, round(tall * scale))
    return np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _controls(out: Path, number: int, ends: Sequence[Image], frames: int, fps: Fraction) -> Iterator[Played]:
    panels = ArrayPictures(np.stack([smaller(image, width=CLIP_WIDTH) for image in ends]))
    for place, (name, pictures) in enumerate(controls.from_panels(panels, frames).items()):
        yield _kept(out, f"{number:03d}-c{place}", name, pictures, fps, None, control=True)


def _kept(
    out: Path, name: str, config: str, pictures: Pictures, fps: Fraction, file: Path | None, *, control: bool = False
) -> Played:
    wide, tall = pictures.size
    target = _ready(out / "clips" / f"{name}.mp4")
    if file is not None and wide <= CLIP_WIDTH:
        with replacing(target) as beside:
            shutil.copyfile(file, beside)
    else:
        write_video(target, (smaller(image, width=CLIP_WIDTH) for image in pictures), fps, quality=_QUALITY)
    poster = f"thumbs/{name}.jpg"
    middle = next(iter(pictures.at((len(pictures) // 2,))))
    write_image(_ready(out / poster), smaller(middle, width=POSTER_WIDTH), quality=80)
    width = min(wide, CLIP_WIDTH)
    return Played(
        config, control, f"clips/{name}.mp4", poster, float(fps), len(pictures), width, round(tall * width / wide)
    )


def _plays(path: Path) -> bool:
    return path.suffix.lower() == ".mp4" and path.is_file() and str(stored(path)) in _PLAYABLE


def _ready(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
