"""The network of FILM as data: its sizes, the names and shapes of its tensors, and what files call them.

Free of torch, so that a weights file can be recognised (and refused) before anything heavy is imported.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

Shapes = dict[str, tuple[int, ...]]

COLOURS = 3
FLOW = 2


@dataclass(frozen=True)
class Architecture:
    """Sizes of the network; as they stand, those of all three published trainings.

    Attributes:
        levels: Of the pyramids, the first one at full size, each next at half.
        fused: Finest levels of which the picture is made.
        specialised: Finest levels with a flow predictor of their own; the others share one.
        stages: Of the extractor that runs from every level.
        filters: Channels of its first stage; each next has twice as many.
        flow_filters: Channels of the flow predictors, finest first, the shared one last.
        flow_convolutions: Of 3 × 3 in each.
    """

    levels: int = 7
    fused: int = 5
    specialised: int = 3
    stages: int = 4
    filters: int = 64
    flow_filters: tuple[int, ...] = (32, 64, 128, 256)
    flow_convolutions: tuple[int, ...] = (3, 3, 3, 3)

    @property
    def multiple(self) -> int:
        """Height and width are multiples of this."""
        return int(2 ** (self.levels - 1))

    def feature_channels(self, level: int) -> int:
        """Channels of the features at a level: of the stages begun at it, one level above, and so on."""
        return sum(self.filters << stage for stage in range(min(level + 1, self.stages)))

    def depth(self, level: int) -> int:
        """Stages that are run from a level: no more than there are levels below."""
        return min(self.stages, self.levels - level)

    def predictor(self, level: int) -> int:
        """Number of the flow predictor of a level."""
        return min(level, self.specialised)

    def fused_channels(self, level: int) -> int:
        """Channels that fusion gets of a level: both warped pictures with their features, and both flows."""
        return 2 * (COLOURS + self.feature_channels(level) + FLOW)

    def fusion_filters(self, level: int) -> int:
        """Channels that fusion leaves at a level; at the coarsest those that it gets."""
        return self.fused_channels(level) if level == self.fused - 1 else self.filters << level

    @cached_property
    def shapes(self) -> Shapes:
        """Names (those of the port to PyTorch) and shapes of all tensors."""
        shapes: Shapes = {}
        before = COLOURS
        for stage in range(self.stages):
            width = self.filters << stage
            for number, channels in enumerate((before, width)):
                shapes |= _convolution(f"extract.extract_sublevels.convs.{stage}.{number}.0", width, channels, 3)
            before = width
        for level in (self.specialised, *reversed(range(self.specialised))):
            shapes |= self._predictor(level)
        shapes |= _convolution("fuse.output_conv", COLOURS, self.fusion_filters(0), 1)
        for place, level in enumerate(reversed(range(self.fused - 1))):
            width = self.fusion_filters(level)
            seen = (self.fusion_filters(level + 1), self.fused_channels(level) + width, width)
            for number, channels in enumerate(seen):
                shapes |= _convolution(f"fuse.convs.{place}.{number}.0", width, channels, 3 if number else 2)
        return shapes

    def _predictor(self, level: int) -> Shapes:
        width, count = self.flow_filters[level], self.flow_convolutions[level]
        name = predictor_name(self, level)
        shapes: Shapes = {}
        before = 2 * self.feature_channels(level)
        for number in range(count):
            shapes |= _convolution(f"{name}._convs.{number}.0", width, before, 3)
            before = width
        shapes |= _convolution(f"{name}._convs.{count}.0", width // 2, width, 1)
        return shapes | _convolution(f"{name}._convs.{count + 1}.0", FLOW, width // 2, 1)


PUBLISHED = Architecture()
"""All three published trainings (L1, VGG, Style): 34,436,667 parameters in 82 tensors."""


def predictor_name(architecture: Architecture, level: int) -> str:
    """The flow predictor of a level in the port, which counts those of single levels coarse first."""
    if level == architecture.specialised:
        return "predict_flow._predictor"
    return f"predict_flow._predictors.{architecture.specialised - 1 - level}"


_EXTRACTOR = re.compile(r"(?:.*/)?cfeat_conv_(\d+)/(kernel|bias)")
_PREDICTOR = re.compile(r"(?:.*/)?flow_predictor_(\d+|shared)/conv_(\d+)/(kernel|bias)")
_FUSION = re.compile(r"(?:.*/)?(conv2d(?:_(\d+))?)/(kernel|bias)")
_KINDS = {"kernel": "weight", "bias": "bias"}


def plain_name(name: str) -> str:
    """A name of any of the files for PyTorch as the port's: what stands before is taken off, ``conv`` becomes ``0``."""
    name = re.sub(r"^(?:.*?\.)??(?=(?:extract|predict_flow|fuse)\.)", "", name)
    return re.sub(r"\.conv\.(weight|bias)$", r".0.\1", name)


def from_tensorflow(names: Mapping[str, object], architecture: Architecture = PUBLISHED) -> dict[str, str]:
    """The port's name of each variable of the original that belongs to the network; the others are left out.

    Kernels of the original are (kh, kw, in, out), so they are still to be turned. Keras counts the convolutions of the
    fusion on from any number, so their order decides.

    Args:
        names: Variables by full name, e.g. ``feat_net/sub_extractor/cfeat_conv_0/kernel``.
        architecture: Says how many levels there are.
    """
    found: dict[str, str] = {}
    numbers = sorted({_number(match) for name in names if (match := _FUSION.fullmatch(_clean(name)))})
    for full in names:
        name = _clean(full)
        if match := _EXTRACTOR.fullmatch(name):
            stage, number = divmod(int(match[1]), 2)
            found[full] = f"extract.extract_sublevels.convs.{stage}.{number}.0.{_KINDS[match[2]]}"
        elif match := _PREDICTOR.fullmatch(name):
            level = architecture.specialised if match[1] == "shared" else int(match[1])
            found[full] = f"{predictor_name(architecture, level)}._convs.{match[2]}.0.{_KINDS[match[3]]}"
        elif match := _FUSION.fullmatch(name):
            level, number = divmod(numbers.index(_number(match)), 3)
            place = architecture.fused - 2 - level
            layer = "output_conv" if place < 0 else f"convs.{place}.{number}.0"
            found[full] = f"fuse.{layer}.{_KINDS[match[3]]}"
    return found


def _clean(name: str) -> str:
    return name.removesuffix(":0")


def _number(match: re.Match[str]) -> int:
    return int(match[2] or 0)


def _convolution(name: str, after: int, before: int, size: int) -> Shapes:
    return {f"{name}.weight": (after, before, size, size), f"{name}.bias": (after,)}
