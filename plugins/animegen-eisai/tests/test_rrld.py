"""``animegen data rrld`` on drawn videos: what it takes and leaves, its tables, kills, and material of every sort."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from animegen.datasets.making import Making
from animegen.datasets.options import DATA
from animegen.datasets.records import DataOrder, DataResult
from animegen.errors import InputError, MissingError, UsageError
from animegen.imageio import read_image
from animegen.pipeline.progress import Reporter
from animegen.registry import Registry
from animegen.resumable.settings import resolve_work
from animegen.settings.layers import ConfigLayer
from animegen.video import write_folder, write_video
from animegen.video.even import EvenVideo
from animegen_eisai import plugin
from animegen_eisai.checkpoint import read_flow
from animegen_eisai.data import maker as making
from animegen_eisai.data import reencoding
from animegen_eisai.data.frames import resized
from animegen_eisai.data.linearity import judge
from animegen_eisai.data.maker import Rrld
from animegen_eisai.data.manifest import read_manifest, released_list
from animegen_eisai.data.motion import DisMotion, RfrMotion
from animegen_eisai.data.options import RrldOptions
from animegen_testing.context import FakeContext

H, W = 180, 320
OPTIONS = RrldOptions(flow="dis")
LEAN = replace(OPTIONS, flows=False)


def paper(seed: int) -> np.ndarray:
    """Ground that a flow can hold on to."""
    noise = np.random.default_rng(seed).integers(40, 140, (H // 4, W // 4, 3))
    return np.kron(noise, np.ones((4, 4, 1))).astype(np.uint8)


def disc(ground: np.ndarray, x: float, y: float = 90.0) -> np.ndarray:
    """A textured disc at a place, drawn between pixels too."""
    rows, columns = np.mgrid[0:H, 0:W]
    inside = np.clip(32 - np.hypot(columns - x, rows - y), 0, 1)[..., None]
    texture = 190 + 60 * np.sin((columns - x) / 3)[..., None] * np.cos((rows - y) / 4)[..., None]
    return np.rint(ground * (1 - inside) + texture * inside * np.array((1.0, 0.8, 0.5))).astype(np.uint8)


def steady(count: int = 10, *, held: int = 1, seed: int = 0) -> list[np.ndarray]:
    """A disc that moves evenly to the right and a little down, each drawing held for some frames."""
    ground = paper(seed)
    # Not straight along an axis: a flow with one constant channel is what a pan looks like.
    return [disc(ground, 60 + 5 * (k // held), 70 + 3 * (k // held)) for k in range(count * held)]


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMEGEN_HOME", str(tmp_path.parent / "home"))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos, each with one thing that the rules are about."""
    folder = tmp_path_factory.mktemp("videos")
    ground = paper(0)
    uneven = [60, 60.5, 75, 75.5, 90, 90.5, 105, 105.5, 120, 120.5]
    pan = [np.roll(paper(3), 6 * k, axis=1) for k in range(8)]
    contents = {
        "steady": steady(),
        "held": steady(6, held=2),
        "uneven": [disc(ground, 2 * x - 60, 60 + x / 3) for x in uneven],
        "pan": pan,
        "cut": [*steady(5), *steady(5, seed=9)],
        "dark": [np.where(frame == frame, 0, 0).astype(np.uint8) for frame in steady(4)],
    }
    for name, frames in contents.items():
        write_video(folder / f"{name}.mkv", iter(frames), fps=Fraction(24))
    return folder


def make(
    videos: Sequence[Path], out: Path, options: RrldOptions = OPTIONS, *, jobs: int = 1, context: Any = None
) -> DataResult:
    out.mkdir(parents=True, exist_ok=True)
    maker = Rrld(options, context or FakeContext())
    maker.plan(videos, DataOrder(jobs))
    return maker(videos, out, DataOrder(jobs), Reporter())


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def verdicts(out: Path, video: str) -> set[str]:
    return {row["verdict"] for row in table(out / video / "judgements.csv")}


