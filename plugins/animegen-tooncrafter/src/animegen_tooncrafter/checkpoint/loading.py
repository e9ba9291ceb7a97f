"""Parts from files into memory, each tensor straight into its type and onto its device."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from animegen_tooncrafter.checkpoint.inspection import Checkpoint
from animegen_tooncrafter.checkpoint.parts import BLUEPRINT, keeps_float32


def part_of(
    checkpoint: Checkpoint, part: str, *, dtype: torch.dtype | None = None, device: torch.device | str = "cpu"
) -> nn.Module:
    """One part, in evaluation mode, without gradients.

    It is made without memory and then given the file's tensors, one after another. On the processor and in the type of
    the file they are the file itself, mapped: nothing is copied, and what is not used is not read. Otherwise memory
    holds the part and, while it is read, one tensor more.

    Args:
        checkpoint: From `inspect`.
        part: One of `PARTS`.
        dtype: What it is computed in; None for the file's. What must stay float32 does, see `keeps_float32`.
        device: Where it goes.

    Raises:
        MissingError, InputError: No file has it; or the file has changed, or its numbers do not fit the type.
    """
    return BLUEPRINT.filled(part, checkpoint.model, tensors_of(checkpoint, part, dtype=dtype, device=device))


def tensors_of(
    checkpoint: Checkpoint, part: str, *, dtype: torch.dtype | None = None, device: torch.device | str = "cpu"
) -> dict[str, Tensor]:
    """The tensors of a part, under the names of its network; see `part_of`.

    Raises:
        MissingError, InputError: See `part_of`.
    """
    source = checkpoint.require(part).parts[part]

    def wanted(name: str, own: torch.dtype) -> torch.dtype:
        if keeps_float32(part, name):
            return torch.float32
        return own if dtype is None else dtype

    return source.file.brought(source.tensors, device=torch.device(device), dtype=wanted)
