"""Style distances of frames to their panels."""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from animegen.errors import InputError
from animegen.imageio import read_image
from animegen.measuring import Missing
from animegen_torch.backbones import backbone_file, full_precision, measuring
from animegen_torch.devices import pick_device
from animegen_torch.memory import release
from animegen_torch.pictures import to_tensor
from animegen_torch.published import VGG19
from animegen_torch.samples import check_sample
from animegen_torch.vgg19 import LEAST_SIDE, Vgg19, read_vgg19
from animegen_vgg_style.gram import gram, relative_frobenius, style_distances
from animegen_vgg_style.pictures import moments, plane
from animegen_vgg_style.plugin import LAYERS, StyleOptions

if TYPE_CHECKING:
    from torch import Tensor

    from animegen.measuring import Sample, Scores, Value
    from animegen.media import Image, Mask
    from animegen.stages import Context

KEPT = 4
"""Panels whose style is kept: both panels of a clip as drawn, and of the clip before."""
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
NO_PANELS = Missing("there are no panels")


class Style(NamedTuple):
    """What is kept of a picture's style.

    Attributes:
        centred, classic: Gram matrices of the five layers.
        mean, deviation: Of its luma, in [0, 1].
    """

    centred: list[Tensor]
    classic: list[Tensor]
    mean: float
    deviation: float


class _Vgg:
    """The network behind all styles; read when something is first measured.

    Raises:
        MissingError: The parameters are not here.
        ResourceError: None of the devices can be used.
        UsageError: Another format than float32 is asked for.
    """

    metric = "style-vgg19"

    def __init__(self, options: Any, context: Context) -> None:
        self.options = options
        self.context = context
        full_precision(context, self.metric)
        self._device = pick_device(context.devices, stage=self.metric)
        self._path = backbone_file(context, VGG19, metric=self.metric)
        self._network: Vgg19 | None = None

    def close(self) -> None:
        """Let go of the network; the next call reads it again."""
        self._network = None
        release(self._device)

    def _features(self, pictures: Tensor) -> list[Tensor]:
        if self._network is None:
            self._network = read_vgg19(self._path, self._device)
        features: list[Tensor] = self._network(pictures)
        return [layer[0] for layer in features]


class StyleVgg19(_Vgg):
    """Distance between drawing styles, for grey line art (Gatys et al. 2016, made fit for paper and ink).

    One luma plane, the shorter side 256 by area, the outer 2 % cut off; features of five layers; Gram matrices with
    every channel's mean taken off; each divided by its norm; the distance of each layer in [0, 1], and their mean.
    A frame is compared with both panels as drawn, what is `ignored` of the panel left out of both, and the smaller
    distance counts. So does each layer's, brightness and contrast of that panel.
    """

    def __init__(self, options: StyleOptions, context: Context) -> None:
        super().__init__(options, context)
        self._panels: OrderedDict[bytes, Style | None] = OrderedDict()
        self._domain: list[Tensor] | None = None

    def __call__(self, sample: Sample) -> Scores:
        """The values of every frame; end frames are near copies of the panels, so leave them out of a mean.

        Raises:
            UsageError: Frames or panels are not uint8 RGB of one size, or have sides below `LEAST_SIDE`.
            InputError: The file of parameters is damaged, or the folder `domain` holds no picture.
            ResourceError: The memory of the device does not suffice.
        """
        check_sample(sample, self.metric, least_side=LEAST_SIDE + 1)
        rows = []
        with measuring(self._device, self.metric, size=sample.frames.shape[1:3]):
            for index, frame in enumerate(sample.frames):
                rows.append(self._frame(frame, sample))
                self.context.progress(index + 1, len(sample.frames), "frames")
        return {name: [row[name] for row in rows] for name in rows[0]}

    def close(self) -> None:
        super().close()
        self._panels.clear()
        self._domain = None

    def _frame(self, frame: Image, sample: Sample) -> dict[str, Value]:
        names = ("style-vgg19", *(f"style-vgg19-{layer}" for layer in LAYERS), "style-vgg19-classic")
        row: dict[str, Value] = dict.fromkeys((*names, "style-brightness", "style-contrast"), NO_PANELS)
        whole: Style | None = None
        if sample.panels is not None:
            pairs = []
            for panel, ignored in zip(sample.panels, _masks(sample), strict=True):
                wanted = self._kept(panel, ignored)
                if ignored is None:
                    whole = whole or self._style(frame, None)
                    pairs.append((whole, wanted))
                else:
                    pairs.append((self._style(frame, ignored), wanted))
            row |= _nearest([(one, other) for one, other in pairs if one is not None and other is not None])
        row["style-vgg19-domain"] = self._to_domain(frame, whole)
        return row

    def _style(self, picture: Image, ignored: Mask | None) -> Style | None:
        shown = plane(picture, ignored, shorter=self.options.shorter, longest=self.options.longest)
        if shown is None:
            return None
        grey = torch.from_numpy(shown.luma).to(self._device).expand(1, 3, -1, -1)
        weights = None if shown.weights is None else torch.from_numpy(shown.weights).to(self._device)
        layers = self._features(grey)
        return Style(
            [gram(layer, weights) for layer in layers],
            [gram(layer, weights, centred=False) for layer in layers],
            *moments(shown),
        )

    def _kept(self, panel: Image, ignored: Mask | None) -> Style | None:
        key = hashlib.sha256(panel.tobytes() + (b"" if ignored is None else ignored.tobytes())).digest()
        if key not in self._panels:
            self._panels[key] = self._style(panel, ignored)
        self._panels.move_to_end(key)
        while len(self._panels) > KEPT:
            self._panels.popitem(last=False)
        return self._panels[key]

    def _to_domain(self, frame: Image, style: Style | None) -> Value:
        if self.options.domain is None:
            return Missing("no folder of pictures is given (option domain)")
        if self._domain is None:
            self._domain = self._mean_of(Path(self.options.domain).expanduser())
        style = style or self._style(frame, None)
        assert style is not None  # nothing is ignored
        return sum(style_distances(style.centred, self._domain)) / len(LAYERS)

    def _mean_of(self, folder: Path) -> list[Tensor]:
        found = sorted(path for path in folder.glob("*") if path.suffix.lower() in PICTURES) if folder.is_dir() else []
        if not found:
            raise InputError(f"{folder} (option domain of {self.metric}) is no folder with pictures in it.")
        total: list[Tensor] | None = None
        for path in found:
            picture = read_image(path)
            if min(picture.shape[:2]) <= LEAST_SIDE:
                raise InputError(f"{path} is too small to have a style: {picture.shape[1]} × {picture.shape[0]}.")
            style = self._style(picture, None)
            assert style is not None
            total = style.centred if total is None else [a + b for a, b in zip(total, style.centred, strict=True)]
        assert total is not None
        return [matrix / len(found) for matrix in total]


