"""Panels from what stands on the command line, or from the record of an earlier run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os.path import commonprefix
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animegen.errors import InputError, UsageError

if TYPE_CHECKING:
    from animegen.media import Box, Panel, PanelPair, Strip

_SAMPLE = "bundled sample"


@dataclass(frozen=True)
class Sources:
    """Where the panels come from. They are named as `animegen.pipeline.chain.panel_names` has it.

    Attributes:
        files: In order; none for the bundled sample, which is a pair.
        boxes: Where the lettering is, by name; absent for a panel nobody has annotated.
        masks: Files of further pixels to remove, by name.
        expected: SHA-256 of the files as an earlier run saw them, by name.
    """

    files: tuple[Path, ...] = ()
    boxes: Mapping[str, tuple[Box, ...]] = field(default_factory=dict)
    masks: Mapping[str, Path] = field(default_factory=dict)
    expected: Mapping[str, str] = field(default_factory=dict)

    @property
    def sample(self) -> bool:
        return not self.files

    @property
    def count(self) -> int:
        """Panels there are."""
        return len(self.files) or 2


def gather(
    panels: Sequence[Path],
    *,
    document: Mapping[str, Any] | None,
    text_boxes: Path | None,
    first_mask: Path | None,
    last_mask: Path | None,
) -> Sources:
    """Sources from the command line; what it leaves out comes from `document`, a run.json.

    Raises:
        UsageError: Boxes that are not boxes, or a mask for a panel that is not there.
        InputError: The file of boxes cannot be read, or the record names no files.
    """
    from animegen.pipeline.chain import panel_names
    from animegen.pipeline.inputs import read_text_boxes

    gathered = Sources(tuple(panels)) if panels or document is None else from_record(document)
    masks = {name: path for name, path in (("first", first_mask), ("last", last_mask)) if path}
    if "last" in masks and "last" not in panel_names(gathered.count):
        raise UsageError("--last-mask is for a last panel; there is one alone.", hint="--first-mask is its")
    boxes = read_text_boxes(text_boxes, gathered.count) if text_boxes else gathered.boxes
    return replace(gathered, boxes=boxes, masks={**gathered.masks, **masks})


def from_record(document: Mapping[str, Any]) -> Sources:
    """The sources of a recorded run.

    Raises:
        InputError: It was made from arrays, which no record can hold.
    """
    from animegen.media import Box
    from animegen.pipeline.chain import role_of

    inputs = document.get("inputs") or {}
    if {facts.get("from") for facts in inputs.values()} == {_SAMPLE}:
        return Sources()
    for name in ("first", *inputs):
        if "path" not in inputs.get(name, {}):
            raise InputError(
                f"the run.json names no file for {role_of(name)}: its panels were not files.",
                hint="give them: animegen run FIRST LAST --from run.json",
            )
    return Sources(
        tuple(Path(facts["path"]) for facts in inputs.values()),
        {
            name: tuple(Box(*box) for box in boxes)
            for name, facts in inputs.items()
            if (boxes := facts.get("text_boxes")) is not None
        },
        {name: Path(facts["mask"]) for name, facts in inputs.items() if facts.get("mask")},
        {name: facts["sha256"] for name, facts in inputs.items() if "sha256" in facts},
    )


def load(
    sources: Sources, *, prompt: str, max_pixels: int, warn: Callable[[str], None]
) -> tuple[Strip, dict[str, dict[str, Any]]]:
    """The panels, and the facts about them that run.json keeps.

    Raises:
        InputError: A file is not a picture, or not the one that the record tells of.
    """
    from animegen.media import Strip
    from animegen.pictures.sample import sample_pair
    from animegen.pipeline.chain import panel_names, role_of
    from animegen.pipeline.inputs import load_panel

    sample = Strip.of(sample_pair()) if sources.sample else Strip(())
    panels: list[Panel] = []
    facts: dict[str, dict[str, Any]] = {}
    for name, source in zip(panel_names(sources.count), sample.panels or sources.files, strict=True):
        panel, facts[name] = load_panel(
            source,
            role=role_of(name),
            max_pixels=max_pixels,
            text_boxes=sources.boxes.get(name),
            mask=sources.masks.get(name),
            warn=warn,
        )
        wanted = sources.expected.get(name)
        if wanted and wanted != facts[name]["sha256"]:
            raise InputError(
                f"{source} has changed since the run that run.json tells of (sha256 {facts[name]['sha256'][:12]}, "
                f"was {wanted[:12]}).",
                hint="to take it as it is now: animegen run FIRST LAST --from run.json",
            )
        if sources.sample:
            facts[name]["from"] = _SAMPLE
        panels.append(panel)
    return Strip(tuple(panels), prompt or sample.prompt, sample.id), facts


def label(panels: PanelPair | Strip) -> str:
    """A short name for the run's folder: ``07_girl_a`` and ``07_girl_b`` are ``07_girl_a-b``."""
    from animegen.media import Strip

    strip = Strip.of(panels)
    if strip.id:
        return strip.id
    first, *others = [panel.name for panel in strip.panels]
    shared = commonprefix([first, *others]).rstrip("0123456789")  # noqa: RUF071 - names; a number is not cut in two
    rests = [name.removeprefix(shared) if len(shared) > 2 else name for name in others]
    return "-".join([first, *(rest or name for rest, name in zip(rests, others, strict=True))])
