"""From a keyframe to the tokens of its patches, as OpenCLIP's image tower sees it."""

from __future__ import annotations

import torch
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, pad

from animegen_tooncrafter.conditioning.towers import ImageConfiguration
from animegen_torch.diffusion.text import checked, run_blocks

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
"""Of the pictures that CLIP was trained on, in [0, 1]."""


def clip_pixels(pictures: Tensor, size: int = 224) -> Tensor:
    """Pictures as the tower takes them: (N, 3, H, W) in [-1, 1] -> (N, 3, size, size) float32, normalised.

    Both sides become `size`, whatever their ratio was: bicubic, corners on corners, and where a side shrinks first a
    Gaussian blur of half of what the factor exceeds 1 by.
    """
    x = pictures.float()
    factors = [side / size for side in x.shape[-2:]]
    if max(factors) > 1:
        x = _blur(x, factors)
    x = interpolate(x, (size, size), mode="bicubic", align_corners=True)
    mean, std = (torch.tensor(values, device=x.device).view(1, 3, 1, 1) for values in (MEAN, STD))
    return ((x + 1) / 2 - mean) / std


def _blur(x: Tensor, factors: list[float]) -> Tensor:
    """Blur rows and columns, each by its own factor, with the rim mirrored."""
    kernels = []
    for factor in factors:
        sigma = max((factor - 1) / 2, 0.001)
        taps = int(max(4 * sigma, 3)) | 1
        places = torch.arange(taps, device=x.device) - taps // 2
        kernel = torch.exp(-(places.float() ** 2) / (2 * sigma**2))
        kernels.append(kernel / kernel.sum())
    down, across = kernels
    channels = x.shape[1]
    rim = [len(across) // 2, len(across) // 2, len(down) // 2, len(down) // 2]
    x = pad(x, rim, mode="reflect")
    x = conv2d(x, down.view(1, 1, -1, 1).expand(channels, -1, -1, -1), groups=channels)
    return conv2d(x, across.view(1, 1, 1, -1).expand(channels, -1, -1, -1), groups=channels)


class _Tower(nn.Module):
    """Names below ``embedder.model``."""

    def __init__(self, c: ImageConfiguration) -> None:
        super().__init__()
        self.visual = VisionTransformer(
            image_size=c.image_size,
            patch_size=c.patch_size,
            width=c.width,
            layers=c.layers,
            heads=c.width // c.head_width,
            mlp_ratio=c.mlp_ratio,
            output_dim=1,
        )
        # The head: what tokens are used for here stops before it.
        self.visual.proj = None
        self.visual.ln_post = nn.Identity()


class ImageTower(nn.Module):
    """OpenCLIP's image tower: all tokens behind its last block, without the last norm and the projection."""

    def __init__(self, configuration: ImageConfiguration | None = None) -> None:
        super().__init__()
        self.configuration = configuration or ImageConfiguration()
        self.model = _Tower(self.configuration)

    @torch.no_grad()
    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] -> (N, 1 + patches, width) in the parameters' type, the class token first.

        Raises:
            NotFiniteError: There are values that are not numbers.
        """
        visual = self.model.visual
        weight = visual.conv1.weight
        x = clip_pixels(pictures.to(weight.device), self.configuration.image_size).to(weight.dtype)
        x = visual.conv1(x).flatten(2).transpose(1, 2)
        first = visual.class_embedding.to(x).expand(len(x), 1, -1)
        x = visual.ln_pre(torch.cat((first, x), 1) + visual.positional_embedding.to(x))
        return checked(run_blocks(visual.transformer.resblocks, x), "image")
