"""The built-in interpolator: optical flow both ways, splatted to the time wanted, and both images warped there.

It needs no weights. Motion is kept on a small grid and only the two full-size images are ever warped, each
once: lines stay as sharp as they were drawn, and a further time costs little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from animegen._cv2 import cv2
from animegen.builtin.flow_estimation import Motion, estimate
from animegen.builtin.flow_splatting import fill_holes, pixel_grid, resize, sample, splat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from animegen.builtin.flow_splatting import Field
    from animegen.builtin.plugin import FlowOptions
    from animegen.media import Frames, Image
    from animegen.stages import Context


class Flow:
    """Frames between two images along the motion between them; a dissolve where there is none to be found."""

    def __init__(self, options: FlowOptions, context: Context) -> None:
        self.options = options
        self.context = context
        self._kept: Scene | None = None

    def __call__(self, first: Image, last: Image, times: Sequence[float], *, prompt: str = "", seed: int = 0) -> Frames:
        """One frame for each of `times`: (len(times), H, W, 3) uint8 RGB. `prompt` and `seed` change nothing.

        Of premultiplied RGBA, (H, W, 4), the colours are followed and alpha goes with them.
        """
        frames = np.empty((len(times), *first.shape), np.uint8)
        scene = self._scene(first, last) if any(0 < time < 1 for time in times) else None
        for index, time in enumerate(times):
            if scene is None or time <= 0 or time >= 1:
                frames[index] = first if time <= 0 else last
            else:
                scene.render(time, frames[index])
        return frames

    def close(self) -> None:
        """Let go of the last pair."""
        self._kept = None

    def _scene(self, first: Image, last: Image) -> Scene:
        """The motion between two images, found once however many times are asked for, in however many calls."""
        scene = self._kept
        if scene is None or not (_same(scene.first, first) and _same(scene.last, last)):
            motion = estimate(_colours(first), _colours(last), self.options.lines)
            scene = self._kept = Scene(first, last, motion, self.options.crossover, self.options.least_found)
        if scene.motion is None:
            self.context.warn(
                f"flow explains only {scene.found:.0%} of what changes between the two images: "
                "the frames between them are a plain dissolve."
            )
        return scene


def _same(one: Image, other: Image) -> bool:
    return one is other or np.array_equal(one, other)


def _colours(image: Image) -> Image:
    return image if image.shape[2] == 3 else np.ascontiguousarray(image[..., :3])


class Scene:
    """Two images and the motion between them, ready to be drawn at any time between.

    Args:
        first, last: (H, W, 3) uint8 RGB, or (H, W, 4) with alpha.
        motion: Motion between them.
        crossover: Part of the time, around the middle, in which the picture changes over from the first image
            to the last.
        least_found: Share of the change that motion must explain; with less the pictures are a dissolve.

    Attributes:
        motion: As given, or None for a dissolve.
        found: Share of the change that motion explains.
    """

    def __init__(self, first: Image, last: Image, motion: Motion, crossover: float, least_found: float) -> None:
        self.first, self.last = first, last
        self.found = motion.found
        self.motion = motion if motion.found >= least_found else None
        self.crossover = crossover
        height, width = first.shape[:2]
        self.grid = pixel_grid(height, width)
        if self.motion is None:
            return
        grid_height, grid_width = motion.forward.shape[:2]
        self.small_grid = pixel_grid(grid_height, grid_width)
        self.scale = np.array([width / grid_width, height / grid_height], np.float32)
        self.sources = [
            np.concatenate([flow * weight[..., None], weight[..., None]], axis=-1)
            for flow, weight in (
                (motion.forward, motion.trust_first + 0.01),
                (-motion.backward, motion.trust_last + 0.01),
            )
        ]

    def render(self, time: float, frame: Image) -> None:
        """Draw the picture at `time` in (0, 1) into `frame`, which is of their shape."""
        if self.motion is None:
            cv2.addWeighted(self.first, 1 - time, self.last, time, 0, dst=frame)
            return
        motion = self._motion_at(time)
        weights = self._weights(motion, time)
        if frame.shape[2] == 4:  # what is opaque in both stays wholly so where neither is sure, too
            total = weights[0] + weights[1]
            weights = weights[0] / total, weights[1] / total
        height, width = frame.shape[:2]
        full = resize(motion * self.scale, height, width)
        warped = [
            cv2.remap(
                image, cv2.scaleAdd(full, shift, self.grid), None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
            )
            for image, shift in ((self.first, -time), (self.last, 1 - time))
        ]
        cv2.blendLinear(*warped, *(resize(weight, height, width) for weight in weights), dst=frame)

    def _motion_at(self, time: float) -> Field:
        """Motion first → last of what is seen at each pixel of the grid at `time`, holes filled."""
        assert self.motion is not None
        first, last = self.sources
        arrived = (1 - time) * splat(first, self.small_grid + time * self.motion.forward)
        arrived += time * splat(last, self.small_grid + (1 - time) * self.motion.backward)
        weight = arrived[..., 2]
        known = np.minimum(weight * 8, 1)
        return fill_holes(arrived[..., :2] * (known / np.maximum(weight, 1e-9))[..., None], known)

    def _weights(self, motion: Field, time: float) -> tuple[Field, Field]:
        """How much of the first and the last image to take at each pixel of the grid.

        A pixel without counterpart in the other image is hidden there. So where the two sources of a pixel
        differ in trust, the picture shows the *less* trusted one: the other shows what hides it.
        """
        assert self.motion is not None
        at_first, at_last = self.small_grid - time * motion, self.small_grid + (1 - time) * motion
        lead = sample(self.motion.certain_last, at_last) - sample(self.motion.certain_first, at_first)
        lead = cv2.GaussianBlur(lead, (0, 0), 1.0)
        only = np.clip((np.abs(lead) - 0.35) / 0.3, 0, 1)
        # Close to either end that image is the whole truth, whatever trust says of the other.
        hide_first = np.where(lead < 0, only, 0) * min(time / 0.2, 1)
        hide_last = np.where(lead > 0, only, 0) * min((1 - time) / 0.2, 1)
        mix = min(max((time - 0.5) / self.crossover + 0.5, 0), 1)
        return (
            ((1 - mix) * (1 - hide_first) + 1e-4 * (1 - time)) * self._inside(at_first),
            (mix * (1 - hide_last) + 1e-4 * time) * self._inside(at_last),
        )

    def _inside(self, at: Field) -> Field:
        """1 inside the picture, falling to almost 0 one pixel outside."""
        height, width = at.shape[:2]
        margin = np.minimum(
            np.minimum(at[..., 0], width - 1 - at[..., 0]), np.minimum(at[..., 1], height - 1 - at[..., 1])
        )
        return np.asarray(np.clip(margin + 1, 1e-3, 1))
