"""A drawing taken apart into the regions that its lines enclose: AnimeInterp's segmentation, all of it on whole arrays.

Source: Siyao et al., "Deep Animation Video Interpolation in the Wild", CVPR 2021, section 4.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from animegen_animeinterp.segmentation.lines import STYLES, is_paper, line_image
from animegen_animeinterp.segmentation.merging import merge
from animegen_animeinterp.segmentation.thinning import in_order, thin
from animegen_animeinterp.segmentation.trapped_ball import fill

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from animegen.media import Image

__all__ = ["STYLES", "fill", "in_order", "is_paper", "line_image", "merge", "segment", "thin"]


def segment(image: Image, style: str = "japan") -> NDArray[np.int32]:
    """The regions of a drawing.

    Args:
        image: (H, W, 3) uint8. Thresholds are in pixels: the authors' are for pictures of 960 × 540.
        style: ``japan`` or ``disney``: how far a drawing is smoothed before its lines are sought.

    Returns:
        (H, W): 0, 1, ... from the smallest region to the largest (which of two equal ones comes first, their order of
        filling decides).
    """
    fills, _ = fill(is_paper(line_image(image, STYLES[style])))
    return in_order(thin(merge(fills.labels, image)))
