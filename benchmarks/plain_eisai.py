"""EISAI as its description reads, in the plainest torch: the yardstick of ``benchmarks/eisai.py``.

Parameters are those of the networks of `animegen_eisai`; of its arithmetic only colours and layers are used. Every
frame is drawn from the two images and the flows alone, as the authors' script does it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d, grid_sample, interpolate, max_pool2d, pad, relu

from animegen_eisai.colours import lab
from animegen_eisai.features import Features, seen_size
from animegen_eisai.layers import logit
from animegen_eisai.refinement import DistanceTransformModule
from animegen_eisai.synthesis import SoftsplatLite

Warped = tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]


def plain_frame(
    synthesis: SoftsplatLite,
    refinement: DistanceTransformModule,
    first: Tensor,
    last: Tensor,
    flows: tuple[Tensor, Tensor],
    time: float,
) -> Tensor:
    """The frame at `time`; flows are (to the first, to the last), (dx, dy)."""
    size = first.shape[2:]
    metrics = [
        -0.1 * torch.linalg.vector_norm(lab(own) - backward(lab(other), flow), dim=1, keepdim=True)
        for own, other, flow in ((last, first, flows[0]), (first, last, flows[1]))
    ]
    images = [torch.cat((image, plain_nedt(image)), 1) for image in (first, last)]
    bases, moved, scaled, masks = half_warped(images, flows, metrics, time)
    levels = []
    for one, other in zip(*(levels_of(synthesis.feature_extractor, image) for image in (first, last)), strict=True):
        small = tuple(resized(flow, one.shape[2:]) for flow in flows)
        coarse = [interpolate(metric, one.shape[2:], mode="bilinear") for metric in metrics]
        both = half_warped([one, other], small, coarse, time)[0]
        levels.append((both[0] + both[1]) / 2)
    grid = synthesis.gridnet(synthesis.gridnet_converter(levels))
    mean = logit((bases[0][:, :3] + bases[1][:, :3]) / 2)
    seen = [mean, *(logit(image[:, :3]) for image in (*bases, *moved))]
    seen += [torch.linalg.vector_norm(flow, dim=1, keepdim=True) / math.hypot(*size) for flow in scaled]
    seen += [*masks, interpolate(grid, size, mode="bilinear")]
    drawn = torch.sigmoid(mean + 0.5 * synthesis.synthesizer.net(torch.cat(seen, 1)))
    found = plain_nedt(drawn)
    inputs = torch.cat((drawn, found, *bases, *masks), 1)
    wanted = torch.sigmoid(refinement.net_nedt(logit(inputs.clamp(0, 1))))
    inputs = torch.cat((drawn, found, wanted), 1)
    return torch.sigmoid(logit(drawn) + refinement.net_tail(logit(inputs.clamp(0, 1))))


def half_warped(images: list[Tensor], flows: tuple[Tensor, ...], metrics: list[Tensor], time: float) -> Warped:
    """Bases, what was moved, flows to the first and the last at this time, masks."""
    scaled = [(1 - time) * flows[0], time * flows[1]]
    a, seen_a = softmax_splat(images[0], scaled[1], metrics[1])
    b, seen_b = softmax_splat(images[1], scaled[0], metrics[0])
    one, other = plain_opened(seen_a), plain_opened(seen_b)
    return [one * a + (1 - one) * b, other * b + (1 - other) * a], [a, b], scaled, [one, other]


def softmax_splat(values: Tensor, flow: Tensor, metric: Tensor) -> tuple[Tensor, Tensor]:
    """Values where they land, and where anything does."""
    weight = metric.exp()
    total = scatter(torch.cat((values * weight, weight, weight), 1), flow)
    norm = total[:, -1:]
    result = total[:, :-1] / torch.where(norm == 0, 1, norm)
    return result[:, :-1], result[:, -1:]


def scatter(values: Tensor, flow: Tensor) -> Tensor:
    """Summation splatting: four weighted copies, each added where it lands."""
    N, C, H, W = values.shape
    rows, columns = torch.meshgrid(
        torch.arange(H, device=flow.device), torch.arange(W, device=flow.device), indexing="ij"
    )
    x, y = flow[:, 0] + columns, flow[:, 1] + rows
    left, top = x.floor(), y.floor()
    result = values.new_zeros(N, C, H * W)
    for column, across in ((left, left + 1 - x), (left + 1, x - left)):
        for row, down in ((top, top + 1 - y), (top + 1, y - top)):
            inside = (column >= 0) & (column < W) & (row >= 0) & (row < H)
            place = torch.where(inside, row * W + column, 0).long().view(N, 1, -1).expand(-1, C, -1)
            result.scatter_add_(2, place, (values * (across * down * inside)[:, None]).flatten(2))
    return result.view(N, C, H, W)


def plain_opened(mask: Tensor) -> Tensor:
    """Opening with a box of five."""
    eroded = -max_pool2d(-mask, 5, 1, 2)
    return max_pool2d(eroded, 5, 1, 2)


def backward(image: Tensor, flow: Tensor) -> Tensor:
    """The image read along a flow, with the grid of corners read as one of centres."""
    H, W = image.shape[2:]
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, H, device=flow.device), torch.linspace(-1, 1, W, device=flow.device), indexing="ij"
    )
    grid = torch.stack((x + 2 * flow[:, 0] / W, y + 2 * flow[:, 1] / H), -1)
    return grid_sample(image, grid, padding_mode="border", align_corners=False)


def resized(flow: Tensor, size: torch.Size) -> Tensor:
    """A flow at another size."""
    scale = flow.new_tensor((size[1] / flow.shape[3], size[0] / flow.shape[2])).view(1, 2, 1, 1)
    return interpolate(flow, size, mode="bilinear") * scale


def levels_of(network: Features, image: Tensor) -> list[Tensor]:
    """Three levels of features."""
    image = interpolate(image, seen_size(*image.shape[2:]), mode="bilinear")
    mean, spread = (image.new_tensor(one).view(3, 1, 1) for one in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    fine = relu(network.bn1(network.conv1((image - mean) / spread)))
    middle = network.layer1(max_pool2d(fine, 3, 2, 1))
    return [fine, middle, network.layer2(middle)]


def plain_nedt(image: Tensor) -> Tensor:
    """Distances to lines, normalised."""
    H, W = image.shape[2:]
    red, green, blue = image.split(1, 1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    sigma = min(H, W) / 540
    edges = 0.5 + 2 * (blurred(luma, 1.6 * sigma) - blurred(luma, sigma)) - 0.01
    return 1 - torch.exp(-plain_distances(edges > 0.5) * 36 / max(H, W))


def blurred(luma: Tensor, sigma: float) -> Tensor:
    """By a Gaussian."""
    reach = max(int(4 * sigma), 1)
    at = torch.arange(-reach, reach + 1, dtype=luma.dtype, device=luma.device)
    kernel = torch.exp(-(at**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    return conv2d(pad(luma, (reach,) * 4, mode="replicate"), torch.outer(kernel, kernel)[None, None])


def plain_distances(lines: Tensor, rows: int = 16) -> Tensor:
    """Two passes, each the least of all in a row or column; some rows at a time, lest it take gigabytes."""
    most = lines.shape[2] ** 2 + lines.shape[3] ** 2
    squares = torch.where(lines, 0.0, float(most))
    for _ in range(2):
        squares = squares.transpose(2, 3).contiguous()
        at = torch.arange(squares.shape[3], device=lines.device, dtype=squares.dtype)
        away = (at[:, None] - at) ** 2
        parts = [(part[..., None, :] + away).amin(-1) for part in squares.split(rows, 2)]
        squares = torch.cat(parts, 2).clamp_max(most)
    return squares.sqrt()
