"""What crosses a boundary between two stages is checked, and a broken promise names the stage that broke it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from animegen.errors import StageError
from animegen.media import Region, describe

if TYPE_CHECKING:
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
