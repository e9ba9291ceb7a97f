"""The pipeline on toy stages: order, checks at every boundary, records, resuming, and the same call in Python."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest

import animegen
from animegen import (
    Box,
    DetectorSpec,
    InterpolatorSpec,
    Needs,
    Panel,
    PanelPair,
    Region,
    StageSpec,
    Weight,
    hookimpl,
    option,
)
from animegen.errors import InputError, InterruptedRun, MissingError, ResourceError, StageError, UsageError
from animegen.pipeline.pipeline import Pipeline, recorded_layers
from animegen.pipeline.progress import Reporter
from animegen.pipeline.record import read_record
from animegen.pipeline.session import named_files
from animegen.registry import Registry
from animegen.weights.store import WeightStore

calls: list[str] = []


@dataclass(frozen=True)
class ToyOptions:
    shift: int = option(1, "Added to every pixel.", min=0, max=9)


class Base:
    def __init__(self, options, context):
        self.options, self.context = options, context
        calls.append(f"open {type(self).__name__}")

    def close(self):
        calls.append(f"close {type(self).__name__}")


class Balloons(Base):
    def __call__(self, image, text_boxes=()):
        return [Region("balloon", box, 0.9, "toy", np.ones((box.height, box.width), bool)) for box in text_boxes]


class Fill(Base):
    def __call__(self, image, mask):
        filled = image.copy()
        filled[mask] = 200
        return filled


class Add(Base):
    def __call__(self, image):
        return image + np.uint8(self.options.shift)


class Mix(Base):
    def __call__(self, first, last, times, *, prompt="", seed=0):
        calls.append(f"mix {len(times)}")
        self.context.warn("mixed, not drawn")
        mixed = [first + (last.astype(float) - first) * time for time in times]
        return np.rint(np.array(mixed)).astype(np.uint8).reshape(len(times), *first.shape)


class Eights(Mix):
    def __call__(self, first, last, times, **call):
        assert first.shape[0] % 8 == first.shape[1] % 8 == 0
        return super().__call__(first, last, times, **call)


class MixSequence(Mix):
    def sequence(self, images, times):
        images = iter(images)
        first = next(images)
        for last, inside in zip(images, times, strict=True):
            yield Mix.__call__(self, first, last, inside)
            first = last


class Fixed(Base):
    def __call__(self, first, last, times, *, prompt="", seed=0):
        calls.append(f"fixed {len(times)} {prompt} {seed}")
        return np.stack([np.full_like(first, seed % 251)] * len(times))


class Broken(Base):
    """Breaks its promise in the way its name's option says."""

    mode = ""

    def __call__(self, *inputs, **_):
        first = inputs[0]
        if Broken.mode == "shape":
            return np.zeros((3, *first.shape), np.float32)
        if Broken.mode == "type":
            return None
        if Broken.mode == "raise":
            raise RuntimeError("boom\nboom")
        if Broken.mode == "memory":
            raise MemoryError
        if Broken.mode == "import":
            raise ModuleNotFoundError("No module named 'ncnn'")
        if Broken.mode == "write":
            first[0, 0] = 7
        if Broken.mode == "outside":
            return first + np.uint8(1)
        return np.zeros((len(inputs[2]), *first.shape), np.uint8) if len(inputs) > 2 else first.copy()


HERE = __name__


class Toys:
    @hookimpl
    def animegen_detectors(self):
        return [DetectorSpec("toy-balloons", f"{HERE}:Balloons", "Text boxes.", finds="balloon")]

    @hookimpl
    def animegen_inpainters(self):
        return [StageSpec("fill", f"{HERE}:Fill", "Fills."), StageSpec("broken-fill", f"{HERE}:Broken", "Breaks.")]

    @hookimpl
    def animegen_preprocessors(self):
        return [StageSpec("add", f"{HERE}:Add", "Adds.", ToyOptions)]

    @hookimpl
    def animegen_interpolators(self):
        return [
            InterpolatorSpec("mix", f"{HERE}:Mix", "Mixes."),
            InterpolatorSpec("mix-sequence", f"{HERE}:MixSequence", "Mixes a sequence."),
            InterpolatorSpec("eights", f"{HERE}:Eights", "Sizes of eights.", needs=Needs(multiple_of=8)),
            InterpolatorSpec("fixed", f"{HERE}:Fixed", "Fixed.", frames=4, uses_prompt=True, uses_seed=True),
            InterpolatorSpec("broken", f"{HERE}:Broken", "Breaks."),
            InterpolatorSpec("absent", f"{HERE}:Nothing", "Is not there."),
        ]


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.setitem(sys.modules, HERE, sys.modules.get(HERE, sys.modules[__name__]))
    calls.clear()
    Broken.mode = ""


