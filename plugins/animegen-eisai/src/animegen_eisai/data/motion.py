"""What finds the motion between frames of a video: RFR, or OpenCV's DIS for machines without an accelerator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from animegen._cv2 import cv2
from animegen_eisai.checkpoint import read_flow
from animegen_torch.devices import pick_devices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from animegen.media import Image
    from animegen_eisai.data.options import RrldOptions


class Motion(Protocol):
    """Finds flows. What it knows of a frame is found once, whatever frame it is paired with."""

    def known(self, frame: Image) -> Any:
        """What is to be known of a frame, (H, W, 3) uint8."""

    def between(self, first: Any, second: Any) -> Tensor:
        """The flow from one frame to another, (2, H, W): (dx, dy) in pixels, on the processor."""


class RfrMotion:
    """RFR on images in [0, 1], as EISAI uses it.

    Args:
        path: File of parameters.
        device: Where it runs.
        iterations: Its steps.
    """

    def __init__(self, path: Path, device: torch.device, iterations: int) -> None:
        self._network = read_flow(path).to(device)
        self._device, self._iterations = device, iterations

    @torch.inference_mode()
    def known(self, frame: Image) -> tuple[Tensor, tuple[int, int]]:
        image = torch.from_numpy(frame).to(self._device).permute(2, 0, 1)[None].float() / 255
        return self._network.encode(image), frame.shape[:2]

    @torch.inference_mode()
    def between(self, first: tuple[Tensor, tuple[int, int]], second: tuple[Tensor, tuple[int, int]]) -> Tensor:
        flow = self._network.between(first[0], second[0], first[1], iterations=self._iterations)
        return flow[0].float().cpu()


class DisMotion:
    """Dense inverse search (Kroeger et al., ECCV 2016) on grey pictures, OpenCV's medium setting."""

    def __init__(self) -> None:
        self._search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def known(self, frame: Image) -> Image:
        return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))

    def between(self, first: Image, second: Image) -> Tensor:
        flow = np.asarray(self._search.calc(first, second, None), np.float32)
        return torch.from_numpy(flow).permute(2, 0, 1).contiguous()


def make_motion(options: RrldOptions, path: Path | None, devices: Sequence[str], job: int, jobs: int) -> Motion:
    """What `options` ask for.

    Args:
        options: `flow` and `iterations`.
        path: File of parameters, for RFR.
        devices: Those allowed; several are shared among the processes in turn.
        job, jobs: Number of this process, and how many there are.

    Raises:
        ResourceError: A device is not here.
        InputError: The file holds something else than RFR.
    """
    share_processor(jobs)
    if options.flow == "dis":
        return DisMotion()
    assert path is not None
    allowed = pick_devices(devices, stage="rrld")
    return RfrMotion(path, allowed[job % len(allowed)], options.iterations)


def share_processor(jobs: int) -> None:
    """Take no more threads than one of `jobs` processes should."""
    if jobs > 1:
        torch.set_num_threads(max(1, torch.get_num_threads() // jobs))
        cv2.setNumThreads(max(1, cv2.getNumThreads() // jobs))
