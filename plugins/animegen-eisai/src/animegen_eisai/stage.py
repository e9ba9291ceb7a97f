"""EISAI behind the interpolator's contract: frames of any size at any times, flow and features found once a pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from animegen.errors import InputError, StageError, UsageError
from animegen_eisai.checkpoint import read_flow, read_refinement, read_synthesis, untrained
from animegen_eisai.network import Eisai as Networks
from animegen_eisai.network import Known
from animegen_eisai.refinement import DistanceTransformModule
from animegen_eisai.sizes import Way
from animegen_eisai.synthesis import Pair, SoftsplatLite
from animegen_eisai.weights import DTM, RFR, SSL
from animegen_torch.devices import pick_device
from animegen_torch.memory import is_out_of_memory, out_of_memory, release
from animegen_torch.pictures import to_pictures
from animegen_torch.precision import pick_dtype, tf32
from animegen_torch.rfr import Rfr
from animegen_torch.warp import forget_coordinates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Frames, Image
    from animegen.stages import Context, Weight
    from animegen_eisai.plugin import EisaiOptions

STAGE = "eisai"


@dataclass(frozen=True, eq=False)
class _Seen:
    """An image that was looked at, with a copy of it: whoever handed it in may write over it."""

    image: Image
    known: Known


class Eisai:
    """Draws frames between two images with EISAI (Chen & Zwicker, ECCV 2022).

    Files of parameters are looked for at once, so that a run without them stops before it has begun, and read when the
    first frame is drawn. A frame depends on its two images and its time alone.

    Raises:
        MissingError: A published file is not here.
        InputError: A file of one of the options is not here.
        ResourceError: None of the devices can be used.
        UsageError: The number format is none it computes in.
    """

    def __init__(self, options: EisaiOptions, context: Context) -> None:
        self.options = options
        self.context = context
        self._device = pick_device(context.devices, stage=STAGE)
        # What half precision does to lines was never measured on a GPU: it is for whoever asks for it.
        allowed = (torch.float32, torch.float16, torch.bfloat16) if context.dtype != "auto" else (torch.float32,)
        self._dtype = pick_dtype(context.dtype, self._device, allowed=allowed, stage=STAGE, warn=context.warn)
        self._paths = None if context.untrained else self._find()
        self._networks: Networks | None = None
        self._seen: list[_Seen] = []
        self._pair: tuple[Known, Known, Pair] | None = None

    def __call__(self, first: Image, last: Image, times: Sequence[float], *, prompt: str = "", seed: int = 0) -> Frames:
        """The frames at `times` between two images.

        Args:
            first, last: (H, W, 3) uint8 RGB, of one size, which may be any from 1 × 1 on.
            times: In [0, 1]; the ends are the images themselves.
            prompt, seed: Change nothing.

        Returns:
            (len(times), H, W, 3) uint8.

        Raises:
            InputError: A file of parameters is damaged, or of another network.
            ResourceError: The memory of the device does not suffice.
        """
        _check(first, last, times)
        frames = np.empty((len(times), *first.shape), np.uint8)
        way = Way.of((first.shape[0], first.shape[1]), self.options.size, self.options.headroom)
        try:
            with tf32(False):
                for number, time in enumerate(times):
                    if 0 < time < 1:
                        frames[number] = self._frame(first, last, float(time), way)
                    else:
                        frames[number] = first if time <= 0 else last
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self.close()
            doing = f"on pictures of {way.drawn[1]} × {way.drawn[0]}"
            raise out_of_memory(self._device, STAGE, doing=doing, hints=self._less()) from error
        return frames

    def close(self) -> None:
        """Let go of the networks and of what is known of the last images; the next call reads them again."""
        self._networks = self._pair = None
        self._seen = []
        forget_coordinates()
        release(self._device)

    def _frame(self, first: Image, last: Image, time: float, way: Way) -> NDArray[np.uint8]:
        networks = self._load()
        one, other = self._known(first, way), self._known(last, way)
        if self._pair is None or self._pair[0] is not one or self._pair[1] is not other:
            self._pair = None  # the last one is let go of before the next is made
            self._pair = (one, other, networks.pair(one, other, self.options.iterations))
        picture: NDArray[np.uint8] = to_pictures(way.back(networks.draw(self._pair[2], time)))[0]
        return picture

    def _known(self, image: Image, way: Way) -> Known:
        """What is to be known of `image`; that of the last two is kept for the next pair."""
        for seen in self._seen:
            if np.array_equal(seen.image, image):
                self._seen.remove(seen)
                self._seen.append(seen)
                return seen.known
        known = self._load().know(way.there(image, self._device))
        self._seen = [*self._seen[-1:], _Seen(image.copy(), known)]
        return known

    def _load(self) -> Networks:
        if self._networks is None:
            flow, synthesis, refinement = untrained() if self._paths is None else self._read(self._paths)
            self._networks = Networks(
                flow,
                synthesis,
                refinement if self.options.refine else None,
                device=self._device,
                dtype=self._dtype,
            )
        return self._networks

    def _find(self) -> tuple[Path, Path, Path | None]:
        """Where the flow, the synthesiser and the refinement lie."""
        options = self.options
        flow = self._own("flow_file") or self.context.weight(RFR.file)
        synthesis = self._own("ssl_file") or self.context.weight(SSL.file)
        if not options.refine:
            return flow, synthesis, None
        return flow, synthesis, self._own("dtm_file") or self.context.weight(DTM.file)

    def _own(self, option: str) -> Path | None:
        """The file of the user's own that an option names."""
        name = getattr(self.options, option)
        if name is None:
            return None
        path = Path(name).expanduser()
        if not path.is_file():
            raise InputError(
                f"{path} (option {option} of eisai) is not a file.",
                hint=f"leave eisai.{option} out, and the published file is used: animegen weights fetch eisai",
            )
        return path

    def _read(self, paths: tuple[Path, Path, Path | None]) -> tuple[Rfr, SoftsplatLite, DistanceTransformModule | None]:
        flow, synthesis, refinement = paths
        return (
            read_flow(flow, hints=self._again("flow_file", RFR)),
            read_synthesis(synthesis, hints=self._again("ssl_file", SSL)),
            None if refinement is None else read_refinement(refinement, hints=self._again("dtm_file", DTM)),
        )

    def _again(self, option: str, weight: Weight) -> tuple[str, ...]:
        """What to type where a file does not hold what it should."""
        if getattr(self.options, option) is not None:
            return (f"leave eisai.{option} out, and the published file is used: animegen weights fetch eisai",)
        name = f"eisai/{weight.file}"
        return (f"animegen weights remove {name}, then animegen weights fetch {name}",)

    def _less(self) -> tuple[str, ...]:
        """What needs less memory than these options on this device."""
        hints = ["a smaller picture needs less"]
        if self.options.size != "own":
            hints.insert(0, "-o eisai.size=own draws small pictures at their own size")
        return (*hints, "or --device cpu") if self._device.type != "cpu" else tuple(hints)


def _check(first: NDArray[np.uint8], last: NDArray[np.uint8], times: Sequence[float]) -> None:
    if first.ndim != 3 or first.shape[2] != 3 or not first.size or first.dtype != np.uint8:
        raise StageError(f"eisai takes (H, W, 3) uint8, not {first.shape} {first.dtype}.")
    if last.shape != first.shape or last.dtype != first.dtype:
        raise StageError(f"eisai takes two images of one size, not {first.shape} and {last.shape} {last.dtype}.")
    for time in times:
        if not 0 <= time <= 1:
            raise UsageError(f"the time {time} is not between 0 and 1.")
