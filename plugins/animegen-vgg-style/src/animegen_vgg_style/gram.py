"""Gram matrices of features and the distances between them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

BLANK = 1e-8
"""Below this norm a Gram matrix is that of a blank page."""


def gram(features: Tensor, weights: Tensor | None = None, *, centred: bool = True) -> Tensor:
    """Mean products of the channels over positions, (C, C).

    Args:
        features: (C, h, w).
        weights: (H, W), how much every place counts; brought to (h, w) by area. None where all count alike.
        centred: Take every channel's mean off first. ReLU features are all positive: otherwise their means outweigh
            everything, and every pair of pictures looks alike.
    """
    rows = features.flatten(1)
    if weights is None:
        share = rows.new_full((rows.shape[1],), 1 / rows.shape[1])
    else:
        small = interpolate(weights[None, None], size=features.shape[1:], mode="area").flatten()
        share = small / small.sum()
    if centred:
        rows = rows - (rows @ share)[:, None]
    return (rows * share) @ rows.T


def normalised_distance(one: Tensor, other: Tensor) -> float:
    """Distance of two Gram matrices without their overall contrast: 0 equal, 1 orthogonal.

    | G / |G| - H / |H| | / sqrt 2 in Frobenius norms; where one of them is `BLANK`, 1, and where both are, 0.
    """
    norms = [float(torch.linalg.norm(matrix)) for matrix in (one, other)]
    blank = [norm < BLANK for norm in norms]
    if any(blank):
        return 0.0 if all(blank) else 1.0
    # The same as |a|² + |b|² - 2 a·b of the unit matrices, but exact where they are nearly equal.
    return float(torch.linalg.norm(one / norms[0] - other / norms[1])) / 2**0.5


def style_distances(one: Sequence[Tensor], other: Sequence[Tensor]) -> list[float]:
    """`normalised_distance` layer by layer."""
    return [normalised_distance(a, b) for a, b in zip(one, other, strict=True)]


def relative_frobenius(matrix: Tensor, panel: Tensor) -> float | None:
    """|G - P| / |P| in Frobenius norms; 0 for equal ones, None where the panel's is zero and the other is not."""
    change, norm = float(torch.linalg.norm(matrix - panel)), float(torch.linalg.norm(panel))
    if norm:
        return change / norm
    return None if change else 0.0
