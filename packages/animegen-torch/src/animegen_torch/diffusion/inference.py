"""The layout of weights that networks for clips are fastest with."""

from __future__ import annotations

import torch
from torch import nn

from animegen_torch.diffusion.attention import SelfAttention


def lay_out(network: nn.Module) -> None:
    """Evaluation mode without gradients, weights laid out as inference reads them; names and values stay.

    To be called last, on the device and in the type it will run in: moving the network undoes the packing of weights
    (the results stay the same).
    """
    network.eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)
        if isinstance(module, SelfAttention):
            module.pack()