@pytest.fixture
def registry():
    return Registry([("toys", Toys())])


def pair(size=(16, 20), other=None, **kwargs):
    height, width = size
    first = np.full((height, width, 3), 10, np.uint8)
    first[2:6, 3:9] = 90
    last = np.full((*(other or size), 3), 110, np.uint8)
    return PanelPair(Panel(first, (Box(3, 2, 9, 6),), "one"), Panel(last, (), "two"), **kwargs)


def pipeline(registry, out=None, force=False, **run):
    run = {"interpolator": "mix", "inpainter": "fill", "preprocessor": [], "frames": 5, "fps": "10", **run}
    return Pipeline(recipe="quick", settings={"run": run}, out=out, registry=registry, config=False, force=force)


def test_stages_run_in_order_and_close(registry):
    with pipeline(registry, preprocessor=["add"], upsampler="mix", factor=2) as made:
        clip = made.run(pair())
    assert clip.array().shape == (9, 16, 20, 3)
    assert clip.fps == Fraction(20)
    # the balloon is filled (200), both panels are 1 brighter, and the middle is halfway
    np.testing.assert_array_equal(clip.array()[0, 3, 4], [201] * 3)
    np.testing.assert_array_equal(clip.array()[0, 0, 0], [11] * 3)
    np.testing.assert_array_equal(clip.array()[4, 0, 0], [61] * 3)
    np.testing.assert_array_equal(clip.array()[8, 0, 0], [111] * 3)
    assert clip.warnings == ("mixed, not drawn",)
    opened = [call for call in calls if call.startswith("open")]
    assert opened == ["open Balloons", "open Fill", "open Add", "open Mix", "open Mix"]
    assert sum(call.startswith("close") for call in calls) == 5


def test_the_folder_holds_everything_and_makes_the_run_again(registry, tmp_path):
    with pipeline(registry, tmp_path, upsampler="mix-sequence", factor=3) as made:
        clip = made.run(pair(), inputs={"first": {"path": "a.png"}})
    folder = clip.path.parent
    names = {path.name for path in folder.iterdir()}
    assert {"clip.mp4", "sheet.png", "balloons.png", "frames", "stages", "run.json", "log.txt"} <= names
    assert len(list((folder / "frames").iterdir())) == len(clip) == 13
    record = read_record(folder)
    assert record["status"] == "done"
    assert [step["role"] for step in record["steps"]] == ["detector", "inpainter", "interpolator", "upsampler"]
    assert record["steps"][0]["info"]["balloons"][0]["box"] == [3, 2, 9, 6]
    assert record["run"]["fps"] == {"value": "10", "source": "Python"}
    assert record["outputs"]["count"] == 13
    layers = recorded_layers(record, {})
    with Pipeline(layers=layers, registry=registry, out=tmp_path / "again") as again:
        second = again.run(pair())
    assert (second.path).read_bytes() == clip.path.read_bytes()
    np.testing.assert_array_equal(second.array(), clip.array())


def test_nothing_is_made_twice(registry, tmp_path):
    with pipeline(registry, tmp_path) as made:
        first = made.run(pair())
    calls.clear()
    with pipeline(registry, tmp_path, upsampler="mix") as made:
        second = made.run(pair())
    assert [call for call in calls if call.startswith("mix")] == ["mix 3"] * 4  # upsampling alone
    steps = read_record(second.path.parent)["steps"]
    assert [step["cached"] for step in steps] == [True, True, True, False]
    assert second.warnings == ("mixed, not drawn",)  # said again, though nothing was computed
    assert second.path.parent != first.path.parent
    calls.clear()
    with pipeline(registry, tmp_path, force=True) as made:
        made.run(pair())
    assert "mix 3" in calls


