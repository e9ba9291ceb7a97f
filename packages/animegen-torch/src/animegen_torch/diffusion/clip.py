"""What a clip is before it is drawn, and what a model of clips can draw. Light: neither torch nor numpy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from animegen.errors import StageError, UsageError

if TYPE_CHECKING:
    from animegen.media import Image

TRAINED_AT = 320 * 512
"""Pixels of the pictures that models of this kind were trained on, or of the smallest but one of them."""
DEVICE_MAPS = ("auto", "single", "split", "offload")
"""Placements that have a name; see `animegen_torch.placement.placement`."""


@dataclass(frozen=True)
class Clip:
    """What decides the memory of a clip.

    Attributes:
        height, width: Of the pictures.
        frames: T.
        branches: Predictions of guidance in each step: 1, 2 or 3.
    """

    height: int
    width: int
    frames: int = 16
    branches: int = 2

    @property
    def pixels(self) -> int:
        """Pixels of one frame."""
        return self.height * self.width


@dataclass(frozen=True)
class ClipModel:
    """What a model of clips is called and can draw, for its record, its checks and its messages.

    Attributes:
        stage: Name of the stage: ``seine``.
        title: As people write it: ``SEINE``.
        multiple: Sides of pictures are multiples of this.
        usual: Which size is a good one: ``512×320 is usual``.
        sizes: The same for the option `size`.
        map_help: What a device map of one's own holds.
        frames: How many the published model was trained for.
    """

    stage: str
    title: str
    multiple: int
    usual: str
    sizes: str
    map_help: str
    frames: int = 16

    def drawn_at(self, size: str | None) -> tuple[int, int] | None:
        """Width and height that the option `size` names; None where it names none that can be drawn."""
        match = re.fullmatch(r"(\d{1,5})\s*[xX×]\s*(\d{1,5})", size or "")
        sides = (int(match[1]), int(match[2])) if match else (0, 0)
        return sides if min(sides) and not any(side % self.multiple for side in sides) else None

    def check_options(self, *, size: str | None, guidance_interval: Sequence[float], device_map: str) -> None:
        """Whether values of the options that every such stage has can be.

        Raises:
            UsageError: One cannot.
        """
        if len(guidance_interval) != 2 or guidance_interval[0] > guidance_interval[1]:
            given = ", ".join(f"{one:g}" for one in guidance_interval) or "empty"
            raise UsageError(
                f"guidance_interval of {self.stage} is {given}.",
                hint=f"two shares, the smaller first: -o {self.stage}.guidance_interval=0.2,0.9",
            )
        if size is not None and self.drawn_at(size) is None:
            raise UsageError(
                f"size of {self.stage} is {size!r}; it takes WIDTHxHEIGHT in multiples of {self.multiple}.",
                hint=self.sizes,
            )
        if device_map not in DEVICE_MAPS and not device_map.endswith(".json"):
            raise UsageError(
                f"device_map of {self.stage} is {device_map!r}; it takes {', '.join(DEVICE_MAPS)} or a JSON file.",
                hint=self.map_help,
            )

    def check_size(self, height: int, width: int, frames: int) -> None:
        """Whether a clip of this size can be drawn.

        Raises:
            UsageError: It cannot.
        """
        if height % self.multiple or width % self.multiple or not height or not width:
            raise UsageError(
                f"{self.title} cannot draw {width}×{height}.",
                hint=f"use sides that are multiples of {self.multiple}; {self.usual}",
            )
        if frames < 2:
            raise UsageError(f"{self.title} cannot draw {frames} frames.", hint=f"use 2 or more; {self.frames} is best")

    def check_pair(self, first: Image, last: Image) -> None:
        """Whether two images are what the stage takes.

        Raises:
            StageError: They are not (H, W, 3) uint8 of one size.
        """
        for image in (first, last):
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != "uint8":
                raise StageError(f"{self.stage} takes (H, W, 3) uint8, not {image.shape} {image.dtype}.")
        if first.shape != last.shape:
            raise StageError(f"{self.stage} takes two images of one size, not {first.shape} and {last.shape}.")

    def is_small(self, clip: Clip) -> bool:
        """Whether pictures are much smaller than those that the model was trained on; drawings suffer then."""
        return clip.pixels < 0.6 * TRAINED_AT