class StyleFloor(StyleVgg19):
    """``style-vgg19-panels``: the distance between both panels, each without what is ignored of it."""

    metric = "style-floor"

    def __call__(self, sample: Sample) -> Scores:
        """One value; missing where there are no panels."""
        check_sample(sample, self.metric, least_side=LEAST_SIDE + 1)
        if sample.panels is None:
            return {"style-vgg19-panels": NO_PANELS}
        with measuring(self._device, self.metric, size=sample.frames.shape[1:3]):
            first, last = (self._kept(panel, mask) for panel, mask in zip(sample.panels, _masks(sample), strict=True))
            if first is None or last is None:
                return {"style-vgg19-panels": Missing("all of a panel is ignored")}
            return {"style-vgg19-panels": sum(style_distances(first.centred, last.centred)) / len(LAYERS)}


class StyleFrobenius(_Vgg):
    """``style-vgg19-frobenius``: |G - P| / |P|, mean over five layers and both panels, in colour at native size.

    G is the Gram matrix of the frame, not centred, over positions and channels, and P that of the panel. It grows with
    brightness, and nothing bounds it: compare at one size, and with the same ink.
    """

    metric = "style-frobenius"

    def __call__(self, sample: Sample) -> Scores:
        """A value for every frame. Arguments and errors are those of `StyleVgg19`."""
        check_sample(sample, self.metric, least_side=LEAST_SIDE)
        if sample.panels is None:
            return {"style-vgg19-frobenius": NO_PANELS}
        with measuring(self._device, self.metric, size=sample.frames.shape[1:3]):
            panels = [self._grams(panel) for panel in sample.panels]
            return {"style-vgg19-frobenius": [self._distance(frame, panels) for frame in sample.frames]}

    def _grams(self, picture: Image) -> list[Tensor]:
        return [gram(layer, centred=False) / len(layer) for layer in self._features(to_tensor(picture, self._device))]

    def _distance(self, frame: Image, panels: Sequence[Sequence[Tensor]]) -> Value:
        found = self._grams(frame)
        changes = [relative_frobenius(a, b) for panel in panels for a, b in zip(found, panel, strict=True)]
        known = [change for change in changes if change is not None]
        return sum(known) / len(known) if len(known) == len(changes) else Missing("a panel has no features at all")


def _masks(sample: Sample) -> list[Mask | None]:
    """What is ignored of each panel; None where nothing is."""
    if sample.ignored is None:
        return [None, None]
    return [mask if np.any(mask) else None for mask in sample.ignored]


def _nearest(pairs: Sequence[tuple[Style, Style]]) -> dict[str, Value]:
    """The values of a frame against the panel nearer to it."""
    if not pairs:
        names = ("style-vgg19", *(f"style-vgg19-{layer}" for layer in LAYERS), "style-vgg19-classic")
        everything = Missing("all of both panels is ignored")
        return dict.fromkeys((*names, "style-brightness", "style-contrast"), everything)
    layers = [style_distances(one.centred, other.centred) for one, other in pairs]
    near = min(range(len(pairs)), key=lambda index: sum(layers[index]))
    one, other = pairs[near]
    contrast: Value = Missing("one of both is a flat tone")
    if one.deviation > 0 and other.deviation > 0:
        contrast = abs(math.log(one.deviation / other.deviation))
    return {
        "style-vgg19": sum(layers[near]) / len(LAYERS),
        **{f"style-vgg19-{name}": value for name, value in zip(LAYERS, layers[near], strict=True)},
        "style-vgg19-classic": min(sum(style_distances(a.classic, b.classic)) for a, b in pairs) / len(LAYERS),
        "style-brightness": abs(one.mean - other.mean),
        "style-contrast": contrast,
    }