def test_resume_goes_on_in_the_same_folder(registry, tmp_path, monkeypatch):
    with pipeline(registry, tmp_path / "unbroken", upsampler="mix") as made:
        unbroken = made.run(pair())
    original, count = Mix.__call__, 0

    def interrupted(self, *args, **kwargs):
        nonlocal count
        count += 1
        if count == 3:  # the interpolator, one gap, then Ctrl-C
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Mix, "__call__", interrupted)
    with pytest.raises(InterruptedRun), pipeline(registry, tmp_path / "runs", upsampler="mix") as made:
        made.run(pair())
    (folder,) = [path for path in (tmp_path / "runs").iterdir() if not path.name.startswith(".")]
    assert read_record(folder)["status"] == "interrupted"
    monkeypatch.setattr(Mix, "__call__", original)
    calls.clear()
    with pipeline(registry, tmp_path / "runs", upsampler="mix") as made:
        clip = made.run(pair(), resume=True)
    assert clip.path.parent == folder
    assert len([call for call in calls if call == "mix 3"]) == 3  # of four gaps, the first was kept
    assert clip.path.read_bytes() == unbroken.path.read_bytes()
    calls.clear()
    with pipeline(registry, tmp_path / "runs", upsampler="mix") as made:
        assert made.run(pair(), resume=True).path == clip.path
    assert calls == []


