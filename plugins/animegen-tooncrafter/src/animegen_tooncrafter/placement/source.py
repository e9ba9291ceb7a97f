"""Where ToonCrafter's parts come from: files, or a seed where a run is to go without them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from animegen_tooncrafter.checkpoint import BLUEPRINT, Checkpoint, ModelConfiguration, inspect, tensors_of
from animegen_tooncrafter.diffusion.schedule import Schedule
from animegen_tooncrafter.weights import OPEN_CLIP, SKETCH_ENCODERS, weights_for
from animegen_torch.placement import source

if TYPE_CHECKING:
    from animegen.stages import Context
    from animegen_tooncrafter.plugin import ToonCrafterOptions


@dataclass(frozen=True)
class Source(source.Source[ModelConfiguration]):
    """Parts of one model, and its noise schedule.

    Attributes:
        schedule: Gives the schedule, and the names of tables that are not what they should be.
    """

    schedule: Callable[[], tuple[Schedule, list[str]]]


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
        return untrained(None if options.file is None else looked_into((Path(options.file).expanduser(),)).model)
    checkpoint = looked_into(files_of(options, context))
    if checkpoint.missing and set(checkpoint.missing) <= {"text", "image"}:
        checkpoint = looked_into((*checkpoint.paths, context.weight(OPEN_CLIP.file)))
    checkpoint.require()
    if options.sketch is not None:
        checkpoint.require("sketch")
    return _files(checkpoint)


def untrained(model: ModelConfiguration | None = None) -> Source:
    """Parts of random parameters, of the published sizes or others."""
    drawn = source.untrained(BLUEPRINT, model or ModelConfiguration())
    return Source(**vars(drawn), schedule=lambda: (Schedule.compute(drawn.model.schedule), []))


def _files(checkpoint: Checkpoint) -> Source:
    def read(part: str, dtype: torch.dtype, device: torch.device) -> Mapping[str, Tensor]:
        return tensors_of(checkpoint, part, dtype=dtype, device=device)

    states = [(path, path.stat()) for path in checkpoint.paths]
    identity = " ".join(f"{path.name}:{state.st_size}:{state.st_mtime_ns}" for path, state in states)
    return Source(BLUEPRINT, checkpoint.model, identity, read, checkpoint.schedule)
