"""FILM behind the interpolator's contract: frames of any size at any times, each frame encoded once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from animegen.errors import UsageError
from animegen_film.architecture import PUBLISHED
from animegen_film.checkpoint import read_network, untrained_network
from animegen_film.order import DEEPEST, Step, direct, halving, recursion
from animegen_film.plan import FEWEST, most_encoded
from animegen_film.weights import WEIGHTS
from animegen_torch.devices import pick_device
from animegen_torch.interpolating import Seen, again, check_pair, frames_at, own_file
from animegen_torch.memory import is_out_of_memory, out_of_memory, release
from animegen_torch.padding import Padding
from animegen_torch.pictures import to_pictures, to_tensor
from animegen_torch.precision import pick_dtype
from animegen_torch.tiling import tiled
from animegen_torch.warp import forget_coordinates

if TYPE_CHECKING:
    from animegen.media import Frames, Image
    from animegen.stages import Context
    from animegen_film.network import Film, Frame, Motion
    from animegen_film.plugin import FilmOptions

PAIRS = 2
"""Pairs whose frames in between are kept: colours and alpha of a gap are drawn in turns."""
DRAWN = 256 << 20
"""Bytes of frames in between that are kept of a pair, as far as these are no fewer than `FEWEST`."""

Key = Step | int


@dataclass(eq=False)
class _Pair:
    """What is known of a pair of images.

    Attributes:
        drawn: Frames as the network draws the next from them, padded where these are; the images are 0 and 1.
        motions: Of the pair itself, for times that are reached at once.
    """

    drawn: OrderedDict[Key, Tensor] = field(default_factory=OrderedDict)
    motions: dict[tuple[Key, Key], Motion] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Encoded:
    picture: Tensor
    frame: Frame


class FilmStage:
    """Draws frames between two images with FILM (Reda et al., ECCV 2022).

    The file of parameters is looked for at once, so that a run without it stops before it has begun, and read when the
    first frame is drawn.

    A frame depends on its two images and its time alone. What a time needs on its way (see `order`) is drawn once for
    a pair, and a frame that belongs to two pairs, or to several halves, is encoded once.

    Raises:
        MissingError: The published file is not here.
        InputError: The file of the option `file` is not here.
        ResourceError: None of the devices can be used.
        UsageError: The number format is none it computes in.
    """

    def __init__(self, options: FilmOptions, context: Context) -> None:
        self.options = options
        self._device = pick_device(context.devices, stage="film")
        self._dtype = pick_dtype(context.dtype, self._device, stage="film", warn=context.warn)
        self._untrained = context.untrained
        self._path = None if context.untrained else self._find(context)
        self._network: Film | None = None
        self._pairs: Seen[_Pair] = Seen(PAIRS)
        self._encoded: list[_Encoded] = []

    def __call__(self, first: Image, last: Image, times: Sequence[float], *, prompt: str = "", seed: int = 0) -> Frames:
        """The frames at `times` between two images.

        Args:
            first, last: (H, W, 3) uint8 RGB of one size, which may be any from 1 × 1 on.
            times: In [0, 1]; the ends are the images themselves.
            prompt, seed: Change nothing.

        Returns:
            (len(times), H, W, 3) uint8.

        Raises:
            InputError: The file of parameters is damaged, or of another model.
            ResourceError: The memory of the device does not suffice.
            UsageError: With ``times=original``, a time that halving does not lead to.
        """
        check_pair(first, last, times, stage="film")
        steps = {float(time): self._step(float(time)) for time in times if 0 < time < 1}
        try:
            with torch.inference_mode():
                return frames_at(first, last, times, lambda time: self._picture(first, last, steps[time]))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self._forget()
            size = f"on a picture of {first.shape[1]} × {first.shape[0]}"
            raise out_of_memory(self._device, "film", doing=size, hints=self._less()) from error

    def close(self) -> None:
        """Let go of the network and of what is known of the last images; the next call reads it again."""
        self._network = None
        self._forget()
        forget_coordinates()

    def _forget(self) -> None:
        self._pairs.clear()
        self._encoded = []
        release(self._device)

    def _find(self, context: Context) -> Path:
        if self.options.file is None:
            return context.weight(WEIGHTS[self.options.weights].file)
        return own_file(self.options.file, stage="film")

    def _load(self) -> Film:
        if self._network is None:
            if self._path is None:
                network = untrained_network(dtype=self._dtype, device=self._device)
            else:
                hints = again("film", self._path.name, own=self.options.file)
                network = read_network(self._path, dtype=self._dtype, device=self._device, hints=hints)
            self._network = network.prepare()
        return self._network

    def _step(self, time: float) -> Step:
        if self.options.times == "direct":
            return direct(time)
        if self.options.times == "recursion":
            return recursion(time)
        step = halving(time)
        if step is None:
            raise UsageError(
                f"the original FILM halves, and does not come to the time {time:g} in {DEEPEST} steps.",
                hint="--factor 2, 4 or 8, or leave film.times=original out",
            )
        return step

    def _picture(self, first: Image, last: Image, step: Step) -> Image:
        padding = Padding.to_multiple(first.shape[:2], PUBLISHED.multiple, centred=True)
        pair = self._pairs.of((first, last), lambda: self._pair(first, last, padding))
        drawn: Image = to_pictures(padding.crop(self._known(pair, step, padding)))[0]
        return drawn

    def _pair(self, first: Image, last: Image, padding: Padding) -> _Pair:
        pair = _Pair()
        for key, image in enumerate((first, last)):
            pair.drawn[key] = padding.pad(to_tensor(image, self._device))
        return pair

    def _draw(self, pair: _Pair, step: Step, padding: Padding) -> Tensor:
        """The frame of a step, and before it those that it is drawn from."""
        left, right = (self._known(pair, key, padding) for key in (step.left, step.right))
        network = self._load()
        if self.options.tile is not None:
            overlap = min(self.options.overlap, self.options.tile - 1)
            drawn = tiled(lambda a, b: network(a, b, step.at), (left, right), self.options.tile, overlap=overlap)
        else:
            frames = self._frames(left, right)
            motion = pair.motions.get((step.left, step.right))
            if motion is None:
                motion = network.motion(*frames)
                if self.options.times == "direct":
                    pair.motions[step.left, step.right] = motion
            drawn = network.between(*frames, motion, step.at)
        return drawn

    def _known(self, pair: _Pair, key: Key, padding: Padding) -> Tensor:
        """A frame as others are drawn from it: as the port does, cut to 0..1 and with its padding drawn along; or, as
        the original does, with its values as they are and padded anew."""
        if key in pair.drawn:
            pair.drawn.move_to_end(key)
            return pair.drawn[key]
        assert isinstance(key, Step)
        drawn = self._draw(pair, key, padding)
        drawn = padding.pad(padding.crop(drawn)) if self.options.times == "original" else drawn.clamp(0, 1)
        pair.drawn[key] = drawn
        while len(pair.drawn) - 2 > max(FEWEST, DRAWN // drawn.nbytes):
            del pair.drawn[next(old for old in pair.drawn if isinstance(old, Step))]
        return drawn

    def _frames(self, *pictures: Tensor) -> tuple[Frame, Frame]:
        """Two pictures as the network wants them; the last few that were are kept."""
        for picture in pictures:
            known = next((one for one in self._encoded if _same(one.picture, picture)), None)
            if known is not None:
                self._encoded.remove(known)
                self._encoded.append(known)
        first, last = (self._encode(picture) for picture in pictures)
        return first, last

    def _encode(self, picture: Tensor) -> Frame:
        for known in self._encoded:
            if _same(known.picture, picture):
                return known.frame
        if self._encoded:
            most = most_encoded(self._encoded[-1].frame.nbytes)
            # Before the next one is made: of large pictures three at once are too many.
            self._encoded = self._encoded[-(most - 1) :]
        self._encoded.append(_Encoded(picture, self._load().encode(picture)))
        return self._encoded[-1].frame

    def _less(self) -> tuple[str, ...]:
        """What needs less memory than these options on this device."""
        hints = []
        if self._device.type != "cpu" and self._dtype == torch.float32:
            hints.append("--dtype float16 needs half")
        tile = 512 if self.options.tile is None else self.options.tile // 2 // 64 * 64
        if tile >= 128 and tile > self.options.overlap:
            hints.append(f"-o film.tile={tile} draws in tiles")
        hints.append("a smaller size of picture needs less")
        return tuple(hints)


def _same(one: Tensor, other: Tensor) -> bool:
    return one is other or torch.equal(one, other)
