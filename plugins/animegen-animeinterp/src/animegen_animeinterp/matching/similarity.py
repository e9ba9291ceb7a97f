"""How alike regions of two drawings are, and which two are each other's best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen_animeinterp.regions import Regions

AREA_RATIO = 3
FAR = 0.14
"""Of the picture's diagonal."""


@dataclass(frozen=True, eq=False)
class Matching:
    """Partners of the regions of one drawing.

    Attributes:
        partner: (R,) which region of the other drawing.
        rank: (R,) how many regions rank before it in its row and its column together: 0 for each other's best.
    """

    partner: NDArray[np.int64]
    rank: NDArray[np.int64]


def similarity(
    first: NDArray[np.float32], second: NDArray[np.float32], one: Regions, other: Regions
) -> NDArray[np.float32]:
    """How alike each region of one drawing is to each of the other: 1 at most.

    Intersection of the features, less a penalty where sizes or places differ much.

    Args:
        first, second: (R, 960) and (S, 960) from `features.region_features`.

    Returns:
        (R, S).
    """
    alike = np.empty((len(first), len(second)), np.float32)
    lesser = np.empty_like(second)  # one row against all: as much as stays near the processor
    for row, features in enumerate(first):
        np.minimum(features, second, out=lesser)
        lesser.sum(1, out=alike[row])
    larger = np.maximum(one.areas[:, None], other.areas) / np.minimum(one.areas[:, None], other.areas)
    away = np.hypot(one.x[:, None] - other.x, one.y[:, None] - other.y) / one.diagonal
    alike -= np.where(larger > AREA_RATIO, larger / 20, 0).astype(np.float32)
    alike -= np.where(away > FAR, away / 5, 0).astype(np.float32)
    return alike


def match(alike: NDArray[np.float32]) -> tuple[Matching, Matching]:
    """Partners from the rows of a matrix of similarity to its columns, and back."""
    ranks = _ranks(alike) + _ranks(alike.T).T
    return _best(ranks), _best(ranks.T)


def _ranks(alike: NDArray[np.float32]) -> NDArray[np.int64]:
    """How many entries of its row are before each one, the greatest being first; equal ones keep their order."""
    order = np.argsort(-alike, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(alike.shape[1])[None], 1)
    return ranks


def _best(ranks: NDArray[np.int64]) -> Matching:
    """The partner of each row: the first of the lowest sums."""
    partner = ranks.argmin(1)
    return Matching(partner, ranks[np.arange(len(ranks)), partner])
