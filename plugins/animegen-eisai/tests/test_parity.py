"""The networks against outputs of the originals on seeded weights; ``--goldens DIR`` runs the cases of a folder.

The originals count flows (y, x); ours are (x, y).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from animegen.builtin.lines import line_map, luma
from animegen.builtin.metrics import LineChamfer
from animegen_eisai.colours import lab
from animegen_eisai.data.duplicates import FIELDS, ChangeDetector
from animegen_eisai.data.linearity import is_credits, judge
from animegen_eisai.half_warp import HalfWarp, Side, half_warp, mean_base, opened, similarity
from animegen_eisai.layers import fuse
from animegen_eisai.lines import difference_of_gaussians, distances, distances_by_torch, nedt
from animegen_eisai.refinement import DistanceTransformModule
from animegen_eisai.synthesis import Pair, SoftsplatLite
from animegen_testing import seeded_weights
from animegen_testing.goldens import GoldenCase
from animegen_torch.correlation import AllPairs
from animegen_torch.rfr import Rfr
from animegen_torch.splatting import splat
from animegen_torch.warp import warp

SIDES = ("0", "1")


@cache
def synthesis(fused: bool = True) -> SoftsplatLite:
    network = SoftsplatLite().eval().requires_grad_(False)
    seeded_weights.fill(network)
    if fused:
        fuse(network)
    return network


@cache
def refinement() -> DistanceTransformModule:
    network = DistanceTransformModule().eval().requires_grad_(False)
    seeded_weights.fill(network)
    fuse(network)
    return network


@cache
def flow_network(prefix: str) -> Rfr:
    network = Rfr().eval().requires_grad_(False)
    seeded_weights.fill(network, prefix=prefix)
    return network


def planes(image: np.ndarray[Any, Any]) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


def tensor(case: GoldenCase, name: str) -> Tensor:
    array = torch.from_numpy(case.arrays[name])
    return array if array.dim() == 4 else array[None]


def relative(case: GoldenCase, name: str, actual: Tensor) -> None:
    """Compare in units of the largest golden value."""
    golden = case.arrays[name]
    largest = float(np.abs(golden).max())
    case.compare(name, actual / largest, golden / largest)


def mostly(case: GoldenCase, name: str, actual: Tensor, *, within: float = 1e-4, share: float = 0.995) -> None:
    """Nearly all values agree: a pixel at the threshold of lines, or a rim of coverage, may be another."""
    golden = case.arrays[name]
    assert actual.shape == golden.shape
    difference = np.abs(actual.double().numpy() - golden.astype(np.float64))
    case.compared.append(name)
    agree, mean = float((difference <= within).mean()), float(difference.mean())
    assert agree >= share and mean < 1e-4, f"{case.name}: {name}: {agree:.4%} within {within}, mean off by {mean:.2g}"


@torch.inference_mode()
def edt(case: GoldenCase) -> Mapping[str, Any]:
    lines = {side: tensor(case, side) > 0.5 for side in ("a", "b")}
    for side, one in lines.items():
        case.compare(f"edt_{side}", distances_by_torch(one))
    return {f"edt_{side}": distances(one) for side, one in lines.items()}


@torch.inference_mode()
def lines(case: GoldenCase) -> Mapping[str, Any]:
    one, two = planes(case.arrays["img1_u8"]), planes(case.arrays["img2_u8"])
    found = difference_of_gaussians(one, 1.0)
    golden = case.arrays["dog1"]
    sure = np.abs(golden - 0.5) >= 1e-6
    case.compare("lines1", (found > 0.5).numpy() & sure, case.arrays["lines1"] & sure)
    return {"dog1": found, "nedt1": nedt(one), "nedt2": nedt(two), "dog2_sigma1": difference_of_gaussians(two, 1.0)}


def sides(arrays: Mapping[str, np.ndarray[Any, Any]], fourth: Mapping[str, np.ndarray[Any, Any]]) -> tuple[Side, Side]:
    images = [planes(arrays[f"img{side}_u8"]) for side in SIDES]
    to_first, to_last = (torch.from_numpy(arrays[f"flow{side}"]).flip(1) for side in SIDES)
    colours = [lab(image) for image in images]
    values = [
        torch.cat((image, torch.from_numpy(fourth[f"nedt{side}"])), 1) if fourth else image
        for image, side in zip(images, SIDES, strict=True)
    ]
    return (
        Side(values[0], to_last, similarity(colours[0], colours[1], to_last)),
        Side(values[1], to_first, similarity(colours[1], colours[0], to_first)),
    )


@torch.inference_mode()
def zmetric(case: GoldenCase) -> Mapping[str, Any]:
    first, last = sides(case.arrays, {})
    return {
        "lab0": lab(first.values),
        "z0": last.metric,
        "z1": first.metric,
        "backwarp0": warp(first.values, last.flow, convention="mixed"),
        "backwarp0_zero_flow": warp(first.values, torch.zeros_like(last.flow), convention="mixed"),
    }


@torch.inference_mode()
def halfwarp(case: GoldenCase) -> Mapping[str, Any]:
    with np.load(case.path.parent / case.configuration.get("inputs", "zmetric.npz")) as archive:
        first, last = sides(dict(archive), case.arrays)
    mask = tensor(case, "morph_in")
    results: dict[str, Any] = {"open5": opened(mask), "open3": opened(mask, 3)}
    for name in case.names("t*_base0"):
        tag = name.split("_")[0]
        found = half_warp(first, last, int(tag[1:]) / 1000)
        for kind, pair in (("base", found.bases), ("warp", found.moved), ("mask", found.masks)):
            results |= {f"{tag}_{kind}{side}": one for side, one in zip(SIDES, pair, strict=True)}
    return results


def softsplat(case: GoldenCase) -> Mapping[str, Any]:
    values, flow = tensor(case, "input").requires_grad_(), tensor(case, "flow").requires_grad_()
    metric = tensor(case, "metric")
    splat(values, flow).backward(tensor(case, "grad_out"))  # type: ignore[no-untyped-call]
    with torch.inference_mode():
        given = values.detach(), flow.detach()
        # Its "linear" weighs by the exponential too, without a division by anything but that.
        covered = torch.cat((given[0], torch.ones_like(metric)), 1)
        return {
            "grad_input": values.grad,
            "grad_flow": flow.grad,
            "out_summation": splat(*given),
            "out_average": splat(*given, mode="average"),
            "out_linear": splat(*given, mode="linear", metric=metric.exp()),
            "out_softmax": splat(*given, mode="softmax", metric=metric),
            "wrapper_softmax_mask": splat(covered, given[1], mode="softmax", metric=metric),
        }


@torch.inference_mode()
def corr(case: GoldenCase) -> Mapping[str, Any]:
    pairs = AllPairs(tensor(case, "fmap1"), tensor(case, "fmap2"))
    return {"out": pairs.lookup(tensor(case, "coords"))}


@torch.inference_mode()
def rfr(case: GoldenCase) -> None:
    network = flow_network(case.prefix or "module.flownet.")
    for name in case.names("?_flow"):
        tag = name[0]
        images = [planes(case.arrays[f"{tag}_img{side}_u8"]) for side in SIDES]
        init = tensor(case, f"{tag}_flow_init").flip(1) if case.names(f"{tag}_flow_init") else None
        flow = network(images[1], images[0], initial=init, iterations=int(case.arrays[f"{tag}_iters"]))
        relative(case, name, flow.flip(1))


@torch.inference_mode()
def dtm(case: GoldenCase) -> Mapping[str, Any]:
    fourth = [tensor(case, f"nedt{side}_u8").float() / 255 for side in SIDES]
    bases = [
        torch.cat((planes(case.arrays[f"base{side}_u8"]), one), 1) for side, one in zip(SIDES, fourth, strict=True)
    ]
    masks = [tensor(case, f"mask{side}").float() for side in SIDES]
    nothing = torch.zeros(0)
    moved = HalfWarp((bases[0], bases[1]), (nothing, nothing), (nothing, nothing), (masks[0], masks[1]))
    image = planes(case.arrays["out_base_u8"])
    case.compare("out_base_nedt", nedt(image))
    return {"out": torch.cat(refinement()(image, moved), 1)}


def strided(case: GoldenCase, name: str, full: Tensor) -> Tensor:
    """`full` at every n-th pixel, n being what brings it to the golden size."""
    step = -(-full.shape[2] // case.arrays[name].shape[2])
    return full[:, :, ::step, ::step]


@torch.inference_mode()
def ssl_dtm(case: GoldenCase) -> None:
    network = synthesis()
    frames = [network.encode(planes(case.arrays[f"img{side}_u8"])) for side in SIDES]
    to_first, to_last = (tensor(case, f"flow{side}").flip(1) for side in SIDES)
    pair = network.pair(frames[0], frames[1], to_first, to_last)
    for name, value in (("z0", pair.last.metric), ("z1", pair.first.metric)):
        for there in case.names(f"{name}*"):
            case.compare(there, strided(case, there, value))
    for there in case.names("nedt0_s3"):
        case.compare(there, frames[0].image[:, 3:, ::3, ::3])
    for level, (channels, pixels) in enumerate(((16, 8), (16, 4), (16, 2))):
        for there in case.names(f"feat0_{level}_strided"):
            relative(case, there, frames[0].features[level][:, ::channels, ::pixels, ::pixels])
    drawings = {name: int(name[1:4]) / 1000 for name in case.names("t*_ssl")} or {"ssl_s2": case.configuration["t"]}
    for name, time in drawings.items():
        drawn = network.draw(pair, time)
        refined = torch.cat(refinement()(drawn.image, drawn.warp), 1)
        case.compare(name, strided(case, name, drawn.image))
        for there in case.names(name.replace("ssl", "full_mean_std")):
            parts = [one.double() for one in (drawn.image, refined[:, :3], refined[:, 3:])]
            case.compare(there, [float(value) for one in parts for value in (one.mean(), one.std())])
        name = name.replace("ssl", "dtm")
        mostly(case, name, strided(case, name, refined))
        if time == 0.5:
            halfway(case, pair, drawn.warp, drawn.grid)


def halfway(case: GoldenCase, pair: Pair, warp: HalfWarp, grid: Tensor) -> None:
    for name, level, pixels in zip(("w64", "w256", "w512"), pair.levels, (8, 4, 2), strict=True):
        for there in case.names(f"{name}_strided"):
            relative(case, there, mean_base(*level, 0.5)[:, ::8, ::pixels, ::pixels])
    for there in case.names("gridnet_out_strided"):
        relative(case, there, grid[:, ::4, ::8, ::8])
    for side, base, mask in zip(SIDES, warp.bases, warp.masks, strict=True):
        for there, value in ((f"hw_base{side}_s3", base), (f"hw_mask{side}_s3", mask)):
            if case.names(there):
                case.compare(there, strided(case, there, value))


@torch.inference_mode()
def end_to_end(case: GoldenCase) -> None:
    network, flows = synthesis(), flow_network(case.prefix or "module.flownet.")
    images = [planes(case.arrays[f"img{side}_u8"]) for side in SIDES]
    frames = [network.encode(image) for image in images]
    stored = [tensor(case, f"flow{side}").flip(1) for side in SIDES]
    to_last, to_first = flows.both_ways(*images, iterations=case.configuration.get("iters", 12))
    for name, flow in (("flow0", to_first), ("flow1", to_last)):
        relative(case, name, flow.flip(1))
    for given, found in ((stored, False), ([to_first, to_last], True)):
        pair = network.pair(frames[0], frames[1], *given)
        for name in case.names("t*_ssl_s3"):
            drawn = network.draw(pair, int(name[1:4]) / 1000)
            refined = torch.cat(refinement()(drawn.image, drawn.warp), 1)
            other = name.replace("ssl_s3", "dtm_s2")
            if found:
                mostly(case, name, drawn.image[:, :, ::3, ::3], within=1e-3, share=0.99)
                mostly(case, other, refined[:, :, ::2, ::2], within=1e-3, share=0.99)
            else:
                case.compare(name, drawn.image[:, :, ::3, ::3])
                case.compare(other, refined[:, :, ::2, ::2])


def chamfer(case: GoldenCase) -> Mapping[str, Any]:
    """The metric that AnimeGen has built in."""
    shown, true = case.arrays["pred_u8"], case.arrays["target_u8"]
    for name, pictures in (("pred_lines", shown), ("target_lines", true)):
        case.compare(name, np.stack([line_map(luma(one))[None] for one in pictures]))
    metric = LineChamfer()
    each = np.array([metric.frame(*pair)["line-chamfer"] for pair in zip(shown, true, strict=True)], np.float64)
    return {"chamfer": each, "metric_each": each, "metric_all": each.mean()}


def duplicates(case: GoldenCase) -> Mapping[str, Any]:
    detector = ChangeDetector()
    changes = [detector(frame) for frame in case.arrays["frames_u8"]]
    assert changes[0] is None
    found = [(number, change) for number, change in enumerate(changes) if change is not None]
    return {
        "rows": np.array([[number, *(getattr(change, name) for name in FIELDS)] for number, change in found]),
        "duplicates": np.array([number for number, change in found if change.is_duplicate]),
    }


def rrld(case: GoldenCase) -> Mapping[str, Any]:
    flows = zip(case.arrays["fa"], case.arrays["fb"], strict=True)
    found = [judge(*(torch.from_numpy(flow).flip(0) for flow in pair)) for pair in flows]
    zero = np.isnan(case.arrays["rrld"])  # two equal flows somewhere, which the original takes for no number
    assert zero.sum() == 1
    taken = np.array([one.verdict == "taken" for one in found])
    values = np.where(zero, np.nan, [one.linearity for one in found])
    if case.names("rrld_txt"):  # the list of those that were taken
        lines = str(case.arrays["rrld_txt"]).splitlines()[1:]
        numbers = [[float(part) for part in line.split(",")[1:]] for line in lines]
        ours = [
            [one.linearity, one.coverage]
            for one, left_out in zip(found, zero, strict=True)
            if one.verdict == "taken" and not left_out
        ]
        case.compare("rrld_txt", np.array(ours), np.array(numbers))
    black = np.zeros((3, 36, 64), np.uint8)
    return {
        "rrld": values,
        "coverage": np.array([one.coverage for one in found]),
        "qualifies": taken & ~zero,
        "black_middle_frame_qualifies": np.array(not is_credits(torch.from_numpy(black))),
    }


RUNNERS: Mapping[str, Any] = {
    "chamfer": chamfer,
    "corr": corr,
    "dtm": dtm,
    "duplicates": duplicates,
    "edt": edt,
    "end_to_end": end_to_end,
    "halfwarp": halfwarp,
    "nedt": lines,
    "rfr": rfr,
    "rrld": rrld,
    "softsplat": softsplat,
    "ssl_dtm": ssl_dtm,
    "zmetric": zmetric,
}


def test_parity(golden_case: GoldenCase) -> None:
    golden_case.run(RUNNERS)
