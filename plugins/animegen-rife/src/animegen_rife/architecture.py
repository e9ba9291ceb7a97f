"""The networks of RIFE 4.0 to 4.26 as data: what differs between them, and how a file's tensors tell which one it is.

Free of torch, so that a weights file can be recognised (and refused) before anything heavy is imported.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Shapes = dict[str, tuple[int, ...]]

COLOURS = 3
FLOW = 4  # (dx, dy) into the first image, (dx, dy) into the last
UNITS = 8  # convolutions between the two that halve and the head


@dataclass(frozen=True)
class Encoder:
    """What turns a frame into features of its size (4.7 and later).

    Attributes:
        layers: Names of its layers: convolutions, then one transposed convolution.
        middle: Channels inside.
        out: Channels of the features.
    """

    layers: tuple[str, ...]
    middle: int
    out: int

    @property
    def activated(self) -> bool:
        """Whether a leaky ReLU follows each convolution; the first kind (two layers) has none."""
        return len(self.layers) > 2


_TWO = ("0", "1")
_INDEXED = ("0", "2", "4", "6")
_NAMED = ("cnn0", "cnn1", "cnn2", "cnn3")


@dataclass(frozen=True)
class Architecture:
    """One network that one or more published versions share.

    Attributes:
        versions: The published versions whose weights fit, oldest first.
        widths: Channels of each flow block, in the order in which they run (coarse to fine).
        scales: By how much each block sees its input reduced, at ``scale=1``.
        encoder: The frame encoder, if there is one.
        head: ``transposed``: one transposed convolution, whose output lies at half the block's size (up to 4.4);
            ``shuffled``: a transposed convolution and a pixel shuffle, at the block's size (from 4.5).
        head_channels: Output channels of a block: 4 of flow, 1 of mask, and what is left.
        units: ``plain``: convolution and activation (up to 4.4); ``residual``: with a scaled skip (from 4.5).
        skips_units: The input of a block's eight units is added to their output (4.0, 4.1).
        prelu: Learned slopes, one a channel, instead of leaky ReLU's 0.2.
        groups: Groups of the residual convolutions.
        accumulates_mask: A block's mask is added to the mask so far; otherwise it replaces it.
        doubles: All scales are doubled where the second block finds motion of more than 32 pixels.
        ensemble: Running both directions and averaging is defined for it.
        recurrent: Feature channels that a block hands to the next.
    """

    versions: tuple[str, ...]
    widths: tuple[int, ...]
    scales: tuple[int, ...] = (8, 4, 2, 1)
    encoder: Encoder | None = None
    head: Literal["transposed", "shuffled"] = "shuffled"
    head_channels: int = 6
    units: Literal["plain", "residual"] = "residual"
    skips_units: bool = False
    prelu: bool = False
    groups: int = 1
    accumulates_mask: bool = False
    doubles: bool = False
    ensemble: bool = True
    recurrent: int = 0

    @property
    def name(self) -> str:
        """The oldest version that has this network; for 4.25 and 4.26, ``4.25``."""
        return self.versions[0]

    @property
    def multiple(self) -> int:
        """The sides of a padded frame are multiples of this at ``scale=1``.

        Each block halves its reduced input twice; twice as much where the scales can double.
        """
        return 4 * max(self.scales) * (2 if self.doubles else 1)

    def padding_multiple(self, scale: float = 1.0) -> int:
        """The multiple for a flow scale: larger below 1, never smaller above."""
        return max(self.multiple, int(self.multiple / scale))

    @property
    def features(self) -> int:
        """Channels of the encoder's output; 0 without an encoder."""
        return self.encoder.out if self.encoder else 0

    def inputs(self, block: int) -> int:
        """Input channels of a flow block: both frames, time, and from the second on mask, recurrent features, flow."""
        first = 2 * (COLOURS + self.features) + 1
        return first if block == 0 else first + 1 + self.recurrent + FLOW

    @cached_property
    def shapes(self) -> Shapes:
        """Names (without ``module.``) and shapes of all tensors of the published file that the network uses."""
        shapes = self._encoder()
        for index in range(len(self.widths)):
            shapes |= self._block(index)
        return shapes

    def _encoder(self) -> Shapes:
        if self.encoder is None:
            return {}
        shapes: Shapes = {}
        *convolutions, last = self.encoder.layers
        channels = COLOURS
        for layer in convolutions:
            shapes |= _convolution(f"encode.{layer}", (self.encoder.middle, channels, 3, 3))
            channels = self.encoder.middle
        return shapes | _transposed(f"encode.{last}", channels, self.encoder.out)

    def _block(self, index: int) -> Shapes:
        width, name = self.widths[index], f"block{index}"
        shapes: Shapes = {}
        for layer, before, after in ((0, self.inputs(index), width // 2), (1, width // 2, width)):
            shapes |= _convolution(f"{name}.conv0.{layer}.0", (after, before, 3, 3))
            if self.prelu:
                shapes[f"{name}.conv0.{layer}.1.weight"] = (after,)
        for unit in range(UNITS):
            at = f"{name}.convblock.{unit}"
            if self.units == "residual":
                shapes[f"{at}.beta"] = (1, width, 1, 1)
                shapes |= _convolution(f"{at}.conv", (width, width // self.groups, 3, 3))
            else:
                shapes |= _convolution(f"{at}.0", (width, width, 3, 3))
                if self.prelu:
                    shapes[f"{at}.1.weight"] = (width,)
        if self.head == "shuffled":
            return shapes | _transposed(f"{name}.lastconv.0", width, 4 * self.head_channels)
        return shapes | _transposed(f"{name}.lastconv", width, self.head_channels)


def _convolution(name: str, shape: tuple[int, int, int, int]) -> Shapes:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _transposed(name: str, before: int, after: int) -> Shapes:
    return {f"{name}.weight": (before, after, 4, 4), f"{name}.bias": (after,)}


_USUAL = (192, 128, 96, 64)
_LITE = (128, 96, 64, 48)
_FIVE = (192, 128, 96, 64, 32)
_HALVING = (16, 8, 4, 2, 1)

_OLD = Architecture(
    ("4.2", "4.3", "4.4"),
    _USUAL,
    head="transposed",
    head_channels=5,
    units="plain",
    accumulates_mask=True,
)

ARCHITECTURES: tuple[Architecture, ...] = (
    Architecture(
        ("4.0", "4.1"),
        _USUAL,
        head="transposed",
        head_channels=5,
        units="plain",
        skips_units=True,
        prelu=True,
        accumulates_mask=True,
        doubles=True,
    ),
    _OLD,
    Architecture(("4.5",), _USUAL, head_channels=5, accumulates_mask=True),
    Architecture(("4.6",), _USUAL, accumulates_mask=True),
    Architecture(("4.7", "4.8", "4.9"), _USUAL, encoder=Encoder(_TWO, 16, 4)),
    Architecture(("4.10", "4.11", "4.12"), _USUAL, encoder=Encoder(_INDEXED, 32, 8)),
    Architecture(("4.12.lite", "4.13.lite"), _LITE, encoder=Encoder(_INDEXED, 32, 4)),
    Architecture(
        ("4.13", "4.14", "4.15", "4.17", "4.18", "4.19", "4.24"),
        _USUAL,
        encoder=Encoder(_NAMED, 32, 8),
    ),
    Architecture(("4.14.lite",), _USUAL, encoder=Encoder(_NAMED, 32, 8), groups=2),
    Architecture(("4.15.lite", "4.16.lite", "4.17.lite"), _LITE, encoder=Encoder(_NAMED, 16, 4)),
    Architecture(("4.20",), (384, 192, 96, 48), encoder=Encoder(_NAMED, 32, 8)),
    Architecture(
        ("4.21", "4.22", "4.23"),
        (256, 192, 96, 48),
        encoder=Encoder(_NAMED, 32, 8),
        head_channels=13,
        recurrent=8,
        ensemble=False,
    ),
    Architecture(
        ("4.22.lite",),
        (192, 128, 64, 32),
        encoder=Encoder(_NAMED, 16, 4),
        head_channels=13,
        recurrent=8,
        ensemble=False,
    ),
    Architecture(
        ("4.25", "4.26"),
        _FIVE,
        _HALVING,
        encoder=Encoder(_NAMED, 16, 4),
        head_channels=13,
        recurrent=8,
        ensemble=False,
    ),
    Architecture(
        ("4.25.lite",),
        (192, 128, 96, 64, 24),
        (32, 16, 8, 4, 1),
        encoder=Encoder(_NAMED, 16, 4),
        head_channels=13,
        recurrent=8,
        ensemble=False,
    ),
    Architecture(
        ("4.25.heavy",),
        (384, 256, 192, 128, 64),
        _HALVING,
        encoder=Encoder(_NAMED, 16, 4),
        head_channels=13,
        recurrent=8,
        ensemble=False,
    ),
    Architecture(
        ("4.26.heavy",),
        _FIVE,
        _HALVING,
        encoder=Encoder(_NAMED, 16, 16),
        head_channels=13,
        recurrent=8,
        ensemble=False,
    ),
)

VERSIONS: Mapping[str, Architecture] = {
    version: architecture for architecture in ARCHITECTURES for version in architecture.versions
}


def plain_name(name: str) -> str:
    """A tensor's name as `Architecture.shapes` writes it, from any of the published spellings.

    Training wrappers put ``module.`` (or ``flownet.``) in front, and repacked files ``blocks.0.`` for ``block0.``.
    """
    name = re.sub(r"^(?:module\.|flownet\.)+", "", name)
    return re.sub(r"^blocks\.(\d+)\.", r"block\1.", name)


def recognise(shapes: Mapping[str, tuple[int, ...]]) -> Architecture | None:
    """The network whose tensors are all there, by name and shape; None where no network is complete.

    Args:
        shapes: Shape of each tensor of a file, under any of the published spellings. Tensors outside the blocks and the
            encoder (the refiner of 4.0 to 4.4, heads that only training uses) do not matter; within them one too many
            does, for 4.0 without its slopes would pass for 4.2.
    """
    there = {plain_name(name): tuple(shape) for name, shape in shapes.items()}
    used = {name: shape for name, shape in there.items() if re.match(r"(block\d+|encode)\.", name)}
    return next((one for one in ARCHITECTURES if one.shapes == used), None)
