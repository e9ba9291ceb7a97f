"""IFNet, the network of RIFE 4.0 to 4.26: in-between frames of two frames, at any times between them.

Huang et al., "Real-Time Intermediate Flow Estimation for Video Frame Interpolation", ECCV 2022, and the networks that
its authors published after it. What differs between versions is data (`Architecture`).
"""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor, nn

from animegen_rife.architecture import COLOURS, FLOW, Architecture
from animegen_rife.layers import Encoder, FlowBlock, Frame
from animegen_rife.motion import FIRST, LAST, Motion, resize

Trace = dict[str, Tensor]
"""What a pass found on its way, by the names of the golden traces."""

DOUBLED_ABOVE = 32.0


class IFNet(nn.Module):
    """The network of one architecture. Names of its tensors are those of the published files without ``module.``.

    ``encode(image)`` makes a `Frame` of an image (1, 3 or 4, H, W), float 0 to 1, padded; a fourth channel is alpha:
    it is carried along, the motion is found in the colours. A frame that belongs to two pairs is encoded once.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.encode = Encoder(architecture.encoder)
        self.blocks = [FlowBlock(architecture, index) for index in range(len(architecture.widths))]
        for index, block in enumerate(self.blocks):
            self.add_module(f"block{index}", block)
        self.requires_grad_(False)  # a pass writes into its own tensors: there is nothing to train through

    @property
    def dtype(self) -> torch.dtype:
        """The type that the convolutions compute in; motion is always float32."""
        return next(chain(self.parameters(), self.buffers())).dtype

    def fuse(self, *, pack: bool = True) -> IFNet:
        """Make the network ready for inference only: fewer passes over memory, the same result. Returns itself.

        To be called when the weights are loaded and lie on their device in their type; afterwards they are no longer
        those of the published file.

        Args:
            pack: Bring weights into the order of the CPU's library. Not for a network that is to be compiled.
        """
        self.encode.fuse(pack)
        for block in self.blocks:
            block.fuse(pack)
        return self

    def forward(
        self,
        first: Frame,
        last: Frame,
        times: Tensor,
        *,
        scale: float = 1.0,
        ensemble: bool = False,
        trace: Trace | None = None,
    ) -> Tensor:
        """The frames at `times` between `first` and `last`.

        Args:
            first: Frame at time 0, from `encode`.
            last: Frame at time 1, of the same size.
            times: (N,), each in [0, 1].
            scale: Motion is found at `scale` times the size: 0.25, 0.5, 1, 2 or 4. 0.5 suits 4K, 2 small pictures.
            ensemble: Run both directions and average.
            trace: Is given what each block found, at full size.

        Returns:
            (N, 3 or 4, H, W) float32, 0 to 1 as the frames are.

        Raises:
            ValueError: The sides are no multiples of what the version needs at that scale, the frames differ in size,
                the scale is none of the five, or the version has no ensemble.
        """
        self._check(first, last, scale, ensemble)
        if self.architecture.doubles and len(times) > 1:  # whether the scales double is decided for each time
            one = [self.forward(first, last, time[None], scale=scale, ensemble=ensemble) for time in times]
            return torch.cat(one)
        frames = first.seen, last.seen
        scales = [one / scale for one in self.architecture.scales]
        found = self._run(frames, times.to(first.planes), scales, ensemble, trace)
        into_first, into_last = found.warped((first.shown, last.shown))
        result = torch.empty(len(times), *first.shown.shape[1:], device=times.device)
        share = torch.sigmoid(found.mask())
        torch.lerp(into_last, into_first, _in_strips(share, into_first), out=_in_strips(result, into_first))
        return result

    def _check(self, first: Frame, last: Frame, scale: float, ensemble: bool) -> None:
        name = self.architecture.name
        if first.planes.shape != last.planes.shape:
            raise ValueError(f"the frames differ: {tuple(first.planes.shape)} and {tuple(last.planes.shape)}")
        if scale not in (0.25, 0.5, 1, 2, 4):
            raise ValueError(f"scale is 0.25, 0.5, 1, 2 or 4, not {scale:g}")
        if ensemble and not self.architecture.ensemble:
            raise ValueError(f"RIFE {name} has no ensemble")
        multiple = max(4, int(4 * max(self.architecture.scales) / scale))
        height, width = first.planes.shape[2:]
        if height % multiple or width % multiple:
            raise ValueError(
                f"RIFE {name} at scale {scale:g} takes sides that are multiples of {multiple}, not {width} × {height}"
            )

    def _run(
        self,
        frames: tuple[Tensor, Tensor],
        times: Tensor,
        scales: list[float],
        ensemble: bool,
        trace: Trace | None,
    ) -> Motion:
        found = self._nothing(frames)
        for index in range(len(self.blocks)):
            self._add(found, index, frames, times, scales[index], ensemble)
            if index == 1 and self.architecture.doubles and _is_fast(found):
                scales = [2 * one for one in scales]
                found = self._nothing(frames)
                for again in (0, 1):
                    self._add(found, again, frames, times, scales[again], ensemble)
            if trace is not None:
                delta = found.last()
                trace[f"block{index}_flowdelta"], trace[f"block{index}_mask"] = delta[:, :FLOW], delta[:, FLOW:][:, :1]
        return found

    def _nothing(self, frames: tuple[Tensor, Tensor]) -> Motion:
        height, width = frames[0].shape[2:]
        return Motion((height, width), adds_masks=self.architecture.accumulates_mask)

    def _add(
        self,
        found: Motion,
        index: int,
        frames: tuple[Tensor, Tensor],
        times: Tensor,
        scale: float,
        ensemble: bool,
    ) -> None:
        """Run a block on what is known so far, at its scale, and add what it finds."""
        x = self._input(found, index, frames, times, scale)
        block = self.blocks[index]
        if ensemble:
            part, back = block(torch.cat((x, self._mirrored(x)))).chunk(2)
            part = (part + _turned(back)) / 2
        else:
            part = block(x)
        reach = scale if self.architecture.head == "shuffled" else 2 * scale
        part[:, :FLOW] *= reach
        found.add(part, reach)

    def _input(self, found: Motion, index: int, frames: tuple[Tensor, Tensor], times: Tensor, scale: float) -> Tensor:
        """A block's input: (N, inputs, H / scale, W / scale), channels last in memory.

        Both frames, the features of both, time and, from the second block on, mask, recurrent features and flow.
        """
        height, width = (int(side / scale) for side in found.size)
        x = torch.empty(
            (len(times), self.architecture.inputs(index), height, width),
            dtype=self.dtype,
            device=times.device,
            memory_format=torch.channels_last,
        )
        features, at = self.architecture.features, 2 * (COLOURS + self.architecture.features)
        seen = found.warped(frames, scale) if index else [resize(frame, 1 / scale)[:, :, None] for frame in frames]
        for side, frame in enumerate(seen):
            rest = 2 * COLOURS + side * features
            _in_strips(x[:, side * COLOURS :][:, :COLOURS], frame).copy_(frame[:, features:])
            _in_strips(x[:, rest : rest + features], frame).copy_(frame[:, :features])
        x[:, at] = times.view(-1, 1, 1)
        if index:
            flow, further = found.at(scale)
            x[:, at + 1 : -FLOW] = further
            x[:, -FLOW:] = flow if scale == 1 else flow / scale
        return x

    def _mirrored(self, x: Tensor) -> Tensor:
        """A block's input as it is when the two frames change places."""
        features, at = self.architecture.features, 2 * (COLOURS + self.architecture.features)
        x = x.clone()
        for start, count in ((0, COLOURS), (2 * COLOURS, features)):
            one, other = slice(start, start + count), slice(start + count, start + 2 * count)
            x[:, one], x[:, other] = x[:, other].clone(), x[:, one].clone()
        x[:, at] = 1 - x[:, at]
        if x.shape[1] > at + 1:
            x[:, at + 1] = -x[:, at + 1]
            x[:, -FLOW:] = x[:, -FLOW:].roll(2, 1)
        return x


def _turned(back: Tensor) -> Tensor:
    """What a block found for the frames in reverse, said of the frames in order."""
    return torch.cat((back[:, LAST], back[:, FIRST], -back[:, FLOW : FLOW + 1], back[:, FLOW + 1 :]), 1)


def _is_fast(found: Motion) -> bool:
    delta = found.last()
    return all(bool(delta[:, pair].abs().max() > DOUBLED_ABOVE) for pair in (FIRST, LAST))


def _in_strips(x: Tensor, like: Tensor) -> Tensor:
    """A view of (N, C, H, W) as `Motion.warped` gives it: (N, C, strips, H / strips, W)."""
    return x.view(*x.shape[:2], *like.shape[2:])
