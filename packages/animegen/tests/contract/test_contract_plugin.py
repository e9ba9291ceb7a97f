"""What the contract says of a plugin as a whole: its hooks, what it imports, what is run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from animegen import Needs, hookimpl
from animegen.contract import Finding, check_plugin
from animegen.contract.imports import imported_at_start
from animegen.errors import UsageError
from animegen.registry import Registry, Stage

Make = Callable[..., Stage]
Read = Callable[[list[Finding]], dict[str, str]]


def test_hooks_that_nobody_would_call_are_told(stage_of: Make) -> None:
    stage = stage_of("inpainter")
    module = sys.modules[stage.spec.target.partition(":")[0]]
    setattr(module, "animegen_inpaintres", hookimpl(lambda: []))  # noqa: B010
    setattr(module, "animegen_metrics", lambda: [])  # noqa: B010
    found = [f.message for f in check_plugin("acme", Registry([("acme", module)])) if f.level == "error"]
    assert any("animegen_inpaintres; did you mean 'animegen_inpainters'?" in text for text in found)
    assert any("animegen_metrics is not marked with @hookimpl" in text for text in found)


def test_a_plugin_that_did_not_load_or_is_off_is_told(errors: Read) -> None:
    registry = Registry([("acme", object()), ("broken", ModuleType("b"))], off=["acme"])
    assert check_plugin("acme", registry)[0].level == "skipped"
    sys.modules["b"] = ModuleType("b")
    setattr(sys.modules["b"], "animegen_metrics", hookimpl(lambda: [1]))  # noqa: B010
    findings = check_plugin("broken", Registry([("broken", sys.modules.pop("b"))]))
    assert "expected MetricSpec" in errors(findings)["load"]
    with pytest.raises(UsageError, match="no plugin is named"):
        check_plugin("acne", registry)


def test_heavy_stages_run_only_when_asked(tmp_path: Path, stage_of: Make) -> None:
    stage = stage_of("preprocessor", lambda image: image.copy(), needs=Needs(accelerator_gib=4))
    registry = Registry([("acme", sys.modules[stage.spec.target.partition(":")[0]])])
    light = {finding.check for finding in check_plugin("acme", registry) if finding.stage == stage.full_name}
    heavy = {finding.check for finding in check_plugin("acme", registry, heavy=True) if finding.stage}
    assert light == {"record", "options", "run"}
    assert "shape" in heavy


def test_a_heavy_import_is_named_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "heavy_plugin"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "inner.py").write_text("import json\nimport numpy as np\n")
    (folder / "plugin.py").write_text("print('hello')\nfrom heavy_plugin import inner\n")
    found = imported_at_start("heavy_plugin.plugin")
    assert found.heavy == {"numpy": "heavy_plugin/inner.py:2"}
    assert found.printed == "hello"
    (folder / "plugin.py").write_text("try:\n    import torch\nexcept ImportError:\n    torch = None\n")
    assert imported_at_start("heavy_plugin.plugin").heavy["torch"] == "heavy_plugin/plugin.py:2"
    (folder / "plugin.py").write_text("from importlib.util import find_spec\nhave = find_spec('numpy')\n")
    assert imported_at_start("heavy_plugin.plugin").heavy == {}
    (folder / "plugin.py").write_text("raise SystemExit(2)\n")
    assert imported_at_start("heavy_plugin.plugin").error == "SystemExit: 2"
    (folder / "plugin.py").write_text("import os\nos._exit(3)\n")
    assert "code 3" in imported_at_start("heavy_plugin.plugin").error
    assert imported_at_start("heavy_plugin.nothing").absent


def test_a_finding_reads_as_one_line() -> None:
    assert str(Finding("error", "shape", "It is odd.", "acme:fill")) == "error    acme:fill shape: It is odd."


def test_importing_the_contract_is_light() -> None:
    code = "import sys, animegen.contract; print([n for n in ('numpy', 'cv2', 'torch') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
