"""A pair of panels from what stands on the command line, or from the record of an earlier run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from os.path import commonprefix
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animegen.errors import InputError, UsageError

if TYPE_CHECKING:
    from animegen.media import Box, PanelPair

_SAMPLE = "bundled sample"
ROLES = ("first", "last")


@dataclass(frozen=True)
class Sources:
    """Where the two panels come from.

    Attributes:
        first, last: Their files; None for the bundled sample.
        boxes: Where the lettering is, by ``first`` and ``last``; absent for a panel nobody has annotated.
        masks: Files of further pixels to remove, by ``first`` and ``last``.
        expected: SHA-256 of the files as an earlier run saw them.
    """

    first: Path | None
    last: Path | None
    boxes: Mapping[str, tuple[Box, ...]]
    masks: Mapping[str, Path]
    expected: Mapping[str, str]

    @property
    def sample(self) -> bool:
        return self.first is None


def gather(
    first: Path | None,
    last: Path | None,
    *,
    document: Mapping[str, Any] | None,
    text_boxes: Path | None,
    first_mask: Path | None,
    last_mask: Path | None,
) -> Sources:
    """Sources from the command line; what it leaves out comes from `document`, a run.json.

    Raises:
        UsageError: One panel only, or boxes that are not boxes.
        InputError: The file of boxes cannot be read, or the record names no files.
    """
    from animegen.pipeline.inputs import read_text_boxes

    if first is not None and last is None:
        raise UsageError("LAST is missing: a clip goes from one panel to another.", hint="animegen run FIRST LAST")
    recorded = Sources(None, None, {}, {}, {}) if document is None or first else from_record(document)
    boxes = read_text_boxes(text_boxes) if text_boxes else recorded.boxes
    masks = {name: path for name, path in (("first", first_mask), ("last", last_mask)) if path}
    gathered = replace(recorded, boxes=boxes, masks={**recorded.masks, **masks})
    return gathered if first is None else replace(gathered, first=first, last=last, expected={})


def from_record(document: Mapping[str, Any]) -> Sources:
    """The sources of a recorded run.

    Raises:
        InputError: It was made from arrays, which no record can hold.
    """
    from animegen.media import Box

    inputs = document.get("inputs") or {}
    if {inputs.get(role, {}).get("from") for role in ROLES} == {_SAMPLE}:
        return Sources(None, None, {}, {}, {})
    for role in ROLES:
        if "path" not in inputs.get(role, {}):
            raise InputError(
                f"the run.json names no file for {role.upper()}: its panels were not files.",
                hint="give them: animegen run FIRST LAST --from run.json",
            )
    return Sources(
        Path(inputs["first"]["path"]),
        Path(inputs["last"]["path"]),
        {
            role: tuple(Box(*box) for box in boxes)
            for role in ROLES
            if (boxes := inputs[role].get("text_boxes")) is not None
        },
        {role: Path(inputs[role]["mask"]) for role in ROLES if inputs[role].get("mask")},
        {role: inputs[role]["sha256"] for role in ROLES if "sha256" in inputs[role]},
    )


def load(
    sources: Sources, *, prompt: str, max_pixels: int, warn: Callable[[str], None]
) -> tuple[PanelPair, dict[str, dict[str, Any]]]:
    """The pair, and the facts about it that run.json keeps.

    Raises:
        InputError: A file is not a picture, or not the one that the record tells of.
    """
    from animegen.media import PanelPair
    from animegen.pipeline.inputs import load_panel

    if sources.sample:
        return _load_sample(sources, prompt, max_pixels)
    panels, facts = [], {}
    for role, path in (("first", sources.first), ("last", sources.last)):
        assert path is not None
        panel, facts[role] = load_panel(
            path,
            role=role.upper(),
            max_pixels=max_pixels,
            text_boxes=sources.boxes.get(role),
            mask=sources.masks.get(role),
            warn=warn,
        )
        wanted = sources.expected.get(role)
        if wanted and wanted != facts[role]["sha256"]:
            raise InputError(
                f"{path} has changed since the run that run.json tells of (sha256 {facts[role]['sha256'][:12]}, "
                f"was {wanted[:12]}).",
                hint="to take it as it is now: animegen run FIRST LAST --from run.json",
            )
        panels.append(panel)
    return PanelPair(panels[0], panels[1], prompt=prompt), facts


def label(pair: PanelPair) -> str:
    """A short name for the run's folder: ``07_girl_a`` and ``07_girl_b`` are ``07_girl_a-b``."""
    if pair.id:
        return pair.id
    first, last = pair.first.name, pair.last.name
    shared = commonprefix([first, last]).rstrip("0123456789")  # noqa: RUF071 - names; a number is not cut in two
    rest = last.removeprefix(shared)
    return f"{first}-{rest if len(shared) > 2 and rest else last}"


def _load_sample(sources: Sources, prompt: str, max_pixels: int) -> tuple[PanelPair, dict[str, dict[str, Any]]]:
    from animegen.pictures.sample import sample_pair
    from animegen.pipeline.inputs import load_panel

    pair = sample_pair()
    panels, facts = [], {}
    for role, panel in (("first", pair.first), ("last", pair.last)):
        panel, facts[role] = load_panel(
            panel,
            role=role.upper(),
            max_pixels=max_pixels,
            text_boxes=sources.boxes.get(role),
            mask=sources.masks.get(role),
        )
        facts[role]["from"] = _SAMPLE
        panels.append(panel)
    return replace(pair, first=panels[0], last=panels[1], prompt=prompt or pair.prompt), facts
