"""Guidance without a classifier (Ho & Salimans, 2022): how the predictions of one step become one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from animegen.errors import UsageError

CONDITIONAL = "conditional"
"""Prompt and image."""
UNCONDITIONAL = "unconditional"
"""Empty (or negative) prompt and a grey image."""
IMAGE_ONLY = "image"
"""Empty prompt and the image: the third branch of three-way guidance."""


@dataclass(frozen=True)
class Guidance:
    """How strongly a clip follows prompt and image.

    Attributes:
        scale: 1 is the conditional prediction alone; larger follows the condition more.
        rescale: 0 to 1; how far the result is brought back to the spread of the conditional prediction, without which
            large scales overexpose (Lin et al., WACV 2024, section 3.4).
        image_scale: Where given, three-way guidance: `scale` is for the prompt, this one for the image.
        interval: Timesteps, as shares of the schedule, between which guidance is used (Kynkäänniemi et al., NeurIPS
            2024); outside it a step costs one call. (0, 1) is everywhere; anything else is not the published sampler.
    """

    scale: float = 7.5
    rescale: float = 0.7
    image_scale: float | None = None
    interval: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        low, high = self.interval
        if not 0 <= low <= high <= 1:
            raise UsageError(f"The guidance interval is {low:g} to {high:g}.", hint="use shares such as 0.2 to 0.8")
        if not 0 <= self.rescale <= 1:
            raise UsageError(f"The guidance rescale is {self.rescale:g}.", hint="use 0 (off) to 1; 0.7 is usual")

    @property
    def is_exact(self) -> bool:
        """Whether this is what the published sampler can do too."""
        return self.interval == (0.0, 1.0)

    def branches(self, share: float = 0.0) -> tuple[str, ...]:
        """Which predictions a step needs; `share` is its timestep over the number of timesteps."""
        low, high = self.interval
        guided = self.scale != 1 or self.image_scale not in (None, 1)
        if not guided or not low <= share <= high:
            return (CONDITIONAL,)
        if self.image_scale is None:
            return (CONDITIONAL, UNCONDITIONAL)
        return (CONDITIONAL, UNCONDITIONAL, IMAGE_ONLY)

    def combine(self, predictions: Mapping[str, Tensor]) -> Tensor:
        """The prediction to step with, (B, ...) float32, from those of `branches`."""
        conditional = predictions[CONDITIONAL]
        if UNCONDITIONAL not in predictions:
            return conditional
        base = predictions[UNCONDITIONAL]
        if IMAGE_ONLY in predictions:
            image = predictions[IMAGE_ONLY]
            image_scale = self.scale if self.image_scale is None else self.image_scale
            guided = base + image_scale * (image - base) + self.scale * (conditional - image)
        else:
            guided = base + self.scale * (conditional - base)
        return rescaled(guided, conditional, self.rescale)


def rescaled(guided: Tensor, conditional: Tensor, share: float) -> Tensor:
    """`guided` (B, ...), by `share` with the standard deviation of `conditional`, sample by sample."""
    if share == 0:
        return guided
    axes = tuple(range(1, guided.ndim))
    ratio = conditional.std(axes, keepdim=True) / guided.std(axes, keepdim=True)
    return guided * (share * ratio + (1 - share))
