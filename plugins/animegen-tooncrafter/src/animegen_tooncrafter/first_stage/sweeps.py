"""The decoder, a few frames at a time: as exact as all at once, in the memory of a few frames and one clip of features.

Between two time stacks a clip lies in a `FrameQueue`. A time stack needs the statistics of two norms over all frames
before it can say anything, so each is two sweeps over the clip:

1. the statistics of its input are known (gathered while that was computed); the first convolution is computed for all
   frames, and the statistics of its result are gathered;
2. the second convolution is computed, added to the input, and the frames go at once through all layers up to the next
   time stack: the doubled size, the reference attention and the next block never exist for more than a few frames.

The result of the first convolution is either kept between the sweeps or computed a second time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from animegen_tooncrafter.first_stage.decoder import Decoder, Section, VideoBlock
from animegen_tooncrafter.first_stage.reference import References
from animegen_tooncrafter.first_stage.streams import FrameQueue, Statistics, TimeStream
from animegen_torch.diffusion.finite import NotFiniteError

Watch = Callable[[str, int, Tensor], None]
"""``watch(layer, start, frames)``: what a layer gave for frames `start` ..., for tests; not to be written over."""


@dataclass(frozen=True)
class Chunking:
    """How the decoder trades time for memory. None of it changes the result beyond rounding.

    Attributes:
        frames: Frames worked on at once; None for all.
        offload: Keep the clip in the processor's memory between layers; it travels there and back 30 times.
        recompute: Compute the first convolution of each time stack twice instead of keeping its result: a clip of
            features less, about an eighth more products.
    """

    frames: int | None = None
    offload: bool = False
    recompute: bool = False


WHOLE = Chunking()


class Sweeps:
    """One run of a decoder over the latents of a clip.

    Args:
        decoder: Its parameters' type is the one products are computed in and clips are kept in.
        references: What the keyframes give; None for an ordinary video decoder.
        chunking: Frames at once, and where the rest waits.
        watch: Called with what each layer gives.
    """

    def __init__(
        self,
        decoder: Decoder,
        references: References | None,
        chunking: Chunking = WHOLE,
        watch: Watch | None = None,
    ) -> None:
        self._decoder = decoder
        self._sections = decoder.sections(references)
        self._names = {section.block: section.layers[-1][0] for section in self._sections if section.block is not None}
        self._chunking = chunking
        self._watch = watch
        weight = decoder.conv_in.weight
        self._device, self._dtype = weight.device, weight.dtype
        self._checks: list[tuple[str, Tensor]] = []

    @torch.no_grad()
    def run(self, latents: Tensor, only: tuple[int, int] | None = None) -> Tensor:
        """Decode a clip.

        Args:
            latents: (T, 4, h, w), unscaled (spread of about 5).
            only: Compute frames `only[0]` to `only[1]` (the latter outside); what the last norm over all frames needs
                of the others is computed all the same.

        Returns:
            (T, 3, 8h, 8w) float32, or those of `only`; about -1 to 1, not cut.

        Raises:
            NotFiniteError: There are values that are not numbers; the message says from which layer on.
        """
        frames = len(latents)
        first, stop = only or (0, frames)
        low, high = max(0, first - 1), min(frames, stop + 1)  # the last layer looks one frame to each side
        clip, statistics = self._open(latents)
        for section, following in zip(self._sections[:-1], self._sections[1:], strict=True):
            assert section.block is not None
            needed = (low, high) if following.block is None else (0, frames)
            clip, statistics = self._pass(section.block, clip, statistics, following, needed, frames)
        colours = clip.take(high - low)
        colours = self._decoder.conv_out.mix(colours)[first - low : stop - low]
        self._checks.append(("conv_out.time_mix_conv", colours.sum().isfinite()))
        self._raise_unless_finite()
        return colours

    def _open(self, latents: Tensor) -> tuple[FrameQueue, Statistics]:
        """The first section, straight from the latents."""
        queue, statistics = self._queue(), Statistics(self._device)
        size = self._chunking.frames or len(latents)
        for start in range(0, len(latents), size):
            piece = latents[start : start + size].to(self._device, torch.float32)
            self._through(self._sections[0], piece, start, len(latents), queue, statistics)
        self._check(self._sections[0], statistics)
        return queue, statistics

    def _pass(
        self,
        block: VideoBlock,
        clip: FrameQueue,
        statistics: Statistics,
        following: Section,
        needed: tuple[int, int],
        frames: int,
    ) -> tuple[FrameQueue, Statistics]:
        """Both sweeps of a block's time stack, and the section that follows; `clip` is used up."""
        name, size = self._names[block], self._chunking.frames or frames
        norms, convolutions = block.time_stack.norms, block.time_stack.convolutions
        affine = statistics.affine(norms[0])
        middle, middle_statistics = self._queue(), Statistics(self._device)

        def gather(h: Tensor) -> None:
            middle_statistics.add(h)
            if not self._chunking.recompute:
                middle.put(h)

        stream, whole = TimeStream(affine, convolutions[0]), size >= frames
        for x in clip.pieces(size):
            gather(stream.push(x, last=whole))
        if not whole:
            gather(stream.flush())
        self._checks.append((f"{name}.time_stack", middle_statistics.finite))

        # Of what is needed, each convolution looks one frame further to each side.
        begin, end = max(0, needed[0] - 2), min(frames, needed[1] + 2)
        clip.cut(begin, end)
        middle.cut(begin, end)
        whole = size >= end - begin
        once_more = TimeStream(affine, convolutions[0])
        second = TimeStream(middle_statistics.affine(norms[1]), convolutions[1])
        queue, gathered = self._queue(following), Statistics(self._device)
        waiting = FrameQueue(self._device, torch.float32, self._device)
        share = block.share
        done = begin

        def out(added: Tensor) -> None:
            nonlocal done
            if not len(added):
                return
            result = waiting.take(len(added)).addcmul_(added, share)
            start, done = done, done + len(added)
            self._see(name, start, result)
            skipped = max(0, needed[0] - start)
            result = result[skipped : max(0, needed[1] - start)]
            if len(result):
                self._through(following, result, start + skipped, frames, queue, gathered)

        while clip.count:
            x = clip.take(size)
            h = once_more.push(x, last=whole) if self._chunking.recompute else middle.take(size)
            waiting.put(x)
            del x
            if len(h):
                out(second.push(h, last=whole))
            del h
        if not whole:
            if self._chunking.recompute:
                out(second.push(once_more.flush()))
            out(second.flush())
        self._check(following, gathered)
        return queue, gathered

    def _through(
        self, section: Section, x: Tensor, start: int, frames: int, queue: FrameQueue, statistics: Statistics
    ) -> None:
        """A few frames through the layers of a section and into the queue."""
        own = None if section.block is None else self._names[section.block]
        for name, layer in section.layers:
            x = layer(x, start, frames)
            if name != own:  # what a block gives is seen behind its time stack
                self._see(name, start, x)
        if section.block is None:
            self._checks.append(("conv_out", x.sum().isfinite()))
        else:
            statistics.add(x)
        queue.put(x)

    def _queue(self, into: Section | None = None) -> FrameQueue:
        """Where the frames of a clip wait; colours, which are few, as they are."""
        colours = into is not None and into.block is None
        keep = torch.device("cpu") if self._chunking.offload and not colours else self._device
        return FrameQueue(self._device, torch.float32 if colours else self._dtype, keep)

    def _see(self, name: str, start: int, frames: Tensor) -> None:
        if self._watch is not None:
            self._watch(name, start, frames)

    def _check(self, section: Section, statistics: Statistics) -> None:
        if section.block is not None:
            self._checks.append((section.layers[-1][0], statistics.finite))

    def _raise_unless_finite(self) -> None:
        """Only now, so that the device is waited for once."""
        finite = torch.stack([ok.to(self._device) for _, ok in self._checks]).tolist()
        for (name, _), ok in zip(self._checks, finite, strict=True):
            if not ok:
                kind = str(self._dtype).removeprefix("torch.")
                raise NotFiniteError(
                    f"the decoder gave numbers that are not finite in {kind}; the first come from {name}.",
                    hint="animegen weights verify" if kind == "float32" else "use --dtype bfloat16, or float32",
                )
