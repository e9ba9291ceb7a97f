"""The U-Net where it does not fit: some of its layers stay on the device, the others come when they run.

The coming and going is accelerate's (`AlignDevicesHook`): each weight of such a layer is brought when the module that
it belongs to is called, and let go of behind it. A layer (`Blueprint.layer_of`) comes as a whole or stays as a whole,
and all of them compute on one device, so that no residual ever crosses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from accelerate.hooks import attach_align_device_hook
from torch import Tensor, nn

from animegen_torch.placement.lending import for_inference
from animegen_torch.placement.placement import UNET
from animegen_torch.placement.source import Source


class Away(Mapping[str, Tensor]):
    """Weights that are not on the device: those from memory are held here, those from disk read every time.

    Args:
        tensors: Those that are away, mapped from the file wherever it has them in the type they are wanted in.
        places: Where each of them comes from: ``cpu`` or ``disk``.
        pin: Hold them in memory that a GPU can read by itself.
    """

    def __init__(self, tensors: Mapping[str, Tensor], places: Mapping[str, str], *, pin: bool = False) -> None:
        self._tensors = dict(tensors)
        for name, one in tensors.items():
            if places[name] == "cpu":
                # A copy, as a mapped one may be read from disk again; laid out as inference reads it.
                layout = torch.channels_last if one.ndim == 4 else torch.contiguous_format
                held = one.clone(memory_format=layout)
                self._tensors[name] = held.pin_memory() if pin else held

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def in_blocks(source: Source[Any], blocks: Mapping[str, str], *, dtype: torch.dtype, device: torch.device) -> nn.Module:
    """The U-Net on `device`, ready for inference, without the layers in `blocks`, which come when they run.

    Args:
        source: Where it comes from.
        blocks: Where layers come from that are away (``cpu`` or ``disk``), by name.
        dtype: What it computes in.
        device: Where it computes.
    """
    unet = source.empty(UNET)
    tensors = source.tensors(UNET, dtype)
    places = {name: blocks[layer] for name in tensors if (layer := source.blueprint.layer_of(name)) in blocks}
    own = {name: one.to(device) for name, one in tensors.items() if name not in places}
    empty = {name: torch.empty_like(tensors[name], device="meta") for name in places}
    unet.load_state_dict({**own, **empty}, assign=True)
    for_inference(unet)
    away = Away({name: tensors[name] for name in places}, places, pin=device.type == "cuda")
    layers = dict(unet.named_modules())
    for name in blocks:
        module: nn.Module = layers[name]
        attach_align_device_hook(module, execution_device=device, offload=True, weights_map=away, module_name=name)
    return unet
