"""How well a clip begins and ends with its panels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from animegen.builtin.metrics import LineChamfer, Psnr
from animegen.measuring import Missing

if TYPE_CHECKING:
    from animegen.measuring import Sample, Scores
    from animegen.stages import Context


class Endpoints:
    """PSNR and line chamfer of the first and the last frame against the panels, the worse of both.

    A gate, not a score: whoever copies the panels has infinite PSNR, whatever lies between.
    """

    def __init__(self, options: Any = None, context: Context | None = None) -> None:
        del options, context

    def __call__(self, sample: Sample) -> Scores:
        """``endpoint-psnr`` and ``endpoint-line-chamfer`` of a clip."""
        if sample.panels is None:
            return dict.fromkeys(("endpoint-psnr", "endpoint-line-chamfer"), Missing("there are no panels"))
        ends = ((sample.frames[0], sample.panels[0]), (sample.frames[-1], sample.panels[-1]))
        psnr, lines = Psnr(), LineChamfer()
        return {
            "endpoint-psnr": min(psnr.frame(*end)["psnr"] for end in ends),
            "endpoint-line-chamfer": max(_number(lines.frame(*end)["line-chamfer"]) for end in ends),
        }


def _number(value: object) -> float:
    assert isinstance(value, float)  # this quantity always has a value
    return value
