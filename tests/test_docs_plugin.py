"""docs/plugins.md is true: its examples are taken from it, kept to the contract, installed and run."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from animegen.contract import check_plugin
from animegen.pipeline.outlook import plan_problem
from animegen.registry import Registry

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "plugins.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)(?: title=\"([\w.]+)\")?\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)
FILES = {title: code for _, title, code in BLOCKS if title}
MODULES = sorted(name for name in FILES if name.endswith(".py"))
ROLES = ("interpolator", "upsampler")
COMMANDS = [line for language, _, code in BLOCKS if not language for line in code.splitlines()]


def test_a_whole_plugin_is_under_forty_lines() -> None:
    lines = [FILES[name].splitlines() for name in ("animegen_wipe.py", "pyproject.toml")]
    assert sum(map(len, lines)) < 40


def test_there_is_an_example_for_each_kind() -> None:
    assert len(MODULES) == 8
    hooks = {hook for name in MODULES for hook in re.findall(r"^def (animegen_\w+)\(", FILES[name], flags=re.MULTILINE)}
    assert len(hooks) == 7


@pytest.mark.parametrize("file", MODULES)
def test_every_example_keeps_the_contract(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / file).write_text(FILES[file], "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    name = file.removesuffix(".py")
    module = importlib.import_module(name)
    monkeypatch.delitem(sys.modules, name)
    findings = check_plugin("example", Registry([("example", module)]))
    assert {finding.level for finding in findings} == {"ok"}, "\n".join(map(str, findings))


def test_every_block_that_names_no_file_is_python_or_toml_that_parses() -> None:
    blocks = [(language, code) for language, title, code in BLOCKS if language and not title]
    assert {language for language, _ in blocks} == {"python", "toml"}
    for language, code in blocks:
        compile(code, "docs/plugins.md", "exec") if language == "python" else tomllib.loads(code)


def test_the_plan_of_the_document_is_one() -> None:
    (code,) = [code for _, _, code in BLOCKS if "StagePlan(" in code]
    module: dict[str, Any] = {}
    exec(code, module)
    said = module["plan"](SimpleNamespace(steps=50), None, size=(320, 512), frames=16)
    assert plan_problem(said) == ""
    assert said.demands[0].need < said.demands[0].have


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new virtual environment with the wheels of the core, manga and the command line, and the example."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder / "venv", with_pip=True)
    pip = (_program(folder, "python"), "-m", "pip")
    wheels = folder / "wheels"
    parts = ("packages/animegen", "packages/animegen-manga", "cli")
    _run(*pip, "wheel", "-q", "--no-deps", "-w", str(wheels), *(str(ROOT / part) for part in parts))
    example = folder / "animegen-wipe"
    example.mkdir()
    for file in ("animegen_wipe.py", "pyproject.toml"):
        (example / file).write_text(FILES[file], "utf-8")
    built = [str(path) for path in sorted(wheels.glob("*.whl"))]
    assert len(built) == len(parts)
    constraints = ["-c", str(ROOT / "constraints.txt")] if (ROOT / "constraints.txt").is_file() else []
    _run(*pip, "install", "-q", *constraints, *built, cwd=folder)
    return folder


def _program(folder: Path, name: str) -> str:
    return str(folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / name)


def _run(*command: str, cwd: Path | None = None, shell: bool = False) -> str:
    """What a command prints; with `shell`, a line as it stands in the document."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("ANIMEGEN", "PYTHONPATH"))}
    if cwd:
        places = [str(Path(_program(cwd, "python")).parent), environment.get("PATH", "")]
        environment |= {"PATH": os.pathsep.join(places), "ANIMEGEN_HOME": str(cwd / "home")}
    line = command[0] if shell else command
    done = subprocess.run(line, cwd=cwd, env=environment, capture_output=True, text=True, shell=shell)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the document sets variables as a POSIX shell does")
def test_every_command_of_the_document_works_in_a_fresh_environment(fresh: Path) -> None:
    assert len(COMMANDS) >= 10
    printed = {line: _run(line, cwd=fresh, shell=True) for line in COMMANDS}
    clips = {line: fresh / text.strip() for line, text in printed.items() if "animegen run" in line}
    assert len(clips) >= 6
    for line, clip in clips.items():
        assert clip.stat().st_size > 10_000, line
        steps = json.loads(clip.with_name("run.json").read_text("utf-8"))["steps"]
        wiped = [step for step in steps if step["stage"] == "animegen-wipe:wipe"]
        assert [step["role"] for step in wiped] == [role for role in ROLES if f"{role} wipe" in line], line
        told = re.search(r"(?i)softness=([\d.]+)", line)
        source = "environment" if line.startswith("ANIMEGEN") else "command line"
        for step in wiped:
            expected = {"value": float(told[1]), "source": source} if told else {"value": 0.1, "source": "default"}
            assert step["options"]["softness"] == expected, line
    assert " off" in printed["ANIMEGEN_PLUGINS_OFF=wipe animegen plugins list"]


@pytest.mark.slow
def test_the_wheel_holds_the_template_of_new_plugins(fresh: Path) -> None:
    animegen, python = _program(fresh, "animegen"), _program(fresh, "python")
    _run(animegen, "plugins", "new", "sepia", "--kind", "preprocessor", cwd=fresh)
    _run(python, "-m", "pip", "install", "-q", "--no-deps", "./animegen-sepia", cwd=fresh)
    checked = _run(animegen, "plugins", "check", "sepia", cwd=fresh)
    assert "error" not in checked
    assert checked.count("ok ") > 5
