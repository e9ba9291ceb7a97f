"""Growing pictures to the size a network takes, and cutting its result back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

Fill = Literal["zeros", "reflect", "replicate"]
"""What is added: zeros, the picture mirrored at its outermost pixels, or its outermost pixels repeated."""


@dataclass(frozen=True)
class Padding:
    """What is added around pictures of one size, remembered so that it can be taken away again.

    What a network gives near the rim depends on it, so a published result needs the padding of its program: RIFE zeros
    at the right and bottom, FILM zeros all round (``centred``).

    Attributes:
        height, width: Of the pictures, in pixels.
        top, bottom, left, right: Pixels added.
        fill: With what.
    """

    height: int
    width: int
    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0
    fill: Fill = "zeros"

    @classmethod
    def to_multiple(
        cls,
        size: Sequence[int],
        multiple: int | tuple[int, int],
        *,
        fill: Fill = "zeros",
        centred: bool = False,
        smallest: int | tuple[int, int] = 1,
    ) -> Padding:
        """Padding to the next multiple.

        Args:
            size: A shape whose last two entries are height and width.
            multiple: Of height and width (or of each) after padding.
            fill: What is added.
            centred: Half of it at the left and top (the smaller half, where it is odd), instead of all of it at the
                right and bottom.
            smallest: Least height and width (or each) after padding; still brought to a multiple.
        """
        height, width = size[-2:]
        steps = multiple if isinstance(multiple, tuple) else (multiple, multiple)
        least = smallest if isinstance(smallest, tuple) else (smallest, smallest)
        down = -max(height, least[0]) // steps[0] * -steps[0] - height
        across = -max(width, least[1]) // steps[1] * -steps[1] - width
        top, left = (down // 2, across // 2) if centred else (0, 0)
        return cls(height, width, top, down - top, left, across - left, fill)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) after padding."""
        return self.top + self.height + self.bottom, self.left + self.width + self.right

    def pad(self, pictures: Tensor) -> Tensor:
        """(..., C, height, width) grown to `size`; the tensor itself where nothing is added.

        Raises:
            ValueError: The pictures are of another size than this padding was made for.
        """
        if pictures.shape[-2:] != (self.height, self.width):
            raise ValueError(f"padding for {self.height} × {self.width} was given {tuple(pictures.shape)}")
        if self.size == (self.height, self.width):
            return pictures
        if self.fill == "zeros":
            return pad(pictures, (self.left, self.right, self.top, self.bottom))
        rows = self._source(self.top, self.height, self.bottom, pictures.device)
        columns = self._source(self.left, self.width, self.right, pictures.device)
        return pictures.index_select(-2, rows).index_select(-1, columns)

    def crop(self, result: Tensor, scale: int = 1) -> Tensor:
        """The part of `result` that is picture, a view: (..., size × scale) to (..., height × scale, width × scale).

        Raises:
            ValueError: The result is not of the padded size times `scale`.
        """
        if result.shape[-2:] != (self.size[0] * scale, self.size[1] * scale):
            raise ValueError(f"{self.size} × {scale} is expected after padding, not {tuple(result.shape)}")
        top, left = self.top * scale, self.left * scale
        return result[..., top : top + self.height * scale, left : left + self.width * scale]

    def _source(self, before: int, size: int, after: int, device: torch.device) -> Tensor:
        """For each place after padding, the place it is copied from. Torch's own mirror stops at the picture's size."""
        places = torch.arange(-before, size + after, device=device)
        if self.fill == "replicate" or size == 1:
            return places.clamp(0, size - 1)
        period = 2 * (size - 1)
        places = places.remainder(period)
        return torch.minimum(places, period - places)
