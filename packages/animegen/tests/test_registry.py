"""Discovery: which stage a name means, and that no plugin can take the program down."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from animegen import InterpolatorSpec, StageSpec, hookimpl
from animegen.errors import AnimeGenError, MissingError, StageError, UsageError
from animegen.registry import Registry, import_target
from animegen.stages import API, Needs


class Offers:
    """A plugin with the given records."""

    def __init__(self, *specs: Any, interpolators: Any = ()) -> None:
        self._inpainters, self._interpolators = specs, interpolators

    @hookimpl
    def animegen_inpainters(self) -> Any:
        return self._inpainters

    @hookimpl
    def animegen_interpolators(self) -> Any:
        return self._interpolators


def spec(name: str = "fill", target: str = "animegen.builtin.telea:Telea", **more: Any) -> StageSpec:
    return StageSpec(name, target, "Fills.", **more)


def test_built_in_stages_come_through_the_same_hooks_and_first() -> None:
    registry = Registry()
    assert registry.plugins[0].name == "animegen"
    assert registry.plugins[0].state == "ok"
    assert {"flow", "crossfade", "telea"} <= {stage.name for stage in registry.stages()}


def test_a_stage_is_found_by_its_name_and_by_its_full_name() -> None:
    registry = Registry([("animegen-acme", Offers(spec()))])
    for name in ("fill", "animegen-acme:fill", "acme:fill"):
        assert registry.find("inpainter", name).full_name == "animegen-acme:fill"


def test_a_registry_of_given_plugins_sees_nothing_else() -> None:
    registry = Registry([("acme", Offers(spec()))])
    assert [stage.full_name for stage in registry.stages()] == ["acme:fill"]
    assert list(registry.stages("metric")) == []


def test_one_name_in_two_plugins_is_refused_with_both_full_names() -> None:
    registry = Registry([("acme", Offers(spec())), ("other", Offers(spec()))])
    with pytest.raises(UsageError, match="'fill' is in 2 plugins") as caught:
        registry.find("inpainter", "fill")
    assert caught.value.hints == ("say which: acme:fill or other:fill",)
    assert registry.find("inpainter", "other:fill").plugin.name == "other"


def test_a_stage_may_replace_another_plugins_of_the_same_name() -> None:
    registry = Registry([("acme", Offers(spec())), ("other", Offers(spec(overrides="acme")))])
    assert registry.find("inpainter", "fill").plugin.name == "other"
    assert registry.find("inpainter", "acme:fill").plugin.name == "acme"


def test_two_stages_that_replace_each_other_are_both_still_there() -> None:
    registry = Registry([("acme", Offers(spec(overrides="other"))), ("other", Offers(spec(overrides="acme")))])
    with pytest.raises(UsageError, match="is in 2 plugins"):
        registry.find("inpainter", "fill")


def test_an_unknown_name_is_told_with_the_nearest_and_with_all() -> None:
    registry = Registry([("acme", Offers(spec("telea-two"), spec("flat-two")))])
    with pytest.raises(UsageError, match="no inpainter is named 'tela-two'") as caught:
        registry.find("inpainter", "tela-two")
    assert "did you mean 'telea-two'?" in caught.value.hints[0]
    assert "Installed: flat-two, telea-two." in caught.value.hints[0]
    with pytest.raises(UsageError, match="no plugin is named 'acne'") as caught:
        registry.plugin("acne")
    assert "did you mean 'acme'?" in caught.value.hints[0]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (Offers(spec("Fill")), "no stage name"),
        (Offers(spec("a--b")), "no stage name"),
        (Offers(spec(target="nothing")), "module:attribute"),
        (Offers(spec(api=API + 1)), "newer animegen"),
        (Offers(spec(options=int)), "dataclass"),
        (Offers("fill"), "expected StageSpec"),
        (Offers(interpolators=[spec()]), "expected InterpolatorSpec"),
        (Offers(spec(), spec()), "twice"),
        (Offers(spec("none")), "reserved"),
        (Offers(spec("inpainter")), "reserved"),
        (Offers(interpolators=None), "NoneType"),
    ],
)
def test_a_broken_record_turns_off_its_own_plugin_only(broken: object, reason: str) -> None:
    registry = Registry([("broken", broken), ("acme", Offers(spec()))])
    assert (registry.plugin("broken").state, registry.plugin("acme").state) == ("failed", "ok")
    assert reason in registry.plugin("broken").reason
    assert [stage.full_name for stage in registry.stages()] == ["acme:fill"]


def test_a_hook_that_raises_or_wants_unknown_arguments_is_a_row() -> None:
    class Raises:
        @hookimpl
        def animegen_metrics(self) -> Any:
            raise RuntimeError("no\nluck")

    class Wants:
        @hookimpl
        def animegen_metrics(self, gpu: str) -> Any:
            return []

    registry = Registry([("raises", Raises()), ("wants", Wants()), ("acme", Offers(spec()))])
    assert registry.plugin("raises").reason == "RuntimeError: no luck"
    assert "gpu" in registry.plugin("wants").reason
    assert registry.find("inpainter", "fill").plugin.name == "acme"


def test_one_module_under_two_names_is_a_row_not_a_crash() -> None:
    module = Offers(spec())
    registry = Registry([("acme", module), ("old-acme", module)])
    assert registry.plugin("acme").state == "ok"
    assert registry.plugin("old-acme").state == "failed"
    assert registry.find("inpainter", "fill").plugin.name == "acme"


def test_a_plugin_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMEGEN_PLUGINS_OFF", "other, acme")
    registry = Registry([("animegen-acme", Offers(spec()))])
    assert registry.plugin("acme").state == "off"
    with pytest.raises(MissingError, match="turned off"):
        registry.find("inpainter", "acme:fill")
    monkeypatch.delenv("ANIMEGEN_PLUGINS_OFF")
    assert Registry([("animegen-acme", Offers(spec()))], off=["acme"]).plugin("acme").state == "off"


def _install(folder: Path, name: str, code: str) -> None:
    """A distribution as an installer leaves it: a module and its metadata."""
    module = f"animegen_{name}"
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{module}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: animegen-{name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[animegen]\n{name} = {module}\n")


GOOD = """
from animegen import StageSpec, hookimpl
@hookimpl
def animegen_inpainters():
    return [StageSpec("fill", "animegen_good:Fill", "Fills.")]
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_installed_plugins_are_found_and_broken_ones_are_rows(installed: Path) -> None:
    _install(installed, "good", GOOD)
    _install(installed, "ncnn", "\nimport no_such_library\n")
    _install(installed, "leaves", "raise SystemExit(3)\n")
    _install(installed, "typo", "def broken(:\n")
    registry = Registry()
    assert registry.find("inpainter", "good:fill").plugin.version == "1.2"
    row = registry.plugin("ncnn")
    assert row.state == "failed"
    assert row.reason.startswith("ModuleNotFoundError: No module named 'no_such_library'")
    assert "animegen_ncnn.py:2" in row.reason
    assert registry.plugin("leaves").reason.startswith("SystemExit: 3")
    assert registry.plugin("typo").reason.startswith("SyntaxError")
    with pytest.raises(MissingError, match="plugin 'animegen-ncnn' did not load: ModuleNotFoundError") as caught:
        registry.find("interpolator", "ncnn")
    assert "animegen plugins check ncnn" in caught.value.hints[0]
    assert registry.plugin("animegen").state == "ok"


