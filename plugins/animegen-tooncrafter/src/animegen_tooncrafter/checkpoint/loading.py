"""Parts from files into memory, each tensor straight into its type and onto its device."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from animegen.errors import StageError
from animegen_tooncrafter.checkpoint.configuration import ModelConfiguration
from animegen_tooncrafter.checkpoint.inspection import Checkpoint, PartFile
from animegen_tooncrafter.checkpoint.parts import keeps_float32, new_part
from animegen_torch.untrained import draw_parameters


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
    place = torch.device(device)
    source = _source(checkpoint, part)
    with torch.device("meta"):
        module = new_part(part, checkpoint.model)
    module.load_state_dict(_tensors(source, dtype, place), assign=True)
    empty = [name for name, one in (*module.named_parameters(), *module.named_buffers()) if one.is_meta]
    if empty:
        raise StageError(f"ToonCrafter's {part} has tensors that no file gives: {', '.join(empty[:3])}.")
    return module.eval().requires_grad_(False)


def tensors_of(checkpoint: Checkpoint, part: str, *, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """The tensors of a part on the processor, under the names of its network, for whoever brings them in by blocks.

    They are the file itself, mapped, wherever they have the type that `part_of` would give them.

    Raises:
        MissingError, InputError: No file has it.
    """
    return _tensors(_source(checkpoint, part), dtype, torch.device("cpu"))


def untrained_part(
    part: str,
    configuration: ModelConfiguration,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> nn.Module:
    """A part of random parameters; see `animegen_torch.untrained.draw_parameters`."""
    with torch.device("meta"):
        module = new_part(part, configuration)
    return draw_parameters(
        module, lambda name: torch.float32 if keeps_float32(part, name) else dtype, device=device, seed=seed
    )


def _source(checkpoint: Checkpoint, part: str) -> PartFile:
    return checkpoint.require(part).parts[part]


def _tensors(source: PartFile, dtype: torch.dtype | None, device: torch.device) -> dict[str, Tensor]:
    def wanted(name: str, own: torch.dtype) -> torch.dtype:
        if keeps_float32(source.part, name):
            return torch.float32
        return own if dtype is None else dtype

    same = {
        name: one
        for name, one in source.tensors.items()
        if device.type == "cpu" and (not one.dtype.is_floating_point or wanted(name, one.dtype) == one.dtype)
    }
    other = {name: one for name, one in source.tensors.items() if name not in same}
    found = source.file.mapped(same) | dict(source.file.read(other, device=device, dtype=wanted))
    return {name: found[name] for name in source.tensors}
