"""Weights that anyone can make again from their names, so that a golden output needs no checkpoint beside it.

Every tensor is drawn by NumPy's PCG64, seeded with the CRC-32 of the tensor's name in the *published* checkpoint.
A network whose names differ gives the published name for each of its own.

| tensor | drawn from |
| --- | --- |
| two or more dimensions | normal, divided by the square root of the inputs of one output (all sizes but the first) |
| one dimension, ``running_var`` | 1 + 0.1 × the absolute value of a normal |
| one dimension, name ends in ``weight`` | 1 + 0.1 × normal (scale of a norm) |
| one dimension otherwise | 0.1 × normal (biases, means) |
| a single number | 0.5 + 0.1 × normal (gates) |

Integer tensors are not drawn.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NUDGE = 0.1


def _generator(name: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


def seeded_array(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The float32 array that stands for the published tensor `name` of `shape`."""
    normal = _generator(name).standard_normal(shape)
    if len(shape) > 1:
        values = normal / np.sqrt(math.prod(shape[1:]))
    elif name.endswith("running_var"):
        values = 1 + _NUDGE * np.abs(normal)
    elif not shape:
        values = 0.5 + _NUDGE * np.asarray(normal)
    else:
        values = _NUDGE * normal + (1 if name.endswith("weight") else 0)
    return np.asarray(values, np.float32)


def seeded_input(name: str, shape: tuple[int, ...], low: float = -1.0, high: float = 1.0) -> NDArray[np.float32]:
    """A float32 input in [low, high), drawn from the CRC-32 of `name`."""
    return _generator(name).uniform(low, high, shape).astype(np.float32)


def seeded_state(shapes: Mapping[str, tuple[int, ...]], prefix: str = "") -> dict[str, NDArray[np.float32]]:
    """Arrays by name for a whole checkpoint; `prefix` stands before each name when it is drawn."""
    return {name: seeded_array(prefix + name, tuple(shape)) for name, shape in shapes.items()}


def fill(module: Any, prefix: str = "", *, published: Callable[[str], str] | None = None) -> None:
    """Overwrite every floating-point parameter and buffer of a torch module in place.

    Args:
        module: A ``torch.nn.Module``.
        prefix: Stands before each name when it is drawn.
        published: Turns a name of the module into the published one, where they differ.
    """
    import torch

    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                known = prefix + (published(name) if published else name)
                values = torch.from_numpy(seeded_array(known, tuple(tensor.shape)))
                tensor.copy_(values.to(tensor.dtype))
