"""What the blocks of a pass have found so far, and reading it at the size at which it is next needed.

Each block finds motion and mask at its own, mostly small size; the network is described as if all of it were brought to
full size and from there to the size of the next block. Two properties of bilinear resizing (half-pixel centres, no
smoothing, factors that are powers of two) make most of that work unnecessary, exactly:

- Reducing by s reads, of each s × s pixels, only the four in the middle. Nothing else of it is needed.
- Enlarging by a and then reducing by b < a is enlarging by a / b, for the pixels averaged never lie on two sides of a
  bend of the enlarged picture.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from animegen_rife.architecture import FLOW
from animegen_torch.warp import sample, sampling_grid


def resize(x: Tensor, factor: float) -> Tensor:
    """Bilinear resize by a factor, half-pixel centres, no smoothing."""
    return x if factor == 1 else interpolate(x, scale_factor=factor, mode="bilinear")


class Motion:
    """The sum of what the blocks found.

    Args:
        size: (H, W) of the frames.
        adds_masks: The masks of all blocks are added; otherwise the last one counts.
    """

    def __init__(self, size: tuple[int, int], *, adds_masks: bool) -> None:
        self.size = size
        self.summed = FLOW + 1 if adds_masks else FLOW
        self._parts: list[tuple[Tensor, float]] = []
        self._full: Tensor | None = None
        self._in_full = 0

    def add(self, part: Tensor, reach: float) -> None:
        """Add what a block found.

        Args:
            part: (N, 5 or more, h, w): flow in pixels of the frame, mask, further channels; float32.
            reach: What it is to be enlarged by to the size of the frame.
        """
        if reach < 1:
            part, reach = resize(part, reach), 1
        self._parts.append((part, reach))

    def last(self) -> Tensor:
        """What the last block found alone, at the size of the frame."""
        part, reach = self._parts[-1]
        return resize(part, reach)

    def full(self) -> Tensor:
        """The flow at the size of the frame, (N, 4, H, W)."""
        for part, reach in self._parts[self._in_full :]:
            flow = resize(part[:, :FLOW], reach)
            if self._full is None:
                self._full = flow.clone() if reach == 1 else flow
            else:
                self._full.add_(flow)
        self._in_full = len(self._parts)
        assert self._full is not None
        return self._full

    def at(self, scale: float) -> Tensor:
        """Flow in pixels of the frame, mask and further channels, reduced by `scale`: (N, channels, H / s, W / s)."""
        last, reach = self._parts[-1]
        known = resize(last, reach / max(scale, 1))
        known = known.clone() if known is last else known
        for part, reach in self._parts[:-1]:
            known[:, : self.summed] += resize(part[:, : self.summed], reach / max(scale, 1))
        return resize(known, 1 / scale) if scale < 1 else known

    def mask(self) -> Tensor:
        """The mask at the size of the frame, (N, 1, H, W)."""
        parts = self._parts if self.summed > FLOW else self._parts[-1:]
        masks = [resize(part[:, FLOW : FLOW + 1], reach) for part, reach in parts]
        total = masks[-1]
        for mask in masks[:-1]:
            total = total + mask
        return total

    def warped(self, frame: Tensor, pair: slice, scale: float = 1) -> Tensor:
        """A frame along its two channels of flow, reduced by `scale`: (1, C, H, W) to (N, C, H / s, W / s)."""
        if scale < 4:
            return resize(self._sampled(frame, self.full()[:, pair], None, None), 1 / scale)
        rows, columns = (_middle(length, int(scale), frame.device) for length in self.size)
        flow = sum(_enlarged_at(part[:, pair], reach, rows, columns) for part, reach in self._parts)
        assert isinstance(flow, Tensor)
        return resize(self._sampled(frame, flow, rows, columns), 0.5)

    def _sampled(self, frame: Tensor, flow: Tensor, rows: Tensor | None, columns: Tensor | None) -> Tensor:
        grid = sampling_grid(flow, self.size, rows=rows, columns=columns)
        return sample(frame.expand(len(flow), -1, -1, -1), grid)


def _middle(length: int, scale: int, device: torch.device) -> Tensor:
    """The two middle ones of each `scale` pixels of a side."""
    first = torch.arange(scale // 2 - 1, length, scale, device=device)
    return torch.stack((first, first + 1), 1).flatten()


def _enlarged_at(part: Tensor, reach: float, rows: Tensor, columns: Tensor) -> Tensor:
    """`resize(part, reach)` at some rows and columns only."""
    for dim, places in ((2, rows), (3, columns)):
        end = part.shape[dim] - 1
        source = ((places + 0.5) / reach - 0.5).clamp(0, end)
        low = source.long()
        weight = source - low
        high = (low + 1).clamp(max=end)
        part = torch.lerp(
            part.index_select(dim, low), part.index_select(dim, high), weight if dim == 3 else weight[:, None]
        )
    return part
