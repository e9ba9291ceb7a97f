"""AnimeInterp behind the interpolator's contract: frames of any size at any times; drawings are matched once a pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor, nn
from torch.nn.functional import interpolate

from animegen.errors import InputError, StageError, UsageError
from animegen_animeinterp.checkpoint import read_network
from animegen_animeinterp.matching.features import LAYERS
from animegen_animeinterp.matching.matcher import Drawing, Matcher
from animegen_animeinterp.network import MULTIPLE, AnimeInterp, Frame
from animegen_animeinterp.plugin import PUBLISHED_SIZE
from animegen_animeinterp.weights import ANIMEINTERP
from animegen_torch.devices import pick_device
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
R = TypeVar("R")

LEAST_SIDE = 128
"""The flow was trained on no less, and the original gives no numbers below it: smaller pictures are padded."""


@dataclass(frozen=True, eq=False)
class _Known:
    """A picture that was looked at, with a copy of it: whoever handed it in may write over it."""

    image: Image
    frame: Frame
    drawing: Drawing | None


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
        self.context = context
        self._device = pick_device(context.devices, stage="animeinterp")
        # Half precision has not been tried with the published parameters: whoever wants it names it.
        asked = "float32" if context.dtype == "auto" else context.dtype
        self._dtype = pick_dtype(asked, self._device, stage="animeinterp", warn=context.warn)
        self._path = self._find()
        self._backbone = context.weight(VGG19.file) if options.matching and not context.untrained else None
        self._network: AnimeInterp | None = None
        self._matcher: Matcher | None = None
        self._known: list[_Known] = []
        self._pair: tuple[_Known, _Known, tuple[Tensor, Tensor]] | None = None

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
        _check(first, last, times)
        frames = np.empty((len(times), *first.shape), np.uint8)
        for index, time in enumerate(times):
            if time <= 0 or time >= 1:
                frames[index] = first if time <= 0 else last
        inside = [index for index, time in enumerate(times) if 0 < time < 1]
        for done, index in enumerate(inside):
            self.context.progress(done, len(inside), "frames")
            frames[index] = self._within_memory(lambda at=times[index]: self._draw(first, last, at))  # type: ignore[misc]
        return frames

    def close(self) -> None:
        """Let go of the networks and of what is known of the last drawings; the next call reads them again."""
        self._network = self._matcher = self._pair = None
        self._known = []
        release(self._device)

    def _find(self) -> Path | None:
        if self.options.file is None:
            return None if self.context.untrained else self.context.weight(ANIMEINTERP.file)
        path = Path(self.options.file).expanduser()
        if not path.is_file():
            raise InputError(
                f"{path} (option file of animeinterp) is not a file.",
                hint="leave animeinterp.file out, and the published file is used: animegen weights fetch animeinterp",
            )
        return path

    def _load(self) -> AnimeInterp:
        if self._network is None:
            if self._path is None:
                with torch.device("meta"):
                    network = AnimeInterp()
                draw_parameters(network, lambda name: self._dtype, device=self._device)
            else:
                network = read_network(self._path, hints=self._again())
            self._network = network.to(self._device, self._dtype)
            for part in (network.feat_ext, network.synnet):
                _in_order(part, self._device)
        if self._matcher is None and self.options.matching:
            self._matcher = Matcher(
                self._read_backbone(),
                self._device,
                style=self.options.style,
                published=self.options.size == "published",
            )
        return self._network

    def _read_backbone(self) -> Vgg19:
        if self._backbone is not None:
            network = read_vgg19(self._backbone, self._device, layers=LAYERS, quick=True, told="")
        else:
            with torch.device("meta"):
                network = Vgg19(LAYERS, quick=True)
            draw_parameters(network, lambda name: torch.float32, device=self._device)
        return _in_order(network, self._device)

    def _again(self) -> tuple[str, ...]:
        if self.options.file is not None:
            return ("leave animeinterp.file out, and the published file is used: animegen weights fetch animeinterp",)
        name = f"animeinterp/{ANIMEINTERP.file}"
        return (f"animegen weights remove {name}, then animegen weights fetch {name}",)

    @torch.inference_mode()
    def _draw(self, first: Image, last: Image, time: float) -> Image:
        network = self._load()
        one, other = self._looked_at(first), self._looked_at(last)
        if self._pair is None or self._pair[0] is not one or self._pair[1] is not other:
            self._pair = None  # the last one's memory is for this one
            guides = self._guides(one, other)
            flows = network.flows(one.frame, other.frame, guides=guides, iterations=self.options.iterations)
            self._pair = one, other, flows
        drawn = network.draw(one.frame, other.frame, self._pair[2], float(time))
        height, width = first.shape[:2]
        if self.options.size == "published":
            return _resized(to_pictures(drawn)[0], (width, height))
        picture: Image = to_pictures(self._padding(first).crop(drawn))[0]
        return picture

    def _looked_at(self, image: Image) -> _Known:
        """What is known of a picture by itself; that of the last two is kept for the next pair."""
        for known in self._known:
            if np.array_equal(known.image, image):
                self._known.remove(known)
                self._known.append(known)
                return known
        network = self._network
        assert network is not None
        if self.options.size == "published":
            shown = _resized(image, PUBLISHED_SIZE)
            picture = to_tensor(shown, self._device, self._dtype)
        else:
            picture = self._padding(image).pad(to_tensor(image, self._device, self._dtype))
        drawing = self._matcher.drawing(image) if self._matcher is not None else None
        self._known = [*self._known[-1:], _Known(image.copy(), network.encode(picture), drawing)]
        return self._known[-1]

    def _guides(self, one: _Known, other: _Known) -> tuple[Tensor | None, Tensor | None]:
        """First guesses of the motion at the size drawn at, both ways."""
        if self._matcher is None or one.drawing is None or other.drawing is None:
            return None, None
        there, back = self._matcher.guides(one.drawing, other.drawing)
        return self._at_size(there, one), self._at_size(back, one)

    def _at_size(self, guide: NDArray[np.float32], known: _Known) -> Tensor:
        """A guess at the size of the network's pictures: as published, of every few vectors one."""
        published = self.options.size == "published"
        height, width = PUBLISHED_SIZE[::-1] if published else known.image.shape[:2]
        flow = torch.from_numpy(guide)[None].to(self._device)
        scale = flow.new_tensor((width / flow.shape[3], height / flow.shape[2])).view(1, 2, 1, 1)
        flow = interpolate(flow, (height, width), mode="nearest") * scale
        return flow if published else self._padding(known.image).pad(flow)

    @staticmethod
    def _padding(image: Image) -> Padding:
        return Padding.to_multiple(image.shape[:2], MULTIPLE, fill="replicate", smallest=LEAST_SIDE)

    def _within_memory(self, compute: Callable[[], R]) -> R:
        try:
            return compute()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self._known, self._pair = [], None
            hints = ["a smaller size of picture needs less", "-o animeinterp.size=published draws at 960x540"]
            if self._device.type != "cpu":
                hints.append("or --device cpu")
            raise out_of_memory(self._device, "animeinterp", hints=hints) from error


def _in_order(network: M, device: torch.device) -> M:
    """On a processor, kernels in the order in which its convolutions are faster."""
    return network.to(memory_format=torch.channels_last) if device.type == "cpu" else network


def _resized(image: Image, size: tuple[int, int]) -> Image:
    """At (width, height), by the filter of the authors' evaluation."""
    picture: Image = np.asarray(Pillow.fromarray(image).resize(size, Pillow.Resampling.LANCZOS), np.uint8)
    return picture


def _check(first: Image, last: Image, times: Sequence[float]) -> None:
    if first.ndim != 3 or first.shape[2] != 3 or not first.size or first.dtype != np.uint8:
        raise StageError(f"animeinterp takes (H, W, 3) uint8, not {first.shape} {first.dtype}.")
    if last.shape != first.shape or last.dtype != first.dtype:
        raise StageError(f"animeinterp takes two images of one size, not {first.shape} and {last.shape} {last.dtype}.")
    for time in times:
        if not 0 <= time <= 1:
            raise UsageError(f"the time {time} is not between 0 and 1.")
