"""Where SEINE's parts come from: files, or a seed where a run is to go without them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from animegen_seine.checkpoint import Checkpoint, inspect
from animegen_seine.model import BLUEPRINT, ModelConfiguration
from animegen_seine.weights import BASES, MODEL
from animegen_torch.placement.source import Source, untrained

if TYPE_CHECKING:
    from animegen.stages import Context
    from animegen_seine.plugin import SeineOptions


def files_of(options: SeineOptions, context: Context) -> tuple[Path, Path, Path]:
    """The files of U-Net, autoencoder and text encoder that a stage with these options reads.

    Raises:
        MissingError: A published one is not here.
    """
    base = BASES[options.base]
    autoencoder, text = base if len(base) == 2 else (*base, *base)

    def own(given: str | None, published: str) -> Path:
        return context.weight(published) if given is None else Path(given).expanduser()

    return (
        own(options.file, MODEL.file),
        own(options.autoencoder, autoencoder.file),
        own(options.text_encoder, text.file),
    )


def source_of(options: SeineOptions, context: Context) -> Source[ModelConfiguration]:
    """Where a stage's parts come from.

    Raises:
        MissingError, InputError: A file is not here, or is something else.
    """
    if not context.untrained:
        return _files(inspect(*files_of(options, context)))
    own = (options.file, options.autoencoder, options.text_encoder)
    # Files then only say of which sizes.
    return untrained(BLUEPRINT, ModelConfiguration() if None in own else inspect(*files_of(options, context)).model)


def _files(checkpoint: Checkpoint) -> Source[ModelConfiguration]:
    def read(part: str, dtype: torch.dtype, device: torch.device) -> Mapping[str, Tensor]:
        return checkpoint.parts[part].tensors(dtype, device)

    files = dict.fromkeys((part.file.path, part.file.stamp) for part in checkpoint.parts.values())
    identity = " ".join(f"{path.name}:{stamp}" for path, stamp in files)
    return Source(BLUEPRINT, checkpoint.model, identity, read)
