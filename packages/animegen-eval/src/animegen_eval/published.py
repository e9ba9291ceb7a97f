"""Published scores as data, each with its source, and whether a number from here may stand beside it.

They are told apart from what was measured here and never ranked with it: what was not measured by one program, on one
machine, from one set of files is a claim of another paper. Only what could be read in its source is quoted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from animegen_eval.samples import atd12k
from animegen_eval.samples.sources import Source

TRIPLETS = 2000
"""In the test part of ATD-12K."""


@dataclass(frozen=True)
class PublishedScore:
    """A number that somebody printed.

    Attributes:
        system: Whose.
        subset: Of the clips; empty for all.
        quantity: What it is called here.
        value: In the unit that it has here.
        printed: As it stands in the source.
        source: Where.
        differs: Why it was not measured as the profile measures; empty where it was.
    """

    system: str
    subset: str
    quantity: str
    value: float
    printed: str
    source: str
    differs: str = ""


_EISAI = "EISAI, read-me of its repository, section on evaluation (best model: SSL + DTM)"
_GMFSS = "GMFSS, read-me of its repository"
_OWN = "measured by a script of its own, with other conventions of SSIM and LPIPS"

ATD12K = (
    PublishedScore("EISAI", "", "psnr", 29.29, "29.29", _EISAI),
    PublishedScore("EISAI", "", "ssim-atd12k", 0.9515, "95.15 (× 100)", _EISAI),
    PublishedScore("EISAI", "", "line-chamfer", 4.3505e-05, "4.3505E-05", _EISAI),
    PublishedScore("EISAI", "", "lpips-alex-unit-range", 0.034943, "3.4943E-02", _EISAI),
    PublishedScore("EISAI", "east", "line-chamfer", 4.9791e-05, "4.9791E-05", _EISAI),
    PublishedScore("EISAI", "east", "lpips-alex-unit-range", 0.038260, "3.8260E-02", _EISAI),
    PublishedScore("EISAI", "west", "line-chamfer", 3.9660e-05, "3.9660E-05", _EISAI),
    PublishedScore("EISAI", "west", "lpips-alex-unit-range", 0.032915, "3.2915E-02", _EISAI),
    PublishedScore("GMFSS", "", "psnr", 29.22, "29.22", _GMFSS, _OWN),
    PublishedScore("GMFSS", "", "ssim", 0.932, "0.932", _GMFSS, _OWN),
    PublishedScore("GMFSS", "", "lpips", 0.048, "0.048", _GMFSS, _OWN),
)
"""On the 2,000 test triplets at 960 × 540. The table of AnimeInterp's paper is not quoted: it could not be read."""

QUIRKS = (
    "ssim-atd12k: uniform window of 7 × 7, and twice the true range (L = 2 for 0..1), in every published SSIM",
    "lpips-alex-unit-range: LPIPS shown 0..1 where it takes -1..1, as in EISAI's evaluator; smaller than LPIPS is",
    "line-chamfer: over all pixels, lines by sigma 1 whatever the size (EISAI)",
    "every triplet counts the same, held drawings too; no clip is left out",
    "drawn frames are 8 bit here before they are scored, and were not there: about 0.005 dB at 29 dB",
)
"""What the published protocol does that nobody would choose, and where this program cannot follow it."""


def differences(sources: Sequence[Source]) -> list[str]:
    """Why numbers of these triplets cannot stand beside the published ones; empty where they can."""
    found = []
    if strange := [source.name for source in sources if atd12k.origin(source.name) is None]:
        found.append(f"{len(strange)} clips do not have names of ATD-12K ({', '.join(strange[:3])})")
    if any(source.config == atd12k.TRAIN for source in sources):
        found.append("they are of the training part")
    if len(sources) != TRIPLETS:
        found.append(f"they are {len(sources)} triplets, not the {TRIPLETS} of the test part")
    if any(source.pictures.size != atd12k.SIZE for source in sources):
        found.append("not all are of 960 × 540")
    return found


def facts(sources: Sequence[Source]) -> dict[str, Any]:
    """What ``summary.json`` says of the published scores of ATD-12K."""
    why = differences(sources)
    scores = [{**asdict(score), "comparable": not (why or score.differs)} for score in ATD12K]
    return {"dataset": "ATD-12K", "differs": why, "quirks": list(QUIRKS), "scores": scores}
