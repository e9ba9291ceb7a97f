"""RFR as its description reads, in the plainest torch: the yardstick of AnimeInterp's and EISAI's benchmarks.

Parameters are those of an `animegen_torch.rfr.Rfr`; none of its arithmetic is used.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, grid_sample, interpolate, relu, unfold

from animegen_torch.rfr import Rfr


def plain_flow(
    network: Rfr, first: Tensor, second: Tensor, *, initial: Tensor | None = None, iterations: int = 12
) -> Tensor:
    """What `network(first, second, initial=initial, iterations=iterations)` gives."""
    height, width = first.shape[2:]
    small = [
        interpolate(image, (height // 8 * 8, width // 8 * 8), mode="bilinear", align_corners=False)
        for image in (first, second)
    ]
    one, other = (encoded(network.fnet, image) for image in small)
    hidden, context = encoded(network.fnet, small[0]).split(128, 1)
    hidden, context = torch.tanh(hidden), relu(context)
    pyramid = volumes(one, other)
    h, w = one.shape[2:]
    rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    start = torch.stack((columns, rows)).float().to(one.device)[None]
    at = start.clone()
    guess = None
    if initial is not None:
        scale = initial.new_tensor((w / width, h / height)).view(1, 2, 1, 1)
        guess = interpolate(initial, (h, w), mode="nearest") * scale
        at = at + guess
    result = start
    for iteration in range(iterations):
        if guess is not None and iteration == 0:
            at = at + guess
        seen = windows(pyramid, at)
        motion = moved(network.update_block.encoder, seen, at - start)
        hidden = updated(network.update_block.gru, hidden, torch.cat((context, motion), 1))
        head = network.update_block.flow_head
        at = at + conv(head.conv2, relu(conv(head.conv1, hidden)))
        mask = 0.25 * conv(network.update_block.mask[2], relu(conv(network.update_block.mask[0], hidden)))
        result = upsampled(at - start, mask)
    scale = result.new_tensor((width / (8 * w), height / (8 * h))).view(1, 2, 1, 1)
    return interpolate(result * scale, (height, width), mode="bilinear", align_corners=False)


def conv(layer: nn.Module, x: Tensor) -> Tensor:
    """The convolution of a layer, whatever the layer would do."""
    assert isinstance(layer, nn.Conv2d)
    return conv2d(x, layer.weight, layer.bias, layer.stride, layer.padding)


def encoded(network: nn.Module, image: Tensor) -> Tensor:
    """(N, 256, H/8, W/8)."""
    x = relu(conv(network.conv1, image))
    for stage in (network.layer1, network.layer2, network.layer3):
        for block in stage:
            inner = relu(conv(block.conv2, relu(conv(block.conv1, x))))
            shortcut = block.downsample
            x = relu((conv(shortcut[0], x) if isinstance(shortcut, nn.Sequential) else x) + inner)
    return conv(network.conv2, x)


def volumes(one: Tensor, other: Tensor) -> list[Tensor]:
    """All pairs of places, at four sizes of the second image: (N h w, 1, h', w') each."""
    n, channels, h, w = one.shape
    products = one.flatten(2).transpose(1, 2) @ other.flatten(2) / channels**0.5
    found = [products.reshape(n * h * w, 1, h, w)]
    for _ in range(3):
        found.append(avg_pool2d(found[-1], 2, 2))
    return found


def windows(pyramid: list[Tensor], at: Tensor) -> Tensor:
    """(N, 324, h, w): at each level 9 × 9 points around each place, the slower index along x."""
    n, _, h, w = at.shape
    steps = torch.arange(-4, 5.0, device=at.device)
    around = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1)
    found = []
    for level, volume in enumerate(pyramid):
        points = at.permute(0, 2, 3, 1).reshape(-1, 1, 1, 2) / 2**level + around
        size = points.new_tensor((volume.shape[3] - 1, volume.shape[2] - 1))
        sampled = grid_sample(volume, 2 * points / size - 1, align_corners=True)
        found.append(sampled.view(n, h, w, -1))
    return torch.cat(found, -1).permute(0, 3, 1, 2)


def moved(network: nn.Module, seen: Tensor, flow: Tensor) -> Tensor:
    """(N, 128, h, w) from correlations and flow."""
    a = relu(conv(network.convc2, relu(conv(network.convc1, seen))))
    b = relu(conv(network.convf2, relu(conv(network.convf1, flow))))
    return torch.cat((relu(conv(network.conv, torch.cat((a, b), 1))), flow), 1)


def updated(gru: nn.Module, hidden: Tensor, given: Tensor) -> Tensor:
    """The recurrent unit along rows, then along columns."""
    for half in (1, 2):
        both = torch.cat((hidden, given), 1)
        update = torch.sigmoid(conv(gru.get_submodule(f"convz{half}"), both))
        reset = torch.sigmoid(conv(gru.get_submodule(f"convr{half}"), both))
        candidate = torch.tanh(conv(gru.get_submodule(f"convq{half}"), torch.cat((reset * hidden, given), 1)))
        hidden = (1 - update) * hidden + update * candidate
    return hidden


def upsampled(flow: Tensor, mask: Tensor) -> Tensor:
    """To eight times the size, each vector a weighted mean of nine."""
    n, _, h, w = flow.shape
    weights = torch.softmax(mask.view(n, 1, 9, 8, 8, h, w), 2)
    near = unfold(8 * flow, 3, padding=1).view(n, 2, 9, 1, 1, h, w)
    return (weights * near).sum(2).permute(0, 1, 4, 2, 5, 3).reshape(n, 2, 8 * h, 8 * w)