def test_finding_every_stage_imports_nothing_heavy() -> None:
    code = (
        "import sys; from animegen.registry import Registry; list(Registry().stages()); "
        "print([name for name in ('numpy', 'cv2', 'torch', 'av', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _stage(**more: Any) -> Any:
    return next(Registry([("acme", Offers(spec(**more)))]).stages())


def test_the_class_behind_a_record_is_imported_on_use() -> None:
    from animegen.builtin.telea import Telea

    assert import_target(_stage()) is Telea
    assert import_target(_stage(target="types:SimpleNamespace")) is SimpleNamespace


def test_an_absent_library_is_named_with_the_command_that_brings_it() -> None:
    for library in ("no_such_library", "no_such.library"):
        with pytest.raises(MissingError, match=f"acme:fill needs {library}, not installed here") as caught:
            import_target(_stage(needs=Needs(libraries=("json", library))))
        assert caught.value.hints == ("python -m pip install acme",)


def test_a_target_that_is_not_there_is_an_error_of_the_stage() -> None:
    with pytest.raises(MissingError, match="acme:fill could not be imported: ModuleNotFoundError"):
        import_target(_stage(target="no_such_module:Fill"))
    with pytest.raises(StageError, match=r"acme:fill: animegen\.media has no 'Fill'"):
        import_target(_stage(target="animegen.media:Fill"))


def test_a_module_that_fails_in_another_way_is_an_error_of_the_stage(installed: Path) -> None:
    (installed / "animegen_bang.py").write_text("1 / 0\n")
    with pytest.raises(AnimeGenError, match="ZeroDivisionError"):
        import_target(_stage(target="animegen_bang:Fill"))


def test_any_time_and_fixed_count_are_told_by_the_record() -> None:
    several = [InterpolatorSpec("any", "m:A", "Any."), InterpolatorSpec("sixteen", "m:B", "Fixed.", frames=16)]
    registry = Registry([("acme", Offers(interpolators=several))])
    found = {stage.name: stage.spec.frames for stage in registry.stages("interpolator")}  # type: ignore[attr-defined]
    assert found == {"any": None, "sixteen": 16}
