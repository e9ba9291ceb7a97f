"""Splatting, warping and correlation beside their plainest torch versions.

    python benchmarks/torch_operations.py [--device cuda]

Versions take turns, so that a busy machine slows all of them; the least wall time of each counts, and on the processor
its CPU time. The largest difference between the results stands beside.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from animegen_torch.correlation import AllPairs, local_correlation
from animegen_torch.splatting import scatter, splat_sum
from animegen_torch.warp import warp


def smooth_flow(height: int, width: int, device: torch.device) -> Tensor:
    """(1, 2, height, width): motion of some 10 pixels that changes every 32, as between two drawings."""
    return interpolate(
        torch.randn(1, 2, height // 32, width // 32, device=device) * 10, (height, width), mode="bilinear"
    )


def plain_warp(image: Tensor, flow: Tensor) -> Tensor:
    """The usual lines, making their grid anew at every call."""
    H, W = image.shape[2:]
    x = torch.linspace(-1, 1, W, device=image.device).view(1, 1, 1, W).expand(1, 1, H, W)
    y = torch.linspace(-1, 1, H, device=image.device).view(1, 1, H, 1).expand(1, 1, H, W)
    scaled = torch.cat((flow[:, :1] / ((W - 1) / 2), flow[:, 1:] / ((H - 1) / 2)), 1)
    grid = (torch.cat((x, y), 1) + scaled).permute(0, 2, 3, 1)
    return grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=True)


def plain_lookup(pairs: AllPairs, points: Tensor, radius: int = 4) -> Tensor:
    """Each of the 81 points of a window sampled by itself, as RAFT's own code does."""
    N, _, H, W = points.shape
    steps = torch.arange(-radius, radius + 1.0, device=points.device)
    window = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1)
    levels = []
    for level, volume in enumerate(pairs._kept or ()):
        h, w = volume.shape[2:]
        at = points.permute(0, 2, 3, 1).reshape(-1, 1, 1, 2) / 2**level + window
        grid = 2 * at / at.new_tensor((w - 1, h - 1)) - 1
        levels.append(grid_sample(volume.reshape(-1, 1, h, w), grid, align_corners=True).view(N, H, W, -1))
    return torch.cat(levels, -1).permute(0, 3, 1, 2)


def plain_local(first: Tensor, second: Tensor, radius: int = 4) -> Tensor:
    """All windows of the second image written out, 81 times its size."""
    N, C, H, W = first.shape
    side = 2 * radius + 1
    windows = torch.nn.functional.unfold(second, side, padding=radius).view(N, C, side * side, H, W)
    return (first[:, :, None] * windows).mean(1)


def compare(
    what: str, device: torch.device, rounds: int, ours: Callable[[], Tensor], plain: Callable[[], Tensor]
) -> None:
    """Print the times of both and how far apart their results are."""
    difference = float((ours() - plain()).abs().max())
    best = {name: [float("inf")] * 2 for name in ("ours", "plain")}
    for _ in range(rounds):
        for name, function in (("ours", ours), ("plain", plain)):
            wall, cpu = time.perf_counter(), time.process_time()
            function()
            if device.type == "cuda":
                torch.cuda.synchronize()
            took = (time.perf_counter() - wall, time.process_time() - cpu)
            best[name] = [min(pair) for pair in zip(best[name], took, strict=True)]
    (wall, cpu), (plain_wall, plain_cpu) = best["ours"], best["plain"]
    print(
        f"{what:34} {wall * 1e3:8.1f} {plain_wall * 1e3:8.1f} ms wall ({plain_wall / wall:.1f}×)"
        f" {cpu * 1e3:8.1f} {plain_cpu * 1e3:8.1f} ms cpu ({plain_cpu / cpu:.1f}×)   {difference:.0e}"
    )


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    device = torch.device(given.device)
    print(f"torch {torch.__version__} on {device}, {torch.get_num_threads()} threads; ours, plain")
    with torch.inference_mode():
        for channels, height, width in ((4, 544, 960), (64, 128, 224), (4, 1088, 1920)):
            values, flow = torch.rand(1, channels, height, width, device=device), smooth_flow(height, width, device)
            name = f"splat {channels} × {height} × {width}"
            compare(
                name,
                device,
                given.rounds,
                lambda v=values, f=flow: splat_sum(v, f),
                lambda v=values, f=flow: scatter(v, f),
            )
        for channels, height, width in ((3, 256, 448), (3, 1088, 1920)):
            image, flow = torch.rand(1, channels, height, width, device=device), smooth_flow(height, width, device)
            name = f"warp {channels} × {height} × {width}"
            compare(
                name, device, given.rounds, lambda i=image, f=flow: warp(i, f), lambda i=image, f=flow: plain_warp(i, f)
            )
        first, second = torch.randn(2, 1, 256, 64, 112, device=device)
        points = torch.stack(torch.meshgrid(torch.arange(112.0), torch.arange(64.0), indexing="xy"))[None].to(device)
        points = points + torch.randn_like(points) * 5
        pairs = AllPairs(first, second)
        compare(
            "lookup, 4 levels, 64 × 112",
            device,
            given.rounds,
            lambda: pairs.lookup(points),
            lambda: plain_lookup(pairs, points),
        )
        small = first[:, :32], second[:, :32]
        compare(
            "local, radius 4, 32 × 64 × 112",
            device,
            given.rounds,
            lambda: local_correlation(*small),
            lambda: plain_local(*small),
        )


if __name__ == "__main__":
    main()
