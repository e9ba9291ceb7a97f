"""IFNet, the network of RIFE 4.0 to 4.26: in-between frames of two frames, at any times between them.

Huang et al., "Real-Time Intermediate Flow Estimation for Video Frame Interpolation", ECCV 2022, and the networks that
its authors published after it. What differs between versions is data (`Architecture`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from animegen_rife.architecture import FLOW, Architecture
from animegen_rife.layers import Encoder, FlowBlock, Frame
from animegen_torch.warp import warp

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
        scales = [one / scale for one in self.architecture.scales]
        images = first.seen, last.seen
        time = times.to(images[0]).view(-1, 1, 1, 1).expand(len(times), 1, *images[0].shape[2:])
        images = images[0].expand(len(times), -1, -1, -1), images[1].expand(len(times), -1, -1, -1)
        return self._plain(first, last, images, time, scales, ensemble, trace)

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

    def _plain(
        self,
        first: Frame,
        last: Frame,
        images: tuple[Tensor, Tensor],
        time: Tensor,
        scales: list[float],
        ensemble: bool,
        trace: Trace | None,
    ) -> Tensor:
        colours, features = slice(first.features, None), slice(0, first.features)
        n = len(time)
        flow: Tensor | None = None
        mask: Tensor | None = None
        recurrent = time[:, :0]
        first_warped, last_warped = images

        def run(index: int) -> tuple[Tensor, Tensor, Tensor]:
            def once(a: Tensor, b: Tensor, t: Tensor, m: Tensor | None, f: Tensor | None) -> Tensor:
                s = scales[index]
                parts = [a[:, colours], b[:, colours], a[:, features], b[:, features], t]
                if m is not None:
                    parts += [m, recurrent]
                x = interpolate(torch.cat(parts, 1), scale_factor=1 / s, mode="bilinear")
                if f is not None:
                    x = torch.cat((x, interpolate(f, scale_factor=1 / s, mode="bilinear") / s), 1)
                out = self.blocks[index](x)
                reach = s if self.architecture.head == "shuffled" else 2 * s
                out = interpolate(out, scale_factor=reach, mode="bilinear")
                return torch.cat((out[:, :FLOW] * reach, out[:, FLOW:]), 1)

            out = once(first_warped, last_warped, time, mask, flow)
            flow_part, mask_part = out[:, :FLOW], out[:, FLOW : FLOW + 1]
            if ensemble:
                back = once(
                    last_warped,
                    first_warped,
                    1 - time,
                    None if mask is None else -mask,
                    None if flow is None else swapped(flow),
                )
                flow_part = (flow_part + swapped(back[:, :FLOW])) / 2
                mask_part = (mask_part - back[:, FLOW : FLOW + 1]) / 2
            return flow_part, mask_part, out[:, FLOW + 1 : FLOW + 1 + self.architecture.recurrent]

        def warped(found: Tensor) -> tuple[Tensor, Tensor]:
            return warp(images[0], found[:, :2]), warp(images[1], found[:, 2:])

        for index in range(len(self.blocks)):
            delta, mask_part, recurrent_part = run(index)
            if index == 1 and self.architecture.doubles and _fast(delta):
                scales = [2 * one for one in scales]
                flow = mask = None
                first_warped, last_warped = images
                flow, mask, recurrent = run(0)
                first_warped, last_warped = warped(flow)
                delta, mask_part, recurrent_part = run(1)
            if trace is not None:
                trace[f"block{index}_flowdelta"], trace[f"block{index}_mask"] = delta, mask_part
            flow = delta if flow is None else flow + delta
            mask = mask + mask_part if self.architecture.accumulates_mask and mask is not None else mask_part
            recurrent = recurrent_part
            first_warped, last_warped = warped(flow)
        assert flow is not None and mask is not None
        share = torch.sigmoid(mask)
        shown = first.shown.expand(n, -1, -1, -1), last.shown.expand(n, -1, -1, -1)
        return warp(shown[0], flow[:, :2]) * share + warp(shown[1], flow[:, 2:]) * (1 - share)


def swapped(flow: Tensor) -> Tensor:
    """Flow channels of the two frames exchanged."""
    return torch.cat((flow[:, 2:4], flow[:, :2]), 1)


def _fast(delta: Tensor) -> bool:
    return all(bool(delta[:, pair].abs().max() > DOUBLED_ABOVE) for pair in (slice(0, 2), slice(2, 4)))