def test_what_is_taken_and_what_is_not(videos: Path, tmp_path: Path) -> None:
    result = make([videos], tmp_path, LEAN)
    assert verdicts(tmp_path, "steady") == {"taken"}
    assert verdicts(tmp_path, "uneven") == {"bent"}
    assert verdicts(tmp_path, "pan") == {"pan"}
    assert verdicts(tmp_path, "dark") == set()  # every frame repeats the first
    rows = read_manifest(result.files[0])
    assert {row.video for row in rows} == {"steady", "held", "cut"}
    # Frame 0 never takes part, and of drawings held twice the first showing counts.
    assert [row.frames for row in rows if row.video == "steady"] == [(k, k + 1, k + 2) for k in range(1, 8)]
    assert [row.frames for row in rows if row.video == "held"] == [(2, 4, 6), (4, 6, 8), (6, 8, 10)]
    assert [(row.frames, row.shot) for row in rows if row.video == "cut"] == [
        ((1, 2, 3), 0),
        ((2, 3, 4), 0),
        ((5, 6, 7), 1),
        ((6, 7, 8), 1),
        ((7, 8, 9), 1),
    ]
    assert result.facts["verdicts"]["across a cut"] == 2
    assert result.facts["triplets"]["steady"] == 7 and result.use == f"train eisai {tmp_path} --out DIR"
    duplicate = {row["frame"]: row["duplicate"] for row in table(tmp_path / "held" / "changes.csv")}
    assert duplicate == {str(k): str(k % 2) for k in range(1, 12)}


def test_pictures_flows_and_lists(videos: Path, tmp_path: Path) -> None:
    result = make([videos / "steady.mkv"], tmp_path)
    row = read_manifest(result.files[0])[2]
    assert row.images == "steady/images/000003-000004-000005" and row.seconds == 0.125 and row.shot == 0
    pictures = [read_image(tmp_path / row.images / f"{slot:06d}.png") for slot in row.frames]
    assert {picture.shape for picture in pictures} == {(540, 960, 3)}
    centre = [np.average(np.arange(960), weights=np.clip(one[..., 0].mean(0) - 120.0, 0, None)) for one in pictures]
    assert centre[1] - centre[0] > 5 and centre[2] - centre[1] > 5
    assert row.flows is not None
    flows = torch.load(tmp_path / row.flows, weights_only=True)
    assert flows.shape == (2, 2, 540, 960) and flows.dtype == torch.float32
    # Ten pixels to the right and six down of 320 × 180, three times as many here; as released: (dy, dx).
    x, y = 3 * (60 + 5 * 5), 3 * (70 + 3 * 5)
    to_first = flows[0, :, y - 20 : y + 20, x - 20 : x + 20].mean((1, 2))
    torch.testing.assert_close(to_first, torch.tensor((-18.0, -30.0)), atol=3.0, rtol=0)
    x, y = 3 * (60 + 5 * 3), 3 * (70 + 3 * 3)
    to_last = flows[1, :, y - 20 : y + 20, x - 20 : x + 20].mean((1, 2))
    torch.testing.assert_close(to_last, torch.tensor((18.0, 30.0)), atol=3.0, rtol=0)
    lines = (tmp_path / "steady" / "rrld.txt").read_text().split("\n")
    assert lines[0] == "frames,linearity,coverage" and len(lines) == 8
    assert lines[3] == f"000003-000004-000005,{row.linearity:.16f},{row.coverage:.16f}"
    assert make([videos / "steady.mkv"], tmp_path / "lean", LEAN).files
    assert not (tmp_path / "lean" / "steady" / "flows").exists()
    assert read_manifest(tmp_path / "lean" / "triplets.jsonl")[0].flows is None


def test_the_released_list_has_their_form() -> None:
    assert released_list([("000001-000002-000003", 0.0001499591307947, 0.0489453114569187)]) == (
        "frames,linearity,coverage\n000001-000002-000003,0.0001499591307947,0.0489453114569187"
    )
    assert released_list([]) == "frames,linearity,coverage"


@pytest.mark.slow
def test_several_processes_and_small_pieces_find_the_same(videos: Path, tmp_path: Path) -> None:
    names = ["steady.mkv", "cut.mkv"]
    one = make([videos / name for name in names], tmp_path / "one", LEAN)
    two = make([videos / name for name in names], tmp_path / "two", replace(LEAN, segment=3), jobs=2)
    assert one.files[0].read_bytes() == two.files[0].read_bytes()
    for name in ("steady", "cut"):
        for file in ("changes.csv", "judgements.csv", "rrld.txt"):
            assert (tmp_path / "one" / name / file).read_bytes() == (tmp_path / "two" / name / file).read_bytes()
    for path in sorted((tmp_path / "one").rglob("*.png")):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()


def test_of_a_shot_the_steadiest_are_kept(videos: Path, tmp_path: Path) -> None:
    result = make([videos / "cut.mkv"], tmp_path, replace(OPTIONS, per_shot=1, flows=False))
    rows = read_manifest(result.files[0])
    assert sorted(row.shot for row in rows) == [0, 1]
    judged = table(tmp_path / "cut" / "judgements.csv")
    first = [float(row["linearity"]) for row in judged if row["frames"] < "000004"]
    assert next(row.linearity for row in rows if row.shot == 0) == min(first)
    assert len(list((tmp_path / "cut" / "images").iterdir())) == 2


