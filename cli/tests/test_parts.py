"""The parts of the command line that can be looked at alone."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from animegen.errors import InterruptedRun, UsageError
from animegen.media import Panel, PanelPair
from animegen.options import describe_options
from animegen.settings.resolve import RunOptions
from animegen_cli import pairs, reporters
from animegen_cli.commands.panels import _wanted
from animegen_cli.console import Console, duration, one_line, size
from animegen_cli.failures import guarded, resume_command
from animegen_cli.group import Command
from animegen_cli.run_options import command_line_layer, run_options


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (60, "1 min 00 s"),
        (221, "3 min 41 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (206e6, "206 MB"), (999.7e6, "1.0 GB"), (10.5e9, "10.5 GB")],
)
def test_sizes(count: float, words: str) -> None:
    assert size(count) == words


def test_one_message_is_one_line() -> None:
    assert one_line("first\n   second\r\n\n third ") == "first second third"


@pytest.mark.parametrize(
    ("first", "last", "label"),
    [
        ("07_girl_a", "07_girl_b", "07_girl_a-b"),
        ("a", "b", "a-b"),
        ("page_12", "page_13", "page_12-13"),
        ("same", "same", "same-same"),
        ("cat", "catalogue", "cat-alogue"),
    ],
)
def test_labels_of_folders(first: str, last: str, label: str) -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    pair = PanelPair(Panel(image, name=first), Panel(image, name=last))
    assert pairs.label(pair) == label
    assert pairs.label(replace(pair, id="mine")) == "mine"


def test_lists_of_pages() -> None:
    wanted = _wanted("3-5, 9")
    assert [number for number in range(12) if wanted(number)] == [3, 4, 5, 9]
    assert all(map(_wanted(None), range(5)))
    for text in ("", "a", "3-", "-3", "1.5"):
        with pytest.raises(UsageError):
            _wanted(text)


def layer_of(*args: str) -> dict[str, dict[str, object]]:
    seen: dict[str, dict[str, object]] = {}

    @click.command(cls=Command)
    @run_options
    def probe(**values: object) -> None:
        seen.update(command_line_layer(values).tables)  # type: ignore[arg-type]

    result = CliRunner().invoke(probe, list(args), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return seen


def test_what_was_not_typed_is_not_in_the_layer() -> None:
    assert layer_of() == {}
    assert layer_of("--seed", "0") == {"run": {"seed": "0"}}
    assert layer_of("--prompt", "") == {"run": {"prompt": ""}}


def test_every_option_of_a_run_has_a_flag() -> None:
    @click.command(cls=Command)
    @run_options
    def probe(**_: object) -> None:
        pass

    flags = {flag for parameter in probe.params for flag in parameter.opts}
    for info in describe_options(RunOptions):
        assert f"--{info.name.replace('_', '-')}" in flags
    text = CliRunner().invoke(probe, ["--help"]).output
    for info in describe_options(RunOptions):
        assert " ".join(info.help.split()[:2]) in " ".join(text.split())


def test_lists_are_joined_however_they_are_typed() -> None:
    assert layer_of("--preprocessor", "descreen,lab") == layer_of("--preprocessor", "descreen", "--preprocessor", "lab")
    assert layer_of("--preprocessor", "none") == {"run": {"preprocessor": []}}
    assert layer_of("--keep-balloon", "1, 3") == {"run": {"keep_balloon": ["1", "3"]}}


def test_flags_are_stronger_than_assignments() -> None:
    layer = layer_of("-o", "run.seed=1", "-o", "flow.lines=0.5", "-o", "run.fps=9", "--seed", "2")
    assert layer == {"run": {"seed": "2", "fps": "9"}, "flow": {"lines": "0.5"}}


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["run", "a b.png", "c.png"], "animegen run 'a b.png' c.png --resume"),
        (["run", "a", "b", "--resume"], "animegen run a b --resume"),
        (["run", "a", "b", "--force", "--seed", "3"], "animegen run a b --seed 3 --resume"),
    ],
)
def test_the_line_that_goes_on(args: list[str], line: str) -> None:
    assert resume_command(args) == line


def raiser(error: BaseException) -> object:
    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UsageError("wrong\nin two lines", hint="type this"), 2, "error: wrong in two lines\n  hint: type this\n"),
        (KeyboardInterrupt(), 130, "error: stopped.\n"),
        (InterruptedRun("stopped; kept.", hint=()), 130, "animegen run a --resume"),
        (MemoryError(), 5, "out of memory"),
        (click.exceptions.Exit(3), 3, ""),
    ],
)
def test_every_end_has_its_code(
    error: BaseException, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guarded(Console(), ["run", "a"], raiser(error)) == code  # type: ignore[arg-type]
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.out == ""


def test_a_bar_appears_after_a_second_and_leaves_a_clean_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [100.0]
    monkeypatch.setattr(reporters.time, "monotonic", lambda: clock[0])
    reporter = reporters.BarReporter(Console())
    reporter.started(3, 4, "interpolate", "16 frames")
    reporter.progress(1, 16, "steps")
    assert "steps" not in capsys.readouterr().err
    clock[0] += 2
    monkeypatch.setenv("COLUMNS", "100")
    reporter.progress(8, 16, "steps")
    assert "8/16 steps" in capsys.readouterr().err
    reporter.finished("interpolate", "16 frames", 2.0, cached=False)
    last = capsys.readouterr().err.rsplit("\r\x1b[K", 1)[1]
    assert last == f"[3/4] interpolate  {'16 frames':<36} {'2.0 s':>12}\n"


@pytest.mark.parametrize(("there", "left"), [(900, "01:30"), (0, "00:00")])
def test_what_was_there_at_once_is_no_measure_of_speed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], there: int, left: str
) -> None:
    """Ten more in ten seconds after 900 of an earlier run are one a second."""
    clock = [100.0]
    monkeypatch.setattr(reporters.time, "monotonic", lambda: clock[0])
    monkeypatch.setenv("COLUMNS", "100")
    reporter = reporters.BarReporter(Console())
    reporter.started(1, 2, "upsample", "500 > 1000 frames")
    reporter.progress(there, 1000, "frames")
    clock[0] += 10
    reporter.progress(910, 1000, "frames")
    shown = capsys.readouterr().err
    assert "910/1000 frames" in shown
    assert left in shown.split("910/1000 frames")[-1].partition(" to go")[0]
    reporter.close()


def test_a_long_step_is_told_of_every_ten_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr(reporters.time, "monotonic", lambda: clock[0])
    reporter = reporters.LineReporter(Console())
    reporter.started(1, 2, "interpolate", "16 frames")
    for second in range(25):
        clock[0] = float(second)
        reporter.progress(second, 25, "steps")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[-2] for line in lines] == ["10/25", "20/25"]


def test_colour_is_for_terminals(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Console().error("x")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    Console().error("x")
    monkeypatch.delenv("NO_COLOR")
    Console().error("x")
    plain, quiet, coloured = capsys.readouterr().err.splitlines()
    assert plain == quiet == "error: x"
    assert "\x1b[" in coloured


def test_folders_of_the_system(tmp_path: Path) -> None:
    from animegen_cli import system

    assert system.cores() >= 1
    assert system.writable(tmp_path / "not" / "yet")
    (tmp_path / "file").write_text("")
    assert not system.writable(tmp_path / "file")
    assert (system.disk_free(tmp_path / "not" / "yet") or 1) > 0
