"""``animegen plugins``: list, show, check, new."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from animegen.errors import MissingError, UsageError, did_you_mean
from animegen.stages import KINDS, OFFERED
from animegen_cli import complete
from animegen_cli.console import Console, size
from animegen_cli.group import Group, pass_console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from animegen.options import OptionInfo
    from animegen.registry import Plugin, Registry, Stage

BUILT_IN = "animegen"
_LONGEST_RANGE = 24
"""Most characters of a list of choices within a table."""


@click.group(cls=Group)
def plugins() -> None:
    """List, show, check and start plugins."""


@plugins.command("list")
@click.option("--kind", type=click.Choice(OFFERED), help="Only what is of this kind.")
@pass_console
def list_plugins(console: Console, kind: str | None) -> None:
    """Every plugin, its stages, its weights and whether it works."""
    from animegen_cli.environment import installed

    registry = installed()
    rows = [_row(registry, plugin, kind) for plugin in registry.plugins]
    rows = [row for row in rows if kind is None or row["stages"]]
    if console.json:
        console.document(rows)
        return
    console.table(
        ("plugin", "version", "stages", "weights", "state"),
        [
            (
                row["name"],
                row["version"],
                " ".join(dict.fromkeys(stage["name"] for stage in row["stages"])) or "-",
                _weights_words(row["weights"]),
                _state_words(row),
            )
            for row in rows
        ],
    )


def _row(registry: Registry, plugin: Plugin, kind: str | None) -> dict[str, Any]:
    offered = [stage for each in OFFERED for stage in registry.stages(each)]
    stages = [stage for stage in offered if stage.plugin == plugin and kind in (None, stage.kind)]
    return {
        "name": plugin.short_name,
        "distribution": plugin.name,
        "version": plugin.version,
        "module": plugin.module,
        "state": plugin.state,
        "reason": plugin.reason,
        "stages": [
            {"kind": stage.kind, "name": stage.name, "full_name": stage.full_name, "summary": stage.spec.summary}
            for stage in stages
        ],
        "absent": _absent(stages),
        "weights": _weights(plugin, stages) if any(stage.spec.weights for stage in stages) else [],
    }


def _absent(stages: Sequence[Stage]) -> list[str]:
    """Libraries that stages need and that are not installed."""
    from animegen.registry import is_installed

    needed = dict.fromkeys(library for stage in stages for library in stage.spec.needs.libraries)
    return [library for library in needed if not is_installed(library)]


def _weights(plugin: Plugin, stages: Sequence[Stage]) -> list[dict[str, Any]]:
    from animegen.weights.names import known_weights
    from animegen.weights.store import WeightStore

    store = WeightStore()
    return [
        {
            "name": file.name,
            "size": file.weight.size,
            "required": file.weight.required,
            "state": store.status(file.plugin, file.weight).state,
        }
        for file in known_weights((plugin.name, stage.spec) for stage in stages)
    ]


def _weights_words(files: list[dict[str, Any]]) -> str:
    """``10.5 GB absent``: the size of what a stage must have, and the worst state among it."""
    required = [file for file in files if file["required"]]
    if not required:
        return "-"
    total = sum(file["size"] or 0 for file in required)
    states = {file["state"] for file in required}
    worst = next(
        (state for state in ("damaged", "absent", "partial", "unverified") if state in states), "here"
    ).replace("unverified", "here")
    return f"{size(total)} {worst}" if total else worst


def _state_words(row: dict[str, Any]) -> str:
    if row["state"] == "failed":
        return f"failed: {row['reason']}  (animegen plugins check {row['name']})"
    if row["absent"]:
        return f"needs {', '.join(row['absent'])}, not installed here"
    return f"{row['state']} (built in)" if row["distribution"] == BUILT_IN else str(row["state"])


@plugins.command("show")
@click.argument("name", shell_complete=complete.suggests(complete.all_stages))
@click.option("--schema", is_flag=True, help="JSON Schema of the options instead of a table.")
@pass_console
def show_plugin(console: Console, name: str, schema: bool) -> None:
    """What the stage (or each stage of the plugin) NAME does, and the options it takes."""
    from animegen.options import json_schema
    from animegen_cli.environment import installed

    stages = named_stages(installed(), name)
    if schema:
        schemas = {stage.name: json_schema(stage.spec.options) for stage in stages}
        console.document(next(iter(schemas.values())) if len(schemas) == 1 else schemas)
        return
    if console.json:
        console.document([_details(stage) for stage in stages])
        return
    for number, stage in enumerate(stages):
        if number:
            console.text("")
        _print_stage(console, stage)


def named_stages(registry: Registry, name: str) -> list[Stage]:
    """The stages a user means by the name of a stage or of a plugin.

    Raises:
        UsageError: Neither, with a near match.
        MissingError: A plugin that did not load.
    """
    short = name.rpartition(":")[2]
    offered = [stage for kind in OFFERED for stage in registry.stages(kind)]
    found = [
        stage for stage in offered if name in (stage.name, stage.full_name, f"{stage.plugin.short_name}:{stage.name}")
    ]
    found = found or [stage for stage in offered if name in (stage.plugin.name, stage.plugin.short_name)]
    if found:
        return found
    names = {row.short_name for row in registry.plugins}
    if name in names | {row.name for row in registry.plugins}:
        row = registry.plugin(name)
        if row.state == "ok":
            raise UsageError(f"plugin {row.name!r} offers no stage.", hint=f"animegen plugins check {row.short_name}")
        raise MissingError(
            f"plugin {row.name!r} is {row.state}: {row.reason}.", hint=f"animegen plugins check {row.short_name}"
        )
    known = [*dict.fromkeys(stage.name for stage in offered), *names]
    raise UsageError(
        f"no stage or plugin is named {name!r}.", hint=f"{did_you_mean(short, known)}animegen plugins list shows all"
    )


def _details(stage: Stage) -> dict[str, Any]:
    from dataclasses import asdict

    from animegen.options import describe_options, json_schema

    spec = stage.spec
    facts = {
        "kind": stage.kind,
        "name": stage.name,
        "full_name": stage.full_name,
        "version": stage.plugin.version,
        "summary": spec.summary,
        "target": spec.target,
        "api": spec.api,
        "overrides": spec.overrides,
        "untrained": spec.untrained,
        "needs": asdict(spec.needs),
        "weights": [asdict(weight) for weight in spec.weights],
        "options": json_schema(spec.options)["properties"] if describe_options(spec.options) else {},
    }
    for extra in (
        "finds",
        "frames",
        "other_counts",
        "uses_prompt",
        "uses_seed",
        "preview",
        "material",
    ):
        if hasattr(spec, extra):
            facts[extra] = getattr(spec, extra)
    return facts


def _print_stage(console: Console, stage: Stage) -> None:
    from animegen.options import describe_options

    spec = stage.spec
    console.text(f"{stage.name}  ({stage.kind} of {stage.plugin.name} {stage.plugin.version})")
    console.sentences(spec.summary, indent=2)
    for label, words in _facts(stage):
        console.sentences(words, start=f"  {label}", indent=11)
    infos = describe_options(spec.options)
    if not infos:
        console.text("  options  none")
        return
    console.text("")
    console.table(
        ("option", "type", "default", "range", "meaning"),
        [(info.name, info.type_name, default_words(info), _range(info), _meaning(info)) for info in infos],
        wrap=True,
    )
    for info in infos:
        if _is_long(info):
            console.text("")
            console.sentences(", ".join(info.choice_texts), start=f"{stage.name}.{info.name}: ", indent=4)
    table = stage.kind if stage.kind not in KINDS else stage.name
    console.text(f"\nGive them as: -o {table}.{infos[0].name}={default_words(infos[0])}")


def _is_long(info: OptionInfo) -> bool:
    """Whether choices stand below the table, which they would make too wide."""
    return bool(info.choices) and len(info.range) > _LONGEST_RANGE


def _range(info: OptionInfo) -> str:
    return f"{len(info.choices)} choices, below" if _is_long(info) else info.range or "-"


def _facts(stage: Stage) -> list[tuple[str, str]]:
    spec, facts = stage.spec, []
    if stage.kind == "interpolator":
        count = getattr(spec, "frames", None)
        frames = "at any time; can upsample" if count is None else f"always {count}"
        if count and getattr(spec, "other_counts", False):
            frames = f"made for {count}, others with a warning"
        facts.append(("frames", frames))
    if stage.kind == "trainer":
        facts.append(
            ("learns", f"from {getattr(spec, 'material', '')}: animegen train {stage.name} MATERIAL --out DIR")
        )
    if stage.kind == "dataset":
        material = getattr(spec, "material", "")
        facts.append(("makes", f"from {material}: animegen data {stage.name} MATERIAL... --out DIR"))
    if quick := getattr(spec, "preview", None):
        facts.append(("preview", ", ".join(f"{name}={value}" for name, value in quick.items())))
    if spec.untrained:
        facts.append(("trying", "run --untrained needs no weights: random parameters, for memory and speed alone"))
    if spec.needs.size:
        facts.append(("size", "made for {}x{}".format(*spec.needs.size)))
    if spec.needs.accelerator_gib:
        facts.append(("memory", f"{spec.needs.accelerator_gib:g} GiB on a GPU"))
    if spec.needs.libraries:
        facts.append(("needs", ", ".join(spec.needs.libraries)))
    usual = spec.weights_for(spec.options())
    shown = [weight for weight in spec.weights if weight.required or weight in usual]
    for weight in shown:
        purpose = f" - {weight.purpose}" if weight.purpose else ""
        bytes_ = size(weight.size) if weight.size else "size unknown"
        facts.append(("weights", f"{weight.file}, {bytes_}, {weight.license}{purpose}"))
    if more := len(spec.weights) - len(shown):
        facts.append(
            ("" if shown else "weights", f"{more} more for other options: animegen weights list {stage.name} --all")
        )
    return facts


def default_words(info: OptionInfo) -> str:
    """The default as it would be typed."""
    if info.default is None:
        return "none"
    if isinstance(info.default, bool):
        return "yes" if info.default else "no"
    if info.many:
        return ",".join(map(str, info.default)) or "none"
    return str(info.default)


def _meaning(info: OptionInfo) -> str:
    return f"{info.help} [{info.unit}]" if info.unit else info.help


@plugins.command("check")
@click.argument("name", shell_complete=complete.suggests(complete.plugins))
@click.option("--heavy", is_flag=True, help="Load the stages and run them on small pictures as well.")
@pass_console
def check(console: Console, name: str, heavy: bool) -> None:
    """Check that the plugin NAME loads and keeps the contract of its stages. Exit code 1 when it does not."""
    from dataclasses import asdict

    from animegen.contract import check_plugin
    from animegen_cli.environment import installed

    registry = installed()
    row = registry.plugin(name)
    findings = check_plugin(row.name, registry, heavy=heavy)
    failed = [finding for finding in findings if finding.level == "error"]
    if console.json:
        facts = [asdict(finding) for finding in findings]
        console.document({"plugin": row.name, "version": row.version, "state": row.state, "findings": facts})
    else:
        for one in findings:
            console.text(str(one))
        console.text(f"{row.name} {row.version}: {_counted(len(failed), 'error') if failed else 'keeps the contract'}")
    if failed:
        raise click.exceptions.Exit(1)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


@plugins.command("new")
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), required=True, help="What the stage does.")
@click.option("--out", "folder", type=click.Path(path_type=Path), default=Path(), help="Where to make the folder.")
@pass_console
def new(console: Console, name: str, kind: str, folder: Path) -> None:
    """Start a plugin NAME: a folder that can be installed, with a working stage and its tests."""
    from animegen.scaffold import new_plugin

    written = new_plugin(name, kind, folder)
    if console.json:
        console.document({"files": [str(path) for path in written]})
        return
    for path in written:
        console.text(str(path))
