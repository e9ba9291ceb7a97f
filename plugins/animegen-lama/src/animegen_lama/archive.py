"""Loading a LaMa archive through simple-lama-inpainting, and running it on one picture.

The library is kept from two things it does by itself: choosing a device when it is imported, and downloading
200 MB without a check when no file is named.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from simple_lama_inpainting import SimpleLama

from animegen.errors import InputError
from animegen_torch.memory import is_out_of_memory, out_of_memory

if TYPE_CHECKING:
    from pathlib import Path

    from animegen.errors import ResourceError
    from animegen.media import Image, Mask

SMALLEST = 32
"""Sides are padded to at least this. The network halves three times and then mirrors one pixel at the rim, which
needs two: below 16 pixels it stops with an error."""


class Archive:
    """A network in a TorchScript archive, ready to fill holes.

    Args:
        path: The archive. It is a program: name only files whose digest is known.
        device: Where it runs.

    Raises:
        InputError: The file is not such an archive.
    """

    def __init__(self, path: Path, device: torch.device) -> None:
        self.path = path
        self.device = device
        # Not SimpleLama(...): that reads LAMA_MODEL or downloads, and loads onto the device the archive was saved
        # from, which may not exist here.
        self._lama = SimpleLama.__new__(SimpleLama)
        self._lama.model = _load(path).to(device)
        self._lama.device = device

    def fill(self, image: Image, hole: Mask) -> Image:
        """The network's picture for an (H, W, 3) uint8 RGB image, same size; pixels outside `hole` may differ.

        Raises:
            ResourceError: The memory of the device does not suffice.
            InputError: The archive does not do what a LaMa archive does.
        """
        height, width = hole.shape
        grown = (max(height, SMALLEST) - height, max(width, SMALLEST) - width)
        rim = ((0, grown[0]), (0, grown[1]))
        wide = np.pad(image, (*rim, (0, 0)), mode="symmetric")
        mask = np.pad(hole, rim, mode="symmetric").astype(np.uint8) * 255
        try:
            # The library pads on to a multiple of 8 at the bottom and on the right, and leaves that in its result.
            result = np.asarray(self._lama(wide, mask))
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise self._memory(width, height) from error
            raise InputError(
                f"{self.path} failed on a picture of {width} × {height}: {_last_line(error)}.",
                hint="is it a LaMa archive, called as (image, mask)? animegen weights verify --all",
            ) from error
        if result.ndim != 3 or result.shape[2] != 3 or result.shape[0] < height or result.shape[1] < width:
            raise InputError(f"{self.path} answered with the shape {result.shape} for {width} × {height}.")
        return np.ascontiguousarray(result[:height, :width])

    def _memory(self, width: int, height: int) -> ResourceError:
        return out_of_memory(
            self.device,
            "lama",
            doing=f"on a picture of {width} × {height}",
            hints=("-o inpainter.strategy=crop -o inpainter.longest=800 needs less", "or --device cpu"),
        )


def _load(path: Path) -> torch.jit.ScriptModule:
    load: Any = torch.jit.load  # has no types
    try:
        with warnings.catch_warnings():
            # TorchScript is announced to go; until it does, it is the format these weights are published in.
            warnings.filterwarnings("ignore", category=FutureWarning, message=".*torch.jit")
            warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*torch.jit")
            archive: torch.jit.ScriptModule = load(str(path), map_location="cpu")
            return archive.eval()
    except (RuntimeError, ValueError, OSError) as error:
        raise InputError(
            f"{path} is not a TorchScript archive that torch {torch.__version__} reads: {_last_line(error)}.",
            hint="a plain checkpoint (.ckpt, .pth, .safetensors) is not one",
        ) from error


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:200].rstrip(".")