def test_as_published_triplets_may_span_cuts(videos: Path, tmp_path: Path) -> None:
    result = make([videos / "cut.mkv"], tmp_path, replace(OPTIONS, cuts=False, flows=False))
    assert result.facts["verdicts"]["across a cut"] == 0
    assert len(table(tmp_path / "cut" / "judgements.csv")) == 7


def test_videos_coded_again_are_one_video_in_segments(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("av")
    monkeypatch.setattr(reencoding, "HEIGHT", 360)
    monkeypatch.setattr(reencoding, "WIDTH", 640)
    options = replace(LEAN, reencode=True, segment=6)
    result = make([videos / "held.mkv"], tmp_path, options)
    assert [row.frames for row in read_manifest(result.files[0])] == [(2, 4, 6), (4, 6, 8), (6, 8, 10)]
    files = sorted((tmp_path / "work" / "held").glob("*.mkv"))
    assert [path.name for path in files] == [f"reencoded-{first:07d}-6.mkv" for first in (0, 6)]
    again = {path: path.stat().st_mtime_ns for path in files}
    make([videos / "held.mkv"], tmp_path, options)
    assert again == {path: path.stat().st_mtime_ns for path in files}
    source = EvenVideo.look(videos / "held.mkv", Fraction(24))
    coded = reencoding.Reencoded(source, tuple(zip((0, 6), files, strict=True)))
    whole = [(slot, frame.image()) for slot, frame in coded.stretch()]
    assert [slot for slot, _ in whole] == list(range(12)) and whole[0][1].shape == (360, 640, 3)
    for (slot, frame), (_, image) in zip(source.stretch(), whole, strict=True):
        assert np.abs(resized(frame.image(), 360, 640).astype(int) - image).mean() < 4, slot
    for first, stop in ((3, 8), (5, 7), (6, 7), (9, 12), (0, 2), (11, None)):
        part = [(slot, frame.image().tobytes()) for slot, frame in coded.stretch(first, stop)]
        assert part == [(slot, image.tobytes()) for slot, image in whole[first:stop]]


def test_another_rate_and_shape(videos: Path, tmp_path: Path) -> None:
    path = tmp_path / "tall.mkv"
    write_video(path, iter([frame[:, 40:200] for frame in steady(8)]), fps=Fraction(12))
    maker = Rrld(OPTIONS, FakeContext())
    plan = maker.plan([path], DataOrder())
    assert plan.material == "1 video, 0.0 min, 15 frames"
    assert "160x180, not 16:9: stretched" in plan.warnings[0]
    result = make([path], tmp_path / "out", replace(OPTIONS, fit="crop", fps="source", flows=False))
    assert read_manifest(result.files[0])[0].frames == (1, 2, 3)
    assert not Rrld(replace(OPTIONS, fit="crop"), FakeContext()).plan([path], DataOrder()).warnings


def test_folders_and_names_that_two_videos_have(videos: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "one.mkv", tmp_path / "b" / "one.mkv"
    for path, seed in ((first, 0), (second, 5)):
        path.parent.mkdir()
        write_video(path, iter(steady(4, seed=seed)), fps=Fraction(24))
    write_folder(tmp_path / "c" / "frames", iter(steady(4, seed=6)))
    make([second], tmp_path / "out", LEAN)
    result = make([tmp_path / "a", tmp_path / "b", tmp_path / "c"], tmp_path / "out", LEAN)
    names = {Path(path).parent.name: name for path, name in _names(result, tmp_path / "out", (first, second))}
    assert names == {"a": "one-2", "b": "one"}  # the one that was first there keeps its name
    assert {row.video for row in read_manifest(result.files[0])} == {"one", "one-2", "frames"}


def _names(result: DataResult, out: Path, paths: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    from animegen.video.material import video_digest

    known = {digest: name for name, digest in json.loads((out / "videos.json").read_text()).items()}
    for path in paths:
        yield path, known[video_digest(path)]


def test_nothing_is_worked_out_twice(videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make([videos / "steady.mkv"], tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.suffix in (".png", ".pt", ".jsonl")}
    monkeypatch.setattr("animegen_eisai.data.pieces.judge", None)
    monkeypatch.setattr("animegen_eisai.data.pieces.ChangeDetector", None)
    monkeypatch.setattr(DisMotion, "between", None)
    make([videos / "steady.mkv"], tmp_path)
    del before[tmp_path / "triplets.jsonl"]
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_what_a_kill_left_half_written_is_swept_away(videos: Path, tmp_path: Path) -> None:
    made = make([videos / "held.mkv"], tmp_path, LEAN)
    name = read_manifest(made.files[0])[0].images
    (tmp_path / name / "000004.png").unlink()
    for part in (".000004.0badcafe.part.png", ".000002.0badcafe.part.png"):
        (tmp_path / name / part).write_bytes(b"half")
    make([videos / "held.mkv"], tmp_path, LEAN)
    assert {path.name for path in (tmp_path / name).iterdir()} == {"000002.png", "000004.png", "000006.png"}


KILLED = """
import os, sys
from pathlib import Path
from animegen.datasets.records import DataOrder
from animegen.pipeline.progress import Reporter
from animegen_eisai.data import pieces
from animegen_eisai.data.maker import Rrld
from animegen_eisai.data.motion import DisMotion
from animegen_eisai.data.options import RrldOptions
from animegen_testing.context import FakeContext

video, out, kill_at = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
plain, plain_call = DisMotion.between, pieces.ChangeDetector.__call__
calls = 0

def counted(name):
    global calls
    calls += 1
    if calls == kill_at:
        os.kill(os.getpid(), 9)
    with (out / "calls.txt").open("a") as file:
        file.write(name + "\\n")

def between(self, first, second):
    counted("flow")
    return plain(self, first, second)

def call(self, frame):
    counted("change")
    return plain_call(self, frame)

DisMotion.between, pieces.ChangeDetector.__call__ = between, call
out.mkdir(exist_ok=True)
maker = Rrld(RrldOptions(flow="dis"), FakeContext())
maker([video], out, DataOrder(1), Reporter())
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_killed_it_goes_on_with_the_frame_after_the_last_one(videos: Path, tmp_path: Path) -> None:
    def run(out: Path, kill_at: int) -> int:
        command = [sys.executable, "-c", KILLED, str(videos / "steady.mkv"), str(out), str(kill_at)]
        return subprocess.run(command, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}).returncode

    assert run(tmp_path / "whole", 0) == 0
    # 10 frames; 7 triplets, two flows each; 7 pairs of flows to keep.
    whole = (tmp_path / "whole" / "calls.txt").read_text().split()
    assert whole == ["change"] * 10 + ["flow"] * 28
    killed = 0
    for kill_at in (6, 9, 10, 4):  # in each pass of the work
        if run(tmp_path / "cut", kill_at) == -signal.SIGKILL:
            killed += 1
    assert killed == 4
    assert run(tmp_path / "cut", 0) == 0
    calls = (tmp_path / "cut" / "calls.txt").read_text().split()
    # Again are done: of a change the frame before it, of a triplet or a pair of flows its first flow.
    assert len(calls) <= len(whole) + 2 * killed
    for name in ("triplets.jsonl", "steady/changes.csv", "steady/judgements.csv"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    flows = [torch.load(path, weights_only=True) for path in sorted((tmp_path / "cut").rglob("*.pt"))]
    others = [torch.load(path, weights_only=True) for path in sorted((tmp_path / "whole").rglob("*.pt"))]
    assert len(flows) == 7 and all(torch.equal(a, b) for a, b in zip(flows, others, strict=True))


def test_rfr_is_shown_the_frames_as_eisai_does(videos: Path, files: dict[str, Path]) -> None:
    flow = RfrMotion(files["eisai_anime_interp_full.ckpt"], torch.device("cpu"), 1)
    frames = [np.random.default_rng(k).integers(0, 255, (128, 160, 3), np.uint8) for k in range(2)]
    known = [flow.known(frame) for frame in frames]
    images = [torch.from_numpy(frame).permute(2, 0, 1)[None] / 255 for frame in frames]
    wanted = read_flow(files["eisai_anime_interp_full.ckpt"])(images[1], images[0], iterations=1)[0]
    torch.testing.assert_close(flow.between(known[1], known[0]), wanted)
    with pytest.raises(MissingError, match="eisai_anime_interp_full") as caught:
        Rrld(RrldOptions(), FakeContext()).plan([videos / "held.mkv"], DataOrder())
    assert caught.value.hints[-1].endswith("-o rrld.flow=dis")


@pytest.mark.slow
def test_with_rfr_from_beginning_to_end(videos: Path, tmp_path: Path, files: dict[str, Path]) -> None:
    """Random parameters find no motion worth the name; what counts is that every triplet is judged."""
    options = RrldOptions(iterations=1, linearity=10.0)
    result = make([videos / "held.mkv"], tmp_path, options, context=FakeContext(weights=files))
    assert sum(result.facts["verdicts"].values()) == 3


def test_a_whole_command_with_its_record(videos: Path, tmp_path: Path) -> None:
    registry = Registry([("animegen-eisai", plugin)])
    settings = resolve_work(DATA, registry, "rrld", [ConfigLayer("test", {"rrld": {"flow": "dis", "flows": "no"}})])
    record = Making(settings, [videos / "held.mkv"], tmp_path / "out").run()
    assert (
        record.status == "done" and record.outputs == ["triplets.jsonl"] and record.summary == "3 triplets of 1 video"
    )
    assert record.facts["frames"] == 12 and record.facts["duplicates"] == 6
    other = resolve_work(DATA, registry, "rrld", [ConfigLayer("test", {"rrld": {"flow": "dis", "fit": "crop"}})])
    with pytest.raises(UsageError, match="option fit was stretch and is crop"):
        Making(other, [videos / "held.mkv"], tmp_path / "out").plan()


def test_what_cannot_be_used_is_told(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty").mkdir()
    for path, message in ((tmp_path / "text.mp4", "is not a video"), (tmp_path / "empty", "holds no video")):
        with pytest.raises(InputError, match=message):
            Rrld(OPTIONS, FakeContext()).plan([path], DataOrder())
    with pytest.raises(InputError, match=r"gone\.ckpt is not here"):
        Rrld(RrldOptions(flow_file="gone.ckpt"), FakeContext()).plan([videos / "held.mkv"], DataOrder())
    for wrong in ({"fps": "fast"}, {"fps": "0"}, {"fps": "1/0"}, {"flow": "dis", "flow_file": "a"}):
        with pytest.raises(UsageError, match="rrld"):
            RrldOptions(**wrong)
    context = FakeContext()
    result = make([videos / "pan.mkv"], tmp_path / "out", context=context)
    assert result.files[0].read_text() == "" and "no triplet was worth learning from" in context.warnings[0]


def test_a_video_that_breaks_off_in_the_middle_is_told(videos: Path, tmp_path: Path) -> None:
    data = bytearray((videos / "steady.mkv").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = os.urandom(2000)
    (tmp_path / "broken.mkv").write_bytes(bytes(data))
    with pytest.raises(InputError):
        make([tmp_path / "broken.mkv"], tmp_path / "out")


def test_equal_flows_count_as_no_number_and_nothing_at_all_as_still() -> None:
    still = judge(torch.zeros(2, 36, 64), torch.zeros(2, 36, 64))
    assert still.verdict == "still" and still.coverage == 0 and still.linearity != still.linearity
    moved = torch.zeros(2, 36, 64)
    moved[:, 10:20, 20:30] = torch.linspace(2, 4, 100).view(10, 10)
    assert judge(-moved, moved).verdict == "taken" and judge(-moved, moved).linearity == 0.0
    assert judge(moved, moved).verdict == "bent"
    assert judge(-moved, 2 * moved, linear=0.1).verdict == "bent" and judge(-moved, 2 * moved).verdict == "taken"


@pytest.mark.data
@pytest.mark.slow
def test_real_clips(real_data: Path, tmp_path: Path) -> None:
    result = make(sorted((real_data / "clips").glob("*.mp4")), tmp_path, LEAN)
    taken = result.facts["triplets"]
    assert taken["drascula_castle_pan_4x3"] == 0  # a pan is what is not wanted
    assert verdicts(tmp_path, "drascula_castle_pan_4x3") == {"pan"}
    assert taken["bigbuckbunny_rise"] > 30 and taken["synfig_eye_look"] > 5
    held = [row["duplicate"] for row in table(tmp_path / "drascula_hall_4x3" / "changes.csv")]
    assert held[:6].count("1") == 3  # drawn on twos


def test_memory_is_asked_for_by_process(videos: Path) -> None:
    one, four = (Rrld(OPTIONS, FakeContext()).plan([videos / "held.mkv"], DataOrder(jobs)) for jobs in (1, 4))
    assert four.demands[0].need == 4 * one.demands[0].need == 4 * making._LEAST["dis"]


def test_it_starts_quickly() -> None:
    began = time.process_time()
    registry = Registry([("animegen-eisai", plugin)])
    assert [stage.name for stage in registry.stages("dataset")] == ["rrld"]
    assert time.process_time() - began < 1
