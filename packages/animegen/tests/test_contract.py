"""The contract finds what is broken: one stage for each promise that can be broken, and the words that tell it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from animegen import Box, DetectorSpec, InterpolatorSpec, MetricSpec, Needs, Region, StageSpec, Weight, hookimpl, option
from animegen.contract import Finding, check_plugin, check_stage, failed
from animegen.contract.imports import imported_at_start
from animegen.errors import MissingError, ResourceError, UsageError
from animegen.measuring import Missing, Quantity, Sample, Scores
from animegen.registry import Registry, Stage
from animegen.weights.store import WeightStore

NAME = "animegen_test_contract_stages"
RECORDS = {
    "detector": DetectorSpec,
    "inpainter": StageSpec,
    "preprocessor": StageSpec,
    "interpolator": InterpolatorSpec,
    "metric": MetricSpec,
}


def stage_of(kind: str, call: Callable[..., Any], *, made: type | None = None, **record: Any) -> Stage:
    """A registry's stage whose call is a plain function."""

    class Made:
        def __init__(self, options: Any, context: Any) -> None:
            self.context = context

        def __call__(self, *args: Any, **named: Any) -> Any:
            return call(*args, **named)

    module = ModuleType(NAME)
    setattr(module, "Made", made or Made)  # noqa: B010 (a module has no such attribute to mypy)
    if kind == "metric":
        record.setdefault("quantities", (Quantity("difference", "frame", "lower", reads=frozenset({"reference"})),))
    spec = RECORDS[kind]("tiny", f"{NAME}:Made", "For tests.", **record)
    setattr(module, f"animegen_{kind}s", hookimpl(lambda: [spec]))
    sys.modules[NAME] = module
    (stage,) = Registry([("acme", module)]).stages()
    return stage


def errors(findings: list[Finding]) -> dict[str, str]:
    """Message of each check that failed."""
    return {finding.check: finding.message for finding in findings if finding.level == "error"}


def levels(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.level for finding in findings}


# Stages that keep the contract, to be broken one promise at a time.
def fill(image: Any, mask: Any) -> Any:
    return np.where(mask[..., None], np.uint8(255), image)


def blend(first: Any, last: Any, times: Any, *, prompt: str = "", seed: int = 0) -> Any:
    frames = [np.rint(first * (1 - t) + last * t) for t in times]
    return np.array(frames, np.uint8).reshape(len(frames), *first.shape)


def difference(sample: Sample) -> Scores:
    if sample.reference is None:
        return {"difference": Missing("no true frames")}
    if sample.frames.shape != sample.reference.shape:
        raise UsageError("a reference of the same shape is needed.")
    return {"difference": np.abs(sample.frames.astype(int) - sample.reference).mean((1, 2, 3)).tolist()}


@pytest.mark.parametrize("plugin", ["animegen", "animegen-manga"])
def test_what_we_ship_keeps_the_contract(plugin: str) -> None:
    findings = check_plugin(plugin, Registry(), heavy=True)
    assert not failed(findings), "\n".join(map(str, findings))


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        ("inpainter", fill),
        ("preprocessor", lambda image: 255 - image),
        ("interpolator", blend),
        ("metric", difference),
        ("detector", lambda image, boxes=(): []),
    ],
)
def test_a_stage_that_keeps_its_promises_passes(kind: str, call: Callable[..., Any]) -> None:
    findings = check_stage(stage_of(kind, call))
    assert {finding.level for finding in findings} == {"ok"}
    assert len(findings) > 7


def _flipped(image: Any, mask: Any) -> Any:
    filled = fill(image, mask)
    filled[~mask] ^= np.uint8(mask.any())
    return filled


def _in_place(image: Any, mask: Any) -> Any:
    image[mask] = 255
    return image


