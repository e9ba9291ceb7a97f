"""``animegen upsample`` on long films: memory that does not grow, work that overlaps, going on after a kill.

    python benchmarks/film.py [--frames 200,10000] [--size 128x96] [--out DIR]

Films are drawn here (a disc over moving ground), so that no data is needed. Every command is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from animegen.video import write_video

FPS = Fraction(24)
GROWTH = 1.1
"""Memory of the long film by that of the short one that is still called bounded."""


def drawn(count: int, width: int, height: int) -> Iterator[np.ndarray]:
    """Frames of a film, one after the other."""
    y, x = np.mgrid[0:height, 0:width]
    ground = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=2).astype(np.uint8)
    for index in range(count):
        frame = np.roll(ground, index % width, axis=1)
        across = width * (0.5 + 0.3 * np.sin(index / 9))
        frame[(x - across) ** 2 + (y - height / 2) ** 2 < (height / 5) ** 2] = (230, 40, 60)
        yield frame


def command(source: Path, out: Path, *options: str) -> list[str]:
    """The program with its own interpreter, whatever is on the path."""
    program = "import sys; from animegen_cli.main import main; sys.exit(main())"
    return [sys.executable, "-c", program, "--json", "upsample", str(source), "--out", str(out), *options]


def upsample(source: Path, out: Path, *options: str) -> tuple[float, float, dict[str, Any]]:
    """Wall seconds, CPU seconds, and run.json of one upsampling."""
    before, started = os.times(), time.perf_counter()
    done = subprocess.run(command(source, out, *options), capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - started, os.times()
    if done.returncode:
        sys.exit(done.stderr)
    record = json.loads(Path(json.loads(done.stdout)["run_json"]).read_text("utf-8"))
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu, record


def film(folder: Path, count: int, width: int, height: int) -> Path:
    """The film of so many frames, drawn once."""
    path = folder / f"{count}-{width}x{height}.mp4"
    if not path.exists():
        write_video(path, drawn(count, width, height), FPS)
    return path


def memory(folder: Path, counts: list[int], width: int, height: int) -> bool:
    """The table of peak memory by length; whether it is bounded."""
    print(f"crossfade x2, {width}x{height}, mp4")
    print(f"{'frames':>7} {'made':>7} {'peak MiB':>9} {'bound MiB':>10} {'wall s':>7} {'cpu s':>7} {'fps':>6}")
    peaks = []
    for count in counts:
        source = film(folder, count, width, height)
        wall, cpu, record = upsample(source, folder / "runs", "--with", "crossfade")
        step = record["steps"][0]
        peaks.append(step["peak_memory_mib"])
        bound = next(note for note in record["notes"] if "MiB of memory" in note).split()[2]
        made = step["info"]["frames_out"]
        print(f"{count:7} {made:7} {peaks[-1]:9} {bound:>10} {wall:7.1f} {cpu:7.1f} {made / wall:6.0f}")
    ratio = peaks[-1] / peaks[0]
    print(f"= the longest takes {ratio:.2f} times the memory of the shortest (bound {GROWTH})\n")
    return ratio <= GROWTH


def overlap(folder: Path) -> None:
    """Seconds of each part beside those of the whole."""
    print("flow x2, 640x360, mkv and mp4: the sum of the parts by the wall clock is what overlaps")
    print(f"{'format':7} {'reading':>8} {'drawing':>8} {'writing':>8} {'sum':>6} {'wall s':>7} {'sum/wall':>9}")
    source = film(folder, 60, 640, 360)
    for format in ("mkv", "mp4"):
        _, _, record = upsample(source, folder / "runs", "--with", "flow", "--format", format, "--force")
        step = record["steps"][0]
        spent = step["info"]["spent"]
        parts = [spent[name] for name in ("reading", "drawing", "writing")]
        total, wall = sum(parts), step["seconds"]
        row = " ".join(f"{part:8.2f}" for part in parts)
        print(f"{format:7} {row} {total:6.2f} {wall:7.2f} {total / wall:9.2f}")
    print()


def resume(folder: Path) -> bool:
    """A run killed half way, and what going on costs; whether the film is the same."""
    source, options = film(folder, 60, 640, 360), ("--with", "flow", "--factor", "4")
    whole, _, record = upsample(source, folder / "whole", *options, "--force")
    process = subprocess.Popen(
        command(source, folder / "broken", *options, "--force"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(whole / 2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    rest, _, again = upsample(source, folder / "broken", *options, "--resume")
    clips = [next((folder / name).glob(f"*{one['id'][:8]}*/clip.mp4")) for name, one in
             (("whole", record), ("broken", again))]  # fmt: skip
    same = clips[0].read_bytes() == clips[1].read_bytes()
    info = again["steps"][0]["info"]
    print(f"flow x4, 640x360: whole {whole:.1f} s; killed after {whole / 2:.1f} s, then {rest:.1f} s with --resume")
    print(f"= {info['kept']} of {info['frames_out']} frames were kept; the clip is {'equal' if same else 'NOT equal'}")
    return same


def main() -> None:
    """Print the three tables; exit code 1 where memory grows or a resumed film differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", default="200,10000", help="lengths to compare")
    parser.add_argument("--size", default="128x96")
    parser.add_argument("--out", type=Path, help="a folder to keep films and runs in")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        bounded = memory(folder, [int(count) for count in arguments.frames.split(",")], width, height)
        overlap(folder)
        same = resume(folder)
    sys.exit(0 if bounded and same else 1)


if __name__ == "__main__":
    main()
