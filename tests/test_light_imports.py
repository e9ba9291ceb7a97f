"""Help, completion and lists answer at once: nothing heavy is imported on the way to them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ("torch", "cv2", "numpy", "PIL", "av", "scipy", "requests", "huggingface_hub", "pooch", "tqdm")
_SLACK = 6.0
"""A quiet machine needs 0.15 s of processor time; one that is shared and cold may need this many times as much."""

_PROBE = """
import json, os, sys, time
from animegen_cli.main import main
code = main({args!r})
sys.stdout.flush()
heavy = sorted(name for name in {heavy!r} if name in sys.modules)
print(json.dumps({{"code": code, "heavy": heavy, "cpu": time.process_time()}}), file=sys.stderr)
"""


def probe(*args: str, env: dict[str, str] | None = None) -> dict[str, object]:
    import os

    program = _PROBE.format(args=list(args), heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env={**os.environ, **(env or {})}
    )
    facts: dict[str, object] = json.loads(done.stderr.strip().splitlines()[-1])
    return {**facts, "out": done.stdout}


@pytest.mark.parametrize(
    "args",
    [
        ("--help",),
        ("--version",),
        ("run", "--help"),
        ("batch", "--help"),
        ("upsample", "--help"),
        ("evaluate", "--help"),
        ("compare", "--help"),
        ("panels", "--help"),
        ("doctor", "--help"),
        ("plugins", "--help"),
        ("plugins", "list"),
        ("plugins", "list", "--json"),
        ("plugins", "show", "flow"),
        ("weights", "list"),
        ("config", "init", "--help"),
        ("config", "schema"),
        ("completion", "zsh"),
    ],
    ids=" ".join,
)
def test_these_import_nothing_heavy(args: tuple[str, ...]) -> None:
    facts = probe(*args)
    assert facts["code"] == 0
    assert facts["out"] or args == ("weights", "list")  # nothing that is installed may have weights
    assert facts["heavy"] == []
    assert float(str(facts["cpu"])) < 0.15 * _SLACK


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("animegen ", "run"),
        ("animegen ba", "batch"),
        ("animegen run --inter", "--interpolator"),
        ("animegen run --interpolator ", "flow"),
        ("animegen run --upsampler cro", "crossfade"),
        ("animegen upsample --with cro", "crossfade"),
        ("animegen upsample --dupl", "--duplicates"),
        ("animegen run --preprocessor lab,desc", "lab,descreen"),
        ("animegen run --recipe ", "quick"),
        ("animegen run --format mp4,g", "mp4,gif"),
        ("animegen run -o flow.l", "flow.lines="),
        ("animegen plugins show fl", "flow"),
        ("animegen plugins check man", "manga"),
        ("animegen plugins list --kind inp", "inpainter"),
        ("animegen --progress j", "json"),
    ],
)
def test_completion_offers_names_without_importing_anything_heavy(words: str, expected: str) -> None:
    parts = words.split(" ")
    code = _PROBE.format(args=[], heavy=HEAVY).replace("code = main([])", "code = complete()")
    code = (
        "def complete():\n"
        "    try:\n"
        "        return main([])\n"
        "    except SystemExit as stop:\n"
        "        return stop.code or 0\n"
    ) + code
    import os

    env = {
        **os.environ,
        "_ANIMEGEN_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(parts) - 1),
    }
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=env)
    facts = json.loads(done.stderr.strip().splitlines()[-1])
    offered = [line.partition(",")[2] for line in done.stdout.splitlines()]
    assert expected in offered, done.stdout + done.stderr
    assert facts["heavy"] == []


def test_the_scripts_name_the_program() -> None:
    for shell in ("bash", "zsh", "fish"):
        assert "_ANIMEGEN_COMPLETE" in str(probe("completion", shell)["out"])
