"""``animegen config``: show, init, schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from animegen.errors import UsageError
from animegen_cli import complete
from animegen_cli.console import Console
from animegen_cli.group import Group, pass_console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from animegen.options import OptionInfo, Resolved
    from animegen.settings.resolve import Settings

TABLE = "upsample"


@click.group(cls=Group)
def config() -> None:
    """Show settings with their sources; write a settings file."""


@config.command("show")
@click.option(
    "--recipe", metavar="NAME", shell_complete=complete.suggests(complete.recipes), help="As if this recipe were named."
)
@pass_console
def show(console: Console, recipe: str | None) -> None:
    """Every setting that a run here would have, and where its value comes from."""
    from animegen.film.options import resolve_table
    from animegen.pipeline.pipeline import usual_layers
    from animegen.settings.layers import find_file
    from animegen.settings.resolve import resolve_settings
    from animegen_cli.environment import installed

    registry = installed()
    layers, reason = usual_layers(registry, recipe, {})
    settings, upsampling = resolve_settings(registry, layers), resolve_table(layers)
    place = find_file()
    if console.json:
        tables: dict[str, dict[str, Any]] = {}
        for table, name, value, source in _values(settings, upsampling):
            tables.setdefault(table, {})[name] = {"value": value, "source": source}
        console.document({"file": str(place) if place else None, "recipe": reason, "settings": tables})
        return
    console.say("file", str(place) if place else "no animegen.toml here or above (animegen config init writes one)")
    if reason:
        console.say("why", reason)
    rows = [(f"{table}.{name}", _toml(value), source) for table, name, value, source in _values(settings, upsampling)]
    console.table(("setting", "value", "from"), rows)


def _values(settings: Settings, upsampling: Resolved[Any]) -> Iterator[tuple[str, str, Any, str]]:
    for table, options in (("run", settings.run), (TABLE, upsampling)):
        for name, entry in options.as_record().items():
            yield table, name, entry["value"], entry["source"]
    for role, choices in settings.choices.items():
        for choice in choices:
            table = role if len(choices) == 1 else choice.stage.name
            for name, entry in choice.options.as_record().items():
                yield table, name, entry["value"], entry["source"]


@config.command("init")
@click.argument("file", type=click.Path(path_type=Path), default=Path("animegen.toml"))
@click.option("--force", is_flag=True, help="Replace the file where there is one.")
@pass_console
def init(console: Console, file: Path, force: bool) -> None:
    """Write a settings file with every option of this environment, explained and commented out."""
    from animegen.atomic import write_bytes

    if file.exists() and not force:
        raise UsageError(f"{file} is there already.", hint="--force replaces it; or name another file")
    write_bytes(file, _template().encode())
    if console.json:
        console.document({"file": str(file)})
        return
    console.text(str(file))


def _template() -> str:
    from animegen.film.options import UpsampleOptions
    from animegen.options import describe_options
    from animegen.settings.resolve import RunOptions
    from animegen_cli.environment import installed

    lines = [
        "# Settings of AnimeGen for this folder and those below it. A line that starts with # is the default, or",
        "# what the recipe says. The environment (ANIMEGEN_RUN_SEED=7) and the command line are stronger.",
        "",
        "[plugins]",
        "# Plugins to leave out.",
        "#off = []",
        "",
        "[run]",
        *(line for info in describe_options(RunOptions) for line in _explained(info)),
        "",
        f"[{TABLE}]",
        *(line for info in describe_options(UpsampleOptions) for line in _explained(info)),
    ]
    for stage in installed().stages():
        infos = describe_options(stage.spec.options)
        if infos:
            lines += ["", f"# {stage.kind} of {stage.plugin.name}: {stage.spec.summary}", f"#[{stage.name}]"]
            lines += [line for info in infos for line in _explained(info)]
    return "\n".join(lines) + "\n"


def _explained(info: OptionInfo) -> list[str]:
    facts = ", ".join(part for part in (info.type_name, info.range, info.unit) if part)
    return [f"# {info.help} ({facts})", f"#{info.name} = {_toml(info.default)}"]


def _toml(value: Any) -> str:
    """A value as TOML has it; TOML knows no null, and options read the text ``none`` as one."""
    if value is None:
        return '"none"'
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


@config.command("schema")
@pass_console
def schema(console: Console) -> None:
    """JSON Schema of animegen.toml with the stages installed here, for editors and other programs."""
    from animegen.film.options import UpsampleOptions
    from animegen.options import json_schema
    from animegen.settings.resolve import RunOptions
    from animegen.settings.roles import ROLES
    from animegen_cli.environment import installed

    off = {"type": "array", "items": {"type": "string"}, "description": "Plugins to leave out."}
    tables: dict[str, Any] = {
        "plugins": {"type": "object", "properties": {"off": off}, "additionalProperties": False},
        "run": json_schema(RunOptions),
        TABLE: json_schema(UpsampleOptions),
    }
    for role in ROLES:
        tables[role] = {"type": "object", "description": f"Options of whatever stage is the {role}."}
    tables["metric"] = {"type": "object", "description": "Options of metrics."}
    for stage in installed().stages():
        tables[stage.name] = {**json_schema(stage.spec.options), "description": stage.spec.summary}
    console.document(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "animegen.toml",
            "type": "object",
            "properties": tables,
            "additionalProperties": False,
        }
    )