def _half(image: Any) -> Any:
    return image[:, : max(1, image.shape[1] // 2)]


def _strong(image: Any) -> Any:
    return np.random.default_rng().integers(0, 255, image.shape, np.uint8)


def _no_empty(first: Any, last: Any, times: Any, *, prompt: str = "", seed: int = 0) -> Any:
    return np.stack([first for _ in times])


def _even(first: Any, last: Any, times: Any, *, prompt: str = "", seed: int = 0) -> Any:
    return blend(first, last, [(i + 1) / (len(times) + 1) for i in range(len(times))])


def _seeded(first: Any, last: Any, times: Any, *, prompt: str = "", seed: int = 0) -> Any:
    return blend(first, last, times) + np.uint8(seed)


def _prompted(first: Any, last: Any, times: Any, *, prompt: str = "", seed: int = 0) -> Any:
    return blend(first, last, times) + np.uint8(len(prompt))


def _odd_sizes(image: Any) -> Any:
    if image.shape[0] % 2:
        raise ValueError("size must be even")
    return image


def _cut_to_fit(sample: Sample) -> Scores:
    if sample.reference is None:
        return difference(sample)
    least = np.minimum(sample.frames.shape, sample.reference.shape)
    frames, reference = (clip[: least[0], :, : least[2]].astype(int) for clip in (sample.frames, sample.reference))
    found = np.zeros(len(sample.frames))
    found[: least[0]] = np.abs(frames[:, : least[1]] - reference[:, : least[1]]).mean((1, 2, 3))
    return {"difference": found.tolist()}


def _negated(sample: Sample) -> Scores:
    values = difference(sample)["difference"]
    return {"difference": values if isinstance(values, Missing) else [-value for value in values]}


def _relative(sample: Sample) -> Scores:
    values = difference(sample)["difference"]
    return {
        "difference": values if isinstance(values, Missing) else [value / max(values, default=1) for value in values]
    }


def _by_identity() -> Callable[..., Any]:
    """Knows an image again by the array that it is in."""
    known: dict[int, tuple[Any, Any]] = {}

    def call(first: Any, last: Any, times: Any, **_: Any) -> Any:
        _array, then = known.setdefault(id(first), (first, first.copy()))
        return blend(then, last, times)

    return call


def _by_size() -> Callable[..., Any]:
    """Takes the last image of the pair before for that of this one, where it is as large."""
    known: dict[Any, Any] = {}

    def call(first: Any, last: Any, times: Any, **_: Any) -> Any:
        before = known.get(last.shape, last)
        known[last.shape] = last.copy()
        return blend(first, before, times)

    return call


BROKEN: list[tuple[str, Callable[..., Any], str, str]] = [
    ("inpainter", _flipped, "shape", "pixels outside the mask"),
    ("inpainter", _in_place, "shape", "changed its input"),
    ("inpainter", lambda image, mask: fill(image, mask).astype(np.float32), "shape", "float32; expected (37, 53, 3)"),
    ("inpainter", lambda image, mask: fill(image, mask)[: -1 if mask.all() else None], "full mask", "(36, 53, 3)"),
    ("preprocessor", _half, "shape", "(37, 26, 3) uint8; expected (37, 53, 3)"),
    ("preprocessor", _strong, "repeatable", "other bytes the second time"),
    ("preprocessor", lambda image: None, "shape", "returned NoneType"),
    ("preprocessor", _odd_sizes, "shape", "raised ValueError: size must be even (tests/test_contract.py:"),
    ("interpolator", _no_empty, "no times", "raised ValueError"),
    ("interpolator", _even, "one time", "the frame at 0.25 asked for alone differs by"),
    ("interpolator", _by_identity(), "seen before", "a frame from an array that held another image before differs by"),
    ("interpolator", _by_size(), "seen before", "a frame of the first pair drawn after another pair differs by"),
    ("interpolator", _seeded, "seed", "uses_seed=False"),
    ("interpolator", _prompted, "prompt", "uses_prompt=False"),
    ("interpolator", lambda a, b, times, **_: blend(a, b, [*times, 1.0]), "shape", "(4, 37, 53, 3) uint8; expected"),
    ("metric", lambda s: {"difference": [1.0] * len(s.frames)}, "nothing beside", "has a value without reference"),
    ("metric", lambda s: {"difference": [float("nan")] * len(s.frames)}, "values", "not a number (NaN)"),
    ("metric", lambda s: 1.0, "values", "expected values by name"),
    ("metric", lambda s: {"other": 1.0}, "values", "its record names ['difference']"),
    ("metric", lambda s: {"difference": [1.0]}, "values", "expected 12 values, one a frame; got 1"),
    ("metric", _negated, "equal clips", "lower is better"),
    ("metric", _relative, "pieces", "set whole=True"),
    ("metric", _cut_to_fit, "other shapes", "against a reference of (2,"),
    ("detector", lambda image, boxes=(): [Region("panel", Box(0, 0, 99, 99))], "regions", "not inside 53 × 37"),
    ("detector", lambda image, boxes=(): [Region("panel", Box(0, 0, 1, 1), score=2.0)], "regions", "score 2.0"),
    ("detector", lambda image, boxes=(): list(boxes), "text boxes", "expected regions"),
    ("detector", lambda image, boxes=(): None, "regions", "expected a list of regions"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "call", "check", "words"), BROKEN)
def test_each_broken_promise_is_found_and_named(kind: str, call: Callable[..., Any], check: str, words: str) -> None:
    found = errors(check_stage(stage_of(kind, call)))
    assert check in found, found
    assert words in found[check]


def test_a_fixed_count_is_called_with_that_many_even_times() -> None:
    asked: list[list[float]] = []

    def five(first: Any, last: Any, times: Any, *, prompt: str = "", seed: int = 0) -> Any:
        asked.append(list(times))
        return blend(first, last, times)

    findings = check_stage(stage_of("interpolator", five, frames=5))
    assert not failed(findings)
    assert {tuple(times) for times in asked} == {(0.0, 0.25, 0.5, 0.75, 1.0)}
    assert "no times" not in levels(findings)
    asked.clear()
    check_stage(stage_of("interpolator", five, frames=5, other_counts=True))
    assert (0.0, 0.5, 1.0) in {tuple(times) for times in asked}


def test_sizes_are_multiples_where_the_record_asks_for_them() -> None:
    seen = set()

    def strict(first: Any, last: Any, times: Any, *, prompt: str = "", seed: int = 0) -> Any:
        seen.add(first.shape[:2])
        if first.shape[0] % 8:
            raise ValueError("not a multiple of 8")
        return blend(first, last, times)

    findings = check_stage(stage_of("interpolator", strict, needs=Needs(multiple_of=8)))
    assert not failed(findings)
    assert seen == {(40, 56), (8, 8)}


def test_a_declared_seed_that_changes_nothing_is_a_warning() -> None:
    findings = check_stage(stage_of("interpolator", blend, uses_seed=True))
    assert levels(findings)["seed"] == "warning"
    assert not failed(findings)


class Sequence:
    """An interpolator whose sequence call can be off by so many grey levels."""

    off = 0

    def __init__(self, options: Any, context: Any) -> None: ...

    def __call__(self, first: Any, last: Any, times: Any, *, prompt: str = "", seed: int = 0) -> Any:
        return blend(first, last, times)

    def sequence(self, images: Any, times: Any) -> Any:
        first = next(images)
        for last, asked in zip(images, times, strict=True):
            yield blend(first, last, asked) + np.uint8(self.off)
            first = last


@pytest.mark.parametrize(("off", "level"), [(0, "ok"), (1, "warning"), (9, "error")])
def test_a_sequence_gives_what_pair_by_pair_gives(off: int, level: str) -> None:
    made = type("Off", (Sequence,), {"off": off})
    assert levels(check_stage(stage_of("interpolator", blend, made=made)))["sequence"] == level


def _three_channels(first: Any, last: Any, times: Any, **_: Any) -> Any:
    return blend(first, last, times)[..., :3]


def _see_through(first: Any, last: Any, times: Any, **_: Any) -> Any:
    frames = blend(first, last, times)
    frames[..., 3:] //= 2
    return frames


def _alpha_stays(first: Any, last: Any, times: Any, **_: Any) -> Any:
    frames = blend(first, last, times)
    frames[..., 3:] = first[..., 3:]
    return frames


@pytest.mark.parametrize(
    ("call", "check", "level", "words"),
    [
        (blend, "alpha", "ok", "what is opaque stays opaque"),
        (_three_channels, "alpha", "error", "(3, 37, 53, 3) uint8; expected (3, 37, 53, 4)"),
        (_see_through, "alpha", "error", "two opaque pictures give alpha 127 of 255"),
        (_alpha_stays, "alpha moves", "warning", "end up to"),
    ],
)
def test_alpha_is_tried_where_the_record_says_that_it_is_carried(
    call: Callable[..., Any], check: str, level: str, words: str
) -> None:
    findings = check_stage(stage_of("interpolator", call, carries_alpha=True))
    assert [finding.level for finding in findings if finding.check == check] == [level]
    assert words in next(finding.message for finding in findings if finding.check == check)
    assert "alpha" not in levels(check_stage(stage_of("interpolator", blend)))


def test_a_sequence_is_tried_with_alpha_too() -> None:
    class Colours(Sequence):
        def sequence(self, images: Any, times: Any) -> Any:
            return super().sequence((image[..., :3] for image in images), times)

    found = errors(check_stage(stage_of("interpolator", blend, made=Colours, carries_alpha=True)))
    assert "expected (1, 37, 53, 4)" in found["sequence"]
    assert not errors(check_stage(stage_of("interpolator", blend, made=Sequence, carries_alpha=True)))


def test_closing_twice_is_tried_and_told() -> None:
    class Once(Sequence):
        def close(self) -> None:
            del self.context

        def __init__(self, options: Any, context: Any) -> None:
            self.context = context

    assert "AttributeError" in errors(check_stage(stage_of("interpolator", blend, made=Once)))["close"]


def test_a_stage_that_cannot_be_made_or_called_is_told() -> None:
    class Fails:
        def __init__(self, options: Any, context: Any) -> None:
            raise KeyError("model")

    assert errors(check_stage(stage_of("inpainter", fill, made=Fails)))["make"].startswith("raised KeyError: 'model'")

    class Silent:
        def __init__(self, options: Any, context: Any) -> None: ...

    assert "cannot be called" in errors(check_stage(stage_of("inpainter", fill, made=Silent)))["make"]
    of_sets = stage_of("metric", fill, made=Silent, over="set", whole=True)
    assert "no features and distance" in errors(check_stage(of_sets))["make"]


def test_too_little_memory_and_absent_libraries_are_skipped_with_the_reason() -> None:
    def exhausted(image: Any) -> Any:
        raise ResourceError("out of memory on cuda:0.", hint="try a smaller --size")

    findings = check_stage(stage_of("preprocessor", exhausted))
    assert levels(findings)["shape"] == "skipped"
    assert not failed(findings)
    findings = check_stage(stage_of("preprocessor", exhausted, needs=Needs(libraries=("no_such_library",))))
    assert levels(findings)["import"] == "skipped"
    assert "needs no_such_library" in findings[-1].message


CONTENT = b"parameters"
WEIGHT = Weight("model.bin", ("https://example.org/model.bin",), "MIT", sha256=hashlib.sha256(CONTENT).hexdigest())


class Weighted:
    """Reads its weight when it is made."""

    def __init__(self, options: Any, context: Any) -> None:
        assert context.weight("model.bin").read_bytes() == CONTENT

    def __call__(self, image: Any) -> Any:
        return image.copy()


def test_absent_weights_are_named_with_the_command_and_the_rest_is_skipped(tmp_path: Path) -> None:
    stage = stage_of("preprocessor", fill, made=Weighted, weights=(WEIGHT,))
    store = WeightStore(tmp_path, environ={}, offline=True)
    findings = check_stage(stage, weights=store)
    assert not failed(findings)
    assert levels(findings)["absent weights"] == "ok"
    assert (findings[-1].level, findings[-1].check) == ("skipped", "run")
    assert "animegen weights fetch acme" in findings[-1].message
    source = tmp_path / "mine.bin"
    source.write_bytes(CONTENT)
    store.fetch("acme", WEIGHT, source_file=source)
    assert levels(check_stage(stage, weights=store))["shape"] == "ok"


def test_a_stage_that_runs_without_its_weights_is_an_error(tmp_path: Path) -> None:
    store = WeightStore(tmp_path, environ={}, offline=True)
    stage = stage_of("preprocessor", lambda image: image.copy(), weights=(WEIGHT,))
    assert "must never do that" in errors(check_stage(stage, weights=store))["absent weights"]

    def hides(image: Any) -> Any:
        raise RuntimeError("cannot open model.bin")

    stage = stage_of("preprocessor", hides, weights=(WEIGHT,))
    assert "let the MissingError" in errors(check_stage(stage, weights=store))["absent weights"]

    def unhelpful(image: Any) -> Any:
        raise MissingError("model.bin is not here.")

    stage = stage_of("preprocessor", unhelpful, weights=(WEIGHT,))
    assert "without the command" in errors(check_stage(stage, weights=store))["absent weights"]


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (replace(WEIGHT, urls=("http://example.org/x",)), "only https:// and hf://"),
        (replace(WEIGHT, urls=("hf://owner/name/x",)), "without @REVISION"),
        (replace(WEIGHT, license=" "), "names no licence"),
        (replace(WEIGHT, sha256="A" * 64), "SHA-256"),
        (replace(WEIGHT, md5="12"), "MD5"),
        (replace(WEIGHT, size=0), "size"),
    ],
)
def test_a_weight_that_could_not_be_fetched_or_known_again_is_told(weight: Weight, words: str) -> None:
    assert words in errors(check_stage(stage_of("preprocessor", fill, weights=(weight,))))["record"]


