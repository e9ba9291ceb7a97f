"""From what a user says of sketches to what steers the sampler.

Only frames that have a sketch are given residuals; the others follow through the U-Net's temporal layers. The encoder
is a part like the others: it is lent while a clip is sampled, from wherever it lies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from animegen_tooncrafter.diffusion.sketch_encoder import SketchGuide
from animegen_tooncrafter.sketch.fit import hints
from animegen_tooncrafter.sketch.source import assign, look, read

if TYPE_CHECKING:
    from torch import Tensor

    from animegen.media import Image
    from animegen_tooncrafter.diffusion.sketch_encoder import SketchEncoder
    from animegen_tooncrafter.sketch.options import SketchOptions
    from animegen_torch.placement.lending import Lend


def planned(options: SketchOptions, frames: int) -> str:
    """What a run will do with the drawings, in some words, before anything is loaded; empty where there are none.

    Raises:
        InputError, UsageError: See `source.look` and `source.assign`.
    """
    if options.sketch is None:
        return ""
    source = look(options.sketch)
    places = assign(source, options, frames)
    if options.sketch_positions == "random" and options.sketch_count is not None:
        where = f"{len(places)} random frames"
    elif len(places) == frames:
        where = "every frame"
    else:
        where = f"frame{'s' * (len(places) != 1)} {', '.join(map(str, places))}"
    return f"{source} steer{'s' * (source.count == 1)} {where}"


class Sketches:
    """The sketches of a stage's options, read when first wanted.

    Args:
        options: With `sketch` set.
        warn: Told what is odd about them.
    """

    def __init__(self, options: SketchOptions, warn: Callable[[str], None] = lambda message: None) -> None:
        if options.sketch is None:
            raise ValueError("the options name no sketches")
        self._options, self._warn = options, warn
        self._last: tuple[tuple[object, ...], dict[int, Tensor]] | None = None

    def hints(self, keyframe: Image, frames: int, seed: int = 0) -> dict[int, Tensor]:
        """Sketches for one clip by frame: (1, H, W) float32, white lines (1) on black (0); those of the last are kept.

        Args:
            keyframe: The first one as the stage sees it, (H, W, 3) uint8 RGB.
            frames: Of the clip.
            seed: Of random positions.

        Raises:
            InputError, UsageError: See `source` and `fit.hints`.
        """
        options = self._options
        clip = (keyframe.shape, keyframe.tobytes(), frames, seed)
        if self._last is None or self._last[0] != clip:
            if self._last is not None and self._last[0][:2] != clip[:2]:
                # A clip of several panels has one set of options for all its transitions.
                self._warn("The same drawings steer more than one transition; run each with drawings of its own.")
            source = look(options.sketch or "")
            drawings = read(source, assign(source, options, frames, seed))
            found = hints(drawings, keyframe, options.sketch_kind, warn=self._warn)
            self._last = (clip, {frame: torch.from_numpy(lines)[None] for frame, lines in found.items()})
        return self._last[1]

    def guide(self, encoder: Lend[SketchEncoder], keyframe: Image, frames: int, seed: int = 0) -> Lend[SketchGuide]:
        """What `synthesize` takes as `sketch`; arguments as for `hints`."""
        return guided(encoder, self.hints(keyframe, frames, seed), self._options.sketch_scale)


def guided(encoder: Lend[SketchEncoder], sketches: Mapping[int, Tensor], scale: float = 0.6) -> Lend[SketchGuide]:
    """A guide that borrows the encoder for as long as it is used itself.

    Args:
        encoder: Ready for inference.
        sketches: (1, H, W) in [0, 1] by frame.
        scale: How strongly they steer.
    """

    @contextmanager
    def guide() -> Iterator[SketchGuide]:
        with encoder() as lent:
            yield SketchGuide.of(lent, sketches, scale)

    return guide
