"""A hook that is not documented or not tested does not get in."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from animegen import hooks

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "plugins.md"
HOOKS = {name: value for name, value in vars(hooks).items() if hasattr(value, f"{hooks.PROJECT}_spec")}


def test_there_are_hooks() -> None:
    assert len(HOOKS) >= 5


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_documented_under_its_exact_signature(name: str) -> None:
    signature = f"{name}{inspect.signature(HOOKS[name])}".replace("'", "")
    headings = re.findall(r"^#+ (.*)$", DOCUMENT.read_text("utf-8"), flags=re.MULTILINE)
    assert signature in headings, f"{DOCUMENT.name} has no heading: {signature}"


def test_no_heading_names_a_hook_that_is_gone() -> None:
    documented = set(re.findall(r"^#+ (animegen_\w+)\(", DOCUMENT.read_text("utf-8"), flags=re.MULTILINE))
    assert documented == set(HOOKS)


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_has_a_test_of_its_own(name: str) -> None:
    folders = [ROOT / "packages", ROOT / "plugins", ROOT / "cli", ROOT / "tests"]
    wanted = re.compile(rf"^def test_hook_{name}\(", flags=re.MULTILINE)
    tests = (path for folder in folders if folder.is_dir() for path in folder.rglob("test_*.py"))
    assert any(wanted.search(path.read_text("utf-8")) for path in tests), f"there is no def test_hook_{name}("
