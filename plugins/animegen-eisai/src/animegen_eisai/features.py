"""Features of a frame: the beginning of a ResNet-50, under torchvision's names.

Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, with the stride in the 3 × 3 convolution.
Only as far as the second of four stages; the file of EISAI holds no more, and no other download is needed.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d, relu

SHORT_SIDE = 256
"""The short side of a frame as the features see it."""
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def seen_size(height: int, width: int) -> tuple[int, int]:
    """(h, w) at which features see a frame: its short side `SHORT_SIDE`, its shape kept as the levels allow.

    Each level must be exactly twice the next, so the long side is a multiple of eight, or one less: what the original
    takes, where it takes anything, and else the next multiple of eight.
    """
    long = int(SHORT_SIDE * max(height, width) / min(height, width))
    if long % 8 not in (0, 7):
        long += 8 - long % 8
    return (SHORT_SIDE, long) if width >= height else (long, SHORT_SIDE)


class Features(nn.Module):
    """(N, 3, H, W) RGB in [0, 1] to three maps of 64, 256 and 512 channels, each half the size of the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = _stage(64, 64, blocks=3, stride=1)
        self.layer2 = _stage(256, 128, blocks=4, stride=2)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        image = interpolate(image, seen_size(*image.shape[2:]), mode="bilinear")
        image = (image - image.new_tensor(_MEAN).view(3, 1, 1)) / image.new_tensor(_SPREAD).view(3, 1, 1)
        fine = relu(self.bn1(self.conv1(image)))
        middle = self.layer1(max_pool2d(fine, 3, 2, 1))
        return fine, middle, self.layer2(middle)


class _Bottleneck(nn.Module):
    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        after = 4 * width
        self.conv1 = nn.Conv2d(before, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, after, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(after)
        self.downsample: nn.Module = nn.Identity()
        if before != after:
            self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        y = relu(self.bn1(self.conv1(x)))
        y = relu(self.bn2(self.conv2(y)))
        return relu(self.bn3(self.conv3(y)) + self.downsample(x))


def _stage(before: int, width: int, *, blocks: int, stride: int) -> nn.Sequential:
    rest = [_Bottleneck(4 * width, width, 1) for _ in range(blocks - 1)]
    return nn.Sequential(_Bottleneck(before, width, stride), *rest)
