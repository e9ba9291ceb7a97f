"""How alike regions of two drawings are, and which two are each other's best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen_animeinterp.regions import Regions

AREA_RATIO = 3
FAR = 0.14
"""Of the picture's diagonal."""
PIECE = 64
"""Regions that are compared with all others at once."""


@dataclass(frozen=True, eq=False)
class Matching:
    """Partners of the regions of one drawing.

    Attributes:
        partner: (R,) which region of the other drawing.
        rank: (R,) how many regions rank before it in its row and its column together: 0 for each other's best.
    """

    partner: NDArray[np.int64]
    rank: NDArray[np.int64]


def similarity(first: Tensor, second: Tensor, one: Regions, other: Regions) -> Tensor:
    """How alike each region of one drawing is to each of the other: 1 at most.

    Intersection of the features, less a penalty where sizes or places differ much.

    Args:
        first, second: (R, 960) and (S, 960) from `features.region_features`.

    Returns:
        (R, S) float32 on the device of the features.
    """
    alike = torch.cat([_intersections(piece, second) for piece in torch.split(first, PIECE)])
    areas, places = (
        [torch.from_numpy(np.stack(found)).to(alike.device) for found in both]
        for both in (([one.areas], [other.areas]), ([one.x, one.y], [other.x, other.y]))
    )
    larger = torch.maximum(areas[0].T, areas[1]) / torch.minimum(areas[0].T, areas[1])
    away = torch.hypot(*(a[:, None] - b for a, b in zip(*places, strict=True))) / one.diagonal
    penalty = torch.where(larger > AREA_RATIO, larger / 20, 0) + torch.where(away > FAR, away / 5, 0)
    return (alike - penalty).float()


def match(alike: Tensor) -> tuple[Matching, Matching]:
    """Partners from the rows of a matrix of similarity to its columns, and back."""
    # What ranks equal keeps its order, in rows and columns alike, so that a result is the same everywhere.
    ranks = _ranks(alike, 1) + _ranks(alike, 0)
    return _best(ranks), _best(ranks.T)


def _best(ranks: Tensor) -> Matching:
    """The partner of each row: the first of the lowest sums."""
    found = ranks.cpu().numpy()
    partner = found.argmin(1)
    return Matching(partner, found[np.arange(len(found)), partner])


def _intersections(piece: Tensor, second: Tensor) -> Tensor:
    """(r, S): sums of the lesser of both features. Of features of sum 1, that is 1 - half their distance."""
    return torch.minimum(piece[:, None], second[None]).sum(2)


def _ranks(alike: Tensor, axis: int) -> Tensor:
    """How many entries are before each one along an axis, the greatest being first."""
    return alike.argsort(dim=axis, descending=True, stable=True).argsort(dim=axis)
