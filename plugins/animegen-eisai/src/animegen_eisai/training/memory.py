"""Memory that a training takes: what torch keeps for the way back, counted with the real networks."""

from __future__ import annotations

import torch

from animegen_eisai.features import seen_size
from animegen_eisai.training.options import EisaiTrainingOptions

PARAMETERS = 16 * 1_276_890 + 4 * (1_444_928 + 5_273_636 + 2_471_168)
"""Bytes of what learns (itself, gradient, two moments), and of features, RFR and AlexNet's convolutions."""
LIBRARIES = 600 << 20
_PIXEL = {False: 5700, True: 3300}
"""Bytes that a pixel of a sample keeps for the way back, with and without `checkpointing`, in float32."""
_SEEN = {False: 1550, True: 800}
"""The same of a pixel that the features see."""


def needed(options: EisaiTrainingOptions, dtype: torch.dtype) -> int:
    """Bytes on the device."""
    share = 1.0 if dtype == torch.float32 else 0.6  # sums, norms and what is splatted stay in float32
    seen = seen_size(options.height, options.width)
    pixels = _PIXEL[options.checkpointing] * options.height * options.width
    features = _SEEN[options.checkpointing] * seen[0] * seen[1]
    return int(PARAMETERS + LIBRARIES + share * options.batch * (pixels + features))
