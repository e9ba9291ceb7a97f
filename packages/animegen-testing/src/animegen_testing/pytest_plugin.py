"""Fixtures for authors of AnimeGen plugins. pytest loads this in every session, so it imports nothing but pytest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from animegen.media import Image, PanelPair
    from animegen.registry import Registry
    from animegen_testing.context import FakeContext
    from animegen_testing.contract import StageContract


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("animegen").addoption(
        "--goldens",
        metavar="DIR",
        type=Path,
        default=None,
        help="Run the golden cases that DIR/cases.json lists, not those beside the test.",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `golden_case` runs once for each case listed."""
    if "golden_case" not in metafunc.fixturenames:
        return
    from animegen.errors import InputError
    from animegen_testing.goldens import load_cases

    folder = metafunc.config.getoption("--goldens") or metafunc.definition.path.parent / "golden"
    try:
        cases = load_cases(folder)
    except InputError as error:
        raise pytest.UsageError(f"golden cases: {error}") from None
    metafunc.parametrize("golden_case", cases, ids=[case.name for case in cases])


@pytest.fixture
def stage_contract() -> StageContract:
    """Checks a plugin against the contract of stages: ``stage_contract(animegen_wipe.plugin)``.

    Takes a light module, or any object with hooks. ``weights={"FILE": path}`` gives the files that stages load,
    ``options={"STAGE": {"steps": 2}}`` options that differ from the defaults, ``untrained={"STAGE": (64, 64)}`` the
    size (H, W) of pictures on which a stage is tried with random parameters. Fails with the findings that are
    errors; what could not be checked here is told as a `ContractWarning`. Returns all findings.
    """
    from animegen_testing.contract import check_contract

    return check_contract


@pytest.fixture
def isolated_registry() -> Callable[..., Registry]:
    """Makes a `animegen.registry.Registry` that sees only the plugins given: ``isolated_registry(module, ...)``."""
    from animegen_testing.contract import isolated

    return isolated


@pytest.fixture
def stage_context() -> Callable[..., FakeContext]:
    """Makes what a stage is lent: ``stage_context(weights={"FILE": path}, devices=("cpu",), dtype="float32")``.

    What the stage says lands in its ``warnings`` and ``progress_calls``.
    """
    from animegen_testing.context import FakeContext

    def make(
        weights: Mapping[str, Path] | None = None,
        *,
        devices: tuple[str, ...] = ("cpu",),
        dtype: str = "auto",
        untrained: bool = False,
    ) -> FakeContext:
        return FakeContext(weights or {}, devices, dtype, untrained)

    return make


@pytest.fixture
def toy_image() -> Callable[..., Image]:
    """Makes a small picture: ``toy_image("screentone", height=48, width=64)``; see `animegen_testing.pictures`."""
    from animegen_testing.pictures import toy_image as make

    return make


@pytest.fixture
def tiny_pair() -> PanelPair:
    """Two 64 × 48 drawings whose ring moves to the right."""
    from animegen_testing.pictures import tiny_pair as make

    return make()


@pytest.fixture
def seeded_weights() -> Any:
    """The module `animegen_testing.seeded_weights`: weights that anyone can make again from their names."""
    from animegen_testing import seeded_weights as module

    return module


@pytest.fixture
def run_alone() -> Callable[..., str]:
    """Runs code in a process of its own and gives what it prints: ``run_alone("print(given['size'])", size=4)``.

    For tests of memory: see `animegen_testing.processes`.
    """
    from animegen_testing.processes import run_alone as run

    return run
