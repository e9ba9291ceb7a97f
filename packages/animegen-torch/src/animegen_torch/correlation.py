"""How alike the features of two images are: near by (a local cost volume), or everywhere (all pairs, as RAFT has it).

Features are (N, C, H, W). All products are summed in float32 (float64 for float64 features).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, pad


def local_correlation(first: Tensor, second: Tensor, radius: int = 4) -> Tensor:
    """The cost volume of PWC-Net (Sun et al., CVPR 2018, section 3): each pixel against those around its place.

    Args:
        first, second: (N, C, H, W) features.
        radius: Farthest displacement along each axis, in pixels.

    Returns:
        (N, (2 radius + 1)², H, W): channel (dy + radius)(2 radius + 1) + dx + radius is the mean over channels of
        first(x, y) · second(x + dx, y + dy), with zeros outside. Nothing larger than this is made, but for one product
        of the size of the features.
    """
    if first.shape != second.shape:
        raise ValueError(f"features of {tuple(first.shape)} and {tuple(second.shape)} cannot be compared")
    H, W = first.shape[2:]
    side = 2 * radius + 1
    first, second = _wide(first), pad(_wide(second), (radius,) * 4)
    places = ((down, across) for down in range(side) for across in range(side))
    costs = [(first * second[:, :, down : down + H, across : across + W]).mean(1) for down, across in places]
    return torch.stack(costs, 1)


class AllPairs:
    """The correlation pyramid of RAFT (Teed & Deng, ECCV 2020, section 3.2) and its lookup.

    Correlation is a product of features, so averaging the second image's features gives the coarser levels as
    averaging the volume does. Where the pyramid would take more than `limit` bytes it is not kept: `lookup` then makes
    it for a part of the pixels at a time, and makes it again at the next call. The result is the same.

    Args:
        first, second: (N, C, H, W) features of two images.
        levels: Of the pyramid; each halves the second image, rounding down.
        radius: Pixels of a level looked at in each direction.
        limit: Bytes the pyramid may take; 1 GiB is reached at about 1040 × 1040 pixels of an image with features at
            an eighth of its size.
    """

    def __init__(
        self, first: Tensor, second: Tensor, *, levels: int = 4, radius: int = 4, limit: int = 1 << 30
    ) -> None:
        if first.shape != second.shape:
            raise ValueError(f"features of {tuple(first.shape)} and {tuple(second.shape)} cannot be compared")
        N, C, H, W = first.shape
        if min(H, W) < 2 ** (levels - 1):
            raise ValueError(f"{levels} levels need features of at least {2 ** (levels - 1)} pixels, not {H} × {W}")
        self.radius = radius
        self._shape = (N, H, W)
        # Scaled here, where it is cheapest: by the root of C in all (section 3.2 leaves it out, the code has it).
        self._first = _wide(first).flatten(2).transpose(1, 2) / C**0.5
        self._seconds = [_wide(second)]
        for _ in range(levels - 1):
            self._seconds.append(avg_pool2d(self._seconds[-1], 2))
        row = sum(level[0, 0].numel() for level in self._seconds) * self._first.element_size()
        self._part = max(1, min(H * W, limit // (row * N)))
        self._kept = self._volumes(0, H * W) if self._part == H * W else None

    @property
    def is_kept(self) -> bool:
        """Whether the whole pyramid lies in memory."""
        return self._kept is not None

    def lookup(self, points: Tensor) -> Tensor:
        """Correlations around where each pixel of the first image is thought to be in the second.

        Args:
            points: (N, 2, H, W), (x, y) in pixels of the features.

        Returns:
            (N, levels (2 radius + 1)², H, W), channels last in memory; bilinear, zeros outside. Within a level the
            slower index moves x: the transposition that RAFT's weights have been trained with.
        """
        N, H, W = self._shape
        if points.shape != (N, 2, H, W):
            raise ValueError(f"points are {tuple(points.shape)}; {(N, 2, H, W)} is expected")
        at = points.to(self._first.dtype).flatten(2).transpose(1, 2)
        parts = []
        for start in range(0, H * W, self._part):
            end = min(start + self._part, H * W)
            volumes = self._kept if self._kept is not None else self._volumes(start, end)
            windows = [self._window(volume, at[:, start:end] / 2**level) for level, volume in enumerate(volumes)]
            parts.append(torch.cat(windows, 2))
        return torch.cat(parts, 1).view(N, H, W, -1).permute(0, 3, 1, 2)

    def _volumes(self, start: int, end: int) -> list[Tensor]:
        """For the pixels from `start` to `end`, each level as (N, pixels, h, w)."""
        part = self._first[:, start:end]
        return [(part @ level.flatten(2)).unflatten(2, level.shape[2:]) for level in self._seconds]

    def _window(self, volume: Tensor, at: Tensor) -> Tensor:
        """(N, P, (2r + 1)²) from (N, P, h, w) around (N, P, 2)."""
        N, P, h, w = volume.shape
        steps = torch.arange(-self.radius, self.radius + 1, device=at.device, dtype=at.dtype)
        offsets = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1)
        # Far outside there are only zeros, wherever exactly; a point that is not a number is there too.
        far = self.radius + 2
        at = at.nan_to_num(-far).clamp(-far, max(h, w) + far).reshape(N * P, 1, 1, 2)
        # Half-pixel centres instead of RAFT's corners: the same points, and a level of one pixel has a scale as well.
        scale = at.new_tensor((2 / w, 2 / h))
        grid = ((at + 0.5) * scale - 1) + offsets * scale
        window = grid_sample(volume.reshape(N * P, 1, h, w), grid, padding_mode="zeros", align_corners=False)
        return window.view(N, P, -1)


def _wide(features: Tensor) -> Tensor:
    return features if features.dtype == torch.float64 else features.float()
