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

import pytest

from animegen.contract import check_plugin
from animegen.registry import Registry

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "plugins.md").read_text("utf-8")
FILES = dict(re.findall(r'^```\w+ title="([\w.]+)"\n(.*?)^```$', TEXT, flags=re.MULTILINE | re.DOTALL))
MODULES = sorted(name for name in FILES if name.endswith(".py"))
COMMANDS = re.findall(r"^```\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)


def test_a_whole_plugin_is_under_forty_lines() -> None:
    lines = [FILES[name].splitlines() for name in ("animegen_wipe.py", "pyproject.toml")]
    assert sum(map(len, lines)) < 40


def test_there_is_an_example_for_each_kind() -> None:
    assert len(MODULES) == 6
    hooks = {hook for name in MODULES for hook in re.findall(r"^def (animegen_\w+)\(", FILES[name], flags=re.MULTILINE)}
    assert len(hooks) == 5


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
    blocks = re.findall(r"^```(python|toml)\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 4
    for language, code in blocks:
        compile(code, "docs/plugins.md", "exec") if language == "python" else tomllib.loads(code)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new virtual environment with the wheels of the core, manga and the command line, and the example."""
    folder = tmp_path_factory.mktemp("fresh")
    wheels = folder / "wheels"
    parts = ("packages/animegen", "packages/animegen-manga", "cli")
    _run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(wheels), *(str(ROOT / p) for p in parts))
    example = folder / "animegen-wipe"
    example.mkdir()
    for file in ("animegen_wipe.py", "pyproject.toml"):
        (example / file).write_text(FILES[file], "utf-8")
    venv.create(folder / "venv", with_pip=True)
    built = [str(path) for path in sorted(wheels.glob("*.whl"))]
    assert len(built) == len(parts)
    constraints = ["-c", str(ROOT / "constraints.txt")] if (ROOT / "constraints.txt").is_file() else []
    _run(_program(folder, "python"), "-m", "pip", "install", "-q", *constraints, *built, cwd=folder)
    return folder


def _program(folder: Path, name: str) -> str:
    return str(folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / name)


def _run(*command: str, cwd: Path | None = None, home: Path | None = None) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("ANIMEGEN", "PYTHONPATH"))}
    environment |= {"ANIMEGEN_HOME": str(home)} if home else {}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_example_installs_into_a_fresh_environment_and_makes_a_clip(fresh: Path) -> None:
    (commands,) = [block for block in COMMANDS if "pip install ./animegen-wipe" in block]
    outputs = []
    for line in commands.splitlines():
        program, *arguments = line.split()
        outputs.append(_run(_program(fresh, program), *arguments, cwd=fresh, home=fresh / "home"))
    clips = [Path(output.strip()) for output in outputs[-2:]]
    assert all((fresh / clip).stat().st_size > 10_000 for clip in clips)
    record = json.loads((fresh / clips[1]).with_name("run.json").read_text("utf-8"))
    upsample = next(step for step in record["steps"] if step["role"] == "upsampler")
    assert upsample["stage"] == "animegen-wipe:wipe"
    assert upsample["options"]["softness"] == {"value": 0.5, "source": "command line"}
    listed = _run(_program(fresh, "animegen"), "plugins", "list", cwd=fresh, home=fresh / "home")
    assert "wipe" in listed


@pytest.mark.slow
def test_the_wheel_holds_the_template_of_new_plugins(fresh: Path) -> None:
    _run(_program(fresh, "animegen"), "plugins", "new", "sepia", "--kind", "preprocessor", cwd=fresh)
    _run(_program(fresh, "python"), "-m", "pip", "install", "-q", "--no-deps", "./animegen-sepia", cwd=fresh)
    checked = _run(_program(fresh, "animegen"), "plugins", "check", "sepia", cwd=fresh)
    assert "error" not in checked
    assert checked.count("ok ") > 5
