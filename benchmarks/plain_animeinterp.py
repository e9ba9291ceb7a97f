"""AnimeInterp as its description reads, region by region and in the plainest torch: the yardstick of its benchmark.

Segmentation is in `plain_segmentation`, the flow in `plain_rfr`. Images are (H, W, 3) uint8 RGB.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from plain_rfr import plain_flow
from torch import Tensor
from torch.nn.functional import interpolate

from animegen_animeinterp.network import AnimeInterp
from animegen_torch.vgg19 import RELU, Vgg19

Picture = NDArray[np.uint8]
Labels = NDArray[np.int64]


class Drawing(NamedTuple):
    """A picture, its regions, and what each looks like, (R, 960)."""

    image: Picture
    labels: Labels
    features: Tensor


def described(network: Vgg19, image: Picture, labels: Labels) -> Drawing:
    """Features of regions. `network` has all five layers, of which the last is computed in vain, as published."""
    picture = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    mean, deviation = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    x, maps = (picture - mean) / deviation, []
    for index, layer in enumerate(network.features):
        x = layer(x)
        if index in RELU:
            maps.append(x[0])
    names, small, parts = range(int(labels.max()) + 1), torch.from_numpy(labels), []
    for level in maps[:4]:
        rows = []
        for name in names:
            here = small == name
            rows.append(level[:, here].mean(1) if here.any() else torch.zeros(len(level)))
        parts.append(torch.stack(rows))
        small = small[1::2, 1::2]
    pooled = torch.cat(parts, 1)
    pooled = pooled - pooled.min(1, keepdim=True).values
    return Drawing(image, labels, pooled / pooled.sum(1, keepdim=True).clamp(min=1e-12))


def plain_guides(one: Drawing, other: Drawing) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First guesses both ways."""
    return guide(one, other), guide(other, one)


def guide(one: Drawing, other: Drawing) -> NDArray[np.float64]:
    """One region after another, each against each."""
    measured = [[region(drawing.labels, name) for name in range(len(drawing.features))] for drawing in (one, other)]
    alike = np.zeros((len(measured[0]), len(measured[1])), np.float32)
    diagonal = math.hypot(*one.labels.shape)
    for a, (area, x, y, _) in enumerate(measured[0]):
        for b, (size, column, row, _) in enumerate(measured[1]):
            score = float(torch.minimum(one.features[a], other.features[b]).sum())
            ratio, away = max(area, size) / min(area, size), math.hypot(x - column, y - row) / diagonal
            alike[a, b] = score - (ratio / 20 if ratio > 3 else 0) - (away / 5 if away > 0.14 else 0)
    ranks = sum(np.argsort(np.argsort(-alike, axis, kind="stable"), axis, kind="stable") for axis in (0, 1))
    grey = [cv2.cvtColor(drawing.image, cv2.COLOR_RGB2GRAY) for drawing in (one, other)]
    flow = np.zeros((2, *one.labels.shape))
    for a, (area, x, y, _) in enumerate(measured[0]):
        b = int(np.argmin(ranks[a]))
        size, column, row, _ = measured[1][b]
        trusted = ranks[a, b] <= 0 and math.hypot(x - column, y - row) <= 250
        if trusted and 50 < area < 0.12 * one.labels.size and max(area, size) / min(area, size) < 3:
            motion = moved(grey, (one.labels == a, other.labels == b), (measured[0][a][3], measured[1][b][3]))
            if motion is not None:
                flow[:, one.labels == a] = motion
    return flow


def region(labels: Labels, name: int) -> tuple[int, float, float, tuple[int, int, int, int]]:
    """Area, centroid and box of one."""
    y, x = np.nonzero(labels == name)
    return len(y), x.mean(), y.mean(), (y.min(), y.max(), x.min(), x.max())


