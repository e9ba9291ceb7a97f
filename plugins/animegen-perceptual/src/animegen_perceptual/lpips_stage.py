"""LPIPS of frames against true frames, of steps, and of a clip's ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from animegen.measuring import Missing
from animegen_perceptual.plugin import BACKBONES
from animegen_torch.backbones import backbone_file, full_precision, measuring
from animegen_torch.batching import Batches
from animegen_torch.devices import pick_device
from animegen_torch.memory import release
from animegen_torch.perceptual import LEAST_SIDE, Perceptual
from animegen_torch.pictures import to_tensor
from animegen_torch.samples import check_sample

if TYPE_CHECKING:
    from torch import Tensor

    from animegen.measuring import Sample, Scores, Value
    from animegen.media import Image, Mask
    from animegen.stages import Context
    from animegen_perceptual.plugin import LpipsOptions

IGNORED = 128
"""Grey that stands in both pictures for what is ignored of a panel."""
HINTS = ("-o METRIC.batch=1 or smaller frames need less", "or --device cpu")


class _Found(NamedTuple):
    """Of one frame: its distance to the true one, the same by the published mistake, and its features."""

    value: float | None
    mistaken: float | None
    features: list[Tensor]


class Lpips:
    """LPIPS (Zhang et al. 2018) on uint8 RGB at native size; the range is handled here and nowhere else.

    * ``lpips-NET`` (each frame): to the true frame of its time.
    * ``lpips-NET-step`` (each step): to the next frame. It falls when frames are added, whatever they show.
    * ``lpips-alex-unit-range``: the first of these, but of values in [0, 1] where the network wants [-1, 1]. Published
      tables have it (EISAI); about 4 to 11 times smaller.

    Raises:
        MissingError: The backbone is not here.
        ResourceError: None of the devices can be used.
        UsageError: Another format than float32 is asked for.
    """

    net = "alex"
    metric = "lpips-alex"
    unit_range = False

    def __init__(self, options: LpipsOptions, context: Context) -> None:
        full_precision(context, self.metric)
        self.context = context
        self._device = pick_device(context.devices, stage=self.metric)
        self._path = backbone_file(context, BACKBONES[self.net], metric=self.metric)
        size = options.batch or (1 if self._device.type == "cpu" else 8)
        hints = tuple(hint.replace("METRIC", self.metric) for hint in HINTS)
        self._batches = Batches(size, self._device, stage=self.metric, hints=hints, warn=context.warn)
        self._network: Perceptual | None = None

    def __call__(self, sample: Sample) -> Scores:
        """The values of every frame and step; those against true frames are missing where there are none.

        Raises:
            UsageError: Frames or true frames are not uint8 RGB of one shape, or too small for the network.
            InputError: The backbone's file is damaged or of another network.
            ResourceError: The memory of the device does not suffice for one frame.
        """
        check_sample(sample, self.metric, least_side=LEAST_SIDE[self.net])
        values: list[Value] = []
        mistaken: list[Value] = []
        steps: list[Value] = []
        before: list[Tensor] | None = None
        network = self._read()
        with measuring(self._device, self.metric, size=sample.frames.shape[1:3]):

            def some(indices: Sequence[int]) -> list[_Found]:
                return self._frames(network, sample, list(indices))

            for found in self._batches.run(some, range(len(sample.frames))):
                if found.value is not None:
                    values.append(found.value)
                if found.mistaken is not None:
                    mistaken.append(found.mistaken)
                if before is not None:
                    steps.append(float(network.distance(before, found.features)))
                before = found.features
                self.context.progress(len(steps) + 1, len(sample.frames), "frames")
        absent = Missing("there are no true frames to compare with")
        scores: dict[str, Value | Sequence[Value]] = {self.metric: values or absent, f"{self.metric}-step": steps}
        if self.unit_range:
            scores[f"{self.metric}-unit-range"] = mistaken or absent
        return scores

    def close(self) -> None:
        """Let go of the network; the next call reads it again."""
        self._network = None
        release(self._device)

    def _read(self) -> Perceptual:
        if self._network is None:
            self._network = Perceptual(self.net, self._path, self._device)
        return self._network

    def _frames(self, network: Perceptual, sample: Sample, indices: list[int]) -> list[_Found]:
        pictures = to_tensor(sample.frames[indices], self._device)
        own = network.features(pictures * 2 - 1)
        value = mistaken = None
        if sample.reference is not None:
            true = to_tensor(sample.reference[indices], self._device)
            value = network.distance(own, network.features(true * 2 - 1)).tolist()
            if self.unit_range:
                mistaken = network.distance(network.features(pictures), network.features(true)).tolist()
        return [
            _Found(
                None if value is None else value[at],
                None if mistaken is None else mistaken[at],
                [layer[at : at + 1] for layer in own],
            )
            for at in range(len(indices))
        ]


class LpipsAlex(Lpips):
    """LPIPS on AlexNet, with the published mistake beside it."""

    unit_range = True


class LpipsVgg(Lpips):
    """LPIPS on VGG16."""

    net = "vgg"
    metric = "lpips-vgg"


class LpipsSqueeze(Lpips):
    """LPIPS on SqueezeNet 1.1."""

    net = "squeeze"
    metric = "lpips-squeeze"


class LpipsEndpoints(Lpips):
    """``endpoint-lpips-alex``: of the first frame and its panel, or of the last and its, whichever is more."""

    metric = "lpips-endpoints"

    def __call__(self, sample: Sample) -> Scores:
        """One value; missing where there are no panels. Errors are those of `Lpips`."""
        check_sample(sample, self.metric, least_side=LEAST_SIDE[self.net])
        if sample.panels is None:
            return {"endpoint-lpips-alex": Missing("there are no panels")}
        network, distances = self._read(), []
        with measuring(self._device, self.metric, size=sample.frames.shape[1:3]):
            for end, frame in ((0, sample.frames[0]), (1, sample.frames[-1])):
                ignored = None if sample.ignored is None else sample.ignored[end]
                pair = np.stack([_without(picture, ignored) for picture in (frame, sample.panels[end])])
                both = self._of(network, pair)
                one, other = ([layer[at : at + 1] for layer in both] for at in (0, 1))
                distances.append(float(network.distance(one, other)))
        return {"endpoint-lpips-alex": max(distances)}

    def _of(self, network: Perceptual, pictures: Image) -> list[Tensor]:
        return network.features(to_tensor(pictures, self._device) * 2 - 1)


def _without(picture: Image, ignored: Mask | None) -> Image:
    if ignored is None or not ignored.any():
        return picture
    return np.where(ignored[..., None], np.uint8(IGNORED), picture)
