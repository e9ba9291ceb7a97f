"""EISAI beside the plainest version of the same maths: time and memory of a pair; splat and distances alone.

    python benchmarks/eisai.py [--sizes 256x448 540x960] [--pair A B] [--rounds 3] [--threads 1] [--device cuda]
    python benchmarks/eisai.py --parts [--device cuda]

Seeded parameters; both versions run in one process, in turns, and must draw the same frame: 99 % of its values within
0.001 and a mean difference below 0.0001, as the golden cases have it, for a pixel at the threshold of lines may be
another. "pair" is a pair with its first frame, "next" each further time of it. Memory is the peak of a process of its
own for each. The drawings are made up unless a pair is named.

With ``--parts`` (and at the end of every other run) the splat, against scatter_add of weighted copies, and the exact
distance transform, against two passes in plain torch, SciPy and OpenCV.

Seconds are of processor time where one thread computes, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from plain_eisai import plain_distances, plain_frame, scatter
from plain_rfr import plain_flow
from torch import Tensor
from torch.nn.functional import interpolate

from animegen._cv2 import cv2
from animegen_eisai.lines import distances, distances_by_torch
from animegen_eisai.network import Eisai
from animegen_eisai.refinement import DistanceTransformModule
from animegen_eisai.synthesis import SoftsplatLite
from animegen_testing import seeded_weights
from animegen_torch import splatting
from animegen_torch.memory import peak_memory
from animegen_torch.precision import tf32
from animegen_torch.rfr import Rfr

TIMES = (0.5, 0.25)
Picture = NDArray[np.uint8]
Parts = dict[str, float]


def drawings(height: int, width: int) -> tuple[Picture, Picture]:
    """Outlined shapes in flat colours on a ramp; in the second, each has moved by a few pixels."""
    random = np.random.default_rng(5)
    ramp = np.linspace(170, 240, width)[None, :, None] + np.zeros((height, 1, 3))
    pictures = [np.ascontiguousarray(ramp.astype(np.uint8)) for _ in range(2)]
    unit = height / 540
    for _ in range(50):
        centre, move = random.uniform((0, 0), (width, height)), random.uniform(-16, 16, 2) * unit
        axes, angle = random.uniform(14, 70, 2) * unit, random.uniform(0, 180)
        colour = random.integers(30, 255, 3).tolist()
        for picture, at in zip(pictures, (centre, centre + move), strict=True):
            ellipse = (*at.astype(int).tolist(),), (*axes.astype(int).tolist(),), angle, 0, 360
            cv2.ellipse(picture, *ellipse, colour, -1, cv2.LINE_AA)
            cv2.ellipse(picture, *ellipse, (20, 20, 20), max(1, round(2 * unit)), cv2.LINE_AA)
    return pictures[0], pictures[1]


def networks(device: torch.device) -> tuple[Rfr, SoftsplatLite, DistanceTransformModule]:
    """With seeded parameters."""
    flow, synthesis, refinement = Rfr(), SoftsplatLite(), DistanceTransformModule()
    seeded_weights.fill(flow, prefix="module.flownet.")
    # Seeded flows are tens of pixels long and wild; a tenth of that is what moves in a drawing.
    for parameter in flow.update_block.flow_head.conv2.parameters():
        parameter.data.mul_(0.1)
    seeded_weights.fill(synthesis)
    seeded_weights.fill(refinement)
    for network in (flow, synthesis, refinement):
        network.to(device).eval().requires_grad_(False)
    return flow, synthesis, refinement


def clocked(device: torch.device, work: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Seconds, and what came of them."""
    now = time.process_time if device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    settle(device)
    started = now()
    result = work()
    settle(device)
    return now() - started, result


