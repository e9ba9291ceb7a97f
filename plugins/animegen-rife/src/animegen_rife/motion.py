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

FIRST, LAST = slice(0, 2), slice(2, 4)  # the channels of flow that belong to each frame


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
        self.summed = FLOW + 1 if adds_masks else FLOW  # channels whose sum counts; of the others, the last block's
        self._parts: list[tuple[Tensor, float]] = []
        self._full: Tensor | None = None
        self._in_full = 0

    def add(self, part: Tensor, reach: float) -> None:
        """Add what a block found.

        Args:
            part: (N, 5 or more, h, w) float32: flow in pixels of the frame, mask, further channels. Kept and changed.
            reach: What it is to be enlarged by to the size of the frame.
        """
        if reach < 1:
            part, reach = resize(part, reach), 1
        self._parts.append((part, reach))

    def last(self) -> Tensor:
        """What the last block found alone, at the size of the frame."""
        part, reach = self._parts[-1]
        return resize(part, reach)

    def at(self, scale: float) -> tuple[Tensor, Tensor]:
        """The flow (in pixels of the frame) and the mask with all further channels, reduced by `scale`.

        Returns:
            (N, 4, H / scale, W / scale) and (N, 1 or more, H / scale, W / scale), not to be changed.
        """
        direct = max(scale, 1)
        if scale < 4:  # the flow is needed in full anyway
            known = resize(self._total(), 1 / scale)
        else:
            known = _sum([resize(part[:, : self.summed], reach / direct) for part, reach in self._parts])
        if self.summed > FLOW:
            return known[:, :FLOW], known[:, FLOW:]
        part, reach = self._parts[-1]
        further = resize(part[:, FLOW:], reach / direct)
        return known, resize(further, 1 / scale) if scale < 1 else further

    def mask(self) -> Tensor:
        """The mask at the size of the frame, (N, 1, H, W)."""
        if self.summed > FLOW:
            return self._total()[:, FLOW:]
        part, reach = self._parts[-1]
        return resize(part[:, FLOW : FLOW + 1], reach)

    def warped(self, frames: tuple[Tensor, Tensor], scale: float = 1) -> list[Tensor]:
        """Each frame, (1, C, H, W), along its two channels of the flow, reduced by `scale`.

        Returns:
            (N, C, strips, H / scale / strips, W / scale) each: in as many strips of rows as threads sampled it.
        """
        rows = columns = None
        if scale < 4:
            flow, factor = self._total(), 1 / scale
        else:
            rows, columns = (_middle(length, int(scale), frames[0].device) for length in self.size)
            flow, factor = (
                _sum([_enlarged_at(part[:, :FLOW], reach, rows, columns) for part, reach in self._parts]),
                0.5,
            )
        pairs = zip(frames, (flow[:, FIRST], flow[:, LAST]), strict=True)
        return [_sampled(frame, pair, self.size, rows, columns, factor) for frame, pair in pairs]

    def _total(self) -> Tensor:
        """The summed channels at the size of the frame."""
        total = self._full
        for part, reach in self._parts[self._in_full :]:
            summed = resize(part[:, : self.summed], reach)
            total = summed if total is None else total.add_(summed)
        assert total is not None
        self._full, self._in_full = total, len(self._parts)
        return total


def _sampled(
    frame: Tensor, flow: Tensor, size: tuple[int, int], rows: Tensor | None, columns: Tensor | None, factor: float
) -> Tensor:
    n, height, width = len(flow), *flow.shape[2:]
    strips = _strips(frame.device, n, height)
    grid = sampling_grid(flow, size, rows=rows, columns=columns).reshape(n * strips, -1, width, 2)
    result = resize(sample(frame.expand(n * strips, -1, -1, -1), grid), factor)
    return result.view(n, strips, *result.shape[1:]).transpose(1, 2)


def _strips(device: torch.device, n: int, rows: int) -> int:
    """In how many strips to sample: the sampler of CPUs uses one thread for each entry of a batch."""
    if device.type != "cpu" or torch.compiler.is_compiling():
        return 1
    wanted = torch.get_num_threads() // n
    return next((strips for strips in range(wanted, 1, -1) if rows % (2 * strips) == 0), 1)


def _sum(parts: list[Tensor]) -> Tensor:
    """The sum; the first part is changed where there are more."""
    total = parts[0]
    for part in parts[1:]:
        total.add_(part)
    return total


def _middle(length: int, scale: int, device: torch.device) -> Tensor:
    """The two middle ones of each `scale` pixels of a side."""
    first = torch.arange(scale // 2 - 1, length, scale, device=device)
    return torch.stack((first, first + 1), 1).flatten()


def _enlarged_at(part: Tensor, reach: float, rows: Tensor, columns: Tensor) -> Tensor:
    """`resize(part, reach)` at some rows and columns only."""
    for dim, places in ((2, rows[:, None]), (3, columns)):
        source = ((places + 0.5) / reach - 0.5).clamp(0, part.shape[dim] - 1)
        low = source.floor()
        high = (low + 1).clamp(max=part.shape[dim] - 1)
        low_part, high_part = (part.index_select(dim, at.flatten().long()) for at in (low, high))
        part = torch.lerp(low_part, high_part, source - low)
    return part
