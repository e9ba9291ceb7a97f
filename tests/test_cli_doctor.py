"""``animegen doctor`` and the small commands."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import animegen as core
from animegen_cli import checkup
from animegen_cli.main import COMMANDS, cli

Call = Callable[..., Any]


def test_doctor_says_what_is_here_and_what_would_run(animegen: Call) -> None:
    result = animegen("doctor", "--json")
    document = json.loads(result.out)
    checks = {check["name"]: check for check in document["checks"]}
    assert (result.code, document["works"]) == (0, True)
    assert document["versions"]["animegen"] == core.__version__
    assert "libx264" in checks["ffmpeg"]["text"]
    assert checks["opencv"]["state"] == "ok"
    assert "recipe" in checks["run"]["text"]
    assert {"memory", "results", "cache", "torch", "cards", "plugins", "weights"} <= set(checks)
    text = animegen("doctor").out
    for name in checks:
        assert any(line.startswith(name) for line in text.splitlines())


def test_doctor_names_the_system_library_that_opencv_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    from animegen.errors import MissingError

    class Broken(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise MissingError("the system library it needs is not: libGL.so.1.", hint="apt-get install libgl1")

    monkeypatch.setitem(sys.modules, "animegen._cv2", Broken("animegen._cv2"))
    check = checkup._opencv()
    assert check.state == "error"
    assert "libGL.so.1" in check.text
    assert "apt-get" in check.hint


def test_doctor_finds_missing_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "_can_encode", lambda av, name: name != "ffv1")
    check = checkup._ffmpeg()
    assert (check.state, "not mkv (ffv1)" in check.text) == ("warning", True)
    monkeypatch.setattr(checkup, "_can_encode", lambda av, name: name != "libx264")
    assert checkup._ffmpeg().state == "error"


def test_doctor_does_not_fall_over_broken_settings_or_folders(animegen: Call, place: Path) -> None:
    (place / "animegen.toml").write_text("[run\n")
    (place / "file").write_text("")
    result = animegen("doctor", "--out", "file")
    assert (result.code, result.errors) == (3, [])
    assert "settings  error" in result.out
    assert "results   error" in result.out


def test_doctor_tells_of_a_broken_plugin(finish: Call, install: Call) -> None:
    env = {"PYTHONPATH": str(install("animegen-broken", "import no_such_module"))}
    result = finish("doctor", env=env)
    assert result.code == 0, result.out
    assert "broken failed: ModuleNotFoundError" in result.out
    assert "animegen plugins check broken" in result.out


def test_help_names_every_command_and_each_is_there(animegen: Call) -> None:
    text = animegen("--help").out
    import click

    context = click.Context(cli, info_name="animegen")
    for name, (_, summary) in COMMANDS.items():
        command = cli.get_command(context, name)
        assert command is not None
        assert f"  {name}" in text
        assert summary in text


def test_version_and_no_command(animegen: Call) -> None:
    assert core.__version__ in animegen("--version").out
    nothing = animegen()
    assert (nothing.code, "Commands:" in nothing.out) == (0, True)


def test_a_bug_is_one_line_and_a_file(animegen: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def fall(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(checkup, "all_checks", fall)
    result = animegen("doctor")
    assert (result.code, result.errors) == (1, ["error: a bug: ZeroDivisionError: oh"])
    assert "Traceback" not in result.err
    file = Path(result.err.partition("the details are in ")[2].partition(";")[0])
    text = file.read_text()
    file.unlink()
    assert "animegen doctor" in text
    assert "Traceback" in text


def test_a_terminal_that_knows_ascii_only(finish: Call, place: Path) -> None:
    env = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    result = finish("run", "パネル.png", "b.png", env=env)
    assert (result.code, len(result.errors)) == (4, 1), result.err
    assert os.fsdecode(b"Traceback") not in result.err