@pytest.mark.parametrize(
    ("mode", "error", "message"),
    [
        ("shape", StageError, r"toys:broken returned \(3, 16, 20, 3\) float32; expected \(3, 16, 20, 3\) uint8 RGB"),
        ("type", StageError, "toys:broken returned NoneType"),
        ("raise", StageError, r"toys:broken \(interpolator\) raised RuntimeError: boom boom"),
        ("memory", ResourceError, r"out of memory in interpolator \(toys:broken\)"),
        ("import", MissingError, "toys:broken could not be imported: No module named 'ncnn'"),
        ("write", StageError, "toys:broken changed its input"),
    ],
)
def test_a_stage_that_breaks_its_promise_is_named(registry, tmp_path, mode, error, message):
    Broken.mode = mode
    with pytest.raises(error, match=message) as caught, pipeline(registry, tmp_path, interpolator="broken") as made:
        made.run(pair())
    assert caught.value.hints
    (folder,) = [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    assert read_record(folder)["status"] == "failed"
    assert "Traceback" not in str(caught.value)


def test_an_inpainter_must_leave_the_rest_alone(registry):
    Broken.mode = "outside"
    with pytest.raises(StageError, match=r"toys:broken-fill changed 296 pixels outside the mask"):
        pipeline(registry, inpainter="broken-fill").run(pair())


def test_an_absent_class_is_the_stage_s_fault(registry):
    with pytest.raises(StageError, match="toys:absent"):
        pipeline(registry, interpolator="absent").run(pair())


def test_prompt_and_seed_reach_the_stages_that_use_them(registry, tmp_path):
    run = {"interpolator": "fixed", "frames": None, "prompt": "a cat", "seed": 9}
    with pipeline(registry, tmp_path, **run) as made:
        clip = made.run(pair())
        assert clip.array()[0, 0, 0, 0] == 9
        made.run(pair(prompt="a dog"))
    assert [call for call in calls if call.startswith("fixed")] == ["fixed 4 a cat 9", "fixed 4 a dog 9"]


def test_panels_of_different_size_are_fitted_and_restored(registry):
    for mode in ("fit", "crop"):
        clip = pipeline(registry, size=mode).run(pair((31, 53), (80, 40)))
        assert clip.array().shape == (5, 31, 53, 3)
    assert pipeline(registry, size="24x18").run(pair()).array().shape == (5, 18, 24, 3)


def test_sizes_are_padded_for_a_stage_and_cropped_again(registry):
    plain = pipeline(registry, upsampler="mix", factor=2).run(pair((13, 21)))
    for roles in ({"interpolator": "eights"}, {"upsampler": "eights"}):
        padded = pipeline(registry, **{"upsampler": "mix", "factor": 2, **roles}).run(pair((13, 21)))
        np.testing.assert_array_equal(padded.array(), plain.array())


def test_balloons_can_be_kept_by_number(registry):
    clip = pipeline(registry, keep_balloon=[1]).run(pair())
    assert clip.array()[0, 3, 4, 0] == 90
    with pytest.raises(UsageError, match="names balloon 2; 1 were found"):
        pipeline(registry, keep_balloon=[2]).run(pair())


def test_the_user_s_mask_joins_and_grow_widens(registry):
    mask = np.zeros((16, 20), bool)
    mask[12:, 15:] = True
    clip = animegen.run(
        pair().first, pair().last, interpolator="crossfade", first_mask=mask, frames=3, inpainter="telea"
    )
    assert len(clip) == 3
    made = pipeline(registry, grow=2)
    job = made.job(pair())
    job.detect()
    assert job.masks[0].sum() == 6 + 10 * 6 + 6  # the box of 6 × 4, two pixels wider all around but for its corners


def test_python_call_takes_paths_arrays_and_panels(tmp_path):
    image = np.full((24, 32), 200, np.uint8)
    clip = animegen.run(image, np.zeros((24, 32, 3), np.uint8), interpolator="crossfade", frames=3, inpainter="none")
    np.testing.assert_array_equal(clip.array()[:, 0, 0, 0], [200, 100, 0])
    with pytest.raises(InputError, match=r"FIRST is \(24, 32\) float64"):
        animegen.run(image / 255, image)
    with pytest.raises(InputError, match=r"the mask of LAST is"):
        animegen.run(image, image, last_mask=np.zeros((3, 3), bool))
    with pytest.raises(UsageError, match=r"unknown option run\.sead"):
        animegen.run(image, image, sead=4)


def test_plan_and_events(registry):
    events = []

    class Listener(Reporter):
        def started(self, number, total, name, detail):
            events.append((number, total, name))

        def finished(self, name, summary, seconds, cached):
            events.append((name, summary, cached))

    made = pipeline(registry)
    made.reporter = made._session.reporter = Listener()
    lines = dict(made.plan(pair()))
    assert lines["plan"].startswith("toy-balloons > fill > mix   5 frames at 10 fps, 0.50 s   cpu")
    assert "MiB" in lines["need"]
    made.run(pair())
    assert events == [
        (1, 4, "detect"),
        ("detect", "2 panels, 1 balloon", False),
        (2, 4, "inpaint"),
        ("inpaint", "1 of 2 panels", False),
        (3, 4, "interpolate"),
        ("interpolate", "5 frames", False),
        (4, 4, "write"),
        ("write", "5 frames", False),
    ]


def test_a_failed_pair_does_not_stop_the_others(registry, tmp_path):
    results = []
    with pipeline(registry, tmp_path, keep_balloon=[1]) as made:
        without = PanelPair(pair().last, pair().last, id="none")
        made.run_all([pair(id="ok"), without], lambda one, result: results.append((one.id, type(result).__name__)))
    assert results == [("ok", "Clip"), ("none", "UsageError")]


def test_keep_clip_alone(registry, tmp_path):
    with pipeline(registry, tmp_path, keep="clip", format=["mkv", "gif"]) as made:
        clip = made.run(pair())
    folder = clip.path.parent
    assert not (folder / "frames").exists()
    assert {"clip.mkv", "clip.gif"} <= {path.name for path in folder.iterdir()}
    assert clip.array()[0, 0, 0, 0] == 10  # read back from the lossless file


def test_a_run_json_from_elsewhere(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_record(tmp_path)
    (tmp_path / "run.json").write_text("[1]", "utf-8")
    with pytest.raises(InputError, match=r"schema version None"):
        read_record(tmp_path)
    (tmp_path / "run.json").write_text("{", "utf-8")
    with pytest.raises(InputError, match="is not a run"):
        read_record(tmp_path)


def test_a_lost_cache_does_not_lose_the_run(registry, tmp_path):
    with pipeline(registry, tmp_path) as made:
        clip = made.run(pair())
    shutil.rmtree(tmp_path / ".cache")
    assert len(list((clip.path.parent / "frames").iterdir())) == 5
    with pipeline(registry, tmp_path) as made:
        again = made.run(pair())
    assert again.path.read_bytes() == clip.path.read_bytes()
    assert json.loads((clip.path.parent / "run.json").read_text("utf-8"))["id"] == again.record["id"]


@dataclass(frozen=True)
class FileOptions:
    file: str | None = option(None, "A file that decides the result.", file=True)


def test_a_file_named_by_an_option_counts_by_its_bytes(tmp_path):
    calls.clear()
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("same", "utf-8")
    other.write_text("same", "utf-8")
    assert named_files(FileOptions(str(one))) == named_files(FileOptions(str(other)))
    before = named_files(FileOptions(str(one)))
    one.write_text("changed", "utf-8")
    assert named_files(FileOptions(str(one))) != before
    assert named_files(FileOptions()) == {}


def test_only_the_weights_that_options_choose_are_asked_for(tmp_path):
    light, heavy = Weight("light.pt", (), "MIT", sha256="0" * 64), Weight("heavy.pt", (), "MIT", required=False)

    class Choosy:
        @hookimpl
        def animegen_preprocessors(self):
            return [
                StageSpec(
                    "choosy",
                    f"{HERE}:Add",
                    "Chooses.",
                    ToyOptions,
                    weights=(light, heavy),
                    chosen=lambda options: ("heavy.pt",) if options.shift > 5 else (),
                )
            ]

    registry = Registry([("toys", Toys()), ("choosy", Choosy())])
    weights = WeightStore(tmp_path)
    run = {"run": {"inpainter": "fill", "interpolator": "mix", "preprocessor": ["choosy"]}}
    for shift, outcome in ((1, None), (6, "heavy.pt")):
        tables = {**run, "choosy": {"shift": shift}}
        made = Pipeline(recipe="quick", settings=tables, registry=registry, config=False, weights=weights)
        if outcome is None:
            made.check()
        else:
            with pytest.raises(MissingError, match=outcome):
                made.check()


def test_a_file_s_bytes_and_the_formats_belong_to_what_a_run_is(tmp_path):
    class Filed:
        @hookimpl
        def animegen_preprocessors(self):
            return [StageSpec("filed", f"{HERE}:Add", "Has a file.", FileOptions)]

    registry = Registry([("toys", Toys()), ("filed", Filed())])
    path = tmp_path / "table"

    def run_id(text, **run):
        path.write_text(text, "utf-8")
        tables = {
            "run": {"inpainter": "fill", "interpolator": "mix", "preprocessor": ["filed"], **run},
            "filed": {"file": str(path)},
        }
        return Pipeline(recipe="quick", settings=tables, registry=registry, config=False).run_id(pair())

    assert run_id("one") == run_id("one")
    assert run_id("one") != run_id("other")
    assert run_id("one") != run_id("one", format=["gif"])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "is not here"),
        (lambda path: path.mkdir(), "is not a file"),
        (lambda path: path.write_text("table", "utf-8"), None),
    ],
)
def test_a_file_named_by_an_option_must_be_here_before_a_run_begins(tmp_path, monkeypatch, make, words):
    class Filed:
        @hookimpl
        def animegen_interpolators(self):
            return [InterpolatorSpec("filed", f"{HERE}:Mix", "Has a file.", FileOptions)]

    monkeypatch.chdir(tmp_path)
    make(tmp_path / "table")
    registry = Registry([("toys", Toys()), ("filed", Filed())])
    settings = {
        "run": {"inpainter": "fill", "interpolator": "mix", "upsampler": "filed", "preprocessor": [], "factor": 2},
        "filed": {"file": "table"},
    }
    calls.clear()
    with Pipeline(recipe="quick", settings=settings, registry=registry, config=False, out=tmp_path / "runs") as made:
        if words is None:
            assert made.run(pair()).path.is_file()
            return
        with pytest.raises(
            InputError, match=rf"filed\.file of the upsampler is table \(from .+\), which {words}"
        ) as caught:
            made.run(pair())
    assert caught.value.hints == (f"it was looked for in {tmp_path}",)
    assert not calls and not (tmp_path / "runs").exists()


