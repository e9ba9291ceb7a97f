"""Plugins that other people install, good and bad, as the command line shows them."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from animegen.video import write_video

Call = Callable[..., Any]

WIPE = """
    from dataclasses import dataclass
    from animegen import InterpolatorSpec, hookimpl, option

    @dataclass(frozen=True)
    class WipeOptions:
        edge: float = option(0.1, "Width of the soft edge.", min=0.0, max=1.0)

    @hookimpl
    def animegen_interpolators():
        return [InterpolatorSpec("wipe", "{module}:Wipe", "A wipe from left to right.", WipeOptions)]

    class Wipe:
        def __init__(self, options, context):
            self.options = options

        def __call__(self, first, last, times, *, prompt="", seed=0):
            import numpy as np
            x = np.linspace(0, 1, first.shape[1])[:, None]
            return np.stack([np.where(x < t, last, first) for t in times]).astype(np.uint8){broken}
"""


def wipe(module: str, broken: str = "") -> str:
    return WIPE.format(module=module, broken=broken)


def test_an_installed_plugin_is_listed_shown_and_used(
    finish: Call, install: Call, pair: tuple[Path, Path], quick: Any
) -> None:
    env = {"PYTHONPATH": str(install("animegen-wipe", wipe("animegen_wipe")))}
    rows = {row["name"]: row for row in json.loads(finish("plugins", "list", "--json", env=env).out)}
    assert rows["wipe"]["state"] == "ok"
    assert [stage["full_name"] for stage in rows["wipe"]["stages"]] == ["animegen-wipe:wipe"]
    shown = finish("plugins", "show", "wipe", env=env)
    assert "Width of the soft edge." in shown.out
    result = finish("run", *pair, *quick, "--interpolator", "wipe", "-o", "wipe.edge=0.5", env=env)
    assert result.code == 0, result.err
    record = json.loads(Path(result.out.strip()).with_name("run.json").read_text())
    step = next(step for step in record["steps"] if step["role"] == "interpolator")
    assert step["options"]["edge"] == {"value": 0.5, "source": "command line"}


def test_a_file_an_option_names_must_be_here_before_anything_is_made(
    finish: Call, install: Call, pair: tuple[Path, Path], quick: Any, place: Path, picture: Call
) -> None:
    field = 'table: str | None = option(None, "A table.", file=True)'
    source = wipe("animegen_wipe").replace(
        'edge: float = option(0.1, "Width of the soft edge.", min=0.0, max=1.0)', field
    )
    env = {"PYTHONPATH": str(install("animegen-wipe", source))}
    write_video(place / "film.mkv", [picture(64, 48, 3 * index) for index in range(4)], Fraction(12))
    wrong = ("-o", "wipe.table=gone.txt")
    for args in (
        ("run", *pair, *quick, "--upsampler", "wipe", *wrong),
        ("run", *pair, *quick, "--upsampler", "wipe", "--dry-run", *wrong),
        ("upsample", "film.mkv", "--with", "wipe", *wrong),
    ):
        result = finish(*args, env=env)
        (error,) = result.errors
        assert result.code == 4
        assert error == "error: wipe.table of the upsampler is gone.txt (from command line), which is not here."
        assert f"it was looked for in {place}" in result.err
        assert not list(place.glob("runs/*/run.json"))
    (place / "gone.txt").write_text("here")
    assert finish("upsample", "film.mkv", "--with", "wipe", *wrong, env=env).code == 0


def test_two_plugins_with_one_name_must_be_told_apart(
    finish: Call, install: Call, pair: tuple[Path, Path], quick: Any
) -> None:
    install("animegen-wipe", wipe("animegen_wipe"))
    env = {"PYTHONPATH": str(install("acme", wipe("acme")))}
    result = finish("run", *pair, *quick, "--interpolator", "wipe", env=env)
    assert result.code == 2
    assert result.errors == ["error: 'wipe' is in 2 plugins."]
    assert "acme:wipe" in result.err
    assert "animegen-wipe:wipe" in result.err
    assert finish("run", *pair, *quick, "--interpolator", "acme:wipe", env=env).code == 0


@pytest.mark.parametrize("failure", ["import no_such_module", "raise SystemExit(3)", "1 / 0", "def broken(:"])
def test_a_plugin_that_does_not_load_is_a_row_and_stops_nothing(
    finish: Call, install: Call, pair: tuple[Path, Path], quick: Any, failure: str
) -> None:
    env = {"PYTHONPATH": str(install("animegen-broken", failure))}
    listed = finish("plugins", "list", env=env)
    assert listed.code == 0, listed.err
    row = next(line for line in listed.out.splitlines() if line.startswith("broken"))
    assert "failed:" in row
    assert "Traceback" not in listed.err
    assert finish("run", *pair, *quick, env=env).code == 0
    named = finish("run", *pair, *quick, "--interpolator", "broken:any", env=env)
    assert named.code == 3
    assert len(named.errors) == 1
    assert "did not load" in named.err


def test_a_plugin_that_is_turned_off_says_so(finish: Call, install: Call, place: Path) -> None:
    env = {"PYTHONPATH": str(install("animegen-wipe", wipe("animegen_wipe")))}
    (place / "animegen.toml").write_text('[plugins]\noff = ["wipe"]\n')
    rows = {row["name"]: row["state"] for row in json.loads(finish("plugins", "list", "--json", env=env).out)}
    assert rows["wipe"] == "off"
    shown = finish("plugins", "show", "wipe", env=env)
    assert (shown.code, len(shown.errors)) == (3, 1)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("[:, :-1]", "expected (1, 48, 64, 3) uint8"),
        (".astype(np.float32)", "float32"),
        ("[:0]", "(0, 48, 64, 3)"),
        (".tolist()", "list"),
        (" / 0 + undefined", "NameError"),
    ],
)
def test_a_stage_that_breaks_its_contract_is_named(
    finish: Call, install: Call, pair: tuple[Path, Path], quick: Any, broken: str, words: str
) -> None:
    env = {"PYTHONPATH": str(install("animegen-wipe", wipe("animegen_wipe", broken)))}
    result = finish("run", *pair, *quick, "--interpolator", "wipe", env=env)
    assert result.code == 1
    assert len(result.errors) == 1, result.err
    assert "animegen-wipe:wipe" in result.err
    assert words in result.err
    assert "Traceback" not in result.err
    assert not list(pair[0].parent.glob("runs/*/clip.mp4"))


def test_check_finds_what_is_wrong(finish: Call, install: Call) -> None:
    env = {"PYTHONPATH": str(install("animegen-wipe", wipe("animegen_wipe", "[:, :-1]")))}
    result = finish("plugins", "check", "wipe", env=env)
    assert result.code == 1
    assert "animegen-wipe:wipe" in result.out
    assert "error" in result.out
    good = finish("plugins", "check", "animegen", "--json")
    assert good.code == 0, good.out
    findings = json.loads(good.out)["findings"]
    assert {finding["level"] for finding in findings} <= {"ok", "warning", "skipped"}


def test_a_new_plugin_passes_its_own_check(finish: Call, place: Path) -> None:
    made = finish("plugins", "new", "sparkle", "--kind", "preprocessor")
    assert made.code == 0, made.err
    source = place / "animegen-sparkle" / "src"
    info = source / "animegen_sparkle-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: animegen-sparkle\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[animegen]\nsparkle = animegen_sparkle.plugin\n")
    result = finish("plugins", "check", "sparkle", env={"PYTHONPATH": str(source)})
    assert result.code == 0, result.out + result.err
    again = finish("plugins", "new", "sparkle", "--kind", "preprocessor")
    assert (again.code, len(again.errors)) == (2, 1)


def test_unknown_names_bring_the_nearest(animegen: Call) -> None:
    for args, near in (
        (("plugins", "show", "flwo"), "'flow'"),
        (("plugins", "check", "mnga"), "did you mean"),
        (("plugins", "lsit"), "'list'"),
        (("plugnis",), "'plugins'"),
        (("plugins", "list", "--jsn"), "'--json'"),
    ):
        result = animegen(*args)
        assert (result.code, len(result.errors)) == (2, 1), result.err
        assert near in result.err


def test_options_are_shown_as_a_table_and_as_a_schema(animegen: Call) -> None:
    table = animegen("plugins", "show", "flow").out
    assert table.splitlines()[0].startswith("flow")
    schema = json.loads(animegen("plugins", "show", "flow", "--schema").out)
    assert set(schema["properties"]) >= {"lines"}
    for name in schema["properties"]:
        assert name in table
