"""What a run leaves in its folder, and going on from there: nothing is made twice."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from animegen.errors import InputError, InterruptedRun
from animegen.pipeline.pipeline import Pipeline, recorded_layers
from animegen.pipeline.record import read_record


def test_the_folder_holds_everything_and_makes_the_run_again(registry, tmp_path, pipeline, pair):
    with pipeline(tmp_path, upsampler="mix-sequence", factor=3) as made:
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


def test_keep_clip_alone(tmp_path, pipeline, pair):
    with pipeline(tmp_path, keep="clip", format=["mkv", "gif"]) as made:
        clip = made.run(pair())
    folder = clip.path.parent
    assert not (folder / "frames").exists()
    assert {"clip.mkv", "clip.gif"} <= {path.name for path in folder.iterdir()}
    assert clip.array()[0, 0, 0, 0] == 10  # read back from the lossless file


def test_nothing_is_made_twice(tmp_path, pipeline, pair, said):
    with pipeline(tmp_path) as made:
        first = made.run(pair())
    said.clear()
    with pipeline(tmp_path, upsampler="mix") as made:
        second = made.run(pair())
    assert [call for call in said if call.startswith("mix")] == ["mix 3"] * 4  # upsampling alone
    steps = read_record(second.path.parent)["steps"]
    assert [step["cached"] for step in steps] == [True, True, True, False]
    assert second.warnings == ("mixed, not drawn",)  # said again, though nothing was computed
    assert second.path.parent != first.path.parent
    said.clear()
    with pipeline(tmp_path, force=True) as made:
        made.run(pair())
    assert "mix 3" in said


def test_resume_goes_on_in_the_same_folder(tmp_path, monkeypatch, pipeline, pair, toys, said):
    with pipeline(tmp_path / "unbroken", upsampler="mix") as made:
        unbroken = made.run(pair())
    original, count = toys.Mix.__call__, 0

    def interrupted(self, *args, **kwargs):
        nonlocal count
        count += 1
        if count == 3:  # the interpolator, one gap, then Ctrl-C
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    monkeypatch.setattr(toys.Mix, "__call__", interrupted)
    with pytest.raises(InterruptedRun), pipeline(tmp_path / "runs", upsampler="mix") as made:
        made.run(pair())
    (folder,) = [path for path in (tmp_path / "runs").iterdir() if not path.name.startswith(".")]
    assert read_record(folder)["status"] == "interrupted"
    monkeypatch.setattr(toys.Mix, "__call__", original)
    said.clear()
    with pipeline(tmp_path / "runs", upsampler="mix") as made:
        clip = made.run(pair(), resume=True)
    assert clip.path.parent == folder
    assert len([call for call in said if call == "mix 3"]) == 3  # of four gaps, the first was kept
    assert clip.path.read_bytes() == unbroken.path.read_bytes()
    said.clear()
    with pipeline(tmp_path / "runs", upsampler="mix") as made:
        assert made.run(pair(), resume=True).path == clip.path
    assert said == []


def test_frames_drawn_before_a_kill_are_not_drawn_again(tmp_path, monkeypatch, pipeline, pair, toys, said):
    with pipeline(tmp_path / "unbroken", frames=23) as made:
        unbroken = made.run(pair())
    original, slices = toys.Mix.__call__, 0

    def interrupted(self, *args, **kwargs):
        nonlocal slices
        slices += 1
        if slices == 2:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    monkeypatch.setattr(toys.Mix, "__call__", interrupted)
    with pytest.raises(InterruptedRun), pipeline(tmp_path / "runs", frames=23) as made:
        made.run(pair())
    monkeypatch.setattr(toys.Mix, "__call__", original)
    said.clear()
    with pipeline(tmp_path / "runs", frames=23) as made:
        clip = made.run(pair(), resume=True)
    assert [call for call in said if call.startswith("mix")] == ["mix 8", "mix 5"]  # of 8 + 8 + 5
    assert clip.path.read_bytes() == unbroken.path.read_bytes()


def test_a_lost_cache_does_not_lose_the_run(tmp_path, pipeline, pair):
    with pipeline(tmp_path) as made:
        clip = made.run(pair())
    shutil.rmtree(tmp_path / ".cache")
    assert len(list((clip.path.parent / "frames").iterdir())) == 5
    with pipeline(tmp_path) as made:
        again = made.run(pair())
    assert again.path.read_bytes() == clip.path.read_bytes()
    assert json.loads((clip.path.parent / "run.json").read_text("utf-8"))["id"] == again.record["id"]


def test_a_run_json_from_elsewhere(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_record(tmp_path)
    (tmp_path / "run.json").write_text("[1]", "utf-8")
    with pytest.raises(InputError, match=r"schema version None"):
        read_record(tmp_path)
    (tmp_path / "run.json").write_text("{", "utf-8")
    with pytest.raises(InputError, match="is not a run"):
        read_record(tmp_path)