def test_a_panel_annotated_as_without_lettering_is_not_searched(registry, monkeypatch):
    searched = []

    def remember(self, image, text_boxes=()):
        searched.append(tuple(text_boxes))
        return []

    monkeypatch.setattr(Balloons, "__call__", remember)
    two = pair()  # the first has a text box, the last is annotated as having none
    pipeline(registry).run(two)
    assert searched == [(Box(3, 2, 9, 6),)]
    searched.clear()
    pipeline(registry).run(PanelPair(Panel(two.first.image), Panel(two.last.image)))
    assert searched == [(), ()]  # nobody has annotated these: both are searched


def test_frames_drawn_before_a_kill_are_not_drawn_again(registry, tmp_path, monkeypatch):
    with pipeline(registry, tmp_path / "unbroken", frames=23) as made:
        unbroken = made.run(pair())
    original, slices = Mix.__call__, 0

    def interrupted(self, *args, **kwargs):
        nonlocal slices
        slices += 1
        if slices == 2:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Mix, "__call__", interrupted)
    with pytest.raises(InterruptedRun), pipeline(registry, tmp_path / "runs", frames=23) as made:
        made.run(pair())
    monkeypatch.setattr(Mix, "__call__", original)
    calls.clear()
    with pipeline(registry, tmp_path / "runs", frames=23) as made:
        clip = made.run(pair(), resume=True)
    assert [call for call in calls if call.startswith("mix")] == ["mix 8", "mix 5"]  # of 8 + 8 + 5
    assert clip.path.read_bytes() == unbroken.path.read_bytes()
