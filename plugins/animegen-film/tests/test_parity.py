"""The network against outputs of the original on seeded weights; ``--goldens DIR`` runs the cases of a folder.

Where that folder has no ``cases.json``, one with the kinds below makes its cases run: ``warp``, ``network``,
``recursion`` and ``order``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import count
from typing import Any

import numpy as np
import torch

from animegen_film.architecture import PUBLISHED, Architecture
from animegen_film.network import Film
from animegen_film.order import inbetweens
from animegen_testing import seeded_weights
from animegen_testing.goldens import GoldenCase
from animegen_torch.padding import Padding
from animegen_torch.warp import warp as warped

SIZES = {"full": PUBLISHED, "reduced": Architecture(filters=8, flow_filters=(8, 16, 32, 64))}


@cache
def seeded(size: str, prepared: bool) -> Film:
    """With its weights as they are published, or ready for inference (other sums, the same result)."""
    network = Film(SIZES[size]).eval().requires_grad_(False)
    seeded_weights.fill(network)
    return network.prepare() if prepared else network


def planes(image: np.ndarray[Any, Any]) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


def pictures(case: GoldenCase) -> tuple[torch.Tensor, torch.Tensor]:
    """Both images, of the case itself or of the one that it names."""
    named = case.configuration.get("pictures")
    arrays = np.load(case.path.parent / named) if named else case.arrays
    return planes(arrays["img0"]), planes(arrays["img1"])


@torch.inference_mode()
def network(case: GoldenCase) -> Mapping[str, Any]:
    first, last = pictures(case)
    padding = Padding.to_multiple(first.shape, 64, centred=True)
    for prepared in (False, True):
        net = seeded(case.configuration["size"], prepared)
        frames = net.encode(padding.pad(first)), net.encode(padding.pad(last))
        motion = net.motion(*frames)
        image = net.between(*frames, motion, case.configuration.get("time", 0.5))
        case.compare("image", padding.crop(image))
        found: dict[str, Any] = {"padded_image": image}
        found["crop"] = (padding.top, padding.left, padding.top + padding.height, padding.left + padding.width)
        ways = {"forward": (motion.forward, motion.residuals[0]), "backward": (motion.backward, motion.residuals[1])}
        for way, (flows, residuals) in ways.items():
            found |= {f"{way}_flow_pyramid_{level}": flow for level, flow in enumerate(flows)}
            found |= {f"{way}_residual_flow_pyramid_{level}": flow for level, flow in enumerate(residuals)}
        for name in (name for name in case.arrays if name in found):
            case.compare(name, found[name])
        assert set(case.arrays) <= {*found, "image", "img0", "img1"}
    return {}


@torch.inference_mode()
def recursion(case: GoldenCase) -> Mapping[str, Any]:
    """Halves of halves, cut to 0..1 before they are used again."""
    net = seeded(case.configuration["size"], True)
    first, last = pictures(case)
    half = net(first, last).clamp(0, 1)
    return {"f1": net(first, half).clamp(0, 1), "f2": half, "f3": net(half, last).clamp(0, 1)}


def warp(case: GoldenCase) -> Mapping[str, Any]:
    tensors = {name: torch.from_numpy(array) for name, array in case.arrays.items()}
    found: dict[str, Any] = {}
    for name in case.names("out_*"):
        kind = name.removeprefix("out_")
        image = tensors.get(f"img_{kind}", tensors["img_a"])
        found[name] = warped(image, tensors[f"flow_{kind}"], convention="centres")
    return found


def order(case: GoldenCase) -> Mapping[str, Any]:
    for number in count(1):
        if str(number) not in case.document:
            break
        golden = np.array(case.document[str(number)])
        case.compare(f"{number} in-betweens", np.array(inbetweens(number)), expected=golden)
    return {}


def test_parity(golden_case: GoldenCase) -> None:
    golden_case.run({"network": network, "recursion": recursion, "warp": warp, "order": order})
