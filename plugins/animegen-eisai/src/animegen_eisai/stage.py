"""EISAI behind the interpolator's contract: frames of any size at any times, flow and features found once a pair."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from animegen_eisai.checkpoint import read_flow, read_refinement, read_synthesis, untrained
from animegen_eisai.network import Eisai as Networks
from animegen_eisai.network import Known
from animegen_eisai.refinement import DistanceTransformModule
from animegen_eisai.sizes import Way
from animegen_eisai.synthesis import Pair, SoftsplatLite
from animegen_eisai.weights import DTM, RFR, SSL
from animegen_torch.devices import pick_device
from animegen_torch.interpolating import Seen, again, check_pair, frames_at, own_file
from animegen_torch.memory import is_out_of_memory, out_of_memory, release
from animegen_torch.pictures import to_pictures
from animegen_torch.precision import pick_dtype, tf32
from animegen_torch.rfr import Rfr
from animegen_torch.warp import forget_coordinates

if TYPE_CHECKING:
    from animegen.media import Frames, Image
    from animegen.stages import Context
    from animegen_eisai.plugin import EisaiOptions

STAGE = "eisai"
FILES = {"flow_file": RFR.file, "ssl_file": SSL.file, "dtm_file": DTM.file}
"""The options that name a file of the user's own, and the published file that each stands for."""


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
        wanted = [option for option in FILES if options.refine or option != "dtm_file"]
        self._paths = {} if context.untrained else {option: self._find(option) for option in wanted}
        self._networks: Networks | None = None
        self._frames = Seen[Known]()
        self._pairs = Seen[Pair](1)

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
        check_pair(first, last, times, stage=STAGE)
        way = Way.of((first.shape[0], first.shape[1]), self.options.size, self.options.headroom)
        try:
            with tf32(False):
                return frames_at(first, last, times, lambda time: self._frame(first, last, time, way))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self.close()
            doing = f"on pictures of {way.drawn[1]} × {way.drawn[0]}"
            raise out_of_memory(self._device, STAGE, doing=doing, hints=self._less()) from error

    def close(self) -> None:
        """Let go of the networks and of what is known of the last images; the next call reads them again."""
        self._networks = None
        self._frames.clear()
        self._pairs.clear()
        forget_coordinates()
        release(self._device)

    def _frame(self, first: Image, last: Image, time: float, way: Way) -> Image:
        networks = self._load()

        def known(image: Image) -> Known:
            return self._frames.of(image, lambda: networks.know(way.there(image, self._device)))

        pair = self._pairs.of((first, last), lambda: networks.pair(known(first), known(last), self.options.iterations))
        picture: Image = to_pictures(way.back(networks.draw(pair, time)))[0]
        return picture

    def _load(self) -> Networks:
        if self._networks is None:
            flow, synthesis, refinement = untrained() if self.context.untrained else self._read()
            refinement = refinement if self.options.refine else None
            self._networks = Networks(flow, synthesis, refinement, device=self._device, dtype=self._dtype)
        return self._networks

    def _read(self) -> tuple[Rfr, SoftsplatLite, DistanceTransformModule | None]:
        flow = read_flow(self._paths["flow_file"], hints=self._again("flow_file"))
        synthesis = read_synthesis(self._paths["ssl_file"], hints=self._again("ssl_file"))
        if not self.options.refine:
            return flow, synthesis, None
        return flow, synthesis, read_refinement(self._paths["dtm_file"], hints=self._again("dtm_file"))

    def _own(self, option: str) -> str | None:
        """The file of the user's own that an option names."""
        name: str | None = getattr(self.options, option)
        return name

    def _find(self, option: str) -> Path:
        own = self._own(option)
        return self.context.weight(FILES[option]) if own is None else own_file(own, stage=STAGE, option=option)

    def _again(self, option: str) -> tuple[str, ...]:
        """What to type where a file does not hold what it should."""
        return again(STAGE, FILES[option], own=self._own(option), option=option)

    def _less(self) -> tuple[str, ...]:
        """What needs less memory than these options on this device."""
        hints = ["a smaller picture needs less"]
        if self.options.size != "own":
            hints.insert(0, "-o eisai.size=own draws small pictures at their own size")
        return (*hints, "or --device cpu") if self._device.type != "cpu" else tuple(hints)
