"""FILM's network beside the plainest torch version of the same mathematics: time, memory, equality.

    python benchmarks/film_network.py [--sizes 256x448 540x960] [--threads 1] [--device cpu]

Both run in one process, in turns, on the same frames and seeded weights, from two pictures to the one half way.
With one thread on a processor time is that of the processor, so that other work on the machine matters less; otherwise
by the clock. Memory is the peak of a process of its own for each, above what it had with its weights loaded (on CUDA:
what torch allocated). ``chain`` is what a further pair of a chain costs, one of whose frames is known.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, grid_sample, interpolate, leaky_relu, pad

from animegen_film.architecture import PUBLISHED
from animegen_film.network import Film
from animegen_testing.seeded_weights import seeded_state
from animegen_torch.memory import peak_memory
from animegen_torch.padding import Padding

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
State = dict[str, Tensor]
Run = Callable[[], Tensor]


def frames(height: int, width: int, device: str) -> tuple[Tensor, Tensor]:
    """Two pictures of the same smooth drawing, the second moved by a few pixels, padded: (1, 3, H, W), 0 to 1."""
    coarse = torch.rand(1, 3, height // 8 + 2, width // 8 + 2, generator=torch.Generator().manual_seed(0))
    fine = interpolate(coarse, size=(height + 16, width + 16), mode="bicubic").clamp(0, 1).mul(255).round().div(255)
    padding = Padding.to_multiple((height, width), PUBLISHED.multiple, centred=True)
    first, last = (padding.pad(fine[..., at : at + height, at : at + width]).to(device) for at in (0, 9))
    return first, last


class Plain:
    """FILM as it is described, operation by operation."""

    def __init__(self, state: State) -> None:
        self.state = state

    def __call__(self, first: Tensor, last: Tensor) -> Tensor:
        pyramids = [self.pyramid(picture) for picture in (first, last)]
        features = [self.features(pyramid) for pyramid in pyramids]
        forward = self.flows(features[0], features[1])
        backward = self.flows(features[1], features[0])
        levels = []
        for level in range(5):
            back, forth = 0.5 * backward[level], 0.5 * forward[level]
            one, other = (torch.cat((pyramids[side][level], features[side][level]), 1) for side in (0, 1))
            levels.append(torch.cat((self.warp(one, back), self.warp(other, forth), back, forth), 1))
        return self.fuse(levels)

    def conv(self, name: str, x: Tensor, *, linear: bool = False) -> Tensor:
        weight, bias = self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        size = weight.shape[-1]
        x = conv2d(pad(x, (0, 1, 0, 1)) if size == 2 else x, weight, bias, padding=size // 2 if size == 3 else 0)
        return x if linear else leaky_relu(x, 0.2)

    def pyramid(self, picture: Tensor) -> list[Tensor]:
        pictures = [picture]
        for _ in range(6):
            pictures.append(avg_pool2d(pictures[-1], 2))
        return pictures

    def features(self, pyramid: list[Tensor]) -> list[Tensor]:
        found: list[list[Tensor]] = []
        for level, x in enumerate(pyramid):
            found.append([])
            for stage in range(min(4, 7 - level)):
                x = avg_pool2d(x, 2) if stage else x
                for number in (0, 1):
                    x = self.conv(f"extract.extract_sublevels.convs.{stage}.{number}.0", x)
                found[level].append(x)
        return [torch.cat([found[i - stage][stage] for stage in range(min(i + 1, 4))], 1) for i in range(7)]

    def flows(self, one: list[Tensor], other: list[Tensor]) -> list[Tensor]:
        flow: Tensor | None = None
        found = []
        for level in reversed(range(7)):
            name = "_predictor" if level > 2 else f"_predictors.{2 - level}"
            seen = other[level]
            if flow is not None:
                flow = interpolate(2 * flow, scale_factor=2, mode="bilinear", align_corners=False)
                seen = self.warp(seen, flow)
            x = torch.cat((one[level], seen), 1)
            for number in range(5):
                x = self.conv(f"predict_flow.{name}._convs.{number}.0", x, linear=number == 4)
            flow = x if flow is None else flow + x
            found.insert(0, flow)
        return found

    def warp(self, image: Tensor, flow: Tensor) -> Tensor:
        height, width = flow.shape[2:]
        y = torch.linspace(-(1 - 1 / height), 1 - 1 / height, height, device=flow.device)
        x = torch.linspace(-(1 - 1 / width), 1 - 1 / width, width, device=flow.device)
        grid = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1])[None]
        scaled = torch.cat((flow[:, :1] / (width / 2), flow[:, 1:] / (height / 2)), 1).float()
        at = (grid + scaled).permute(0, 2, 3, 1)
        return grid_sample(image.float(), at, mode="bilinear", padding_mode="border", align_corners=False).to(image)

    def fuse(self, levels: list[Tensor]) -> Tensor:
        x = levels[4]
        for place, level in enumerate((3, 2, 1, 0)):
            x = self.conv(f"fuse.convs.{place}.0.0", interpolate(x, scale_factor=2, mode="nearest"), linear=True)
            x = torch.cat((levels[level], x), 1)
            for number in (1, 2):
                x = self.conv(f"fuse.convs.{place}.{number}.0", x)
        return self.conv("fuse.output_conv", x, linear=True)


def made(who: str, options: argparse.Namespace) -> Film | Plain:
    """One of both, with its weights."""
    dtype = DTYPES[options.dtype]
    state = {
        name: torch.from_numpy(array).to(options.device, dtype)
        for name, array in seeded_state(PUBLISHED.shapes).items()
    }
    if who == "plain":
        return Plain(state)
    network = Film()
    network.load_state_dict(state, assign=True)
    return network.prepare()


def run_of(network: Film | Plain, pair: tuple[Tensor, Tensor], dtype: torch.dtype) -> Run:
    """From two pictures to the one between."""
    first, last = (picture.to(dtype) for picture in pair)
    return lambda: network(first, last).float()


def seconds(run: Run, device: str) -> float:
    clock = time.process_time if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    if device == "cuda":
        torch.cuda.synchronize()
    started = clock()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return clock() - started


def compare(size: str, options: argparse.Namespace) -> None:
    """Print the lines of one size."""
    height, width = map(int, size.split("x"))
    pair = frames(height, width, options.device)
    dtype = DTYPES[options.dtype]
    ours = made("ours", options)
    assert isinstance(ours, Film)
    run, other = run_of(ours, pair, dtype), run_of(made("plain", options), pair, dtype)
    with torch.inference_mode():
        known = ours.encode(pair[0])

        def chain() -> Tensor:
            last = ours.encode(pair[1])
            return ours.between(known, last, ours.motion(known, last))

        apart = float((run() - other()).abs().max())
        times: dict[str, list[float]] = {"ours": [], "plain": [], "chain": []}
        for _ in range(options.rounds):
            for name, call in (("ours", run), ("plain", other), ("chain", chain)):
                times[name].append(seconds(call, options.device))
    ratio = statistics.median(theirs / own for own, theirs in zip(times["ours"], times["plain"], strict=True))
    print(f"{size:>9}  largest difference {apart:.1e}; plain / ours {ratio:.2f} (median of {options.rounds})")
    for name, one in times.items():
        memory = "" if name == "chain" else f", {peak_of(name, size, options):.0f} MiB at the peak"
        print(f"{'':9}  {name:5} {statistics.median(one):.2f} s (best {min(one):.2f}){memory}", flush=True)


def peak_of(who: str, size: str, options: argparse.Namespace) -> float:
    """MiB that a pass takes in a process of its own."""
    command = [sys.executable, __file__, "--memory-of", who, "--sizes", size, "--dtype", options.dtype]
    command += ["--device", options.device, "--threads", str(options.threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def measure_memory(options: argparse.Namespace) -> None:
    """What `peak_of` runs: prints the peak of a second pass, for the first also brings in libraries."""
    height, width = map(int, options.sizes[0].split("x"))
    network = made(options.memory_of, options)
    with torch.inference_mode():
        run_of(network, frames(64, 64, options.device), DTYPES[options.dtype])()
        run = run_of(network, frames(height, width, options.device), DTYPES[options.dtype])
        with peak_memory(torch.device(options.device)) as peak:
            run()
    print(peak.bytes / 2**20)


def main() -> None:
    """Compare both at every size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["256x448", "540x960"], metavar="HEIGHTxWIDTH")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-of", choices=("ours", "plain"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory_of:
        measure_memory(options)
        return
    where = torch.cuda.get_device_name() if options.device == "cuda" else f"processor, {options.threads} threads"
    print(f"{where}, torch {torch.__version__}, {options.dtype}")
    for size in options.sizes:
        compare(size, options)


if __name__ == "__main__":
    main()
