"""The metric that `style-vgg19` replaces: the Gram matrix of the three colour channels of a picture.

It is here so that its failure can be shown. Of a grey picture all nine entries are the mean squared brightness: the
picture, its pixels in any other order, and a flat tone of the same energy are one and the same to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from animegen.errors import UsageError
from animegen.measuring import Missing
from animegen.media import describe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.measuring import Sample, Scores
    from animegen.media import Image
    from animegen.stages import Context


def pixel_gram(image: Image) -> NDArray[np.float64]:
    """Mean products of the channels of an (H, W, 3) uint8 picture in [0, 1], (3, 3)."""
    values = image.reshape(-1, 3).astype(np.float64) / 255
    return np.asarray(values.T @ values / len(values))


class Gram3:
    """``style-gram3``: mean squared difference of the `pixel_gram` of a frame and of the panel nearer to it."""

    def __init__(self, options: Any = None, context: Context | None = None) -> None:
        del options, context

    def __call__(self, sample: Sample) -> Scores:
        """A value for every frame; missing where there are no panels.

        Raises:
            UsageError: Frames or panels are not uint8 RGB.
        """
        if sample.panels is None:
            return {"style-gram3": Missing("there are no panels")}
        for pictures in (sample.frames, sample.panels):
            if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[3] != 3 or not pictures.size:
                raise UsageError(f"style-gram3 reads (T, H, W, 3) uint8 RGB, not {describe(pictures)}.")
        wanted = [pixel_gram(panel) for panel in sample.panels]
        return {
            "style-gram3": [
                min(float(((gram - panel) ** 2).mean()) for panel in wanted) for gram in map(pixel_gram, sample.frames)
            ]
        }
