"""Panels from what users have: paths, arrays, masks, and files that say where the lettering is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animegen.documents import read_json
from animegen.errors import InputError, UsageError
from animegen.media import Box, Panel, describe
from animegen.pipeline.chain import panel_names
from animegen.pipeline.hashing import file_digest

if TYPE_CHECKING:
    from animegen.media import Image, Mask


def load_panel(
    source: Any,
    *,
    role: str,
    max_pixels: int,
    text_boxes: Sequence[Box] | None = None,
    mask: Any = None,
    warn: Any = None,
) -> tuple[Panel, dict[str, Any]]:
    """A panel and the facts about it that run.json keeps.

    Args:
        source: A path, an (H, W, 3) uint8 RGB or (H, W) uint8 grey array, or a Panel.
        role: What the user calls it, for messages: ``FIRST``.
        max_pixels: Largest picture read.
        text_boxes: Boxes of lettering, in the panel's pixels; none at all where the panel is not annotated.
        mask: Path or (H, W) bool array of pixels to remove besides what is detected.
        warn: Called with a sentence when the file holds more than is read.

    Raises:
        InputError: The file or array is not a picture, or the mask is not of its size.
    """
    from animegen.imageio import read_image

    facts: dict[str, Any] = {}
    if isinstance(source, Panel):
        panel = source
    elif isinstance(source, (str, Path)):
        path = Path(source)
        image = read_image(path, max_pixels=max_pixels, role=role, warn=warn)
        panel = Panel(image, name=path.stem)
        facts = {"path": str(path.absolute()), "sha256": file_digest(path)}
    else:
        panel = Panel(as_image(source, role), name=role.lower())
    if text_boxes is not None:
        panel = replace(panel, text_boxes=(*(panel.text_boxes or ()), *text_boxes))
    if mask is not None:
        panel = replace(panel, mask=_load_mask(mask, panel.image, role))
        if isinstance(mask, (str, Path)):
            facts["mask"] = str(Path(mask).absolute())
    height, width = panel.image.shape[:2]
    facts |= {
        "name": panel.name,
        "size": [width, height],
        "text_boxes": None if panel.text_boxes is None else [list(box) for box in panel.text_boxes],
    }
    return panel, facts


def as_image(array: Any, role: str = "image") -> Image:
    """An image from an array: grey becomes three equal channels; anything else must already be one.

    Raises:
        InputError: Not (H, W, 3) or (H, W) uint8.
    """
    import numpy as np

    from animegen.media import is_image

    if isinstance(array, np.ndarray) and array.dtype == np.uint8 and array.ndim == 2 and array.size:
        array = np.repeat(array[:, :, None], 3, axis=2)
    if not is_image(array):
        raise InputError(
            f"{role} is {describe(array)}; expected an array (H, W, 3) or (H, W) of uint8, or a path.",
            hint="floats in [0, 1] become such an array with: (255 * x).round().astype('uint8')",
        )
    image: Image = np.ascontiguousarray(array)
    return image


def _load_mask(mask: Any, image: Image, role: str) -> Mask:
    import numpy as np

    from animegen.imageio import read_mask

    value: Mask = read_mask(Path(mask)) if isinstance(mask, (str, Path)) else np.asarray(mask)
    if value.dtype != bool or value.shape != image.shape[:2]:
        raise InputError(
            f"the mask of {role} is {describe(value)}; expected {image.shape[:2]} bool, the size of the panel.",
            hint="a mask file is a picture of the same size, white where something is removed",
        )
    return value


def read_text_boxes(path: str | Path, panels: int = 2) -> dict[str, tuple[Box, ...]]:
    """Boxes of lettering by name of panel, from a JSON file.

    Either by name, ``{"first": [[x0, y0, x1, y1], ...], "last": [...]}``, where what is not named is not annotated; or
    a list with an entry for each panel, ``[[[x0, y0, x1, y1], ...], [], null]``, where null is not annotated.

    Args:
        path: The file.
        panels: How many panels there are; they are named as `animegen.pipeline.chain.panel_names` has it.

    Raises:
        InputError: Absent or not JSON.
        UsageError: JSON of another form, or for other panels; the message says which entry.
    """
    path, names = Path(path), panel_names(panels)
    document = read_json(path, "a JSON file of text boxes")
    hint = '{"first": [[x0, y0, x1, y1], ...], "last": [...]} in pixels of each panel'
    if panels > 2:
        hint += ", or a list with an entry for each: [[[x0, y0, x1, y1], ...], [], null]"
    if isinstance(document, list) and len(document) != panels:
        raise UsageError(f"{path} has {len(document)} entries for {panels} panels.", hint=hint)
    if isinstance(document, list):
        document = {name: boxes for name, boxes in zip(names, document, strict=True) if boxes is not None}
    if not isinstance(document, Mapping) or not all(isinstance(boxes, list) for boxes in document.values()):
        raise UsageError(f"{path} has no text boxes by panel.", hint=hint)
    if unknown := [name for name in document if name not in names]:
        raise UsageError(f"{path} has boxes of {unknown[0]!r}; the panels are {', '.join(names)}.", hint=hint)
    return {name: tuple(_box(path, name, value, hint) for value in boxes) for name, boxes in document.items()}


def _box(path: Path, name: str, value: Any, hint: str) -> Box:
    numbers = isinstance(value, list) and all(type(part) in (int, float) and -1e9 < part < 1e9 for part in value)
    if not numbers or len(value) != 4 or value[2] <= value[0] or value[3] <= value[1]:
        raise UsageError(f"{path}: {value!r} of {name} is not a box.", hint=hint)
    return Box(*(round(part) for part in value))
