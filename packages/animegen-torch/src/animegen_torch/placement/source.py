"""Where the parts of a model come from: files, or a seed where a run is to go without them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from animegen.errors import StageError
from animegen_torch.untrained import draw_parameters

M = TypeVar("M")


@dataclass(frozen=True)
class Blueprint(Generic[M]):
    """How the parts of one kind of model are built; `M` holds the sizes of one of them.

    Attributes:
        parts: Their names; one of them is `placement.UNET`.
        new: ``new(part, sizes)`` gives the network of a part. It is called with the meta device as torch's default.
        keeps_float32: ``keeps_float32(part, name)``: whether a tensor stays float32 in a network of half precision.
        layer_of: The layer of the U-Net that one of its tensors belongs to; no residual reaches out of a layer.
    """

    parts: tuple[str, ...]
    new: Callable[[str, M], nn.Module]
    keeps_float32: Callable[[str, str], bool]
    layer_of: Callable[[str], str]

    def empty(self, part: str, model: M) -> nn.Module:
        """The network of a part on the meta device."""
        with torch.device("meta"):
            return self.new(part, model)

    def filled(self, part: str, model: M, tensors: Mapping[str, Tensor]) -> nn.Module:
        """The network of a part with these tensors, in evaluation mode, without gradients.

        Raises:
            StageError: It has others that are not among them.
        """
        network = self.empty(part, model)
        network.load_state_dict(tensors, assign=True)
        empty = [name for name, one in (*network.named_parameters(), *network.named_buffers()) if one.is_meta]
        if empty:
            raise StageError(f"{part} has tensors that no file gives: {', '.join(empty[:3])}.")
        return network.eval().requires_grad_(False)

    def untrained(
        self,
        part: str,
        model: M,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        seed: int | None = None,
    ) -> nn.Module:
        """The network of a part with random parameters, by default from a seed of its own; see `draw_parameters`."""

        def wanted(name: str) -> torch.dtype:
            return torch.float32 if self.keeps_float32(part, name) else dtype

        number = self.parts.index(part) if seed is None else seed
        return draw_parameters(self.empty(part, model), wanted, device=device, seed=number)


@dataclass(frozen=True)
class Source(Generic[M]):
    """Gives the parts of one model.

    Attributes:
        blueprint: How they are built.
        model: Their sizes.
        identity: Differs for different parameters.
        read: ``read(part, dtype, device)`` gives the tensors of a part under the names of its network, those that
            stay float32 in that. On the processor they may be a file itself, mapped.
    """

    blueprint: Blueprint[M]
    model: M
    identity: str
    read: Callable[[str, torch.dtype, torch.device], Mapping[str, Tensor]]

    def part(self, part: str, dtype: torch.dtype, device: torch.device) -> nn.Module:
        """A part, ready on a device; a new one each time."""
        return self.blueprint.filled(part, self.model, self.read(part, dtype, device))

    def tensors(self, part: str, dtype: torch.dtype) -> Mapping[str, Tensor]:
        """The tensors of a part on the processor, under the names of its network."""
        return self.read(part, dtype, torch.device("cpu"))

    def empty(self, part: str) -> nn.Module:
        """The network of a part on the meta device."""
        return self.blueprint.empty(part, self.model)


def untrained(blueprint: Blueprint[M], model: M) -> Source[M]:
    """Parts of random parameters, the same for the same sizes, types and kind of device."""

    def drawn(part: str, dtype: torch.dtype, device: torch.device) -> Mapping[str, Tensor]:
        return blueprint.untrained(part, model, dtype=dtype, device=device).state_dict()

    return Source(blueprint, model, "untrained", drawn)
