"""Clips that no system made, scored in every table: what a metric must not prefer.

Made from two panels alone: ``crossfade``, ``cut`` (in the middle), ``freeze`` (the first panel until the last frame)
and ``warp-blend`` (both panels moved along DIS flow, and mixed). Made from a clip: ``repeat``, whose frames come
several times each; it shows what a higher frame rate alone does to a number. ``real`` is a true clip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from animegen._cv2 import cv2
from animegen_eval.motion import dis_flow
from animegen_eval.samples.pictures import Held, Made, Memory, Picked, Pictures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Frames, Image

REAL, REPEAT = "real", "repeat"
VERSION = 1
"""Rises with every change of what a control is; part of what scores are kept under."""


def from_panels(panels: Pictures, count: int, memory: Memory | None = None) -> dict[str, Pictures]:
    """The controls that two panels make, by name.

    Args:
        panels: Two pictures.
        count: Frames of each control, at least 2; the first and the last are the panels.
        memory: Where they are kept once they are drawn.
    """
    made = {
        name: Made([name, VERSION, panels.digest], count, panels.size, _drawing(draw, panels, count))
        for name, draw in _DRAWN.items()
    }
    return dict(made) if memory is None else {name: Held(one, memory) for name, one in made.items()}


def repeated(pictures: Pictures, factor: int) -> Pictures:
    """Every frame but the last `factor` times: as many steps as `factor`-fold upsampling has, and nothing new."""
    last = len(pictures) - 1
    return Picked(pictures, [min(index // factor, last) for index in range(last * factor + 1)])


def crossfade(panels: Frames, count: int) -> Iterator[Image]:
    """The first panel dissolves into the last one, evenly."""
    first, last = panels.astype(np.float32)
    for time in np.linspace(0, 1, count, dtype=np.float32):
        yield _pixels((1 - time) * first + time * last)


def cut(panels: Frames, count: int) -> Iterator[Image]:
    """The first panel in the first half, then the last one."""
    for index in range(count):
        yield panels[0] if index < count / 2 else panels[1]


def freeze(panels: Frames, count: int) -> Iterator[Image]:
    """The first panel, and in the last frame the last one."""
    for index in range(count):
        yield panels[0] if index < count - 1 else panels[1]


def warp_blend(panels: Frames, count: int) -> Iterator[Image]:
    """Both panels moved part of the way along the flow towards the other one, and mixed by time."""
    forward, backward = dis_flow(panels[0], panels[1]), dis_flow(panels[1], panels[0])
    for time in np.linspace(0, 1, count):
        if time in (0.0, 1.0):
            yield panels[int(time)]
            continue
        first = _moved(panels[0], float(time) * forward)
        last = _moved(panels[1], float(1 - time) * backward)
        yield _pixels((1 - time) * first + time * last)


_DRAWN: dict[str, Callable[[Frames, int], Iterator[Image]]] = {
    "crossfade": crossfade,
    "cut": cut,
    "freeze": freeze,
    "warp-blend": warp_blend,
}
FROM_PANELS = tuple(_DRAWN)
NAMES = (REAL, *FROM_PANELS, REPEAT)


def _drawing(
    draw: Callable[[Frames, int], Iterator[Image]], panels: Pictures, count: int
) -> Callable[[], Iterator[Image]]:
    return lambda: draw(panels.array(), count)


def _moved(image: Image, flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """`image` with every pixel carried along `flow`, taken to be the same where it comes to."""
    height, width = image.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    moved = cv2.remap(
        image, x - flow[..., 0].astype(np.float32), y - flow[..., 1].astype(np.float32), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return np.asarray(moved, np.float32)


def _pixels(values: NDArray[np.floating]) -> Image:
    pixels: Image = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return pixels
