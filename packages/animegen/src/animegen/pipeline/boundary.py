"""What crosses a boundary between two stages is checked, and a broken promise names the stage that broke it."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from animegen.errors import StageError
from animegen.measuring import Missing
from animegen.media import Region, describe

if TYPE_CHECKING:
    from animegen.measuring import Measured, Quantity, Value
    from animegen.media import Frames, Image, Mask


def check_image(stage: str, value: Any, like: Image) -> Image:
    """`value` if it is an image of the size of `like`."""
    image: Image = _check_array(stage, value, like.shape)
    return image


def check_frames(stage: str, value: Any, count: int, shape: tuple[int, ...]) -> Frames:
    """`value` if it is `count` frames of `shape` (H, W, 3)."""
    frames: Frames = _check_array(stage, value, (count, *shape))
    return frames


def _check_array(stage: str, value: Any, shape: tuple[int, ...]) -> Any:
    import numpy as np

    if not isinstance(value, np.ndarray) or value.shape != shape or value.dtype != np.uint8:
        raise StageError(f"{stage} returned {describe(value)}; expected {shape} uint8 RGB.", hint=_report(stage))
    return np.ascontiguousarray(value)


def check_untouched(stage: str, before: Image, after: Image, mask: Mask) -> None:
    """An inpainter leaves every pixel outside the mask as it is."""
    changed = int(((before != after).any(axis=2) & ~mask).sum())
    if changed:
        raise StageError(f"{stage} changed {changed} pixels outside the mask.", hint=_report(stage))


def check_regions(stage: str, value: Any, image: Image) -> tuple[Region, ...]:
    """`value` if it is regions inside `image`, with masks the size of their boxes."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise StageError(f"{stage} returned {describe(value)}; expected a list of regions.", hint=_report(stage))
    height, width = image.shape[:2]
    for region in value:
        if not isinstance(region, Region):
            raise StageError(f"{stage} returned a list with {describe(region)}; expected regions.", hint=_report(stage))
        if region.box.clip(width, height) != region.box or not region.box.area:
            raise StageError(
                f"{stage} returned {region.box}, which is empty or not inside {width} × {height}.",
                hint=_report(stage),
            )
        wanted = (region.box.height, region.box.width)
        if region.mask is not None and (region.mask.shape != wanted or region.mask.dtype != bool):
            raise StageError(
                f"{stage} returned a region's mask of {describe(region.mask)}; expected {wanted} bool.",
                hint=_report(stage),
            )
    return tuple(value)


def check_scores(stage: str, value: Any, quantities: Sequence[Quantity], frames: int) -> Measured:
    """`value` if it is what a metric with these `quantities` answers for a clip, with a tuple for every series.

    Args:
        stage: The metric.
        value: What it returned.
        quantities: Of its record.
        frames: How many it was shown.
    """
    names = sorted(quantity.name for quantity in quantities)
    if not isinstance(value, Mapping):
        raise StageError(f"{stage} returned {describe(value)}; expected values by name.", hint=_report(stage))
    if sorted(value) != names:
        raise StageError(f"{stage} returned {sorted(value)}; its record names {names}.", hint=_report(stage))
    return {quantity.name: _of_scope(stage, quantity, value[quantity.name], frames) for quantity in quantities}


def _of_scope(stage: str, quantity: Quantity, values: Any, frames: int) -> Value | tuple[Value, ...]:
    import numpy as np

    if isinstance(values, Missing) or quantity.scope in ("clip", "set"):
        return _number(stage, quantity.name, values)
    wanted = frames if quantity.scope == "frame" else frames - 1
    several = isinstance(values, (Sequence, np.ndarray)) and not isinstance(values, str)
    if not several or len(values) != wanted:
        raise StageError(
            f"{stage} returned {quantity.name} of {frames} frames: expected {wanted} values, one a {quantity.scope}; "
            f"got {len(values) if several else describe(values)}.",
            hint=_report(stage),
        )
    return tuple(_number(stage, quantity.name, value) for value in values)


def _number(stage: str, name: str, value: Any) -> Value:
    import numpy as np

    if isinstance(value, Missing):
        return value
    if not isinstance(value, (float, int, np.floating, np.integer)) or isinstance(value, bool):
        raise StageError(
            f"{stage} returned {describe(value)} for {name}; expected a number, or Missing with the reason.",
            hint=_report(stage),
        )
    if math.isnan(value):
        raise StageError(f"{stage}: {name} is not a number (NaN); Missing says why there is none.", hint=_report(stage))
    return float(value)


class Unchanged:
    """Notices a stage that writes into its inputs: ``with Unchanged(stage, image): stage(image)``."""

    def __init__(self, stage: str, *inputs: Any) -> None:
        self._stage, self._inputs = stage, [value for value in inputs if hasattr(value, "data")]

    def __enter__(self) -> None:
        self._before = [_checksum(value) for value in self._inputs]

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None and [_checksum(value) for value in self._inputs] != self._before:
            raise StageError(f"{self._stage} changed its input.", hint=_report(self._stage))


def _checksum(array: Any) -> int:
    import numpy as np

    return zlib.crc32(np.ascontiguousarray(array).data)


def _report(stage: str) -> str:
    return f"this is a bug in the stage; try: animegen plugins check {stage.partition(':')[0]}"
