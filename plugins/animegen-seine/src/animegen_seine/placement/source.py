"""Where parts come from: files, or a seed where a run is to go without them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from animegen_seine.checkpoint import Checkpoint, inspect
from animegen_seine.model import PARTS, ModelConfiguration, keeps_float32, layer_of, new_part
from animegen_seine.weights import BASES, MODEL
from animegen_torch.placement import lending
from animegen_torch.untrained import draw_parameters

if TYPE_CHECKING:
    from animegen.stages import Context
    from animegen_seine.plugin import SeineOptions


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


class _Layered:
    """What does not depend on where parameters come from."""

    model: ModelConfiguration

    def empty(self, part: str) -> nn.Module:
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
        files = dict.fromkeys((part.file.path, part.file.stamp) for part in self.checkpoint.parts.values())
        return " ".join(f"{path.name}:{stamp}" for path, stamp in files)

    def part(self, part: str, dtype: torch.dtype, device: torch.device) -> nn.Module:
        module = self.empty(part)
        module.load_state_dict(self.checkpoint.parts[part].tensors(dtype, device), assign=True)
        return module.eval().requires_grad_(False)

    def tensors(self, part: str, dtype: torch.dtype) -> Mapping[str, Tensor]:
        return self.checkpoint.parts[part].tensors(dtype, torch.device("cpu"))


class Untrained(_Layered):
    """Parts of random parameters from a fixed seed, of the published sizes or others."""

    identity = "untrained"

    def __init__(self, model: ModelConfiguration | None = None) -> None:
        self.model = model or ModelConfiguration()

    def part(self, part: str, dtype: torch.dtype, device: torch.device) -> nn.Module:
        def wanted(name: str) -> torch.dtype:
            return torch.float32 if keeps_float32(part, name) else dtype

        return draw_parameters(self.empty(part), wanted, device=device, seed=PARTS.index(part))

    def tensors(self, part: str, dtype: torch.dtype) -> Mapping[str, Tensor]:
        return self.part(part, dtype, torch.device("cpu")).state_dict()


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


def source_of(options: SeineOptions, context: Context) -> Source:
    """Where a stage's parts come from.

    Raises:
        MissingError, InputError: A file is not here, or is something else.
    """
    if not context.untrained:
        return Files(inspect(*files_of(options, context)))
    own = (options.file, options.autoencoder, options.text_encoder)
    if None in own:
        return Untrained()
    return Untrained(inspect(*files_of(options, context)).model)  # files then only say of which sizes
