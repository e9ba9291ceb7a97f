"""A finished run's folder as a clip: frames without loss where the run kept them, its panels, its balloons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from animegen.errors import AnimeGenError, InputError
from animegen.pictures.sizing import Fitting, plan_fit
from animegen.pipeline.hashing import file_digest, json_digest
from animegen.pipeline.record import read_record
from animegen_eval.samples.pictures import ArrayPictures, FolderPictures, Held, Memory, Pictures, VideoPictures
from animegen_eval.samples.sources import Source, Storage
from animegen_eval.samples.videos import stored

if TYPE_CHECKING:
    from animegen.media import Image, Mask


def run(folder: Path, memory: Memory, note: Callable[[str], None] | None = None) -> Source | None:
    """The clip of a run.

    Args:
        folder: Holds a run.json.
        memory: Where decoded clips are kept.
        note: Told of a run that is not finished, for which None is given then; without it, that is an error.

    Raises:
        InputError: It is not finished, or ran with random parameters; its files are gone; it has not two panels.
    """
    record = read_record(folder)
    if record.get("status") != "done":
        reason = f"{folder} is not finished ({record.get('status')})"
        if note is None:
            raise InputError(f"{reason}.", hint="animegen run --from run.json --resume goes on with it")
        note(f"{reason}: left out")
        return None
    if record.get("untrained"):
        raise InputError(
            f"{folder} ran with random parameters ({', '.join(record['untrained'])}); its numbers say nothing.",
            hint="run it again with weights",
        )
    if record.get("command", "run") != "run" or list(record["inputs"]) != ["first", "last"]:
        raise InputError(
            f"{folder} is not a clip between two panels ({', '.join(record['inputs']) or 'no panels'}).",
            hint="score its video as a clip of its own: name the file",
        )
    if record["settings"]["run"].get("loop"):
        raise InputError(f"{folder} is a loop: it ends where it begins.", hint="score runs without --loop")
    pictures, storage = _frames(folder, record["outputs"])
    panels, notes = _panels(record, pictures.size)
    return Source(
        name=clip_name(record),
        config=config_name(record["settings"]),
        run=str(folder),
        pictures=Held(pictures, memory),
        fps=Fraction(record["outputs"]["fps"]),
        storage=storage,
        panels=panels,
        ignored=_balloons(record, pictures.size),
        prompt=record["settings"]["run"].get("prompt", ""),
        notes=notes,
        settings=settings_digest(record["settings"]),
    )


def clip_name(record: Mapping[str, Any]) -> str:
    """The panels' names, which are the same in every run of the same panels."""
    names = [Path(facts.get("name") or name).stem for name, facts in record["inputs"].items()]
    return "-".join(names)


def config_name(settings: Mapping[str, Mapping[str, Any]]) -> str:
    """The stages of a run in a line: ``flat > descreen > flow > flow x4``."""
    run = settings["run"]
    stages = [run.get("inpainter"), *run.get("preprocessor", ()), run.get("interpolator")]
    words = [str(name).rpartition(":")[2] for name in stages if name not in (None, "none")]
    if run.get("upsampler", "none") != "none":
        words.append(f"{str(run['upsampler']).rpartition(':')[2]} x{run['factor']}")
    return " > ".join(words)


_BESIDE = ("prompt", "seed", "device", "dtype", "format", "keep", "max_pixels", "keep_balloon", "untrained")
"""Options of a run that do not make it another system."""


def settings_digest(settings: Mapping[str, Mapping[str, Any]]) -> str:
    """Tells apart two systems of the same stages with other options."""
    tables = {name: dict(table) for name, table in settings.items()}
    tables["run"] = {name: value for name, value in tables["run"].items() if name not in _BESIDE}
    return json_digest(tables)[:6]


def _frames(folder: Path, outputs: Mapping[str, Any]) -> tuple[Pictures, Storage]:
    if "frames" in outputs and (folder / outputs["frames"]).is_dir():
        return FolderPictures(folder / outputs["frames"]), Storage()
    clips = [folder / name for name in outputs["clip"]]
    path = min(clips, key=lambda clip: clip.suffix != ".mkv")  # mkv is the lossless one
    return VideoPictures(path), stored(path)


def _fittings(record: Mapping[str, Any], size: tuple[int, int]) -> list[Fitting]:
    """How the run brought each of its panels to the size of its clip."""
    sizes = [(int(facts["size"][0]), int(facts["size"][1])) for facts in record["inputs"].values()]
    mode = "crop" if record["settings"]["run"].get("size") == "crop" else size
    return [plan_fit(sizes[0], own, mode=mode) for own in sizes]


def _panels(record: Mapping[str, Any], size: tuple[int, int]) -> tuple[Pictures | None, tuple[str, ...]]:
    """Both panels as drawn, brought to the clip's size; or why there are none."""
    try:
        images = [_panel(facts, name) for name, facts in record["inputs"].items()]
    except AnimeGenError as error:
        return None, (f"its panels are not known: {error.message}",)
    fitted = [fitting.apply(image, 1) for fitting, image in zip(_fittings(record, size), images, strict=True)]
    return ArrayPictures(np.ascontiguousarray(np.stack(fitted))), ()


def _panel(facts: Mapping[str, Any], name: str) -> Image:
    from animegen.imageio import read_image
    from animegen.pictures.sample import sample_pair

    if facts.get("from") == "bundled sample":
        pair = sample_pair()
        return pair.first.image if name == "first" else pair.last.image
    path = Path(facts.get("path", ""))
    if not facts.get("path") or not path.is_file():
        raise InputError(f"{path if facts.get('path') else f'the {name} panel'} is no longer there.")
    if facts.get("sha256") not in (None, file_digest(path)):
        raise InputError(f"{path} has changed since the run.")
    return read_image(path)


def _balloons(record: Mapping[str, Any], size: tuple[int, int]) -> Mask | None:
    """The boxes of the balloons that were found in each panel, grown as what is removed is, scaled to the clip."""
    grow = int(record["settings"]["run"].get("grow") or 0)
    found = [step["info"]["balloons"] for step in record["steps"] if step.get("info", {}).get("balloons")]
    if not found:
        return None
    drawn = []
    for number, (facts, fitting) in enumerate(
        zip(record["inputs"].values(), _fittings(record, size), strict=True), start=1
    ):
        mask = np.zeros((facts["size"][1], facts["size"][0], 3), np.uint8)
        for x0, y0, x1, y1 in (balloon["box"] for balloon in found[0] if balloon["panel"] == number):
            mask[max(0, y0 - grow) : y1 + grow, max(0, x0 - grow) : x1 + grow] = 255
        drawn.append(fitting.apply(mask, 1)[..., 0] > 0)
    return np.stack(drawn)
