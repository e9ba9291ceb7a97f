"""Random parameters for trying memory and speed before a large download. Never used unless a user asks for them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

SPREAD = 0.1
"""Of biases, and of the scales of norms around 1."""


def draw_parameters(
    module: nn.Module, dtype: Callable[[str], torch.dtype], *, device: torch.device | str = "cpu", seed: int = 0
) -> nn.Module:
    """Give a module that was made on the meta device random parameters, drawn on their own device.

    They are the same for the same seed, types and kind of device. What such a network gives is noise, but of a size
    that half precision holds: weights are divided by the square root of their inputs, norms stay near 1.

    Args:
        module: Its tensors are replaced.
        dtype: The type of a tensor by its name.
        device: Where they go.
        seed: Of the generator.

    Returns:
        `module`, in evaluation mode, without gradients.
    """
    place = torch.device(device)
    generator = torch.Generator(place).manual_seed(seed)
    state = {}
    with torch.no_grad():
        for name, like in module.state_dict().items():
            fan_in = like[0].numel() if like.ndim > 1 else 1
            # Drawn in float32, which is several times as fast on a processor as in half precision.
            made = torch.empty(like.shape, device=place)
            made.normal_(0.0, fan_in**-0.5 if like.ndim > 1 else SPREAD, generator=generator)
            if like.ndim == 1 and name.endswith("weight"):
                made += 1
            state[name] = made.to(dtype(name))
    module.load_state_dict(state, assign=True)
    return module.eval().requires_grad_(False)
