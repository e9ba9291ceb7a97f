"""Where parts come from: files, or a seed where a run is to go without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from animegen_tooncrafter.checkpoint import (
    PARTS,
    Checkpoint,
    ModelConfiguration,
    inspect,
    new_part,
    part_of,
    tensors_of,
    untrained_part,
)
from animegen_tooncrafter.diffusion.schedule import Schedule
from animegen_tooncrafter.placement.sizes import layer_of
from animegen_tooncrafter.weights import OPEN_CLIP, SKETCH_ENCODERS, weights_for
from animegen_torch.placement import lending

if TYPE_CHECKING:
    from animegen.stages import Context
    from animegen_tooncrafter.plugin import ToonCrafterOptions


class Source(lending.Source, Protocol):
    """Gives parts of one model."""

    @property
    def model(self) -> ModelConfiguration:
        """Sizes of all parts."""
        ...

    @property
    def identity(self) -> str:
        """Differs for different parameters."""
        ...

    def schedule(self) -> tuple[Schedule, list[str]]:
        """The noise schedule, and the names of tables that are not what they should be."""
        ...


class _Layered:
    """What does not depend on where parameters come from."""

    model: ModelConfiguration

    def empty(self, part: str) -> nn.Module:
        with torch.device("meta"):
            return new_part(part, self.model)

    def layer_of(self, name: str) -> str:
        return layer_of(name)


class Files(_Layered):
    """Parts from files."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.model = checkpoint.model

    @property
    def identity(self) -> str:
        states = [(path, path.stat()) for path in self.checkpoint.paths]
        return " ".join(f"{path.name}:{state.st_size}:{state.st_mtime_ns}" for path, state in states)

    def part(self, part: str, dtype: torch.dtype, device: torch.device) -> nn.Module:
        return part_of(self.checkpoint, part, dtype=dtype, device=device)

    def tensors(self, part: str, dtype: torch.dtype) -> Mapping[str, Tensor]:
        return tensors_of(self.checkpoint, part, dtype=dtype)

    def schedule(self) -> tuple[Schedule, list[str]]:
        return self.checkpoint.schedule()


class Untrained(_Layered):
    """Parts of random parameters from a fixed seed, of the published sizes or others."""

    identity = "untrained"

    def __init__(self, model: ModelConfiguration | None = None) -> None:
        self.model = model or ModelConfiguration()

    def part(self, part: str, dtype: torch.dtype, device: torch.device) -> nn.Module:
        return untrained_part(part, self.model, dtype=dtype, device=device, seed=PARTS.index(part))

    def tensors(self, part: str, dtype: torch.dtype) -> Mapping[str, Tensor]:
        return self.part(part, dtype, torch.device("cpu")).state_dict()

    def schedule(self) -> tuple[Schedule, list[str]]:
        return Schedule.compute(self.model.schedule), []


def files_of(options: ToonCrafterOptions, context: Context) -> tuple[Path, ...]:
    """The files that a stage with these options reads, the model's first.

    Raises:
        MissingError: A published one is not here.
    """
    if options.file is not None:
        paths = [Path(options.file).expanduser()]
        paths += [Path(options.towers).expanduser()] if options.towers else []
    else:
        paths = [context.weight(weight.file) for weight in weights_for(options.model)]
    if options.sketch_file is not None:
        paths.append(Path(options.sketch_file).expanduser())
    elif options.sketch is not None:
        paths.append(context.weight(SKETCH_ENCODERS[options.sketch_model].file))
    return tuple(paths)


def looked_into(paths: Sequence[Path]) -> Checkpoint:
    """`inspect`; nothing is loaded."""
    return inspect(paths[0], *paths[1:])


def source_of(options: ToonCrafterOptions, context: Context) -> Source:
    """Where a stage's parts come from.

    Raises:
        MissingError, InputError: A file is not here, or is something else.
    """
    if context.untrained:  # a file then only says of which sizes
        return Untrained(None if options.file is None else looked_into((Path(options.file).expanduser(),)).model)
    checkpoint = looked_into(files_of(options, context))
    if checkpoint.missing and set(checkpoint.missing) <= {"text", "image"}:
        checkpoint = looked_into((*checkpoint.paths, context.weight(OPEN_CLIP.file)))
    checkpoint.require()
    if options.sketch is not None:
        checkpoint.require("sketch")
    return Files(checkpoint)
