"""What every installed metric costs on a clip of 61 frames of 512 × 320, against the plainest use of its library.

    python benchmarks/metrics.py                       # all that are installed; each takes minutes at most
    python benchmarks/metrics.py --frames 61 ssim lpips-alex

Both sides are measured in the same way, each in a process of its own and in one thread. First everything that either
side imports is imported, and the pictures are made. Then memory is watched while the network is made, reads its file
and measures a clip: that is the most it takes above what was there. At last, with the network at hand, clips that are
new to it are timed, a short one and a longer one, up to three times: CPU seconds of 61 frames are those of the line
through the quickest of both. They have 2 and 5 frames (9 and 19 for `fvd`, 2 and 3 for `warp-raft`), or `--frames` for
the longer one. A distance of sets is timed on 256 clips a side, as it is.

Files of parameters are as large as the published ones and hold drawn numbers, which cost what trained ones cost.
NO SCORE IS PRINTED: it would mean nothing. What the plainest use is, `plain_metrics.py` says; "-" where no library has
the metric, or the library is not here.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from plain_metrics import plain_use

from animegen.measuring import Sample
from animegen.stages import MetricSpec

LENGTH, HEIGHT, WIDTH = 61, 320, 512
PLUGINS = (
    "animegen.builtin.plugin",
    "animegen_vgg_style.plugin",
    "animegen_perceptual.plugin",
    "animegen_video_metrics.plugin",
)
LIBRARIES = (
    *("cv2", "torch", "torchvision", "lpips", "open_clip", "scipy.ndimage", "scipy.linalg", "sklearn.metrics.pairwise"),
    *("skimage.metrics.simple_metrics", "skimage.metrics._structural_similarity"),  # it imports these when first used
)
LENGTHS = {"fvd": (9, 19), "warp-raft": (2, 3)}
"""Frames of both clips, where 2 and 5 are too few, or take too long."""
SETS = ("fvd-distance", "kvd-distance")
"""Rows of `fvd`, whose other row is what it takes from each clip."""
CLIPS, LOGITS = 256, 400
ROUNDS, ENOUGH = 3, 10.0
"""Times that both clips are timed, and the CPU seconds after which once is enough."""


def specs() -> dict[str, MetricSpec]:
    """Records of the metrics of every plugin that is installed here."""
    found = {}
    for module in PLUGINS:
        with suppress(ImportError):
            found |= {spec.name: spec for spec in importlib.import_module(module).animegen_metrics()}
    return found


def sample(length: int, number: int) -> Sample:
    """A ring that moves over textured paper, with everything that a metric may read; other ones by `number`."""
    from animegen.contract.pictures import picture

    shifts = [0.011 * number + 0.2 * index / LENGTH for index in range(length)]
    frames = np.stack([picture(HEIGHT, WIDTH, shift=shift) for shift in shifts])
    times, true = tuple(np.linspace(0, 1, LENGTH)[:length].tolist()), np.roll(frames, 3, axis=2)
    panels = np.stack([picture(HEIGHT, WIDTH, shift=0.011 * number + 0.2 * end) for end in (0, 1)])
    ignored = np.zeros((2, HEIGHT, WIDTH), bool)
    return Sample(frames, times, reference=true, panels=panels, ignored=ignored, prompt="a ring on paper")


def material(name: str, length: int, number: int) -> Any:
    """What a row is measured on: a clip, or two sets of logits."""
    if name in SETS:
        return np.random.default_rng([length, number]).normal(size=(2, CLIPS, LOGITS))
    return sample(length, 11 * number + length)


def draw(name: str, folder: Path) -> None:
    """Files of parameters as large as the published ones, drawn from a fixed seed, where torch keeps its own."""
    import torch
    from torchvision import models

    makers: dict[str, Callable[[], Any]] = {
        "alexnet": lambda: models.alexnet(weights=None),
        "vgg16": lambda: models.vgg16(weights=None),
        "squeezenet": lambda: models.squeezenet1_1(weights=None),
        "vgg19": lambda: models.vgg19(weights=None),
        "open_clip": lambda: importlib.import_module("animegen_perceptual.clip_network").make_network(),
        "raft": lambda: models.optical_flow.raft_large(weights=None),
        "i3d": lambda: importlib.import_module("animegen_video_metrics.i3d").I3d(),
    }
    spec = specs()[name]
    for weight in spec.weights_for(spec.options()):
        path = folder / "hub" / "checkpoints" / weight.file
        if path.exists():
            continue
        make = next(maker for start, maker in makers.items() if weight.file.startswith(start))
        torch.manual_seed(0)
        with torch.device("meta"):
            shapes = make().state_dict()
        state = {
            key: torch.ones_like(tensor, device="cpu")
            if tensor.dim() < 2
            else torch.randn(tensor.shape) / tensor[0].numel() ** 0.5
            for key, tensor in shapes.items()
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".safetensors":
            importlib.import_module("safetensors.torch").save_file(state, path)
        else:
            torch.save(state, path)


def ours(name: str, folder: Path) -> Callable[[Any], Any]:
    """A metric of this project, opened."""
    from animegen_testing.context import FakeContext

    if name in SETS:
        distances = importlib.import_module("animegen_video_metrics.set_distances")
        distance = distances.frechet if name == "fvd-distance" else distances.kernel_distance
        return lambda rows: distance(*rows)
    spec = specs()[name]
    module, _, target = spec.target.partition(":")
    options = spec.options()
    weights = {weight.file: folder / "hub" / "checkpoints" / weight.file for weight in spec.weights_for(options)}
    stage = getattr(importlib.import_module(module), target)(options, FakeContext(weights))
    return stage.features if spec.over == "set" else stage


def measure(name: str, side: str, frames: int, folder: Path) -> dict[str, float]:
    """CPU seconds and bytes of one side of a row; nothing where there is no such side."""
    for library in LIBRARIES:
        with suppress(ImportError):
            importlib.import_module(library)
    importlib.import_module("torch").set_num_threads(1)
    importlib.import_module("cv2").setNumThreads(1)
    if name not in SETS:
        importlib.import_module(specs()[name].target.partition(":")[0])
    make = (lambda place: ours(name, place)) if side == "ours" else plain_use(name)
    if make is None:
        return {}
    least, usual = LENGTHS.get(name, (2, 5))
    lengths = least, max(frames or usual, least + 1)
    first = material(name, lengths[1], 0)

    from animegen_torch.devices import pick_device
    from animegen_torch.memory import peak_memory

    try:
        with peak_memory(pick_device(("cpu",), stage=name)) as peak:
            call = make(folder)
            call(first)
    except ImportError:
        return {}
    spent: dict[int, list[float]] = {length: [] for length in lengths}
    for number in range(1, 2 * ROUNDS, 2):
        if sum(map(sum, spent.values())) > ENOUGH:
            break
        for length, taken in spent.items():
            given = material(name, length, number)  # new to it: a metric may keep what it has seen
            start = time.process_time()
            call(given)
            taken.append(time.process_time() - start)
    short, long = (min(taken) for taken in spent.values())
    each = max(0.0, (long - short) / (lengths[1] - lengths[0]))
    seconds = min(short, long) if name in SETS else long + (LENGTH - lengths[1]) * each
    return {"seconds": seconds, "memory": peak.bytes}


def run(name: str, part: str, frames: int, folder: Path) -> dict[str, float]:
    """One side of a row, in a process of its own."""
    command = [sys.executable, __file__, name, "--frames", str(frames), "--part", part, "--folder", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TORCH_HOME": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def shown(found: dict[str, float]) -> str:
    if not found:
        return f"{'-':>9} {'-':>9}"
    return f"{found['seconds']:#8.3g}s {found['memory'] / 2**20:5.0f} MiB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("metrics", nargs="*", help="names of metrics; all that are installed where none is given")
    parser.add_argument("--frames", type=int, default=0, help="frames of the longer clip that is measured")
    parser.add_argument("--part", choices=("draw", "ours", "plain"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part == "draw":
        draw(given.metrics[0], given.folder)
        print("{}")
        return
    if given.part:
        print(json.dumps(measure(given.metrics[0], given.part, given.frames, given.folder)))
        return
    known = specs()
    rows = [*known, *(SETS if "fvd" in known else ())]
    if unknown := set(given.metrics) - set(rows):
        parser.error(f"no metric here is named {', '.join(sorted(unknown))}; there are {', '.join(rows)}")
    names = given.metrics or rows
    print(f"{LENGTH} frames of {WIDTH} × {HEIGHT}, CPU time in one thread; drawn parameters, so no scores")
    print(f"{'metric':<20} {'ours':>19} {'plain library':>19}  ratio")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name in names:
            if name not in SETS and known[name].weights:
                run(name, "draw", given.frames, folder)
            mine, plain = (run(name, part, given.frames, folder) for part in ("ours", "plain"))
            ratio = f"{plain['seconds'] / mine['seconds']:5.2f}" if plain and mine["seconds"] else ""
            print(f"{name:<20} {shown(mine):>19} {shown(plain):>19}  {ratio}", flush=True)


if __name__ == "__main__":
    main()
