"""What the shell offers as values: stages, plugins, recipes and weights of this environment. Light, and never noisy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import click
from click.shell_completion import CompletionItem

from animegen.stages import Kind

Suggest = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def suggests(offers: Callable[[], Iterable[tuple[str, str]]], *, many: bool = False) -> Suggest:
    """A click completer of (value, help) pairs; with `many`, of the last of several values joined by commas."""

    def complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
        before, comma, begun = incomplete.rpartition(",") if many else ("", "", incomplete)
        try:
            found = list(offers())
        except Exception:  # a broken settings file must not print into somebody's prompt
            return []
        return [
            CompletionItem(f"{before}{comma}{value}", help=text) for value, text in found if value.startswith(begun)
        ]

    return complete


def stages(kind: Kind) -> Iterator[tuple[str, str]]:
    """The stages of one kind."""
    from animegen_cli.environment import installed

    for stage in installed().stages(kind):
        yield stage.name, stage.spec.summary


def all_stages() -> Iterator[tuple[str, str]]:
    """Every stage and plugin: what ``plugins show`` takes."""
    from animegen_cli.environment import installed

    registry = installed()
    for stage in registry.stages():
        yield stage.name, stage.spec.summary
    yield from plugins()


def plugins() -> Iterator[tuple[str, str]]:
    """Every plugin, by its short name."""
    from animegen_cli.environment import installed

    for row in installed().plugins:
        yield row.short_name, row.state


def recipes() -> Iterator[tuple[str, str]]:
    """Every recipe."""
    from animegen.settings.recipes import names

    for name in names():
        yield name, ""


def weights() -> Iterator[tuple[str, str]]:
    """Every plugin with weights, and every file as ``PLUGIN/FILE``."""
    from animegen_cli.environment import known

    files = known()
    yield from dict.fromkeys((file.name.partition("/")[0], "") for file in files)
    for file in files:
        yield file.name, file.weight.purpose


def assignments() -> Iterator[tuple[str, str]]:
    """What ``-o`` takes, up to the equals sign: ``flow.levels=``."""
    from animegen.options import describe_options
    from animegen_cli.environment import installed

    for stage in installed().stages():
        for info in describe_options(stage.spec.options):
            yield f"{stage.name}.{info.name}=", info.help
