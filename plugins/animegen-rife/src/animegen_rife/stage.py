"""RIFE behind the interpolator's contract: frames of any size at any times, each frame encoded once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from animegen.errors import ResourceError
from animegen_rife.architecture import VERSIONS as ARCHITECTURE_OF
from animegen_rife.checkpoint import read_network, untrained_network
from animegen_rife.compiled import Compiled
from animegen_rife.plugin import SCALES, check_fits
from animegen_rife.weights import DEFAULT, weight_of
from animegen_torch.batching import Batches
from animegen_torch.devices import pick_device
from animegen_torch.interpolating import Seen, again, check_pair, own_file
from animegen_torch.memory import in_use, is_out_of_memory, release
from animegen_torch.padding import Padding
from animegen_torch.pictures import to_pictures, to_tensor
from animegen_torch.precision import pick_dtype
from animegen_torch.warp import forget_coordinates

if TYPE_CHECKING:
    from animegen.media import Frames, Image
    from animegen.stages import Context
    from animegen_rife.layers import Frame
    from animegen_rife.network import IFNet
    from animegen_rife.plugin import RifeOptions

BUSY = 2**19
"""Pixels that keep an accelerator busy: of smaller pictures several times are worth drawn at once."""
MOST = 8


class Rife:
    """Draws frames between two images with RIFE 4.x (Huang et al., ECCV 2022, and what its authors published after).

    The file of parameters is looked for at once, so that a run without it stops before it has begun, and read when the
    first frame is drawn.

    A frame depends on its two images and its time alone, never on the times beside it or on what was drawn before.
    How many times are drawn at once decides the order of sums, and with it the last bit, so a batch always holds the
    same number of them: where fewer are left it is filled up. (When memory runs out and batches become smaller, frames
    may differ from then on by a level here and there.)

    Raises:
        MissingError: The published file is not here.
        InputError: The file of the option `file` is not here.
        ResourceError: None of the devices can be used.
        UsageError: The number format is none it computes in.
    """

    def __init__(self, options: RifeOptions, context: Context) -> None:
        self.options = options
        self.context = context
        self._device = pick_device(context.devices, stage="rife")
        self._dtype = pick_dtype(context.dtype, self._device, stage="rife", warn=context.warn)
        self._path = self._find()
        self._network: IFNet | None = None
        self._draw: Compiled | IFNet | None = None
        self._known: Seen[Frame] = Seen()
        self._batches: tuple[tuple[int, ...], Batches] | None = None

    def __call__(self, first: Image, last: Image, times: Sequence[float], *, prompt: str = "", seed: int = 0) -> Frames:
        """The frames at `times` between two images.

        Args:
            first, last: (H, W, 3) uint8 RGB, or (H, W, 4) with colours premultiplied by alpha; of one size, which
                may be any from 1 × 1 on. The motion is found in the colours.
            times: In [0, 1]; the ends are the images themselves.
            prompt, seed: Change nothing.

        Returns:
            (len(times), H, W, 3 or 4) uint8.

        Raises:
            InputError: The file of parameters is damaged, or of another model or version.
            ResourceError: The memory of the device does not suffice for one frame.
            UsageError: The network in the file cannot do what the options ask for.
        """
        check_pair(first, last, times, stage="rife", channels=(3, 4))
        frames = np.empty((len(times), *first.shape), np.uint8)
        inside = [index for index, time in enumerate(times) if 0 < time < 1]
        for index, time in enumerate(times):
            if not 0 < time < 1:
                frames[index] = first if time <= 0 else last
        if inside:
            with torch.inference_mode():
                drawn = self._between(first, last, [float(times[index]) for index in inside])
                for index, frame in zip(inside, drawn, strict=True):
                    frames[index] = frame
        return frames

    def close(self) -> None:
        """Let go of the network and of what is known of the last images; the next call reads it again."""
        self._network = self._draw = self._batches = None
        self._known.clear()
        forget_coordinates()
        release(self._device)

    def _find(self) -> Path | None:
        if self.context.untrained:
            return None
        if self.options.file is None:
            return self.context.weight(self._published)
        return own_file(self.options.file, stage="rife")

    @property
    def _published(self) -> str:
        version = self.options.version
        assert version is not None  # only a file of the user's own may hold any version
        return weight_of(version, self.options.source).file

    def _load(self) -> IFNet:
        if self._network is not None:
            return self._network
        if self._path is None:
            network = untrained_network(ARCHITECTURE_OF[self.options.version or DEFAULT])
        else:
            hints = again("rife", self._path.name, own=self.options.file)
            network = read_network(self._path, asked=self.options.version, hints=hints)
        check_fits(self.options, network.architecture, network.architecture.name)
        self._network = network.to(self._device, self._dtype).fuse(pack=not self.options.compile)
        self._draw = Compiled(self._network, self.context.warn) if self.options.compile else self._network
        return self._network

    def _between(self, first: Image, last: Image, times: Sequence[float]) -> Iterator[Image]:
        network = self._load()
        options, architecture = self.options, network.architecture
        multiple = options.multiple or architecture.multiple
        padding = Padding.to_multiple(first.shape[:2], max(multiple, int(multiple / options.scale)))
        try:
            start, end = self._encoded(first, padding), self._encoded(last, padding)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            used = in_use(self._device)
            raise ResourceError(
                f"out of memory on {self._device} in rife{f' ({used})' if used else ''}.", hint=self._less()
            ) from error
        batches = self._batches_for(first.shape, padding)
        draw = self._draw
        assert draw is not None

        def draw_some(some: Sequence[float]) -> list[Image]:
            at = torch.tensor(some, dtype=torch.float32, device=self._device)
            drawn = draw(start, end, at, scale=options.scale, ensemble=options.ensemble)
            return list(to_pictures(padding.crop(drawn)))

        # The last time again and again, so that a batch takes as many as it holds; what is too much is never drawn.
        return islice(batches.run(draw_some, chain(times, repeat(times[-1]))), len(times))

    def _encoded(self, image: Image, padding: Padding) -> Frame:
        """`image` as the network wants it; what is known of the last two images is kept for the next pair."""
        network = self._network
        assert network is not None
        return self._known.of(image, lambda: network.encode(_padded(to_tensor(image, self._device), padding)))

    def _batches_for(self, shape: tuple[int, ...], padding: Padding) -> Batches:
        """The batch that fits pictures of this size, as far as it is known by now."""
        if self._batches is None or self._batches[0] != shape:
            height, width = padding.size
            size = self.options.batch or self._worth(height * width)
            batches = Batches(size, self._device, stage="rife", hints=self._less(), warn=self.context.warn)
            self._batches = (shape, batches)
        return self._batches[1]

    def _less(self) -> tuple[str, ...]:
        """What needs less memory than these options on this device."""
        hints = ["a smaller size of picture needs less"]
        if self.options.scale > SCALES[0]:
            hints.insert(0, f"-o rife.scale={self.options.scale / 2:g} needs less")
        if self._device.type != "cpu":
            hints.append("or --device cpu")
            if self._dtype == torch.float32:
                hints.insert(0, "--dtype float16 needs half")
        return tuple(hints)

    def _worth(self, pixels: int) -> int:
        """Times worth drawing at once. A processor, and pictures that keep an accelerator busy, gain nothing.

        That it does not depend on how many times there are is on purpose: a run that goes on asks for the rest only.
        """
        return 1 if self._device.type == "cpu" else min(MOST, max(1, BUSY // pixels))


def _padded(picture: Tensor, padding: Padding) -> Tensor:
    """Zeros around the colours, as the networks know it; alpha goes on as it is at the rim.

    What is read from outside would else make an opaque picture transparent there. No motion is found in alpha.
    """
    if picture.shape[1] == 3:
        return padding.pad(picture)
    alpha = replace(padding, fill="replicate").pad(picture[:, 3:])
    return torch.cat((padding.pad(picture[:, :3]), alpha), 1)