def test_records_that_contradict_themselves_are_told() -> None:
    assert "at least 2" in errors(check_stage(stage_of("interpolator", blend, frames=1)))["record"]
    needs = Needs(multiple_of=8, size=(510, 320))
    assert "multiples of 8" in errors(check_stage(stage_of("interpolator", blend, needs=needs)))["record"]
    twice = (WEIGHT, WEIGHT)
    assert "two of its weights" in errors(check_stage(stage_of("inpainter", fill, weights=twice)))["record"]


def test_defaults_nobody_could_type_are_told() -> None:
    @dataclass(frozen=True)
    class Bad:
        scale: float = option(9.0, "Scale.", max=4.0)

    @dataclass
    class Thawed:
        scale: float = option(1.0, "Scale.")

    @dataclass(frozen=True)
    class Loose:
        scale: float = option(1, "Scale.")

    @dataclass(frozen=True)
    class Mute:
        scale: float = option(1.0, " ")

    for options, words in ((Bad, "<= 4"), (Thawed, "frozen"), (Loose, "come back from JSON"), (Mute, "no help")):
        assert words in errors(check_stage(stage_of("inpainter", fill, options=options)))["options"]


def test_hooks_that_nobody_would_call_are_told() -> None:
    stage_of("inpainter", fill)
    module = sys.modules[NAME]
    setattr(module, "animegen_inpaintres", hookimpl(lambda: []))  # noqa: B010
    setattr(module, "animegen_metrics", lambda: [])  # noqa: B010
    found = [f.message for f in check_plugin("acme", Registry([("acme", module)])) if f.level == "error"]
    assert any("animegen_inpaintres; did you mean 'animegen_inpainters'?" in text for text in found)
    assert any("animegen_metrics is not marked with @hookimpl" in text for text in found)


def test_a_plugin_that_did_not_load_or_is_off_is_told() -> None:
    registry = Registry([("acme", object()), ("broken", ModuleType("b"))], off=["acme"])
    assert check_plugin("acme", registry)[0].level == "skipped"
    sys.modules["b"] = ModuleType("b")
    setattr(sys.modules["b"], "animegen_metrics", hookimpl(lambda: [1]))  # noqa: B010
    findings = check_plugin("broken", Registry([("broken", sys.modules.pop("b"))]))
    assert "expected MetricSpec" in errors(findings)["load"]
    with pytest.raises(UsageError, match="no plugin is named"):
        check_plugin("acne", registry)


def test_heavy_stages_run_only_when_asked(tmp_path: Path) -> None:
    stage = stage_of("preprocessor", lambda image: image.copy(), needs=Needs(accelerator_gib=4))
    registry = Registry([("acme", sys.modules[NAME])])
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
