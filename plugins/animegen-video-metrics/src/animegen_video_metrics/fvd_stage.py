"""FVD and KVD of a set of clips against true ones (Unterthiner et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import interpolate

from animegen.errors import UsageError
from animegen.measuring import Missing
from animegen_torch.backbones import backbone_file, full_precision, measuring
from animegen_torch.devices import pick_device
from animegen_torch.memory import release
from animegen_torch.pictures import to_tensor
from animegen_torch.samples import check_sample
from animegen_video_metrics.i3d import LEAST_FRAMES, SIDE, I3d, read_i3d
from animegen_video_metrics.plugin import I3D
from animegen_video_metrics.set_distances import (
    frechet,
    frechet_interval,
    kernel_deviation,
    kernel_distance,
    split_half,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from animegen.measuring import Sample, Scores, Value
    from animegen.media import Frames
    from animegen.stages import Context
    from animegen_video_metrics.plugin import FvdOptions

FLOOR = 256
"""Clips a side below which FVD is refused: its bias outweighs any difference."""
USUAL = 2048
"""Clips a side that published numbers are made of."""


class Fvd:
    """Fréchet and kernel video distance of I3D's logits, one row for a clip.

    ``fvd-i3d`` is refused below `FLOOR` clips a side unless forced; its bias, ``fvd-i3d-split-half``, and an interval
    stand beside it always. ``kvd-i3d`` has no bias at any number of clips, but below some hundreds a large deviation.

    Raises:
        MissingError: The parameters are not here.
        ResourceError: None of the devices can be used.
        UsageError: Another format than float32 is asked for.
    """

    def __init__(self, options: FvdOptions, context: Context) -> None:
        full_precision(context, "fvd")
        self.options = options
        self.context = context
        self._device = pick_device(context.devices, kinds=("cuda", "cpu"), stage="fvd")
        self._path = backbone_file(context, I3D, metric="fvd")
        self._network: I3d | None = None

    def features(self, sample: Sample) -> NDArray[np.float32]:
        """The 400 logits of a clip, (1, 400), averaged over time.

        Raises:
            UsageError: The clip has fewer than `LEAST_FRAMES` frames, or is not uint8 RGB.
            InputError: The file of parameters is damaged or of another network.
            ResourceError: The memory of the device does not suffice.
        """
        check_sample(sample, "fvd")
        if len(sample.frames) < LEAST_FRAMES:
            raise UsageError(f"fvd needs clips of at least {LEAST_FRAMES} frames, not {len(sample.frames)}.")
        if self._network is None:
            self._network = read_i3d(self._path, self._device)
        with measuring(self._device, "fvd", size=sample.frames.shape[1:3]):
            shown = prepare(sample.frames, self.options.preprocess, self._device)
            return np.asarray(self._network(shown).cpu().numpy(), np.float32)

    def distance(self, features: Sequence[NDArray[np.float32]], reference: Sequence[NDArray[np.float32]]) -> Scores:
        """The distances of two sets of clips, and how far they can be trusted."""
        ours, true = (
            np.concatenate(list(rows)) if rows else np.empty((0, 1), np.float32) for rows in (features, reference)
        )
        if min(len(ours), len(true)) < USUAL:
            self.context.warn(
                f"fvd: {len(ours)} clips against {len(true)} true ones; published numbers have {USUAL} a side. Compare "
                "only with sets of equal size, and read fvd-i3d-split-half."
            )
        return {**self._frechet(ours, true), **self._kernel(ours, true)}

    def close(self) -> None:
        """Let go of the network; the next call reads it again."""
        self._network = None
        release(self._device)

    def _frechet(self, ours: NDArray[np.float32], true: NDArray[np.float32]) -> dict[str, Value]:
        names = ("fvd-i3d", "fvd-i3d-split-half", "fvd-i3d-low", "fvd-i3d-high")
        least, ddof = min(len(ours), len(true)), int(self.options.covariance == "n-1")
        floor = 4 if self.options.force else FLOOR  # two halves of two clips each have covariances at least
        if least < floor:
            why = f"FVD needs {floor} clips a side; there are {len(ours)} and {len(true)} true ones"
            return dict.fromkeys(names, Missing(why if self.options.force else f"{why} (-o fvd.force=yes)"))
        found: dict[str, Value] = {
            "fvd-i3d": frechet(ours, true, ddof=ddof),
            "fvd-i3d-split-half": split_half(true, ddof=ddof),
            "fvd-i3d-low": Missing("no draws were asked for"),
            "fvd-i3d-high": Missing("no draws were asked for"),
        }
        if self.options.draws:
            interval = frechet_interval(ours, true, draws=self.options.draws, ddof=ddof)
            found["fvd-i3d-low"], found["fvd-i3d-high"] = interval
        return found

    def _kernel(self, ours: NDArray[np.float32], true: NDArray[np.float32]) -> dict[str, Value]:
        least = min(len(ours), len(true))
        if least < 2:
            few = Missing(f"KVD needs 2 clips a side; there are {len(ours)} and {len(true)} true ones")
            return {"kvd-i3d": few, "kvd-i3d-deviation": few}
        size = min(self.options.subset, least // 2)
        deviation: Value = Missing("subsets need 4 clips a side")
        if size >= 2:
            deviation = kernel_deviation(ours, true, subsets=self.options.subsets, size=size)
        return {"kvd-i3d": kernel_distance(ours, true), "kvd-i3d-deviation": deviation}


def prepare(frames: Frames, how: str, device: torch.device) -> Tensor:
    """A clip as I3D is shown it, (1, 3, T, `SIDE`, `SIDE`) in [-1, 1].

    Bilinear with half-pixel centres and nothing against aliasing, as the published evaluators do it.

    Args:
        frames: (T, H, W, 3) uint8 RGB.
        how: ``square`` squeezes, ``crop`` takes the middle after the shorter side was brought to `SIDE`.
    """
    height, width = frames.shape[1:3]
    size = (SIDE, SIDE)
    if how == "crop":
        scale = SIDE / min(height, width)
        size = (SIDE, ceil(width * scale)) if height < width else (ceil(height * scale), SIDE)
    shown = interpolate(to_tensor(frames, device), size=size, mode="bilinear", align_corners=False)
    top, left = ((side - SIDE) // 2 for side in size)
    shown = shown[:, :, top : top + SIDE, left : left + SIDE]
    return ((shown - 0.5) * 2).permute(1, 0, 2, 3)[None].contiguous()
