"""A 2×2×2 ablation against eight runs of ``animegen batch``, one a configuration, every one with an empty cache.

    python benchmarks/ablation.py [--data DIR] [--preprocessor descreen] [--frames 16] [--workers 1] [--out DIR]

Over every pair of ``DIR/panels``, with stages that need no weights. Prints wall and CPU seconds of both (all processes
of a command together) and their ratios: the ablation's clips against batch's clips, and what scoring adds to it. The
study stays below ``--out``. Titles are the second part of a pair's name: ``01_pageblanche_headturn``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parent.parent
TARGET = 0.60


def table_of_pairs(folder: Path, path: Path) -> int:
    """Write ``NAME_a.png`` with ``NAME_b.png`` as a table with titles; gives how many there are."""
    rows = ["id\tfirst\tlast\ttitle"]
    for first in sorted(folder.glob("*_a.png")):
        last = first.with_name(first.name.replace("_a.png", "_b.png"))
        name = first.stem.removesuffix("_a")
        if last.is_file():
            rows.append(f"{name}\t{first.absolute()}\t{last.absolute()}\t{name.split('_')[1]}")
    path.write_text("\n".join(rows) + "\n", "utf-8")
    return len(rows) - 1


def measure(*command: object) -> tuple[float, float]:
    """Wall and CPU seconds of a command and of every process that it starts."""
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(["/usr/bin/env", *map(str, command)], capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure both in one go and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("ANIMEGEN_DATA", ROOT.parent / "shared/data")))
    parser.add_argument("--preprocessor", default="descreen")
    parser.add_argument("--frames", default="16")
    parser.add_argument("--factor", default="4")
    parser.add_argument("--workers", default="1", help="processes, of ablate and of batch alike")
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "animegen-ablation")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    shutil.rmtree(arguments.out, ignore_errors=True)
    arguments.out.mkdir(parents=True)
    pairs = arguments.out / "pairs.tsv"
    count = table_of_pairs(arguments.data / "panels", pairs)
    shared = ("--frames", arguments.frames, "--factor", arguments.factor, "--interpolator", "flow")

    rows: dict[str, tuple[float, float]] = {}
    study = arguments.out / "study"
    on = [f"--on={what}" for what in ("inpainter=flat", f"preprocessor={arguments.preprocessor}", "upsampler=flow")]
    ablate = ("animegen", "-q", "ablate", pairs, *on, *shared, "--workers", arguments.workers, "--out", study)
    for inpainter, preprocessor, upsampler in product(
        ("none", "flat"), ("none", arguments.preprocessor), ("none", "flow")
    ):
        cell = f"{int(inpainter != 'none')}{int(preprocessor != 'none')}{int(upsampler != 'none')}"
        place = arguments.out / f"batch-{cell}"
        stages = ("--inpainter", inpainter, "--preprocessor", preprocessor, "--upsampler", upsampler)
        batch = ("animegen", "-q", "batch", pairs, *stages, *shared, "--jobs", arguments.workers, "--out", place)
        rows[f"batch {cell}"] = measure(*batch)
        print(f"{f'batch {cell}':22} {rows[f'batch {cell}'][0]:9.1f} {rows[f'batch {cell}'][1]:9.1f}", flush=True)
        shutil.rmtree(place)
        if cell == "011":  # half way, so that what else the machine does falls on both
            rows["ablate, clips"] = measure(*ablate, "--no-scores")
            print(f"{'ablate, clips':22} {rows['ablate, clips'][0]:9.1f} {rows['ablate, clips'][1]:9.1f}", flush=True)
    rows["ablate, scores"] = measure(*ablate, "--allow-missing")
    print(f"{'ablate, scores':22} {rows['ablate, scores'][0]:9.1f} {rows['ablate, scores'][1]:9.1f}")
    wall, cpu = (sum(row[i] for name, row in rows.items() if name.startswith("batch")) for i in (0, 1))
    clips, scores = rows["ablate, clips"], rows["ablate, scores"]
    print(f"{'eight batches':22} {wall:9.1f} {cpu:9.1f}   (wall s, CPU s; {count} pairs, {arguments.frames} frames)")
    ratios = {"clips": (clips[0] / wall, clips[1] / cpu), "all": ((clips[0] + scores[0]) / wall, 0.0)}
    ratios["all"] = (ratios["all"][0], (clips[1] + scores[1]) / cpu)
    for name, (of_wall, of_cpu) in ratios.items():
        print(f"ablation / batches, {name}: wall {of_wall:.2f}, CPU {of_cpu:.2f}   (wanted: below {TARGET:.2f})")
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.machine()}")
    if arguments.json:
        document = {
            "seconds": rows,
            "ratios": ratios,
            "pairs": count,
            "options": {k: str(v) for k, v in vars(arguments).items()},
        }
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
