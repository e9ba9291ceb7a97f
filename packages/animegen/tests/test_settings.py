"""Settings: layers, sources, recipes, and every wrong thing a user can write."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import pytest

from animegen import InterpolatorSpec, StageSpec, hookimpl, option
from animegen.errors import InputError, UsageError
from animegen.pipeline.record import settings_tables
from animegen.registry import Registry
from animegen.settings.layers import ConfigLayer, as_layer, assignments_layer, environment_layer, file_layer
from animegen.settings.recipes import load, names
from animegen.settings.resolve import parse_fps, resolve_settings, table_names


@dataclass(frozen=True)
class Strong:
    strength: float = option(0.5, "How much.", min=0, max=1)
    radius: int = option(3, "How far.", min=1)


@dataclass(frozen=True)
class Wide:
    radius: int = option(7, "How far.", min=1)


class Toys:
    """A plugin of records alone: nothing here is ever imported."""

    @hookimpl
    def animegen_inpainters(self):
        return [StageSpec("fill", "toys:Fill", "Fills.")]

    @hookimpl
    def animegen_preprocessors(self):
        return [
            StageSpec("soft", "toys:Soft", "Softens.", Strong),
            StageSpec("wide", "toys:Wide", "Widens.", Wide),
        ]

    @hookimpl
    def animegen_interpolators(self):
        return [
            InterpolatorSpec("anytime", "toys:Any", "Any time.", Strong),
            InterpolatorSpec("sixteen", "toys:Sixteen", "Sixteen frames.", frames=16),
            InterpolatorSpec("supple", "toys:Supple", "Sixteen or others.", frames=16, other_counts=True),
        ]


BASE = ConfigLayer("recipe toy", {"run": {"inpainter": "fill", "interpolator": "anytime", "frames": 5}})


@pytest.fixture
def registry():
    return Registry([("toys", Toys())])


def settle(registry, *layers):
    return resolve_settings(registry, [BASE, *layers])


def test_later_layers_win_and_every_value_knows_its_source(registry):
    settings = settle(
        registry,
        ConfigLayer("animegen.toml", {"run": {"seed": 7}, "interpolator": {"strength": 0.25, "radius": 4}}),
        environment_layer(table_names(registry), {"ANIMEGEN_RUN_SEED": "8", "ANIMEGEN_ANYTIME_RADIUS": "5"}),
        assignments_layer(["interpolator.strength=0.75"]),
    )
    assert settings.run.values.seed == 8
    assert settings.run.sources["seed"] == "environment"
    assert settings.run.sources["frames"] == "recipe toy"
    assert settings.run.sources["factor"] == "default"
    choice = settings.one("interpolator")
    assert choice.options.as_record() == {
        "strength": {"value": 0.75, "source": "command line"},
        "radius": {"value": 5, "source": "environment"},
    }


def test_a_chain_shares_its_table_by_option(registry):
    chain = {"preprocessor": ["soft", "wide"]}
    settings = settle(registry, ConfigLayer("x", {"run": chain, "preprocessor": {"strength": 0.1}}))
    soft, wide = settings.choices["preprocessor"]
    assert (soft.options.values.strength, wide.options.values.radius) == (0.1, 7)
    with pytest.raises(UsageError, match=r"preprocessor.radius .* is an option of soft and wide") as caught:
        settle(registry, ConfigLayer("x", {"run": chain, "preprocessor": {"radius": 2}}))
    assert caught.value.hints == ("say whose: -o soft.radius=2",)
    settings = settle(registry, ConfigLayer("x", {"run": chain, "wide": {"radius": 2}}))
    assert [choice.options.values.radius for choice in settings.choices["preprocessor"]] == [3, 2]


WRONG = {
    "unknown stage": ({"run": {"interpolator": "anytme"}}, "no interpolator is named 'anytme'", "did you mean"),
    "unknown table": ({"interpolatr": {"strength": 1}}, r"\[interpolatr\]", "did you mean 'interpolator'"),
    "unknown option": ({"interpolator": {"strenth": 1}}, r"unknown option interpolator.strenth \(from x\)", "strength"),
    "unknown run option": ({"run": {"sead": 1}}, r"unknown option run.sead \(from x\)", "did you mean 'seed'"),
    "out of range": ({"interpolator": {"strength": 8}}, r"strength \(from x\) is 8.0; it takes 0 .. 1", ""),
    "not a number": ({"interpolator": {"strength": "high"}}, "which is not a number", ""),
    "not a whole number": ({"run": {"seed": 1.5}}, "which is not a whole number", ""),
    "not finite": ({"interpolator": {"strength": "nan"}}, "which is not a number", ""),
    "a choice": ({"run": {"dtype": "float23"}}, "float32, float16 or bfloat16", "did you mean 'float32'"),
    "fps": ({"run": {"fps": "0"}}, "run.fps is '0'", ""),
    "fps text": ({"run": {"fps": "24/0"}}, "run.fps is '24/0'", ""),
    "no interpolator": ({"run": {"interpolator": "none"}}, "needs an interpolator", "--interpolator flow"),
    "fixed upsampler": ({"run": {"upsampler": "sixteen"}}, "always makes 16 frames, so it cannot upsample", ""),
    "fixed count": (
        {"run": {"interpolator": "sixteen", "frames": 5}},
        "always makes 16 frames; run.frames is 5",
        "--upsampler",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_settings_say_where_and_what(registry, case):
    tables, message, hint = WRONG[case]
    with pytest.raises(UsageError, match=message) as caught:
        settle(registry, ConfigLayer("x", tables))
    assert hint in " ".join(caught.value.hints)


def test_a_stage_may_accept_other_counts(registry):
    asked = {"run": {"interpolator": "supple", "frames": 5}}
    assert settle(registry, ConfigLayer("x", asked)).run.values.frames == 5


def test_a_recipe_does_not_time_an_interpolator_that_it_does_not_name(registry):
    """The count of frames that suits its own, at any time, is no reason to force it on one made for sixteen."""
    timed = ConfigLayer("recipe timed", {"run": {"frames": 9, "fps": "12"}})
    for name, frames, fps in (("sixteen", None, "8"), ("supple", None, "8"), ("anytime", 9, "12")):
        run = settle(registry, timed, ConfigLayer("x", {"run": {"interpolator": name}})).run
        assert (run.values.frames, run.values.fps) == (frames, fps)
    assert run.sources["fps"] == "recipe timed"
    mine = ConfigLayer("animegen.toml", {"run": {"frames": 7}})
    run = settle(registry, timed, mine, ConfigLayer("x", {"run": {"interpolator": "supple"}})).run
    assert (run.values.frames, run.sources["frames"], run.sources["fps"]) == (7, "animegen.toml", "default")


def test_untrained_must_have_an_effect(registry):
    with pytest.raises(UsageError, match=r"run\.untrained \(from x\) has no effect: none of") as caught:
        settle(registry, ConfigLayer("x", {"run": {"untrained": True}}))
    assert "no stage that is installed here can" in caught.value.hints[0]


@pytest.mark.parametrize("text", ["interpolator.x", "strength=1", "=", ".a=1", "a.=1"])
def test_malformed_assignment(text):
    with pytest.raises(UsageError, match=r"is not KIND.OPTION=VALUE"):
        assignments_layer([text])


def test_configuration_file(tmp_path, monkeypatch):
    monkeypatch.delenv("ANIMEGEN_CONFIG", raising=False)
    (tmp_path / "animegen.toml").write_text("[run]\nseed = 4\n", "utf-8")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert file_layer() == ConfigLayer("animegen.toml", {"run": {"seed": 4}})
    (tmp_path / "animegen.toml").write_text("[run\nseed = 4\n", "utf-8")
    with pytest.raises(UsageError, match=r"animegen.toml is not valid TOML: .* line 1"):
        file_layer()
    with pytest.raises(UsageError, match="stands outside any table"):
        as_layer("x", {"seed": 4})
    with pytest.raises(InputError, match="cannot be read"):
        file_layer(tmp_path / "none.toml")


def test_recipes(tmp_path, monkeypatch):
    monkeypatch.delenv("ANIMEGEN_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    assert {"quick", "animegen"} <= set(names())
    with pytest.raises(UsageError, match="no recipe is named 'quik'") as caught:
        load("quik")
    assert "did you mean 'quick'?" in caught.value.hints[0]
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "mine.toml").write_text('[recipe]\nsummary = "Mine."\n[run]\nseed = 2\n', "utf-8")
    mine = load("mine")
    assert (mine.summary, mine.layer.tables, mine.layer.source) == ("Mine.", {"run": {"seed": 2}}, "recipe mine")
    assert load(str(tmp_path / "recipes" / "mine.toml")).layer.tables == mine.layer.tables
    assert "mine" in names()


def test_recorded_tables_make_the_same_settings(registry):
    tables = {"run": {"preprocessor": ["wide", "soft"], "upsampler": "anytime", "grow": 3}, "soft": {"radius": 9}}
    settings = settle(registry, ConfigLayer("x", tables))
    again = resolve_settings(registry, [ConfigLayer("run.json", settings_tables(settings))])
    assert again.run.values.grow == 3
    for role, choices in settings.choices.items():
        assert [choice.options.values for choice in again.choices[role]] == [
            choice.options.values for choice in choices
        ]
        assert [choice.stage for choice in again.choices[role]] == [choice.stage for choice in choices]


def test_without_a_detector_balloons_stay_and_the_plan_says_so(registry):
    assert "no balloon detector is installed" in settle(registry).notes[0]


@pytest.mark.parametrize(("text", "rate"), [("24000/1001", Fraction(24000, 1001)), ("12.5", Fraction(25, 2))])
def test_fps(text, rate):
    assert parse_fps(text) == rate
