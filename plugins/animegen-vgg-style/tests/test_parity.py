"""The network and its Gram matrices against values made with torchvision's VGG19 on the same seeded parameters."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch

from animegen_testing import seeded_weights
from animegen_testing.goldens import GoldenCase
from animegen_torch.pictures import to_tensor
from animegen_torch.vgg19 import Vgg19
from animegen_vgg_style.gram import gram, relative_frobenius
from animegen_vgg_style.gram3 import pixel_gram

NAMES = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")


@cache
def seeded() -> Vgg19:
    network = Vgg19().eval()
    seeded_weights.fill(network)
    return network


def rgb(image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


@torch.inference_mode()
def grams(image: np.ndarray[Any, Any], before: bool) -> list[tuple[torch.Tensor, int]]:
    """Sums of products of channels in float64, and the positions that were summed."""
    layers = seeded()(to_tensor(rgb(image)), before=before)
    return [(gram(layer[0].double(), centred=False) * layer[0, 0].numel(), layer[0, 0].numel()) for layer in layers]


def layer_values(one: torch.Tensor, other: torch.Tensor, positions: int) -> dict[str, float]:
    channels = len(one)
    a, b = one / channels / positions, other / channels / positions
    return {
        "gatys_E": float(((one - other) ** 2).sum()) / (4 * channels**2 * positions**2),
        "mse_of_gram_over_CHW": float(((a - b) ** 2).mean()),
        "frobenius_of_gram_over_CHW": float(torch.linalg.norm(a - b)),
        "cosine_distance_of_gram": 1 - float((one * other).sum() / torch.linalg.norm(one) / torch.linalg.norm(other)),
        "gram_over_CHW_norm_a": float(torch.linalg.norm(a)),
        "relative_frobenius": relative_frobenius(b, a) or 0.0,
    }


def style(case: GoldenCase) -> None:
    """Every number of a document ``{"a|b": {"after_relu": ..., "before_relu": ..., ...}}``; pictures lie beside it."""
    with np.load(case.path.parent / case.configuration["pictures"]) as pictures:
        for pair, expected in case.document["vgg19_style"].items():
            first, last = (pictures[name] for name in pair.split("|"))
            for key in ("after_relu", "before_relu"):
                if key not in expected:
                    continue
                before = key == "before_relu"
                found = {
                    name: layer_values(one, other, positions)
                    for name, (one, positions), (other, _) in zip(
                        NAMES, grams(first, before), grams(last, before), strict=True
                    )
                }
                for name, values in expected[key]["per_layer"].items():
                    for quantity, value in values.items():
                        case.compare(f"{quantity}/{pair}/{key}/{name}", found[name][quantity], value)
                for summed, quantity, of in (
                    ("gatys_mean_of_5", "gatys_E", np.mean),
                    ("mse_sum_of_5", "mse_of_gram_over_CHW", np.sum),
                    ("relative_frobenius_mean_of_5", "relative_frobenius", np.mean),
                    ("cosine_mean_of_5", "cosine_distance_of_gram", np.mean),
                ):
                    if summed in expected[key]:
                        total = of([found[name][quantity] for name in NAMES])
                        case.compare(f"{quantity}/{pair}/{key}/{summed}", total, expected[key][summed])
            bare = expected.get("three_channel_pixel_gram (for contrast)")
            if bare:
                a, b = pixel_gram(rgb(first)), pixel_gram(rgb(last))
                case.compare(f"pixel_gram/{pair}", a, bare["gram_a"])
                case.compare(f"pixel_gram/{pair}/mse", ((a - b) ** 2).mean(), bare["mse"])
                case.compare(f"pixel_gram/{pair}/rank", np.linalg.matrix_rank(a, tol=1e-6), bare["rank_a"])
        mirrored = case.document.get("vgg19_style_mirror_line_a_relative_frobenius", {})
        if mirrored:
            line = pictures["line_a"]
            pairs = zip(NAMES, grams(line, False), grams(line[:, ::-1], False), strict=True)
            for name, (one, positions), (other, _) in pairs:
                value = layer_values(one, other, positions)["relative_frobenius"]
                case.compare(f"relative_frobenius/mirror/{name}", value, mirrored[name])


def test_parity(golden_case: GoldenCase) -> None:
    runners: Mapping[str, Any] = {"style": style}
    golden_case.run(runners)