def settle(device: torch.device) -> None:
    """Wait for what the device has still to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Ours:
    """As the stage does it."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.network = Eisai(*networks(device), device=device)

    def draw(self, pair: tuple[Tensor, Tensor]) -> tuple[Parts, list[Tensor]]:
        """Seconds of a pair with its first frame and of each further one, and the frames."""
        known: list[object] = []

        def first() -> Tensor:
            one, other = map(self.network.know, pair)
            known.append(self.network.pair(one, other))
            return self.network.draw(known[0], TIMES[0])  # type: ignore[arg-type]

        one, frame = clocked(self.device, first)
        two, other = clocked(self.device, lambda: self.network.draw(known[0], TIMES[1]))  # type: ignore[arg-type]
        return {"pair": one, "next": two}, [frame, other]


class Plain:
    """In the plainest way."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.flow, self.synthesis, self.refinement = networks(device)

    def draw(self, pair: tuple[Tensor, Tensor]) -> tuple[Parts, list[Tensor]]:
        """As `Ours.draw`."""
        flows: list[Tensor] = []

        def frame(number: int) -> Tensor:
            with torch.inference_mode():
                if not flows:
                    flows.extend((plain_flow(self.flow, *pair[::-1]), plain_flow(self.flow, *pair)))
                return plain_frame(self.synthesis, self.refinement, *pair, (flows[0], flows[1]), TIMES[number])

        one, first = clocked(self.device, lambda: frame(0))
        two, other = clocked(self.device, lambda: frame(1))
        return {"pair": one, "next": two}, [first, other]


WHO: dict[str, type[Ours | Plain]] = {"ours": Ours, "plain": Plain}


def compare(size: str, options: argparse.Namespace) -> None:
    """Print the table of one size."""
    device = torch.device(options.device)
    pair = tensors(size, options)
    versions = {name: make(device) for name, make in WHO.items()}
    rounds: dict[str, list[Parts]] = {name: [] for name in WHO}
    frames: dict[str, list[Tensor]] = {}
    for number in range(options.rounds + (device.type != "cpu")):
        for name, version in versions.items():
            parts, frames[name] = version.draw(pair)
            if number or device.type == "cpu":  # a GPU's first round looks for its algorithms
                rounds[name].append(parts)
    print(f"\n{size} on {device}")
    for one, other in zip(frames["ours"], frames["plain"], strict=True):
        apart = (one - other).abs()
        within = float((apart <= 1e-3).float().mean())
        print(f"  equal: {within:.3%} of the values within 0.001, mean difference {float(apart.mean()):.1e}")
        assert within >= 0.99 and float(apart.mean()) < 1e-4, "the frames differ"
    for part in ("pair", "next"):
        seconds = {name: [parts[part] for parts in rounds[name]] for name in WHO}
        ratio = statistics.median(b / a for a, b in zip(seconds["ours"], seconds["plain"], strict=True))
        told = "   ".join(f"{name} {statistics.median(seconds[name]):8.3f} s" for name in WHO)
        print(f"  {part:>12}  {told}   ratio {ratio:5.2f}", flush=True)
    del versions, frames
    peaks = {name: peak_of(name, size, options) for name in WHO}
    print(f"  {'peak memory':>12}  " + "   ".join(f"{name} {peak:6.0f} MiB" for name, peak in peaks.items()))


def tensors(size: str, options: argparse.Namespace) -> tuple[Tensor, Tensor]:
    """The pair, (1, 3, H, W) each."""
    height, width = map(int, size.split("x"))
    pictures: tuple[Picture, ...] = drawings(height, width)
    if options.pair:
        read = (cv2.cvtColor(cv2.imread(str(name)), cv2.COLOR_BGR2RGB) for name in options.pair)
        pictures = tuple(np.asarray(cv2.resize(one, (width, height)), np.uint8) for one in read)
    first, last = (torch.from_numpy(one).permute(2, 0, 1)[None].float().div(255).to(options.device) for one in pictures)
    return first, last


def peak_of(name: str, size: str, options: argparse.Namespace) -> float:
    """MiB that one version takes in a process of its own, above what it had with its parameters."""
    command = [sys.executable, __file__, "--memory-of", name, "--sizes", size, "--threads", str(options.threads)]
    command += ["--device", options.device]
    if options.pair:
        command += ["--pair", *map(str, options.pair)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def best(device: torch.device, work: Callable[[], object], rounds: int = 10) -> float:
    """Least milliseconds of several calls, or of one that is slow."""

    def once() -> float:
        return 1000 * clocked(device, lambda: torch.zeros(int(work() is None)))[0]

    first = once()
    return first if first > 500 else min(first, *(once() for _ in range(rounds)))


def parts_alone(device: torch.device) -> None:
    """Print the tables of the splat and of the distance transform."""
    print(f"\nsummation splat on {device}, least of 10 calls")
    for channels, height, width in ((5, 256, 448), (5, 540, 960), (65, 128, 228), (257, 64, 114), (513, 32, 57)):
        values = torch.rand(1, channels, height, width, device=device)
        flow = interpolate(8 * torch.randn(1, 2, 6, 8, device=device), (height, width), mode="bilinear")
        by: dict[str, Callable[[], Tensor]] = {
            "shared": partial(splatting.splat_sum, values, flow),
            "exact": partial(splatting.scatter, values, flow),
            "plain": partial(scatter, values, flow),
        }
        results = [work() for work in by.values()]
        apart = max(float((one - results[-1]).abs().max() / results[-1].abs().max()) for one in results)
        assert apart < 1e-3, apart
        told = "   ".join(f"{name} {best(device, work):7.2f} ms" for name, work in by.items())
        print(f"  {channels:4d} x {height} x {width}:  {told}   (largest difference {apart:.0e} of the largest)")
    print(f"\nexact distance transform on {device}, least of 10 calls, lines of a drawing")
    for height, width in ((256, 448), (540, 960)):
        grey = cv2.cvtColor(drawings(height, width)[0], cv2.COLOR_RGB2GRAY)
        here = torch.from_numpy(grey < 60)[None, None]
        lines = here.to(device)
        by = {
            "ours": partial(distances, lines),
            "ours in torch": partial(distances_by_torch, lines),
            "plain torch": partial(plain_distances, lines),
        }
        results = [work().cpu() for work in by.values()]
        told = "   ".join(f"{name} {best(device, work):8.2f} ms" for name, work in by.items())
        holes = (~here[0, 0]).numpy()
        others: dict[str, Callable[[], NDArray[np.float64]]] = {
            "OpenCV": partial(cv2.distanceTransform, holes.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        }
        try:
            from scipy.ndimage import distance_transform_edt

            others["SciPy"] = partial(distance_transform_edt, holes)
        except ImportError:
            pass
        cpu = torch.device("cpu")
        told += "".join(f"   {name} (processor) {best(cpu, work):7.2f} ms" for name, work in others.items())
        results += [torch.from_numpy(np.asarray(work(), np.float32))[None, None] for work in others.values()]
        apart = max(float((one - results[0]).abs().max()) for one in results)
        assert apart < 1e-3, apart
        print(f"  {height} x {width}:  {told}   (largest difference {apart:.0e} px)", flush=True)


def main() -> None:
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["256x448", "540x960"], metavar="HxW")
    parser.add_argument("--pair", nargs=2, type=Path, help="two pictures instead of made-up drawings")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--parts", action="store_true", help="splat and distance transform only")
    parser.add_argument("--memory-of", choices=tuple(WHO), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    device = torch.device(options.device)
    with tf32(False):
        if options.memory_of:
            version = WHO[options.memory_of](device)
            pair = tensors(options.sizes[0], options)
            with peak_memory(device) as peak:
                version.draw(pair)
            print(json.dumps(peak.bytes / 2**20))
            return
        for size in () if options.parts else options.sizes:
            compare(size, options)
        parts_alone(device)


if __name__ == "__main__":
    main()
