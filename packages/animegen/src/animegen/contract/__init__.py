"""The contract of stages as checks anyone can run: ``animegen plugins check`` and the `stage_contract` fixture.

Nothing here raises for what a plugin does wrong: it becomes a `Finding`. Importing this module is light; numpy is
imported when a stage is run.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from animegen import hooks
from animegen.contract.findings import Finding, failed
from animegen.contract.imports import imported_at_start
from animegen.errors import AnimeGenError, did_you_mean
from animegen.options import Layer, OptionInfo, describe_options, json_schema, resolve, to_json
from animegen.registry import Plugin, Registry, Stage, check_libraries, import_target
from animegen.stages import KINDS, OFFERED, InterpolatorSpec, StageSpec, Weight
from animegen.weights.store import WeightStore

__all__ = ["Finding", "check_plugin", "check_record", "check_stage", "failed", "option_text"]

_SUMMARY_LENGTH = 140
"""Characters of a summary that a table still shows whole."""


def check_plugin(
    plugin: str,
    registry: Registry,
    *,
    heavy: bool = False,
    weights: WeightStore | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    devices: Sequence[str] = ("auto",),
    untrained: Mapping[str, tuple[int, int]] | None = None,
) -> list[Finding]:
    """Check a plugin and every stage it offers.

    Args:
        plugin: Full or short name.
        registry: Where it is looked up.
        heavy: Also run stages that load weights or ask for an accelerator.
        weights: Where weights lie; by default the user's.
        options: By name of a stage, options that differ from its defaults, e.g. fewer steps.
        devices: Devices lent to the stages.
        untrained: By name of a stage, the size (H, W) of the pictures on which it is tried with random parameters;
            a stage that is not named is not tried, since its parameters may be gigabytes.

    Raises:
        UsageError: No such plugin, or an option that a stage does not have.
    """
    row = registry.plugin(plugin)
    if row.state == "off":
        return [Finding("skipped", "load", f"{row.name} is turned off.")]
    findings = [_light_import(row)]
    if row.state == "failed":
        return [*findings, Finding("error", "load", f"{row.name} did not load: {row.reason}.")]
    stages = [stage for stage in registry.stages() if stage.plugin == row]
    others = [one for kind in OFFERED if kind not in KINDS for one in registry.stages(kind) if one.plugin == row]
    findings += _check_hooks(row, [*stages, *others])
    for stage in stages:
        if heavy or not _is_heavy(stage.spec):
            own = (options or {}).get(stage.name)
            tried = (untrained or {}).get(stage.name)
            findings += check_stage(stage, weights=weights, options=own, devices=devices, untrained=tried)
        else:
            findings += check_record(stage)
            text = "it loads weights or asks for an accelerator; run the check with --heavy."
            findings.append(Finding("skipped", "run", text, stage.full_name))
    for other in others:
        findings += check_record(other)
        findings.append(_importable(other))
    return findings


def check_stage(
    stage: Stage,
    *,
    weights: WeightStore | None = None,
    options: Mapping[str, Any] | None = None,
    devices: Sequence[str] = ("auto",),
    untrained: tuple[int, int] | None = None,
) -> list[Finding]:
    """Check one stage: its record, its options, and what it does with small pictures.

    Args:
        stage: From a registry.
        weights: Where its weights lie; by default the user's. A stage whose weights or libraries are absent is
            checked as far as that goes, and the rest is skipped with the reason.
        options: Options that differ from the defaults, e.g. fewer steps.
        devices: Devices lent to it.
        untrained: Size (H, W) of the pictures on which it is tried with random parameters; None does not try it.
    """
    from animegen.contract.run import run_checks

    findings = check_record(stage)
    if failed(findings):
        return [*findings, Finding("skipped", "run", "its record or options are broken.", stage.full_name)]
    return [*findings, *run_checks(stage, weights or WeightStore(), options or {}, tuple(devices), untrained)]


def check_record(stage: Stage) -> list[Finding]:
    """Check what a stage says of itself, without importing it."""
    spec = stage.spec
    problems = _record_problems(spec)
    findings = [Finding("error", "record", text, stage.full_name) for text in problems]
    if not spec.summary.strip() or "\n" in spec.summary or len(spec.summary) > _SUMMARY_LENGTH:
        text = f"its summary should be one line of at most {_SUMMARY_LENGTH} characters."
        findings.append(Finding("warning", "record", text, stage.full_name))
    if not findings:
        findings.append(Finding("ok", "record", "complete.", stage.full_name))
    wrong = _option_problems(spec.options)
    findings += [Finding("error", "options", text, stage.full_name) for text in wrong]
    if not wrong:
        count = len(describe_options(spec.options))
        text = f"{count} {'option' if count == 1 else 'options'}: defaults valid, the same again through JSON and text."
        findings.append(Finding("ok", "options", text, stage.full_name))
    return findings


def option_text(info: OptionInfo, value: Any) -> str:
    """A value as it is typed after ``-o NAME=``; `OptionInfo.parse` reads it back.

    Raises:
        ValueError: It cannot be typed: a text inside a list with a comma or blanks around it, a list of one empty
            text, or the text ``none`` where none is allowed.
    """
    if value is None:
        return "none"
    text = ",".join(str(part) for part in value) if isinstance(value, tuple) else str(value)
    if info.many and info.type is str and any("," in part or part != part.strip() for part in value):
        raise ValueError(f"{info.name}: a comma or outer blanks cannot be typed inside a list.")
    if (info.many and value == ("",)) or (info.optional and text == "none"):
        raise ValueError(f"{info.name}: {value!r} cannot be typed; it would be read as something else.")
    return text


def _importable(stage: Stage) -> Finding:
    """Whether a trainer or a maker of datasets is there. What it does is not tried: that takes material, and time."""
    try:
        check_libraries(stage)
    except AnimeGenError as absent:  # no fault of the plugin
        return Finding("skipped", "import", absent.message, stage.full_name)
    try:
        import_target(stage)
    except AnimeGenError as error:
        return Finding("error", "import", error.message, stage.full_name)
    return Finding("ok", "import", f"{stage.spec.target} can be imported.", stage.full_name)


def _is_heavy(spec: StageSpec) -> bool:
    return any(weight.required for weight in spec.weights) or spec.needs.accelerator_gib > 0


def _light_import(row: Plugin) -> Finding:
    found = imported_at_start(row.module)
    if found.absent:
        return Finding("skipped", "light import", f"{row.module} cannot be imported by that name.")
    if found.heavy:
        culprits = " and ".join(f"{name} ({place})" for name, place in found.heavy.items())
        return Finding(
            "error",
            "light import",
            f"importing {row.module} imports {culprits}; move that import to the module of the stage's class.",
        )
    if found.error:
        return Finding("error", "light import", f"{row.module} cannot be imported: {found.error}.")
    if found.printed:
        return Finding("warning", "light import", f"importing {row.module} prints {found.printed!r}.")
    return Finding("ok", "light import", f"{row.module} imports nothing heavy.")


def _check_hooks(row: Plugin, stages: Sequence[Stage]) -> list[Finding]:
    """Hooks that would be overlooked in silence: misspelt, or not marked."""
    try:
        module: ModuleType | None = importlib.import_module(row.module)
    except ImportError:
        module = None
    known = [name for name in vars(hooks) if name.startswith("animegen_")]
    findings = []
    for name, value in vars(module).items() if module else ():
        marked = hasattr(value, f"{hooks.PROJECT}_impl")
        if marked and name not in known:
            hint = did_you_mean(name, known)
            findings.append(Finding("error", "hooks", f"no hook is named {name}; {hint}nobody will call it."))
        elif name in known and callable(value) and not marked:
            findings.append(Finding("error", "hooks", f"{name} is not marked with @hookimpl; nobody will call it."))
    if not stages:
        findings.append(Finding("warning", "hooks", f"{row.name} offers no stage."))
    names = ", ".join(f"{stage.kind} {stage.name}" for stage in stages)
    return findings or [Finding("ok", "hooks", f"it offers {names}.")]


def _record_problems(spec: StageSpec) -> list[str]:
    needs = spec.needs
    problems = []
    files = [weight.file for weight in spec.weights]
    problems += [f"two of its weights are named {file}." for file in sorted({f for f in files if files.count(f) > 1})]
    problems += [text for weight in spec.weights for text in _weight_problems(weight)]
    if needs.multiple_of < 1:
        problems.append(f"needs.multiple_of is {needs.multiple_of}; it is at least 1.")
    if needs.size and any(side < 1 or side % needs.multiple_of for side in needs.size):
        problems.append(f"needs.size is {needs.size}; both sides must be multiples of {needs.multiple_of}.")
    if isinstance(spec, InterpolatorSpec) and spec.frames is not None and spec.frames < 2:
        problems.append(f"frames is {spec.frames}; both ends are counted, so it is at least 2, or None for any time.")
    problems += _preview_problems(spec)
    return problems


def _preview_problems(spec: StageSpec) -> list[str]:
    """What ``--preview`` sets must be options that the stage has, with values that they take."""
    quick = spec.preview if isinstance(spec, InterpolatorSpec) else {}
    try:
        resolve(spec.options, [Layer("preview", quick)], name=spec.name)
    except AnimeGenError as error:
        return [f"what --preview sets is wrong: {error}"]
    except Exception:  # its options are broken, which is told of them
        return []
    return []


def _weight_problems(weight: Weight) -> list[str]:
    problems = []
    if not weight.license.strip():
        problems.append(f"the weight {weight.file} names no licence.")
    for url in weight.urls:
        if not url.startswith(("https://", "hf://")):
            problems.append(f"the weight {weight.file} is at {url}; only https:// and hf:// addresses are fetched.")
        elif url.startswith("hf://") and "@" not in url:
            problems.append(f"the weight {weight.file} is at {url} without @REVISION, so it may change.")
    for digest, length, name in ((weight.sha256, 64, "SHA-256"), (weight.md5, 32, "MD5")):
        if digest is not None and not re.fullmatch(f"[0-9a-f]{{{length}}}", digest):
            problems.append(f"the {name} of the weight {weight.file} is not {length} lower-case hex digits.")
    if weight.size is not None and weight.size < 1:
        problems.append(f"the size of the weight {weight.file} is {weight.size}.")
    return problems


def _option_problems(cls: type) -> list[str]:
    try:
        infos = describe_options(cls)
        defaults = cls()
        json.dumps(json_schema(cls), allow_nan=False)
    except Exception as error:  # whatever a dataclass can do wrong
        return [f"{type(error).__name__}: {error}"]
    problems = []
    parameters = getattr(cls, "__dataclass_params__", None)
    if parameters is not None and not parameters.frozen:
        problems.append(f"{cls.__name__} must be frozen: @dataclass(frozen=True).")
    for info in infos:
        problems += _default_problems(info)
    if not problems:
        back: Any = resolve(cls, [Layer("JSON", json.loads(json.dumps(to_json(defaults), allow_nan=False)))]).values
        if back != defaults or any(
            type(getattr(back, field.name)) is not type(getattr(defaults, field.name))
            for field in dataclasses.fields(cls)
        ):
            problems.append(f"the defaults come back from JSON as {back}; they are {defaults}.")
    return problems


def _default_problems(info: OptionInfo) -> list[str]:
    problems = []
    if not info.help.strip():
        problems.append(f"option {info.name} has no help text.")
    for form, value in (("", info.default), (" as text", None)):
        try:
            given = value if not form else option_text(info, info.default)
            back = info.parse(given)
        except Exception as error:  # UsageError, or a default nobody can type
            problems.append(f"the default of {info.name}{form} is not valid: {error}")
            break
        if back != info.default:
            problems.append(f"the default of {info.name}{form} is {info.default!r} but reads back as {back!r}.")
            break
    return problems
