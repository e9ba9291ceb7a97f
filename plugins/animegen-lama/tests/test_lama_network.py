"""The whole path over the real architecture: traced as the published archives are, against results of the original.

``golden/*.npz`` hold an image, a mask and what the original code (advimman/lama) made of them with weights that
anyone can draw again (`seeded`). The network below is written from the paper (Suvorov et al., WACV 2022, section 2)
and the names of the published tensors; it is here because the published weights are not.
"""

# ruff: noqa: E402 - what may be absent is looked for first

from __future__ import annotations

import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here; pip install animegen-lama brings it")
pytest.importorskip("simple_lama_inpainting", reason="simple-lama-inpainting is not installed here")

from torch import Tensor, nn

from animegen_lama.plugin import LamaOptions
from animegen_lama.stage import Lama

GOLDEN = Path(__file__).parent / "golden"


class FourierUnit(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_layer = nn.Conv2d(2 * channels, 2 * channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        spectrum = torch.view_as_real(torch.fft.rfftn(x, dim=(-2, -1), norm="ortho"))
        # Real and imaginary part of a channel are neighbours.
        parts = spectrum.permute(0, 1, 4, 2, 3).reshape(batch, 2 * channels, height, -1)
        parts = torch.relu(self.bn(self.conv_layer(parts)))
        parts = parts.reshape(batch, channels, 2, height, -1).permute(0, 1, 3, 4, 2).contiguous()
        return torch.fft.irfftn(torch.view_as_complex(parts), s=(height, width), dim=(-2, -1), norm="ortho")


class Spectral(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv1 = nn.Sequential(nn.Conv2d(channels, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU())
        self.fu = FourierUnit(half)
        self.conv2 = nn.Conv2d(half, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        return self.conv2(x + self.fu(x))


class FFC(nn.Module):
    """A local and a global branch; each looks at both. `None` stands for a branch without channels."""

    def __init__(self, before: tuple[int, int], after: tuple[int, int], kernel: int, stride: int, pad: int) -> None:
        super().__init__()

        def conv(channels_in: int, channels_out: int) -> nn.Module:
            if not channels_in or not channels_out:
                return nn.Identity()
            return nn.Conv2d(
                channels_in, channels_out, kernel, stride, pad, bias=False, padding_mode="reflect" if pad else "zeros"
            )

        self.convl2l = conv(before[0], after[0])
        self.convl2g = conv(before[0], after[1])
        self.convg2l = conv(before[1], after[0])
        self.convg2g = Spectral(after[1]) if before[1] and after[1] else nn.Identity()
        self.before, self.after = before, after

    def forward(self, x: tuple[Tensor, Tensor | None]) -> tuple[Tensor, Tensor | None]:
        near, far = x
        local = self.convl2l(near)
        wide = self.convl2g(near) if self.after[1] else None
        if far is not None:
            local = local + self.convg2l(far)
            wide = wide + self.convg2g(far)
        return local, wide


class Unit(nn.Module):
    def __init__(self, before: tuple[int, int], after: tuple[int, int], kernel: int, stride: int, pad: int) -> None:
        super().__init__()
        self.ffc = FFC(before, after, kernel, stride, pad)
        self.bn_l = nn.BatchNorm2d(after[0])
        self.bn_g = nn.BatchNorm2d(after[1]) if after[1] else nn.Identity()

    def forward(self, x: tuple[Tensor, Tensor | None]) -> tuple[Tensor, Tensor | None]:
        local, wide = self.ffc(x)
        return torch.relu(self.bn_l(local)), None if wide is None else torch.relu(self.bn_g(wide))


class Block(nn.Module):
    def __init__(self, channels: tuple[int, int]) -> None:
        super().__init__()
        self.conv1 = Unit(channels, channels, 3, 1, 1)
        self.conv2 = Unit(channels, channels, 3, 1, 1)

    def forward(self, x: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        local, wide = self.conv2(self.conv1(x))
        return x[0] + local, x[1] + wide


class Generator(nn.Module):
    def __init__(self, ngf: int = 64, blocks: int = 18) -> None:
        super().__init__()
        last = 8 * ngf
        inner = (last - int(last * 0.75), int(last * 0.75))
        up: list[nn.Module] = []
        for width in (last, last // 2, last // 4):
            up += [
                nn.ConvTranspose2d(width, width // 2, 3, 2, 1, output_padding=1),
                nn.BatchNorm2d(width // 2),
                nn.ReLU(),
            ]
        self.model = nn.Sequential(
            nn.ReflectionPad2d(3),
            Unit((4, 0), (ngf, 0), 7, 1, 0),
            Unit((ngf, 0), (2 * ngf, 0), 3, 2, 1),
            Unit((2 * ngf, 0), (4 * ngf, 0), 3, 2, 1),
            Unit((4 * ngf, 0), inner, 3, 2, 1),
            *(Block(inner) for _ in range(blocks)),
            nn.Identity(),  # joins the branches
            *up,
            nn.ReflectionPad2d(3),
            nn.Conv2d(ngf, 3, 7),
            nn.Sigmoid(),
        )
        self.blocks = blocks

    def forward(self, x: Tensor) -> Tensor:
        layers = list(self.model)
        state: tuple[Tensor, Tensor | None] = (layers[0](x), None)
        for layer in layers[1 : 5 + self.blocks]:
            state = layer(state)
        local, wide = state
        x = torch.cat([local, wide], dim=1)
        for layer in layers[6 + self.blocks :]:
            x = layer(x)
        return x


class Published(nn.Module):
    """The call of the published archives: hides the hole, runs the network, keeps what is known."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        predicted = self.generator(torch.cat([image * (1 - mask), mask], dim=1))
        return mask * predicted + (1 - mask) * image


for _module in (FourierUnit, Spectral, FFC, Unit, Block, Generator, Published):
    _module.__module__ = "lama"  # an archive stores the names of its classes, and this file's has a hyphen in it


def seeded(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor drawn from the CRC-32 of its published name, as those behind the golden files were."""
    draw = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()))).standard_normal(shape)
    if len(shape) >= 2:
        draw = draw / np.sqrt(np.prod(shape[1:]))
    elif name.endswith("running_var"):
        draw = 1 + 0.1 * np.abs(draw)
    else:
        draw = 0.1 * draw + (1 if name.endswith("weight") else 0)
    return draw.astype(np.float32)


def traced(path: Path, ngf: int, blocks: int) -> Path:
    generator = Generator(ngf, blocks).eval()
    with torch.no_grad():
        for name, tensor in generator.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(torch.from_numpy(seeded(f"generator.{name}", tuple(tensor.shape))))
    example = torch.rand(1, 3, 120, 120), torch.zeros(1, 1, 120, 120, dtype=torch.int64)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.jit.trace(Published(generator).eval(), example, check_trace=False).save(str(path))
    return path


class Context:
    devices = ("cpu",)
    dtype = "auto"

    def weight(self, file: str) -> Path:
        raise AssertionError(file)

    def progress(self, done: int, total: int, unit: str = "steps") -> None:
        pass

    def warn(self, message: str) -> None:
        pass


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp("traced")
    return {blocks: traced(folder / f"{blocks}.pt", 16, blocks) for blocks in (2, 3)}


@pytest.mark.parametrize(("case", "blocks"), [("gen_a", 2), ("gen_b_pad", 2), ("gen_c_bands", 3)])
def test_the_same_as_the_original(archives: dict[int, Path], case: str, blocks: int) -> None:
    with np.load(GOLDEN / f"{case}.npz") as golden:
        image, mask, result = golden["image_u8"], golden["mask_u8"] > 0, golden["result_u8"]
    stage = Lama(LamaOptions(file=str(archives[blocks])), Context())

    filled = stage(image, mask)

    assert mask.any()
    assert (filled[~mask] == image[~mask]).all()
    assert np.abs(filled.astype(int) - result).max() <= 1
    assert (filled == result).mean() > 0.999


@pytest.mark.parametrize(("height", "width"), [(1, 1), (9, 15), (16, 16), (37, 53), (100, 33)])
def test_the_network_takes_every_size(archives: dict[int, Path], height: int, width: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    mask = np.zeros((height, width), bool)
    mask[: (height + 1) // 2, : (width + 1) // 2] = True
    filled = Lama(LamaOptions(file=str(archives[2])), Context())(image, mask)
    assert filled.shape == image.shape
    assert (filled[~mask] == image[~mask]).all()


def test_the_published_size_of_the_network() -> None:
    with torch.device("meta"):
        network = Generator()
    assert sum(tensor.numel() for tensor in network.parameters()) == 50_975_875
    assert len(network.state_dict()) == 989
