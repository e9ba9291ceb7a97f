"""Warping error of a clip, step by step, and what must be read beside it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from animegen.builtin.lines import line_distance, line_map, luma
from animegen.measuring import Missing
from animegen_torch.backbones import backbone_file, full_precision, measuring
from animegen_torch.devices import pick_device
from animegen_torch.memory import release
from animegen_torch.samples import check_sample
from animegen_video_metrics.dis import LEAST_SIDE, Dis, FlowModel
from animegen_video_metrics.plugin import RAFT
from animegen_video_metrics.raft import Raft
from animegen_video_metrics.warping import mean_where, occluded, squared_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.measuring import Sample, Scores, Value
    from animegen.media import Image, Mask
    from animegen.stages import Context
    from animegen_video_metrics.plugin import DisOptions, RaftOptions

REACH = 3
"""Pixels around a drawn line that count as the line's."""
STILL = 0.1
"""Mean length of the flow between the panels below which nothing is known of their motion, px."""


class _Motion(NamedTuple):
    flow: NDArray[np.float32]
    seen: Mask
    length: float


class WarpDis:
    """Warping error (Lai et al. 2018) with OpenCV's DIS flow. All but the share in percent are per step.

    E = mean of squares of frame t minus frame t + 1 read along the flow, in [0, 1], over the pixels that are not
    occluded, of each channel (the published code; its paper sums the three: 3 E). Where nothing is visible it is
    missing. The flow is that of the clip itself: a clip that stands still, is blurred or repeats its frames wins, so
    read `-motion-ratio`, `-zero-flow` and `-occluded` beside it, and compare at equal times only.
    """

    name = "warp-lai-dis"

    def __init__(self, options: DisOptions, context: Context) -> None:
        full_precision(context, self.metric)
        self.context = context
        self._blur = options.blur
        self._between: tuple[bytes, float] | None = None
        self._model: FlowModel | None = None

    @property
    def metric(self) -> str:
        """Name of the metric."""
        return self.name.replace("-lai", "")

    def __call__(self, sample: Sample) -> Scores:
        """A value of every quantity for every step.

        Raises:
            UsageError: Frames, true frames or panels are not uint8 RGB of one shape, or below `LEAST_SIDE` pixels.
            ResourceError: The memory of the device does not suffice.
        """
        check_sample(sample, self.metric, least_side=LEAST_SIDE)
        rows: list[dict[str, Value]] = []
        for index in range(len(sample.frames) - 1):
            rows.append(self._step(sample, index))
            self.context.progress(index + 1, len(sample.frames) - 1, "steps")
        ends = ("", "-line", "-levelled", "-true-flow", "-zero-flow", "-occluded", "-motion", "-motion-ratio")
        return {self.name + end: [row[end] for row in rows] for end in ends}

    def close(self) -> None:
        """Let go of what was read; the next call reads it again."""
        self._model = None
        self._between = None

    def _step(self, sample: Sample, index: int) -> dict[str, Value]:
        frame, following = sample.frames[index], sample.frames[index + 1]
        motion = self._motion(frame, following)
        errors = squared_error(frame, following, motion.flow)
        lined = motion.seen & _near_lines(frame, following)
        still = cv2.norm(frame, following, cv2.NORM_L2SQR) / frame.size / 255**2
        row: dict[str, Value] = {
            "": _or(mean_where(errors, motion.seen), "everything is occluded"),
            "-line": _or(mean_where(errors, lined), "no line is visible"),
            "-levelled": _or(
                mean_where(squared_error(frame, following, motion.flow, levelled=True), motion.seen),
                "everything is occluded",
            ),
            "-true-flow": Missing("there are no true frames to take the flow from"),
            "-zero-flow": float(still),
            "-occluded": 100 * float(1 - motion.seen.mean()),
            "-motion": motion.length,
            "-motion-ratio": self._ratio(sample, index, motion.length),
        }
        if sample.reference is not None:
            true = self._motion(sample.reference[index], sample.reference[index + 1])
            errors = squared_error(frame, following, true.flow)
            row["-true-flow"] = _or(mean_where(errors, true.seen), "everything is occluded")
        return row

    def _motion(self, one: Image, other: Image) -> _Motion:
        forward, backward = self._flow(self._blurred(one), self._blurred(other))
        return _Motion(forward, ~occluded(forward, backward), float(np.hypot(forward[..., 0], forward[..., 1]).mean()))

    def _blurred(self, image: Image) -> Image:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), self._blur), np.uint8) if self._blur else image

    def _flow(self, one: Image, other: Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if self._model is None:
            self._model = Dis()
        return self._model(one, other)

    def _ratio(self, sample: Sample, index: int, length: float) -> Value:
        if sample.panels is None:
            return Missing("there are no panels")
        key = hashlib.sha256(sample.panels.tobytes()).digest()
        if self._between is None or self._between[0] != key:
            self._between = (key, self._motion(sample.panels[0], sample.panels[1]).length)
        share = sample.times[index + 1] - sample.times[index]
        if self._between[1] < STILL or share <= 0:
            return Missing("nothing moves between the panels")
        return length / (self._between[1] * share)


class WarpRaft(WarpDis):
    """Warping error with the flow of torchvision's RAFT-large; otherwise `WarpDis`.

    Raises:
        MissingError: The parameters are not here.
        ResourceError: None of the devices can be used.
    """

    name = "warp-lai-raft"

    def __init__(self, options: RaftOptions, context: Context) -> None:
        super().__init__(options, context)  # type: ignore[arg-type]  # it reads `blur` alone, which both have
        self._updates = options.updates
        self._device = pick_device(context.devices, stage=self.metric)
        self._path = backbone_file(context, RAFT, metric=self.metric)

    def close(self) -> None:
        super().close()
        release(self._device)

    def _flow(self, one: Image, other: Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if self._model is None:
            digest = hashlib.sha256(self._path.read_bytes()).hexdigest()
            if not digest.startswith("ff5fadd5"):
                self.context.warn(f"{self._path.name} is not the published one: its SHA-256 begins with {digest[:8]}.")
            self._model = Raft(self._path, self._device, self._updates)
        with measuring(self._device, self.metric, size=one.shape[:2]):
            return self._model(one, other)


def _near_lines(one: Image, other: Image) -> Mask:
    """Within `REACH` pixels of a drawn line of either frame."""
    found: Any = [line_distance(line_map(luma(image))) <= REACH for image in (one, other)]
    return np.asarray(found[0] | found[1])


def _or(value: float | None, reason: str) -> Value:
    return Missing(reason) if value is None else value
