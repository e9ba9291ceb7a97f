"""The contract of stages as a test: `animegen.contract` for one plugin that need not be installed."""

from __future__ import annotations

import warnings as python_warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest

from animegen.contract import Finding, check_plugin, failed
from animegen.registry import Registry
from animegen_testing.context import GivenWeights


class ContractWarning(UserWarning):
    """Something of the contract that could not be checked here, or that will surprise somebody."""


class StageContract(Protocol):
    """What the fixture `stage_contract` is."""

    def __call__(
        self,
        plugin: object,
        *,
        weights: Mapping[str, Path] | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        devices: Sequence[str] = ("cpu",),
        untrained: Mapping[str, tuple[int, int]] | None = None,
    ) -> list[Finding]: ...


def plugin_name(plugin: object) -> str:
    """The name an object would have as a distribution: ``animegen_wipe.plugin`` is ``animegen-wipe``."""
    module = getattr(plugin, "__name__", None) or type(plugin).__name__
    return str(module).partition(".")[0].replace("_", "-").lower()


def isolated(*plugins: object) -> Registry:
    """A registry of the plugins given and of nothing that is installed."""
    return Registry([(plugin_name(plugin), plugin) for plugin in plugins])


def check_contract(
    plugin: object,
    *,
    weights: Mapping[str, Path] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    devices: Sequence[str] = ("cpu",),
    untrained: Mapping[str, tuple[int, int]] | None = None,
) -> list[Finding]:
    """Fail the running test where a plugin breaks the contract; see the fixture `stage_contract`."""
    __tracebackhide__ = True
    registry = isolated(plugin)
    row = registry.plugins[0]
    unknown = {*(options or {}), *(untrained or {})} - {stage.name for stage in registry.stages()}
    if unknown and row.state == "ok":
        raise ValueError(
            f"options or sizes are given for {', '.join(sorted(unknown))}, which {row.name} does not offer"
        )
    store = GivenWeights(weights) if weights is not None else None
    findings = check_plugin(
        row.name, registry, heavy=True, weights=store, options=options, devices=devices, untrained=untrained
    )
    for finding in findings:
        if finding.level in ("warning", "skipped"):
            python_warnings.warn(str(finding), ContractWarning, stacklevel=2)
    if failed(findings):
        wrong = [str(finding) for finding in findings if finding.level == "error"]
        fine = sum(finding.level == "ok" for finding in findings)
        pytest.fail("\n".join([f"{row.name} breaks the contract of stages ({fine} checks passed):", *wrong]), False)
    return findings
