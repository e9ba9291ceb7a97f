"""AnimeInterp behind the interpolator's contract: frames of any size at any times; drawings are matched once a pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor, nn
from torch.nn.functional import interpolate

from animegen_animeinterp.checkpoint import read_network
from animegen_animeinterp.matching.features import LAYERS
from animegen_animeinterp.matching.matcher import Drawing, Matcher
from animegen_animeinterp.network import MULTIPLE, AnimeInterp, Frame
from animegen_animeinterp.plugin import PUBLISHED_SIZE
from animegen_animeinterp.weights import ANIMEINTERP
from animegen_torch.devices import pick_device
from animegen_torch.interpolating import Seen, again, check_pair, frames_at, own_file
from animegen_torch.memory import is_out_of_memory, out_of_memory, release
from animegen_torch.padding import Padding
from animegen_torch.pictures import to_pictures, to_tensor
from animegen_torch.precision import pick_dtype
from animegen_torch.published import VGG19
from animegen_torch.untrained import draw_parameters
from animegen_torch.vgg19 import Vgg19, read_vgg19

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Frames, Image
    from animegen.stages import Context
    from animegen_animeinterp.plugin import AnimeInterpOptions

M = TypeVar("M", bound=nn.Module)
STAGE = "animeinterp"
LEAST_SIDE = 128
"""The flow was trained on no less, and the original gives no numbers below it: smaller pictures are padded."""


@dataclass(frozen=True, eq=False)
class _Known:
    """What is known of one picture: as the network wants it, and taken apart into regions where they are matched."""

    frame: Frame
    drawing: Drawing | None


@dataclass(frozen=True, eq=False)
class _Pair:
    first: Frame
    last: Frame
    flows: tuple[Tensor, Tensor]


class AnimeInterpolator:
    """Draws frames between two drawings with AnimeInterp (Siyao et al., CVPR 2021).

    Regions of both are matched and give a first guess of the motion, which an optical flow refines; images and features
    are moved along it to the time, and a picture is drawn from them. All but the last two steps are done once for a
    pair, and what belongs to one image alone once for that image. Files are looked for at once, so that a run without
    them stops before it has begun, and read when the first frame is drawn.

    Raises:
        MissingError: A published file is not here.
        InputError: The file of the option `file` is not here.
        ResourceError: None of the devices can be used.
        UsageError: The number format is none it computes in.
    """

    def __init__(self, options: AnimeInterpOptions, context: Context) -> None:
        self.options = options
        self._progress = context.progress
        self._device = pick_device(context.devices, stage=STAGE)
        # Half precision has not been tried with the published parameters: whoever wants it names it.
        asked = "float32" if context.dtype == "auto" else context.dtype
        self._dtype = pick_dtype(asked, self._device, stage=STAGE, warn=context.warn)
        self._path = self._find(context)
        self._backbone = context.weight(VGG19.file) if options.matching and not context.untrained else None
        self._network: AnimeInterp | None = None
        self._matcher: Matcher | None = None
        self._known: Seen[_Known] = Seen()
        self._pairs: Seen[_Pair] = Seen(1)

    def __call__(self, first: Image, last: Image, times: Sequence[float], *, prompt: str = "", seed: int = 0) -> Frames:
        """The frames at `times` between two drawings.

        Args:
            first, last: (H, W, 3) uint8 RGB of one size, which may be any from 1 × 1 on.
            times: In [0, 1]; the ends are the drawings themselves.
            prompt, seed: Change nothing.

        Returns:
            (len(times), H, W, 3) uint8.

        Raises:
            InputError: A file of parameters is damaged, or of another model.
            ResourceError: The memory of the device does not suffice.
        """
        check_pair(first, last, times, stage=STAGE)
        total, done = len(times), 0

        def draw(time: float) -> Image:
            nonlocal done
            drawn = self._draw(first, last, time)
            done += 1
            self._progress(done, total, "frames")
            return drawn

        try:
            with torch.inference_mode():
                return frames_at(first, last, times, draw)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self._forget()
            hints = ["a smaller size of picture needs less", "-o animeinterp.size=published draws at 960x540"]
            if self._device.type != "cpu":
                hints.append("or --device cpu")
            size = f"on a picture of {first.shape[1]} × {first.shape[0]}"
            raise out_of_memory(self._device, STAGE, doing=size, hints=hints) from error

    def close(self) -> None:
        """Let go of the networks and of what is known of the last drawings; the next call reads them again."""
        self._network = self._matcher = None
        self._forget()

    def _forget(self) -> None:
        self._known.clear()
        self._pairs.clear()
        release(self._device)

    def _find(self, context: Context) -> Path | None:
        if self.options.file is not None:
            return own_file(self.options.file, stage=STAGE)
        return None if context.untrained else context.weight(ANIMEINTERP.file)

    def _load(self) -> AnimeInterp:
        if self._network is None:
            if self._path is None:
                with torch.device("meta"):
                    network = AnimeInterp()
                draw_parameters(network, lambda name: self._dtype, device=self._device)
            else:
                network = read_network(self._path, hints=again(STAGE, self._path.name, own=self.options.file))
            self._network = network.to(self._device, self._dtype)
            for part in (network.feat_ext, network.synnet):
                _in_order(part, self._device)
        if self._matcher is None and self.options.matching:
            published = self.options.size == "published"
            self._matcher = Matcher(self._read_backbone(), self._device, style=self.options.style, published=published)
        return self._network

    def _read_backbone(self) -> Vgg19:
        if self._backbone is not None:
            network = read_vgg19(self._backbone, self._device, layers=LAYERS, quick=True, told="")
        else:
            with torch.device("meta"):
                network = Vgg19(LAYERS, quick=True)
            draw_parameters(network, lambda name: torch.float32, device=self._device)
        return _in_order(network, self._device)

    def _draw(self, first: Image, last: Image, time: float) -> Image:
        network = self._load()
        pair = self._pairs.of((first, last), lambda: self._matched(first, last))
        drawn = network.draw(pair.first, pair.last, pair.flows, time)
        if self.options.size == "published":
            return _resized(to_pictures(drawn)[0], (first.shape[1], first.shape[0]))
        picture: Image = to_pictures(self._padding(first).crop(drawn))[0]
        return picture

    def _matched(self, first: Image, last: Image) -> _Pair:
        """Everything about two drawings that no time is needed for."""
        network = self._load()
        one, other = (self._known.of(image, lambda image=image: self._look(image)) for image in (first, last))  # type: ignore[misc]
        guides: tuple[Tensor | None, Tensor | None] = None, None
        if self._matcher is not None and one.drawing is not None and other.drawing is not None:
            there, back = self._matcher.guides(one.drawing, other.drawing)
            guides = self._at_size(there, first), self._at_size(back, first)
        flows = network.flows(one.frame, other.frame, guides=guides, iterations=self.options.iterations)
        return _Pair(one.frame, other.frame, flows)

    def _look(self, image: Image) -> _Known:
        """What is known of a picture by itself."""
        if self.options.size == "published":
            picture = to_tensor(_resized(image, PUBLISHED_SIZE), self._device, self._dtype)
        else:
            picture = self._padding(image).pad(to_tensor(image, self._device, self._dtype))
        drawing = self._matcher.drawing(image) if self._matcher is not None else None
        return _Known(self._load().encode(picture), drawing)

    def _at_size(self, guide: NDArray[np.float32], image: Image) -> Tensor:
        """A guess at the size of the network's pictures: as published, of every few vectors one."""
        published = self.options.size == "published"
        height, width = PUBLISHED_SIZE[::-1] if published else image.shape[:2]
        flow = torch.from_numpy(guide)[None].to(self._device)
        scale = flow.new_tensor((width / flow.shape[3], height / flow.shape[2])).view(1, 2, 1, 1)
        flow = interpolate(flow, (height, width), mode="nearest") * scale
        return flow if published else self._padding(image).pad(flow)

    @staticmethod
    def _padding(image: Image) -> Padding:
        return Padding.to_multiple(image.shape[:2], MULTIPLE, fill="replicate", smallest=LEAST_SIDE)


def _in_order(network: M, device: torch.device) -> M:
    """On a processor, kernels in the order in which its convolutions are faster."""
    return network.to(memory_format=torch.channels_last) if device.type == "cpu" else network


def _resized(image: Image, size: tuple[int, int]) -> Image:
    """At (width, height), by the filter of the authors' evaluation."""
    picture: Image = np.asarray(Pillow.fromarray(image).resize(size, Pillow.Resampling.LANCZOS), np.uint8)
    return picture
