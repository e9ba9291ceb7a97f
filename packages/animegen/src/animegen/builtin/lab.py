"""The classic clean-up chain: bilateral filter, CLAHE and unsharp mask on the lightness of CIE L*a*b*.

It evens out scanned line art and lifts contrast. It does **not** remove screentone: a bilateral filter keeps
whatever differs by more than its colour sigma, and a black dot on white paper does; CLAHE and the unsharp
mask then lift the dots with the lines. Put `descreen` before it where tone should go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from animegen.builtin.plugin import LabOptions
    from animegen.media import Image
    from animegen.stages import Context


class Lab:
    """Bilateral filter, then CLAHE, then unsharp mask on L; a and b are not changed.

    Sources: Tomasi and Manduchi 1998 (bilateral filter), Zuiderveld 1994 (CLAHE). A step is left out where
    its strength is 0. The round trip through 8-bit L*a*b* moves a colour by up to 2 grey levels.
    """

    def __init__(self, options: LabOptions, context: Context) -> None:
        self.options = options

    def __call__(self, image: Image) -> Image:
        """(H, W, 3) uint8 RGB of any size to the same size; grey pixels come out grey."""
        options = self.options
        lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
        lightness = np.ascontiguousarray(lab[..., 0])
        if options.bilateral_diameter > 1:
            lightness = cv2.bilateralFilter(
                lightness,
                options.bilateral_diameter,
                options.bilateral_sigma_color,
                options.bilateral_sigma_space,
            )
        if options.clahe_clip > 0:
            tiles = (options.clahe_tiles, options.clahe_tiles)
            lightness = cv2.createCLAHE(options.clahe_clip, tiles).apply(lightness)
        if options.unsharp_amount > 0:
            # 8-bit, so that both the difference and the sum saturate once, at the end.
            blurred = cv2.GaussianBlur(lightness, (0, 0), options.unsharp_sigma)
            amount = options.unsharp_amount
            lightness = cv2.addWeighted(lightness, 1 + amount, blurred, -amount, 0)
        lab[..., 0] = lightness
        out = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
        # The way back from 8-bit L*a*b* leaves channels of a grey one level apart; a grey page must stay grey.
        grey = (image[..., 0] == image[..., 1]) & (image[..., 1] == image[..., 2])
        out[grey] = out[..., 1][grey][:, None]
        result: Image = np.ascontiguousarray(out)
        return result