def moved(grey: list[Any], masks: tuple[Any, Any], boxes: tuple[Any, Any]) -> Any:
    """Motion of the pixels of a region to another, or None."""
    cuts, inside, centres = [], [], []
    for picture, mask, (top, bottom, left, right) in zip(grey, masks, boxes, strict=True):
        crop = np.where(mask, picture, 0)[top : bottom + 1, left : right + 1].astype(np.uint8)
        within = mask[top : bottom + 1, left : right + 1]
        if crop[within].mean() < 20:
            crop[within] = (0.8 * crop[within] + 40).astype(np.uint8)
        cuts.append(crop)
        inside.append(within)
        centres.append(((left + right) / 2, (top + bottom) / 2))
    height, width = (max(cuts[0].shape[axis], cuts[1].shape[axis], 16) + 10 for axis in (0, 1))
    for index, cut in enumerate(cuts):
        top, left = (height - cut.shape[0]) // 2, (width - cut.shape[1]) // 2
        around = ((top, height - cut.shape[0] - top), (left, width - cut.shape[1] - left))
        cuts[index], inside[index] = np.pad(cut, around), np.pad(inside[index], around)
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)
    dis.setGradientDescentIterations(50)
    dis.setVariationalRefinementIterations(25)
    flow = dis.calc(cuts[0], cuts[1], None)
    both = torch.from_numpy(np.stack((inside[0], np.ones_like(inside[0])))).double()[None]
    mask, weight = plain_splat(both, torch.from_numpy(flow).double().permute(2, 0, 1)[None])[0]
    landed = (mask / (weight + 1e-7)).numpy() >= 0.05
    if (landed & inside[1]).sum() <= 0.8 * landed.sum():
        return None
    return flow[inside[0]].T + (np.array(centres[1]) - np.array(centres[0]))[:, None]


def plain_splat(values: Tensor, flow: Tensor) -> Tensor:
    """Summation splatting by index arithmetic: four weighted copies."""
    n, channels, height, width = values.shape
    x = torch.arange(width, dtype=flow.dtype) + flow[:, 0]
    y = torch.arange(height, dtype=flow.dtype)[:, None] + flow[:, 1]
    result = torch.zeros(n, channels, height * width, dtype=values.dtype)
    for across in (0, 1):
        for down in (0, 1):
            column, row = x.floor() + across, y.floor() + down
            weight = (1 - (x - column).abs()) * (1 - (y - row).abs())
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            place = torch.where(inside, row * width + column, 0).long().view(n, 1, -1).expand(-1, channels, -1)
            result.scatter_add_(2, place, (values * (weight * inside)[:, None]).flatten(2))
    return result.view(n, channels, height, width)


def average(values: Tensor, flow: Tensor) -> Tensor:
    """As the original calls it: ones are splatted with as many channels as the values."""
    total, weight = plain_splat(values, flow), plain_splat(torch.ones_like(values), flow)
    return torch.where(weight > 0, total / torch.where(weight > 0, weight, 1), total)


def plain_flows(network: AnimeInterp, first: Tensor, last: Tensor, guides: Sequence[Tensor]) -> list[Tensor]:
    """From the first image to the last and back."""
    one, other = 2 * first - 1, 2 * last - 1
    return [
        plain_flow(network.flownet, one, other, initial=guides[0]),
        plain_flow(network.flownet, other, one, initial=guides[1]),
    ]


def plain_frame(network: AnimeInterp, first: Tensor, last: Tensor, flows: Sequence[Tensor], time: float) -> Tensor:
    """Both images (1, 3, H, W) in [0, 1] and the flows between them to the frame at `time`."""
    features = network.feat_ext(2 * first - 1), network.feat_ext(2 * last - 1)
    flows = time * flows[0], (1 - time) * flows[1]
    images = torch.cat([average(image, flow) for image, flow in zip((first, last), flows, strict=True)], 1)
    levels = []
    for level in range(3):
        both = []
        for found, flow in zip(features, flows, strict=True):
            height, width = found[level].shape[2:]
            scale = flow.new_tensor((width / flow.shape[3], height / flow.shape[2])).view(1, 2, 1, 1)
            both.append(average(found[level], interpolate(flow, (height, width), mode="nearest") * scale))
        levels.append(torch.cat(both, 1))
    return network.synnet(images, *levels)
