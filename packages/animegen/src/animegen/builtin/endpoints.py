"""How well a clip begins and ends with its panels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from animegen.builtin.metrics import LineChamfer, Psnr
from animegen.measuring import Missing

if TYPE_CHECKING:
    from animegen.measuring import Sample, Scores
    from animegen.stages import Context


class Endpoints:
    """PSNR and line chamfer of the first and the last frame against the panels, the worse of both.

    What the sample ignores (balloons) is left out of the one, and taken to be as drawn in the other.

    A gate, not a score: whoever copies the panels has infinite PSNR, whatever lies between.
    """

    def __init__(self, options: Any = None, context: Context | None = None) -> None:
        del options, context

    def __call__(self, sample: Sample) -> Scores:
        """``endpoint-psnr`` and ``endpoint-line-chamfer`` of a clip."""
        if sample.panels is None:
            return dict.fromkeys(("endpoint-psnr", "endpoint-line-chamfer"), Missing("there are no panels"))
        psnr, lines = Psnr(), LineChamfer()
        worst, furthest = float("inf"), 0.0
        for place, frame, panel in ((0, sample.frames[0], sample.panels[0]), (1, sample.frames[-1], sample.panels[1])):
            counts = np.ones(panel.shape[:2], bool) if sample.ignored is None else ~sample.ignored[place]
            if not counts.any():
                return dict.fromkeys(("endpoint-psnr", "endpoint-line-chamfer"), Missing("all of a panel is ignored"))
            shown = np.where(counts[..., None], frame, panel)
            worst = min(worst, _number(psnr.frame(frame[counts][None], panel[counts][None])["psnr"]))
            furthest = max(furthest, _number(lines.frame(shown, panel)["line-chamfer"]))
        return {"endpoint-psnr": worst, "endpoint-line-chamfer": furthest}


def _number(value: object) -> float:
    assert isinstance(value, float)  # this quantity always has a value
    return value
