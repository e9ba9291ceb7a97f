"""A stack of convolutions over a large picture, strip by strip: the same numbers out of a fraction of the memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

ROWS = 90
"""Of a strip: enough that its rim costs little, few enough that it stays near the processor."""


def in_strips(function: Callable[[Tensor], Tensor], parts: Sequence[Tensor], *, halo: int, rows: int = ROWS) -> Tensor:
    """`function` of `parts` joined along the channels.

    Strips are for processors without gradients; elsewhere all is computed at once.

    Args:
        function: (N, C, H, W) to (N, C', H, W), convolutions of stride 1 with zeros around.
        parts: Each (N, ..., H, W).
        halo: Rows above and below that a row of the result depends on.
        rows: Of a strip of the result.
    """
    height = parts[0].shape[2]
    if parts[0].device.type != "cpu" or torch.is_grad_enabled() or height <= rows + 2 * halo:
        return function(torch.cat(tuple(parts), 1))
    result: Tensor | None = None
    for top in range(0, height, rows):
        start, end = max(0, top - halo), min(height, top + rows + halo)
        joined = torch.cat([part[:, :, start:end] for part in parts], 1)
        strip = function(joined.contiguous(memory_format=torch.channels_last))
        del joined
        if result is None:
            result = strip.new_empty(*strip.shape[:2], height, strip.shape[3])
        keep = min(rows, height - top)
        result[:, :, top : top + keep] = strip[:, :, top - start : top - start + keep]
    assert result is not None
    return result
