"""LaMa behind the inpainter's contract: pictures of any size, every known pixel kept as it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from animegen.errors import InputError, MissingError
from animegen.media import Box
from animegen_lama.archive import Archive
from animegen_lama.crops import Crop, crops
from animegen_lama.pictures import is_grey, put_back, to_array, to_hole, to_rgb
from animegen_lama.plugin import PLACES, WEIGHTS
from animegen_torch.devices import pick_device
from animegen_torch.memory import release

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Image, Mask
    from animegen.stages import Context
    from animegen_lama.plugin import LamaOptions

KINDS = ("cuda", "cpu")
"""Kinds of device LaMa runs on: its Fourier transform needs one of these."""


class Lama:
    """Fills holes with Resolution-robust Large Mask Inpainting (Suvorov et al., WACV 2022).

    The archive is looked for at once, so that a run without weights stops before it has begun, but read only
    when something is to be filled.

    Raises:
        MissingError: The weights are not here.
        InputError: The file of the option `file` is not here.
        ResourceError: None of the devices can be used.
    """

    def __init__(self, options: LamaOptions, context: Context) -> None:
        self.options = options
        self.context = context
        self._device = pick_device(context.devices, kinds=KINDS, stage="lama")
        self._path = self._find()
        self._archive: Archive | None = None

    def __call__(self, image: NDArray[Any] | Any, mask: NDArray[Any] | Any) -> NDArray[np.uint8]:
        """Fill the masked pixels.

        Args:
            image: (H, W, 3) uint8 RGB. Grey (H, W) and RGBA (H, W, 4) are taken as well, and Pillow images.
            mask: (H, W) bool, or uint8 with holes from 127 on.

        Returns:
            uint8, shape and channels of `image`, and a new array; every pixel outside the mask, and alpha
            everywhere, is equal. Where all known pixels are grey, so is what is filled in.

        Raises:
            InputError: Image or mask is something else; nothing is guessed.
            ResourceError: The memory of the device does not suffice.
        """
        given = to_array(image, "the image")
        rgb = to_rgb(given)
        hole = to_hole(to_array(mask, "the mask"), *rgb.shape[:2])
        if not hole.any():
            return np.array(given, order="C")
        filled = rgb.copy()
        parts = self._parts(hole)
        for number, part in enumerate(parts):
            self.context.progress(number, len(parts), "crops")
            x0, y0, x1, y1 = part.box
            result = self._fill(rgb[y0:y1, x0:x1], hole[y0:y1, x0:x1])
            filled[y0:y1, x0:x1][part.hole] = result[part.hole]
        self.context.progress(len(parts), len(parts), "crops")
        if is_grey(rgb, hole):
            filled = to_rgb(np.asarray(cv2.cvtColor(filled, cv2.COLOR_RGB2GRAY), dtype=np.uint8))
        return put_back(given, filled, hole)

    def close(self) -> None:
        """Let go of the network; the next call reads it again."""
        if self._archive is not None:
            self._archive = None
            release(self._device)

    def _find(self) -> Path:
        if self.options.file is not None:
            path = Path(self.options.file).expanduser()
            if not path.is_file():
                raise InputError(f"{path} (option file of lama) is not a file.")
            self.context.warn(f"{path} was loaded as it is: nobody has published what it should contain.")
            return path
        try:
            return self.context.weight(WEIGHTS[self.options.weights].file)
        except MissingError as missing:
            if self.options.weights != "manga":
                raise
            other = f"animegen weights fetch lama/{PLACES.file}, then -o inpainter.weights=places"
            hints = (*missing.hints, f"or trained on photographs: {other}")
            raise MissingError(missing.message, hint=hints) from None

    def _parts(self, hole: Mask) -> list[Crop]:
        height, width = hole.shape
        if self.options.strategy == "crop" and max(height, width) > self.options.crop_from:
            return crops(hole, self.options.margin, self.options.crop_from)
        return [Crop(Box(0, 0, width, height), hole)]

    def _fill(self, image: Image, hole: Mask) -> Image:
        """`image` filled at its own size, or at a smaller one where it is longer than the network should see."""
        if self._archive is None:
            self._archive = Archive(self._path, self._device)
        height, width = hole.shape
        scale = self.options.longest / max(height, width)
        if self.options.strategy == "original" or scale >= 1:
            return self._archive.fill(image, hole)
        small = (max(1, round(width * scale)), max(1, round(height * scale)))
        less = np.asarray(cv2.resize(image, small, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        # Any share of a hole makes a hole: what is removed must not shine through from the rim.
        holes = cv2.resize(hole.astype(np.float32), small, interpolation=cv2.INTER_AREA) > 0
        result = self._archive.fill(less, holes)
        large = cv2.resize(result, (width, height), interpolation=cv2.INTER_CUBIC)
        return np.asarray(large, dtype=np.uint8)
