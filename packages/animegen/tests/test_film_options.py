"""What an upsampling is asked to do: layers, factor against rate, the stage that draws; and small parts of the job."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from animegen import InterpolatorSpec, Weight, hookimpl
from animegen.errors import InputError, UsageError
from animegen.film.cut_list import given_cuts
from animegen.film.frames import StreamedFrames
from animegen.film.options import UpsampleOptions, resolve_table, resolve_upsampling
from animegen.film.said import Said
from animegen.options import Layer, resolve, to_json
from animegen.registry import Registry
from animegen.settings.layers import ConfigLayer
from animegen.settings.resolve import layers_here
from animegen.weights.store import WeightStore

HEAVY = Weight("rife.pt", ("https://example.org/rife.pt",), "MIT", size=4)


class Toys:
    @hookimpl
    def animegen_interpolators(self):
        return [
            InterpolatorSpec("flow", "toys:Flow", "Any time."),
            InterpolatorSpec("rife", "toys:Rife", "Any time, with weights.", weights=(HEAVY,)),
            InterpolatorSpec("sixteen", "toys:Sixteen", "Sixteen frames.", frames=16),
        ]


@pytest.fixture
def registry():
    return Registry([("toys", Toys())])


def table(*layers):
    return resolve_table([ConfigLayer(f"layer {number}", {"upsample": one}) for number, one in enumerate(layers)])


@pytest.mark.parametrize(
    ("layers", "factor", "fps"),
    [
        ([{}], None, None),
        ([{"factor": 4}], 4, None),
        ([{"factor": "4"}, {"fps": "60"}], None, "60"),
        ([{"fps": 60}, {"factor": 4}], 4, None),
        ([{"factor": 4}, {"fps": "none"}], 4, None),
        ([{"fps": 60}, {"factor": 4}, {"fps": "24000/1001"}], None, "24000/1001"),
    ],
)
def test_the_stronger_layer_says_whether_a_factor_or_a_rate_is_meant(layers, factor, fps):
    values = table(*layers).values
    assert (values.factor, values.fps) == (factor, fps)
    assert values.times == (factor or 2)
    assert values.rate == (None if fps is None else Fraction(fps))


def test_both_from_one_place_are_refused():
    with pytest.raises(UsageError, match="both say"):
        table({"factor": 2, "fps": 30})


@pytest.mark.parametrize("value", ["0.5", 1, "1", 0, -3, "2.5", 2.5])
def test_a_factor_that_is_none_leads_to_a_rate(value):
    with pytest.raises(UsageError) as caught:
        table({"factor": value})
    assert "layer 0" in caught.value.message
    assert "--fps" in caught.value.hints[0]


@pytest.mark.parametrize("name", ["fps", "source_fps"])
@pytest.mark.parametrize("value", ["fast", "0", "-1", "1/0", "1e9"])
def test_rates_are_checked_before_anything_is_read(name, value):
    with pytest.raises(UsageError, match=f"upsample.{name}"):
        table({name: value})


def test_what_a_run_says_of_the_machine_holds_here_too():
    layers = [ConfigLayer("file", {"run": {"device": "cuda:1", "seed": 3}, "upsample": {"dtype": "float16"}})]
    options = resolve_table([*layers, ConfigLayer("typed", {"upsample": {"device": "cuda:0, cuda:1"}})])
    assert options.values.devices == ("cuda:0", "cuda:1")
    assert options.values.dtype == "float16"
    assert resolve_table(layers).sources["device"] == "file"


def test_rife_draws_where_it_can(registry, tmp_path, monkeypatch):
    monkeypatch.setenv("ANIMEGEN_HOME", str(tmp_path))
    store = WeightStore()
    without = resolve_upsampling(registry, [], store)
    assert (without.choice.stage.name, "weights of rife" in without.why) == ("flow", True)
    place = store.place("toys", HEAVY)
    place.parent.mkdir(parents=True)
    place.write_bytes(b"1234")
    found = resolve_upsampling(registry, [], store)
    assert (found.choice.stage.name, bool(found.why)) == ("rife", True)
    named = resolve_upsampling(registry, [ConfigLayer("typed", {"upsample": {"upsampler": "flow"}})], store)
    assert (named.choice.stage.name, named.why) == ("flow", "")


@pytest.mark.parametrize(("name", "said"), [("sixteen", "always makes 16"), ("none", "needs a stage"), ("x", "'x'")])
def test_a_stage_that_cannot_is_refused(registry, name, said):
    with pytest.raises(UsageError, match=said):
        resolve_upsampling(registry, [ConfigLayer("typed", {"upsample": {"upsampler": name}})])


def test_tables_make_the_same_settings_again(registry):
    asked = {"upsampler": "flow", "fps": "30000/1001", "duplicates": "retime", "tracks": False, "cuts": "3,9"}
    settings = resolve_upsampling(registry, [ConfigLayer("typed", {"upsample": asked})])
    again = resolve_upsampling(registry, [ConfigLayer("run.json", settings.tables())])
    assert {**to_json(again.values), "upsampler": 0} == {**to_json(settings.values), "upsampler": 0}
    assert again.choice.stage == settings.choice.stage


def test_options_are_plain_json(registry):
    values = UpsampleOptions()
    assert resolve(UpsampleOptions, [Layer("json", to_json(values))]).values == values


def test_a_settings_file_and_the_environment_take_part(registry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANIMEGEN_CONFIG", raising=False)
    (tmp_path / "animegen.toml").write_text("[upsample]\nmax_run = 3\nquality = 50\n")
    monkeypatch.setenv("ANIMEGEN_UPSAMPLE_QUALITY", "60")
    values = resolve_upsampling(registry, layers_here(registry, {"upsample": {"upsampler": "flow"}})).values
    assert (values.max_run, values.quality) == (3, 60)
    assert resolve_table(layers_here(registry, {}, config=False)).values == UpsampleOptions()


def test_cuts_are_listed_in_many_ways(tmp_path):
    assert given_cuts("auto") is None
    assert given_cuts("none") == ()
    assert given_cuts("57, 12,57") == (12, 57)
    for number, text in enumerate(("12\n57\n", "[57, 12]", "12 57 # by hand\n", "12;57")):
        path = tmp_path / f"{number}.txt"
        path.write_text(text)
        assert given_cuts(str(path)) == (12, 57)


@pytest.mark.parametrize("text", ["twelve", "0,12", "a.txt", "[1, 2", "3,-4", "1.5"])
def test_what_is_no_list_of_cuts_is_refused(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("12\nsoon\n")
    with pytest.raises(UsageError):
        given_cuts(text)


def test_a_list_of_cuts_that_cannot_be_read(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(InputError):
        given_cuts(str(tmp_path / "a"))


def test_what_a_stage_says_of_each_frame_is_said_once():
    said = Said()
    for number in range(1000, 0, -1):
        said.add(f"only {number / 10}% is found", Fraction(number, 24))
    said.add("once", Fraction(50))
    assert said.lines() == ["at 0.04 s, and 999 more times like it: only 0.1% is found", "at 50.00 s: once"]


def test_streamed_frames_go_on_and_begin_anew():
    images = [np.full((2, 2, 3), index, np.uint8) for index in range(10)]
    opened = 0

    def begin():
        nonlocal opened
        opened += 1
        return iter(images)

    frames = StreamedFrames(begin, 10)
    for index in (2, 2, 3, 9, -1, 0, 5):
        assert np.array_equal(frames[index], images[index])
    assert opened == 2
    assert len(frames[2:8:2]) == 3
    assert [image[0, 0, 0] for image in frames] == list(range(10))
    with pytest.raises(IndexError):
        frames[10]
    half = StreamedFrames(lambda: iter([np.array([[[0, 0, 0, 128]]], np.uint8)]), 1)
    assert half[0].tolist() == [[[127, 127, 127]]]
