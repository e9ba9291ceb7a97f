"""Every real pair through ``animegen run`` with the built-in stages: seconds and memory of the whole command.

    python benchmarks/pairs.py [--data DIR] [--out DIR] [-- OPTIONS OF animegen run]

Prints a table; the clips and contact sheets stay below ``--out`` to be looked at.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
SECONDS, MEBIBYTES = 5.0, 500


def pairs(folder: Path) -> list[tuple[str, Path, Path]]:
    """``NAME_a.png`` with ``NAME_b.png``."""
    return [
        (first.stem.removesuffix("_a"), first, last)
        for first in sorted(folder.glob("*_a.png"))
        if (last := first.with_name(first.name.replace("_a.png", "_b.png"))).is_file()
    ]


def measure(command: list[str]) -> tuple[float, float, int, dict[str, object]]:
    """Wall seconds, CPU seconds, peak MiB of the largest command so far, and the command's JSON answer."""
    started = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(["/usr/bin/env", *command], capture_output=True, text=True, check=False)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, after.ru_maxrss // 1024, json.loads(done.stdout)


def main() -> None:
    """Run every pair and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("ANIMEGEN_DATA", ROOT.parent / "shared/data")))
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "animegen-pairs")
    parser.add_argument("options", nargs="*", help="options of animegen run, after --")
    arguments = parser.parse_args()
    print(f"{'pair':28} {'size':>9} {'frames':>6} {'wall s':>7} {'cpu s':>7} {'MiB':>5}  notes")
    worst_wall, peak = 0.0, 0
    for name, first, last in pairs(arguments.data / "panels"):
        command = ["animegen", "--json", "run", str(first), str(last), "--force", "--out", str(arguments.out)]
        wall, cpu, peak, answer = measure([*command, *arguments.options])
        worst_wall = max(worst_wall, wall)
        size = f"{answer['width']}x{answer['height']}"
        notes = "; ".join(answer["warnings"])
        print(f"{name:28} {size:>9} {answer['frames']:>6} {wall:7.2f} {cpu:7.2f} {peak:5}  {notes}", flush=True)
    python = sys.version.split()[0]
    print(
        f"worst {worst_wall:.2f} s of {SECONDS:g}, {peak} MiB of {MEBIBYTES}; {os.cpu_count()} cores, Python {python}"
    )


if __name__ == "__main__":
    main()
