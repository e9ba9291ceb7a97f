"""Everything a developer or a machine does with this repository, by name: ``nox --list``."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import nox

ROOT = Path(__file__).parent
CONSTRAINTS = ROOT / "constraints.txt"
CORE = ("./packages/animegen", "./packages/animegen-manga", "./cli")
EVAL = "./packages/animegen-eval"
KIT = "./packages/animegen-testing"
TORCH = "./packages/animegen-torch"
TOOLS = ("pytest", "pytest-xdist", "hypothesis", "pytest-benchmark")
BESIDE = ("-n", "2", "--dist", "worksteal")
"""Tests two at a time."""
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""For torch where tests run beside one another: small networks gain more from that than from threads."""
PLUGINS = sorted(
    path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml") if not path.parent.name.startswith("_")
)

nox.options.sessions = ["tests", "lint", "types", "imports"]
nox.options.default_venv_backend = "uv|virtualenv"  # uv links torch's gigabytes into each environment in seconds
nox.options.error_on_missing_interpreters = True


def install(session: nox.Session, *what: str) -> None:
    """Install at the exact versions that are known to work together."""
    session.install("-c", str(CONSTRAINTS), *what)


@nox.session
def demo(session: nox.Session) -> None:
    """Make a clip from the bundled pair of panels and say where it lies. No torch, nothing fetched but wheels."""
    install(session, *CORE)
    session.run("animegen", "run", "--out", "demo", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """The whole test suite: what needs no torch here, then each plugin in an environment of its own."""
    install(session, *editable(*CORE[:1], whole(CORE[1]), *CORE[2:], EVAL, KIT), *TOOLS, "scikit-image")
    session.run("pytest", *BESIDE, *CORE, EVAL, KIT, "tests", *session.posargs)
    if not session.posargs:
        session.notify("torch_tests")
        for plugin in PLUGINS:
            session.notify(f"plugin_tests(name='{plugin}')")
        session.notify("together")


@nox.session
def torch_tests(session: nox.Session) -> None:
    """The tests of what torch plugins share."""
    install(session, *editable(CORE[0], KIT, f"{TORCH}[train]"), *TOOLS)
    session.run("pytest", *BESIDE, TORCH, *session.posargs, env=ONE_THREAD)


@nox.session
@nox.parametrize("name", PLUGINS)
def plugin_tests(session: nox.Session, name: str) -> None:
    """The tests of one plugin, with everything that it needs or can use, and nothing else."""
    install(session, *editable(*CORE, KIT, *helpers(name), whole(f"./plugins/{name}")), *TOOLS)
    session.run("pytest", *BESIDE, f"plugins/{name}", *session.posargs, env=ONE_THREAD)


@nox.session
def together(session: nox.Session) -> None:
    """All plugins in one environment: every interpolator in one evaluation."""
    install(session, *editable(*CORE, EVAL, KIT, TORCH, *(f"./plugins/{name}" for name in PLUGINS)), *TOOLS)
    session.run("pytest", *BESIDE, "tests/test_every_interpolator.py", *session.posargs, env=ONE_THREAD)


@nox.session
def minimums(session: nox.Session) -> None:
    """The suite at the lowest versions that the distributions say they accept."""
    lowest = [f"{name}=={version}" for name, version in lowest_versions().items()]
    session.install(*editable(*CORE, EVAL, KIT), *lowest, *TOOLS, "scikit-image")
    session.run("pytest", *BESIDE, *CORE, EVAL, KIT, "-m", "not slow", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style of the code."""
    install(session, "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Strict types of everything, against torch's own."""
    folders = (*CORE, EVAL, KIT, TORCH, *(f"./plugins/{name}" for name in PLUGINS))
    install(session, *editable(*folders), "mypy")
    session.run("mypy", *(f"--package={name}" for name in import_names(*folders)))


@nox.session
def imports(session: nox.Session) -> None:
    """Who may import whom."""
    install(session, *editable(*CORE, EVAL, KIT), "import-linter")
    session.install("--no-deps", *editable(TORCH, *(f"./plugins/{name}" for name in PLUGINS)))
    session.run("lint-imports")


@nox.session
def docs(session: nox.Session) -> None:
    """Run what the documents say."""
    install(session, *editable(*CORE, EVAL, KIT), *TOOLS)
    session.run("pytest", "tests", "-k", "docs or documented", *session.posargs)


@nox.session
def browser(session: nox.Session) -> None:
    """Open reports in the Chromium of this machine (``ANIMEGEN_BROWSER`` names another browser)."""
    install(session, *editable(*CORE, EVAL, KIT), *TOOLS, "playwright")
    session.run("pytest", EVAL, "-m", "browser", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Time every installed stage, one benchmark per kind, at a fixed size."""
    install(session, *editable(*CORE, KIT), *TOOLS)
    session.run("pytest", "benchmarks", "--benchmark-only", "--benchmark-sort=name", *session.posargs)


@nox.session
def wheels(session: nox.Session) -> None:
    """Build a wheel of every distribution into ``dist/``."""
    install(session, "build", "hatchling")
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    for folder in (*CORE, EVAL, KIT, TORCH, *(f"./plugins/{name}" for name in PLUGINS)):
        session.run("python", "-m", "build", "--wheel", "--outdir", "dist", folder)


def editable(*folders: str) -> list[str]:
    """Arguments that install distributions from their folders in place."""
    return [argument for folder in folders for argument in ("-e", folder)]


def whole(folder: str) -> str:
    """A distribution's folder with all its extras, so that no test is skipped for want of one."""
    extras = project(folder).get("optional-dependencies", {})
    return f"{folder}[{','.join(extras)}]" if extras else folder


def project(folder: str) -> dict[str, Any]:
    """What a distribution says of itself."""
    found: dict[str, Any] = tomllib.loads((ROOT / folder / "pyproject.toml").read_text("utf-8"))["project"]
    return found


def helpers(plugin: str) -> tuple[str, ...]:
    """The folders of ours, beside the core, that a plugin stands on."""
    needs = project(f"plugins/{plugin}")["dependencies"]
    return (TORCH,) if any(need.startswith("animegen-torch") for need in needs) else ()


def import_names(*folders: str) -> list[str]:
    """Names under which distributions are imported."""
    return [path.name for folder in folders for path in (ROOT / folder / "src").iterdir() if path.is_dir()]


def lowest_versions() -> dict[str, str]:
    """The lowest version of each dependency that any of our distributions without torch accepts."""
    found: dict[str, str] = {}
    for folder in (*CORE, EVAL, KIT):
        for requirement in project(folder)["dependencies"]:
            match = re.match(r"([\w-]+)>=([\d.]+)", requirement)
            if match and not match[1].startswith("animegen"):
                found[match[1]] = max(found.get(match[1], "0"), match[2], key=version_key)
    return found


def version_key(version: str) -> tuple[int, ...]:
    """Versions in order."""
    return tuple(map(int, version.split(".")))
