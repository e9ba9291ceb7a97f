"""Drawn lines and how far every pixel is from one, as the networks of EISAI see them.

Source: Chen & Zwicker, "Improving the Perceptual Quality of 2D Animation Interpolation", ECCV 2022, section 3.3 (NEDT).
All of it is without gradient.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from animegen.builtin.lines import line_distance
from animegen_eisai.colours import without_autocast

TRAINED_HEIGHT = 540
REACH = 36
"""540 / 15: at an edge of 540 of 960 pixels the map has risen by 1 - 1/e where the nearest line is 27 away."""
_LOOK = 16
"""Steps of `distances_by_torch` between two looks at whether it may stop."""


def nedt(image: Tensor, sigma: float | None = None) -> Tensor:
    """Normalised Euclidean distance transform: 0 on lines, towards 1 far from any.

    Args:
        image: (N, 3, H, W) RGB in [0, 1].
        sigma: Width of the narrow blur that finds lines, px; H / 540 by default, as in the original.

    Returns:
        (N, 1, H, W) float32; computed in float32 also under autocast.
    """
    H, W = image.shape[2:]
    with torch.no_grad(), without_autocast(image.device):
        edges = difference_of_gaussians(image.float(), H / TRAINED_HEIGHT if sigma is None else sigma)
        return 1 - torch.exp(distances(edges > 0.5) * (-REACH / max(H, W)))


def difference_of_gaussians(
    image: Tensor, sigma: float, *, gain: float = 2.0, ratio: float = 1.6, epsilon: float = 0.01
) -> Tensor:
    """0.5 + gain × (wide blur - narrow blur) - epsilon of luma, (N, 1, H, W); above 0.5 on dark lines. Unclipped.

    Args:
        image: (N, 3, H, W) RGB in [0, 1].
        sigma: Of the narrow blur, px; the wide one has `ratio` times it. Both see the border's pixels repeated.
    """
    luma = torch.einsum("c,nchw->nhw", image.new_tensor((0.299, 0.587, 0.114)), image)[:, None]
    # Both blurs at once, the smaller kernel led with zeros. Not row by row, which would be quicker: what is a line is
    # decided by the last bits, and these are the original's.
    narrow, wide = _gaussian(sigma, luma), _gaussian(ratio * sigma, luma)
    reach = len(wide) // 2
    kernels = torch.stack((pad(narrow, (reach - len(narrow) // 2,) * 4), wide))[:, None]
    blurred = conv2d(pad(luma, (reach,) * 4, mode="replicate"), kernels)
    return 0.5 + gain * (blurred[:, 1:] - blurred[:, :1]) - epsilon


def _gaussian(sigma: float, like: Tensor) -> Tensor:
    reach = max(int(4 * sigma), 1)
    at = torch.arange(-reach, reach + 1, dtype=like.dtype, device=like.device)
    kernel = torch.exp(-(at**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    return torch.outer(kernel, kernel)


def distances(lines: Tensor) -> Tensor:
    """Euclidean distance of every pixel to the nearest line; the diagonal where a picture has none.

    Args:
        lines: (N, 1, H, W) bool.

    Returns:
        (N, 1, H, W) float32, px, exact. By OpenCV on the processor, whose time grows with the pixels alone; on CUDA
        where they are.
    """
    if lines.device.type == "cuda":
        return distances_by_torch(lines)
    maps = [torch.from_numpy(line_distance(one.cpu().numpy())) for one in lines[:, 0]]
    return torch.stack(maps)[:, None].to(lines.device)


def distances_by_torch(lines: Tensor) -> Tensor:
    """`distances` on any device.

    Within columns the nearest line is found by running maxima. Then every pixel takes the least of (its distance
    along the row)² + (that column's distance)²: column by column outwards, and no further than the largest distance
    found so far, beyond which nothing can be nearer (Felzenszwalb & Huttenlocher, 2012, without their envelope).
    """
    H, W = lines.shape[2:]
    most = H * H + W * W
    rows = torch.arange(H, device=lines.device, dtype=torch.float32)[:, None]
    above = torch.where(lines, rows, -math.inf).cummax(2).values
    below = torch.where(lines, rows, math.inf).flip(2).cummin(2).values.flip(2)
    column = torch.minimum(rows - above, below - rows).square().clamp_max(most)
    found = column.clone()
    for step in range(1, W):
        if step % _LOOK == 1 and step * step >= float(found.max()):
            break
        torch.minimum(found[..., step:], column[..., :-step] + step * step, out=found[..., step:])
        torch.minimum(found[..., :-step], column[..., step:] + step * step, out=found[..., :-step])
    return found.sqrt()
