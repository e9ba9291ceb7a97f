"""Every part against outputs of the original on seeded weights; ``--goldens DIR`` runs the cases of a folder."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch

from animegen._cv2 import cv2
from animegen_animeinterp.matching.features import LAYERS, region_features
from animegen_animeinterp.matching.guidance import guide
from animegen_animeinterp.matching.similarity import match, similarity
from animegen_animeinterp.network import AnimeInterp, Frame
from animegen_animeinterp.regions import Regions
from animegen_animeinterp.segmentation import STYLES, fill, in_order, is_paper, line_image, merge, segment, thin
from animegen_animeinterp.segmentation.trapped_ball import RADII, with_ball
from animegen_testing import seeded_weights
from animegen_testing.goldens import GoldenCase
from animegen_torch.correlation import local_correlation
from animegen_torch.splatting import splat, splat_weighted
from animegen_torch.vgg19 import Vgg19

Array = np.ndarray[Any, Any]

STRIDES = [[4, 2], [8, 1], [8, 1]]
"""Of channels and pixels, in which the features of a golden case are kept."""


@cache
def network(prefix: str) -> AnimeInterp:
    made = AnimeInterp().eval()
    seeded_weights.fill(made, prefix=prefix)
    return made


def tensor(array: Array) -> torch.Tensor:
    return torch.from_numpy(array).float()


def planes(image: Array) -> torch.Tensor:
    return tensor(np.ascontiguousarray(image)).permute(2, 0, 1)[None] / 255


def rgb(image: Array) -> Array:
    return np.ascontiguousarray(image[..., ::-1])


def correlation(case: GoldenCase) -> Mapping[str, Any]:
    """A cost volume that the repository has and AnimeInterp never calls."""
    return {"out": local_correlation(tensor(case.arrays["first"]), tensor(case.arrays["second"]), 4)}


def splatting(case: GoldenCase) -> Mapping[str, Any]:
    values, flow = tensor(case.arrays["input"]), tensor(case.arrays["flow"])
    total, weights = splat_weighted(values, flow, torch.ones_like(values[:, :1]))
    return {
        "summation": splat(values, flow),
        "average": splat(values, flow, mode="average", eps=1e-7),
        "no_cupy": total,
        "no_cupy_norm": weights.expand_as(values),
    }


@torch.inference_mode()
def gridnet(case: GoldenCase) -> Mapping[str, Any]:
    given = [
        tensor(seeded_weights.seeded_input(name, tuple(shape))) for name, shape in case.configuration["inputs"].items()
    ]
    return {"out": network(case.prefix or "module.").synnet(*given)}


@torch.inference_mode()
def synthesis(case: GoldenCase) -> Mapping[str, Any]:
    """The flow is given: features of the first image, and frames named by a thousandth of their time."""
    net = network(case.prefix or "module.")
    images = [planes(case.arrays[name]) for name in ("img0_u8", "img1_u8")]
    frames = [Frame(image, net.feat_ext(2 * image - 1), image) for image in images]
    flows = tensor(case.arrays["F12"]), tensor(case.arrays["F21"])
    found = {
        f"feat{level}_s": frames[0].features[level][:, ::channels, ::pixels, ::pixels]
        for level, (channels, pixels) in enumerate(case.configuration.get("strides", STRIDES))
    }
    return found | {name: net.draw(frames[0], frames[1], flows, int(name[1:]) / 1000) for name in case.names("t*")}


@torch.inference_mode()
def full(case: GoldenCase) -> Mapping[str, Any]:
    """From two images and first guesses to a frame, and the flow by itself; of every few pixels one."""
    net, step = network(case.prefix or "module."), case.configuration.get("stride", 2)
    one, other = (net.encode(planes(case.arrays[name])) for name in ("img0_u8", "img1_u8"))
    guides = tensor(case.arrays["G12"]), tensor(case.arrays["G21"])
    flows = net.flows(one, other, guides=guides)
    size = (one.image.shape[2], one.image.shape[3])
    found = {
        "F12_s2": flows[0],
        "F21_s2": flows[1],
        "out_s2": net.draw(one, other, flows, case.configuration.get("time", 0.5)),
        "rfr2_noinit_s2": net.flownet.between(one.motion, other.motion, size, iterations=2),
        "rfr2_init_s2": net.flownet.between(one.motion, other.motion, size, initial=guides[0], iterations=2),
    }
    return {name: value[..., ::step, ::step] for name, value in found.items()}


def trapped_ball(case: GoldenCase) -> Mapping[str, Any]:
    """Stage by stage."""
    paper = case.arrays["binary"] > 0
    fills, counts = fill(paper)
    found: dict[str, Any] = {"counts": np.array(counts), "fill_map": fills.labels}
    for radius, upto in zip(RADII, np.cumsum(counts), strict=False):
        found[f"after_r{radius}"] = np.where(paper & ~((fills.labels > 0) & (fills.labels <= upto)), 255, 0)
    assert with_ball(paper, RADII[0]).made >= counts[0]
    merged = merge(fills.labels, rgb(case.arrays["image_bgr"]))
    thinned = thin(merged)
    return found | {"merged": merged, "thinned": thinned, "squeezed": in_order(thinned)}


def segmentation(case: GoldenCase) -> Mapping[str, Any]:
    image = rgb(case.arrays["img_bgr"])
    found = {}
    for style in STYLES:
        lines = line_image(image, STYLES[style])
        found[f"{style}_line"] = lines
        found[f"{style}_unmerged"] = thin(fill(is_paper(lines))[0].labels)
        found[f"{style}_labels"] = segment(image, style)
    return found


@torch.inference_mode()
def matching(case: GoldenCase) -> None:
    """Lines and regions in both styles; features, similarity, partners and first guesses in one of them."""
    images = {name: rgb(case.arrays[f"img{name}_bgr"]) for name in "13"}
    for style in STYLES:
        for name, image in images.items():
            case.compare(f"{style}_line{name}", line_image(image, STYLES[style]))
            case.compare(f"{style}_label{name}", segment(image, style))
    backbone = Vgg19(LAYERS, quick=True).eval().to(memory_format=torch.channels_last)
    seeded_weights.fill(backbone)
    regions = {
        name: Regions.of(segment(image, case.configuration.get("style", "japan"))) for name, image in images.items()
    }
    features = {name: region_features(backbone, planes(images[name]), regions[name]) for name in images}
    alike = similarity(features["1"], features["3"], regions["1"], regions["3"])
    case.compare("corr", alike)
    for name, found in regions.items():
        case.compare(f"mean_x_{name}", found.x)
        case.compare(f"mean_y_{name}", found.y)
        case.compare(f"feat_pool_{name}", features[name].T)
    for (start, end), partners in zip((("1", "3"), ("3", "1")), match(alike), strict=True):
        case.compare(f"ranksum_{start}to{end}", partners.rank)
        case.compare(f"matching_{start}to{end}", partners.partner)
        name = f"guide{start}{end}"
        flow, golden = guide(images[start], images[end], regions[start], regions[end], partners), case.arrays[name]
        if cv2.__version__.startswith(case.configuration.get("opencv", "4.12")):
            case.compare(name, flow)
        # OpenCV's flow changes with its version, by little; what has a flow does not.
        case.compare(f"{name}_support", flow != 0, golden != 0)
        case.compare(f"{name}_mean", abs(flow - golden)[golden != 0].mean(), np.zeros(()))


RUNNERS = {
    "correlation": correlation,
    "splat": splatting,
    "gridnet": gridnet,
    "synthesis": synthesis,
    "full": full,
    "trapped_ball": trapped_ball,
    "segmentation": segmentation,
    "matching": matching,
}


def test_parity(golden_case: GoldenCase) -> None:
    golden_case.run(RUNNERS)
