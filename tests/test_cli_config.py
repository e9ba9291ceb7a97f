"""``animegen config`` and the settings file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from animegen.options import describe_options
from animegen.settings.resolve import RunOptions

Call = Callable[..., Any]


def test_show_tells_every_value_and_its_source(animegen: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("animegen.toml").write_text("[run]\nseed = 4\n\n[interpolator]\nlines = 0.5\n")
    monkeypatch.setenv("ANIMEGEN_RUN_GROW", "3")
    settings = json.loads(animegen("config", "show", "--json").out)["settings"]
    assert set(settings["run"]) == {info.name for info in describe_options(RunOptions)}
    assert settings["run"]["seed"] == {"value": 4, "source": "animegen.toml"}
    assert settings["run"]["grow"] == {"value": 3, "source": "environment"}
    assert settings["run"]["factor"] == {"value": 4, "source": "default"}
    assert settings["interpolator"]["lines"] == {"value": 0.5, "source": "animegen.toml"}
    table = animegen("config", "show").out
    assert any(line.split() == ["run.seed", "4", "animegen.toml"] for line in table.splitlines())


def test_another_file_can_be_named(animegen: Call, place: Path) -> None:
    Path("other.toml").write_text("[run]\nseed = 77\n")
    result = json.loads(animegen("--config", "other.toml", "config", "show", "--json").out)
    assert result["settings"]["run"]["seed"] == {"value": 77, "source": "other.toml"}


def test_init_writes_a_file_that_changes_nothing(animegen: Call) -> None:
    before = json.loads(animegen("config", "show", "--json").out)["settings"]
    assert animegen("config", "init").out.strip() == "animegen.toml"
    assert json.loads(animegen("config", "show", "--json").out)["settings"] == before
    again = animegen("config", "init")
    assert (again.code, len(again.errors)) == (2, 1)
    assert animegen("config", "init", "--force").code == 0


def test_every_line_of_that_file_holds_when_it_is_taken_in(animegen: Call) -> None:
    """Each commented default, once its mark is removed, is valid TOML with a valid value."""
    animegen("config", "init")
    path = Path("animegen.toml")
    lines = [line[1:] if line.startswith("#") and line[1:2] != " " else line for line in path.read_text().splitlines()]
    path.write_text("\n".join(lines))
    tables = tomllib.loads(path.read_text())
    assert set(tables["run"]) == {info.name for info in describe_options(RunOptions)}
    assert {"flow", "balloons"} <= set(tables)
    shown = json.loads(animegen("config", "show", "--json").out)["settings"]
    assert {entry["source"] for entry in shown["run"].values()} == {"animegen.toml"}
    assert {entry["source"] for entry in shown["interpolator"].values()} == {"animegen.toml"}


def test_the_schema_knows_every_table_and_option(animegen: Call) -> None:
    schema = json.loads(animegen("config", "schema").out)
    animegen("config", "init")
    for line in Path("animegen.toml").read_text().splitlines():
        if line.startswith("#[") and "]" in line:
            assert line[2:-1] in schema["properties"]
    run = schema["properties"]["run"]["properties"]
    assert run["factor"]["maximum"] == 64
    assert set(run) == {info.name for info in describe_options(RunOptions)}


def test_a_recipe_of_the_users_own(animegen: Call, place: Path) -> None:
    (place / "recipes").mkdir()
    (place / "recipes" / "mine.toml").write_text('[recipe]\nsummary = "Mine."\n\n[run]\ninterpolator = "crossfade"\n')
    shown = json.loads(animegen("config", "show", "--recipe", "mine", "--json").out)["settings"]
    assert shown["run"]["interpolator"] == {"value": "crossfade", "source": "recipe mine"}


def test_a_recipe_names_the_plugins_it_needs(animegen: Call, place: Path) -> None:
    text = '[recipe]\nplugins = ["animegen", "acme-dream"]\n\n[run]\ninterpolator = "dream"\n'
    (place / "mine.toml").write_text(text)
    result = animegen("run", "--recipe", "mine.toml")
    assert (result.code, len(result.errors)) == (3, 1)
    assert "pip install acme-dream" in result.err
