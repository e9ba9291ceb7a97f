"""LPIPS from the lpips package (Zhang et al., "The Unreasonable Effectiveness of Deep Features", CVPR 2018).

Network, heads and formula are the package's, which is for plugins to depend on. It is kept from two things that it does
by itself: downloading a backbone, and running with a random one (``pnet_rand``). And what it computes of a picture is
kept apart from the comparison, so that a picture that is compared with three others goes through the backbone once.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import lpips
import torch
from torch import Tensor, nn

from animegen_torch.backbones import UNSCORED, read_parameters

LEAST_SIDE = {"alex": 31, "vgg": 16, "squeeze": 17}
"""Below this many pixels a side nothing is left in the last layer."""
_BEYOND = {
    "alex": (r"classifier\.",),
    "vgg": (r"classifier\.",),
    "squeeze": (r"classifier\.",),
}


class Perceptual:
    """LPIPS, version 0.1 of the heads.

    Args:
        net: ``alex``, ``vgg`` or ``squeeze``.
        path: The backbone's published file.
        device: Where it runs.
        told: What follows from a broken file; for the message.

    Raises:
        InputError: The file is damaged or of another network.
    """

    def __init__(self, net: str, path: Path, device: torch.device, *, told: str = UNSCORED) -> None:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package calls torchvision in a way that is going out of use
            network: Any = lpips.LPIPS(net=net, pretrained=False, pnet_rand=True, verbose=False)
        network.scaling_layer = lpips.lpips.ScalingLayer()  # its constants, which no file gives
        published = {name: _published(name) for name in network.net.state_dict()}
        shapes = {published[name]: tuple(tensor.shape) for name, tensor in network.net.state_dict().items()}
        backbone = read_parameters(path, shapes, name=f"the backbone {net}", ignore=_BEYOND[net], told=told)
        heads = read_parameters(
            Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth",
            {name: tensor.shape for name, tensor in network.state_dict().items() if re.match(r"lin\d+\.", name)},
            name=f"the heads of lpips for {net}",
            told=told,
        )
        state = {f"net.{name}": backbone[known] for name, known in published.items()}
        state |= heads
        state |= {re.sub(r"^lin(\d+)\.", r"lins.\1.", name): tensor for name, tensor in heads.items()}
        state |= {f"scaling_layer.{name}": tensor for name, tensor in network.scaling_layer.state_dict().items()}
        network.load_state_dict(state, assign=True)
        self._network = network.to(device).eval().requires_grad_(False)

    def features(self, pictures: Tensor) -> list[Tensor]:
        """What is compared of (N, 3, H, W) in [-1, 1]: of every layer (N, C, h, w), each place of length 1."""
        layers = self._network.net(self._network.scaling_layer(pictures))
        return [lpips.normalize_tensor(layer) for layer in layers]

    def distance(self, one: list[Tensor], other: list[Tensor]) -> Tensor:
        """LPIPS of pictures whose features are `one` and `other`, (N,)."""
        return torch.stack(self.layers(one, other)).sum(0)

    def layers(self, one: list[Tensor], other: list[Tensor]) -> list[Tensor]:
        """What each layer adds to the distance, (N,) each."""
        heads: list[nn.Module] = list(self._network.lins)
        return [
            lpips.lpips.spatial_average(head((a - b) ** 2), keepdim=False)[:, 0]
            for head, a, b in zip(heads, one, other, strict=True)
        ]


def _published(name: str) -> str:
    """``slice2.3.squeeze.weight`` as torchvision has it: ``features.3.squeeze.weight``."""
    return re.sub(r"^slice\d+\.", "features.", name)
