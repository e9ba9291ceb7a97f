"""AnimeInterp beside the plainest version of the same maths: time and memory of a pair, and segmentation alone.

    python benchmarks/animeinterp.py [--sizes 256x448 540x960] [--pair A B] [--rounds 3] [--threads 1]
    python benchmarks/animeinterp.py --segmentation PICTURE|VIDEO ... [--styles japan disney]

The first form makes one frame between two drawings with seeded parameters, all of it: segmentation of both, features
of their regions, matching, first guesses, flow both ways, synthesis. Both versions run in turns, each time in a process
of its own, whose peak is its memory, and must give the same regions, flows and frame. (Average splatting divides by
however little lands on a pixel, so where next to nothing does, a frame hangs on the last bit of the flow: frames are
compared from one flow, and from each version's own.) The drawings are
made up (some 200 regions at 540 × 960) unless a pair is named; they are segmented at the size that is drawn.

The second form compares segmentation alone, at 960 × 540 as published, on pictures and on a frame of each video; the
regions must be equal.

Seconds are of processor time where there is one thread, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import plain_animeinterp as plain
import plain_segmentation
import torch
from numpy.typing import NDArray
from torch import Tensor

from animegen._cv2 import cv2
from animegen_animeinterp import segmentation
from animegen_animeinterp.matching import sizes
from animegen_animeinterp.matching.matcher import Matcher
from animegen_animeinterp.network import AnimeInterp
from animegen_testing import seeded_weights
from animegen_torch.memory import peak_memory
from animegen_torch.vgg19 import Vgg19

TIME = 0.5
Picture = NDArray[np.uint8]
Times = dict[str, float]
R = TypeVar("R")
Result = tuple[list[Any], Sequence[Tensor], Tensor]


def drawings(height: int, width: int) -> tuple[Picture, Picture]:
    """Outlined shapes in flat colours on a wall of tiles; in the second, each shape has moved by a few pixels."""
    random = np.random.default_rng(7)
    pictures = [np.full((height, width, 3), 235, np.uint8) for _ in range(2)]
    unit = height / 540
    for picture in pictures:
        for row in range(9):
            for column in range(14):
                corner = np.array((column * width // 14, row * height // 9))
                colour = tuple(int(150 + 10 * ((3 * row + 5 * column + channel) % 8)) for channel in range(3))
                cv2.rectangle(picture, corner, corner + np.array((width // 14 - 2, height // 9 - 2)), colour, -1)
    for _ in range(40):
        centre, move = random.uniform((0, 0), (width, height)), random.uniform(-16, 16, 2) * unit
        axes = random.uniform(14, 70, 2) * unit
        angle, colour = random.uniform(0, 180), random.integers(30, 255, 3).tolist()
        for picture, at in zip(pictures, (centre, centre + move), strict=True):
            ellipse = (*at.astype(int).tolist(),), (*axes.astype(int).tolist(),), angle, 0, 360
            cv2.ellipse(picture, *ellipse, colour, -1, cv2.LINE_AA)
            cv2.ellipse(picture, *ellipse, (20, 20, 20), max(1, round(2 * unit)), cv2.LINE_AA)
    return pictures[0], pictures[1]


class Clock:
    """Seconds by part."""

    def __init__(self) -> None:
        self.times: Times = {}
        self._now = time.process_time if torch.get_num_threads() == 1 else time.perf_counter

    def __call__(self, part: str, work: Callable[[], R]) -> R:
        started = self._now()
        result = work()
        self.times[part] = self.times.get(part, 0) + self._now() - started
        return result


class Networks:
    """Parameters that both versions share."""

    def __init__(self) -> None:
        self.animeinterp, self.vgg = AnimeInterp().eval(), Vgg19().eval()
        seeded_weights.fill(self.animeinterp, prefix="module.")
        seeded_weights.fill(self.vgg)
        self.some_vgg = Vgg19(4, quick=True).eval().to(memory_format=torch.channels_last)
        self.some_vgg.load_state_dict(self.vgg.state_dict(), strict=False)


def tensor(picture: Picture) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255


def ours(networks: Networks, pair: tuple[Picture, Picture], clock: Clock) -> Result:
    """Regions, flows and the frame, as the stage makes them."""
    network = networks.animeinterp
    for part in (network.feat_ext, network.synnet):
        part.to(memory_format=torch.channels_last)
    height, width = pair[0].shape[:2]
    sizes.PUBLISHED_SIZE = (width, height)  # segmented at the size that is drawn, as the plain version is
    work = Matcher(networks.some_vgg, torch.device("cpu"), style="japan", published=True)
    found = [clock("segmentation", partial(work.segmented, image)) for image in pair]
    both = [clock("features", partial(work.described, *one)) for one in found]
    guides = clock("matching, guess", lambda: work.guides(*both))
    given = tuple(torch.from_numpy(guide)[None] for guide in guides)
    one, other = clock("flow", lambda: tuple(network.encode(tensor(image)) for image in pair))
    flows = clock("flow", lambda: network.flows(one, other, guides=given))  # type: ignore[arg-type]
    frame = clock("synthesis", lambda: network.draw(one, other, flows, TIME))
    return [drawing.regions.labels for drawing in both], flows, frame


def theirs(networks: Networks, pair: tuple[Picture, Picture], clock: Clock) -> Result:
    """The same in the plainest way."""
    network = networks.animeinterp.to(memory_format=torch.contiguous_format)
    labels = [clock("segmentation", partial(plain_segmentation.segment, image)) for image in pair]
    both = [clock("features", partial(plain.described, networks.vgg, *one)) for one in zip(pair, labels, strict=True)]
    guides = clock("matching, guess", lambda: plain.plain_guides(*both))
    given = [torch.from_numpy(guide)[None].float() for guide in guides]
    flows = clock("flow", lambda: plain.plain_flows(network, *map(tensor, pair), given))
    frame = clock("synthesis", lambda: plain.plain_frame(network, *map(tensor, pair), flows, TIME))
    return labels, flows, frame


WHO: dict[str, Callable[..., Result]] = {"ours": ours, "plain": theirs}


def compare(size: str, options: argparse.Namespace) -> None:
    """Print the table of one size."""
    rounds: dict[str, list[Times]] = {who: [] for who in WHO}
    with tempfile.TemporaryDirectory() as folder:
        files = {who: Path(folder, f"{who}.npz") for who in WHO}
        for _ in range(options.rounds):
            for who, file in files.items():
                rounds[who].append(apart(who, size, file, options))
        mine, other = (np.load(file) for file in files.values())
        assert all(np.array_equal(mine[name], other[name]) for name in ("first", "last")), "the regions differ"
        counts = [int(mine[name].max()) + 1 for name in ("first", "last")]
        flows = np.abs(mine["flows"] - other["flows"]).max()
        scale = np.abs(other["frame"]).max()
        same = np.abs(other["again"] - other["frame"]).max() / scale
        share = (np.abs(mine["frame"] - other["frame"]) > 1e-3 * scale).any(1).mean()
    print(f"\n{size}: {counts[0]} and {counts[1]} regions, equal; flows differ by {flows:.1e} pixels")
    print(
        f"frames differ by {same:.1e} of their largest value from one flow; from two, {share:.2%} of the pixels by 1e-3"
    )
    for part in rounds["ours"][0]:
        found = {who: [times[part] for times in rounds[who]] for who in WHO}
        ratio = statistics.median(b / a for a, b in zip(found["ours"], found["plain"], strict=True))
        unit = "MiB" if part == "peak memory" else "s"
        values = (f"{who} {statistics.median(found[who]):8.2f} {unit}" for who in WHO)
        print(f"{part:>16}  {'   '.join(values)}   ratio {ratio:6.1f}", flush=True)


def apart(who: str, size: str, file: Path, options: argparse.Namespace) -> Times:
    """Seconds of the parts of one version, and MiB at its peak, in a process of its own; `file` gets its results."""
    command = [sys.executable, __file__, "--only", who, "--sizes", size, "--threads", str(options.threads)]
    command += ["--results", str(file)]
    if options.pair:
        command += ["--pair", *map(str, options.pair)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    times: Times = json.loads(done.stdout.splitlines()[-1])
    return times


def alone(options: argparse.Namespace) -> None:
    """What `apart` runs."""
    height, width = map(int, options.sizes[0].split("x"))
    networks, pair, clock = Networks(), the_pair(height, width, options.pair), Clock()
    with peak_memory(torch.device("cpu")) as peak:
        (first, last), flows, frame = WHO[options.only](networks, pair, clock)
    # Whether hardly anything or nothing lands on a pixel hangs on the last bit of a flow: so ours from their flow, too.
    network = networks.animeinterp
    again = network.draw(*(network.encode(tensor(image)) for image in pair), (flows[0], flows[1]), TIME)
    results = {"first": first, "last": last, "flows": torch.cat(tuple(flows)), "frame": frame, "again": again}
    np.savez(options.results, **results)  # type: ignore[arg-type]
    print(json.dumps(clock.times | {"all": sum(clock.times.values()), "peak memory": peak.bytes / 2**20}))


def the_pair(height: int, width: int, names: list[Path] | None) -> tuple[Picture, Picture]:
    """Two pictures of the size."""
    if names is None:
        return drawings(height, width)
    first, last = (cv2.cvtColor(cv2.resize(read(name), (width, height)), cv2.COLOR_BGR2RGB) for name in names)
    return first, last


def read(name: Path, frame: int = 10) -> Picture:
    """A picture, or one frame of a video, BGR."""
    if name.suffix.lower() not in (".mp4", ".mkv", ".webm"):
        return np.asarray(cv2.imread(str(name)), np.uint8)
    video = cv2.VideoCapture(str(name))
    pictures = [video.read()[1] for _ in range(frame + 1)]
    video.release()
    return np.asarray(pictures[-1], np.uint8)


def compare_segmentation(name: Path, style: str) -> None:
    """Print the row of one picture."""
    picture = cv2.resize(read(name), (960, 540), interpolation=cv2.INTER_LINEAR)
    clock = Clock()
    fast = clock("ours", lambda: segmentation.segment(picture, style))
    slow = clock("plain", lambda: plain_segmentation.segment(picture, style))
    how = segmentation.STYLES[style]
    clock("filter", lambda: cv2.bilateralFilter(picture, how.diameter, how.colour, how.space))
    assert np.array_equal(fast, slow), f"{name}: the regions differ"
    mine, other, both = (clock.times[part] for part in ("ours", "plain", "filter"))
    print(
        f"{name.stem[:32]:>32} {style:>6}: {int(fast.max()) + 1:5d} regions, equal; "
        f"ours {mine:6.2f} s, plain {other:7.2f} s, ratio {other / mine:6.1f} (at most {other / both:.0f}: "
        f"the filter, {both:.2f} s, is OpenCV's in both)",
        flush=True,
    )


def main() -> None:
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["256x448", "540x960"], metavar="HEIGHTxWIDTH")
    parser.add_argument("--pair", nargs=2, type=Path, help="two pictures or videos instead of made-up drawings")
    parser.add_argument("--segmentation", nargs="+", type=Path, metavar="FILE", help="segmentation of these alone")
    parser.add_argument("--styles", nargs="+", default=["japan"], choices=segmentation.STYLES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=WHO, help=argparse.SUPPRESS)
    parser.add_argument("--results", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    torch.set_grad_enabled(False)
    if options.segmentation:
        for name in options.segmentation:
            for style in options.styles:
                compare_segmentation(name, style)
        return
    if options.only:
        alone(options)
        return
    print(f"{options.threads} threads, torch {torch.__version__}, OpenCV {cv2.__version__}, {options.rounds} rounds")
    for size in options.sizes:
        compare(size, options)


if __name__ == "__main__":
    main()
