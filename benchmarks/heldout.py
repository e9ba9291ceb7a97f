"""Held-out middle: frames n and n + 2 of real clips go in, frame n + 1 is the truth.

    python benchmarks/heldout.py [--data DIR] [--interpolator flow --interpolator crossfade] [--json FILE]

``DIR/clips`` holds one ``.mp4`` or one folder of ``.png`` frames for each clip; a folder wins over an mp4 of its name.
Any installed interpolator for any time can be named.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from animegen._cv2 import cv2
from animegen.builtin.metrics import LineChamfer, Psnr, Ssim
from animegen.options import Layer, resolve
from animegen.pipeline.progress import Reporter
from animegen.pipeline.session import StageContext
from animegen.registry import Registry, import_target
from animegen.video import FrameFolder, VideoReader
from animegen.weights import WeightStore

METRICS = {"psnr": Psnr(), "ssim-wang2004": Ssim(), "line-chamfer": LineChamfer()}
DEFAULT_DATA = Path(os.environ.get("ANIMEGEN_DATA", Path(__file__).parents[2] / "shared" / "data"))
REGISTRY = Registry()


class Counting(StageContext):
    """A context that counts warnings (of dissolves) instead of keeping them."""

    count = 0

    def warn(self, message: str) -> None:
        self.count += 1


def clips(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Name and frames (T, H, W, 3) uint8 RGB of every clip in `folder`."""
    exact = sorted(path for path in folder.iterdir() if path.is_dir() and any(path.glob("*.png")))
    for path in exact:
        yield path.name, np.stack(list(FrameFolder(path)))
    for file in sorted(folder.glob("*.mp4")):
        if folder / file.stem not in exact:
            with VideoReader(file) as reader:
                yield file.stem, np.stack(list(reader))


def measure(frames: np.ndarray, name: str, settings: dict[str, str], every: int = 1) -> dict[str, Any]:
    """Per-triplet values of one interpolator on one clip, and what they cost."""
    found = REGISTRY.find("interpolator", name)
    context = Counting(found, ("auto",), "auto", WeightStore(), Reporter())
    options = resolve(found.spec.options, [Layer("command line", settings)], name=name).values
    stage = import_target(found)(options, context)
    rows: dict[str, list[float]] = {metric: [] for metric in METRICS}
    seconds, cpu = [], []
    for index in range(0, len(frames) - 2, every):
        first, truth, last = frames[index : index + 3]
        wall, busy = time.perf_counter(), time.process_time()
        middle = stage(np.ascontiguousarray(first), np.ascontiguousarray(last), [0.5])
        seconds.append(time.perf_counter() - wall)
        cpu.append(time.process_time() - busy)
        for metric, value in METRICS.items():
            rows[metric].append(value.frame(middle[0], truth)[metric])
    return {
        "values": rows,
        "seconds": float(np.median(seconds)),
        "cpu": float(np.median(cpu)),
        "dissolves": context.count,
    }


def main() -> None:
    """Measure, print one table, and say the conditions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--every", type=int, default=1, help="measure every n-th triplet only")
    parser.add_argument("--interpolator", action="append", help="default: flow and crossfade")
    parser.add_argument("--option", action="append", default=[], metavar="NAME.KEY=VALUE", help="option of a stage")
    parser.add_argument("--json", type=Path, help="also write every triplet's values here")
    arguments = parser.parse_args()
    names = arguments.interpolator or ["flow", "crossfade"]
    settings: dict[str, dict[str, str]] = {name: {} for name in names}
    for item in arguments.option:
        key, _, value = item.partition("=")
        name, _, option = key.partition(".")
        settings.setdefault(name, {})[option] = value

    results: dict[str, dict[str, Any]] = {}
    heads = ("PSNR", "SSIM", "chamfer", "s", "cpu s", "dissolves")
    print(f"{'clip':26} {'n':>3} {'size':>9} {'stage':10}", *(f"{head:>8}" for head in heads))
    for clip, frames in clips(arguments.data / "clips"):
        height, width = frames.shape[1:3]
        results[clip] = {name: measure(frames, name, settings[name], arguments.every) for name in names}
        for name, result in results[clip].items():
            psnr, ssim, chamfer = (np.mean(result["values"][metric]) for metric in METRICS)
            row = f"{clip:26} {len(result['values']['psnr']):3} {f'{width}×{height}':>9} {name:10}"
            row += f" {psnr:8.2f} {ssim:8.4f} {chamfer * 1e4:8.3f}"
            print(row, f"{result['seconds']:8.3f} {result['cpu']:8.3f} {result['dissolves']:9}")
    for label, pool in (("mean over clips", np.mean), ("mean over triplets", None)):
        table = {}
        for name in names:
            columns = [[result[name]["values"][metric] for result in results.values()] for metric in METRICS]
            table[name] = [
                np.mean([np.mean(clip) for clip in column]) if pool else np.mean(np.concatenate(column))
                for column in columns
            ]
            psnr, ssim, chamfer = table[name]
            print(f"{label:40} {name:10} {psnr:8.2f} {ssim:8.4f} {chamfer * 1e4:8.3f}")
        for other in names[1:]:
            psnr, ssim, chamfer = np.subtract(table[names[0]], table[other])
            print(f"{'':40} {'− ' + other:10} {psnr:+8.2f} {ssim:+8.4f} {chamfer * 1e4:+8.3f}")
    conditions = {
        "opencv": cv2.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": cv2.getNumThreads(),
    }
    print("chamfer: line chamfer × 10⁴; s, cpu s: median for one middle frame; dissolves: triplets without motion")
    print(", ".join(f"{key} {value}" for key, value in conditions.items()))
    if arguments.json:
        arguments.json.write_text(json.dumps({"conditions": conditions, "clips": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
