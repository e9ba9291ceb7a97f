"""What is asked of long work: the command's own options, the stage that does it, where each value came from. Light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from animegen.options import Layer, Resolved, resolve
from animegen.registry import Registry, Stage
from animegen.settings.layers import ConfigLayer, check_tables
from animegen.settings.resolve import named_devices, table_names
from animegen.stages import DatasetSpec, Kind, TrainerSpec


class OwnOptions(Protocol):
    """What every such command is asked."""

    @property
    def device(self) -> str: ...
    @property
    def dtype(self) -> str: ...


Own = TypeVar("Own", bound=OwnOptions, covariant=True)


@dataclass(frozen=True)
class WorkKind(Generic[Own]):
    """A command for long work.

    Attributes:
        command: Its name, and that of its table of settings and of its document: ``train``, [train], train.json.
        stage: What does the work; the stage's options have the table of this name.
        options: The command's own options.
        decisive: Those of them that decide the result.
        smaller: What takes less memory, before ``a smaller setting of the stage``.
        libraries: Distributions, beside the usual ones, whose versions belong into the document.
    """

    command: str
    stage: Kind
    options: type[Own]
    decisive: tuple[str, ...]
    smaller: str
    libraries: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """Name of the document."""
        return f"{self.command}.json"


@dataclass(frozen=True)
class WorkSettings(Generic[Own]):
    """Everything that is asked for, resolved and checked; nothing heavy has been imported.

    Attributes:
        kind: The command.
        own: The command's own options with sources.
        stage: What does the work.
        options: Its options with sources.
    """

    kind: WorkKind[Own]
    own: Resolved[Own]
    stage: Stage
    options: Resolved[Any]

    @property
    def values(self) -> Own:
        """The command's own options."""
        return self.own.values

    @property
    def devices(self) -> tuple[str, ...]:
        """Each device named."""
        return named_devices(self.values.device)

    @property
    def spec(self) -> TrainerSpec | DatasetSpec:
        """The stage's record."""
        spec = self.stage.spec
        assert isinstance(spec, TrainerSpec | DatasetSpec)  # the registry checks every record against its hook
        return spec


def resolve_work(
    kind: WorkKind[Own], registry: Registry, name: str, layers: Sequence[ConfigLayer]
) -> WorkSettings[Own]:
    """Gather settings from `layers`, weakest first.

    A stage's options are read from the table of its kind and, from what was typed, from the one with its name. (In a
    settings file the table [eisai] belongs to the stage of a run, which often has the name of its trainer.)

    Raises:
        UsageError: An unknown stage, table or option, or a bad value; the message names the source.
        MissingError: A stage of a plugin that did not load.
    """
    stage = registry.find(kind.stage, name)
    known = table_names(registry) | {stage.name}
    for layer in layers:
        check_tables(layer, known)
    own = resolve(kind.options, _tables(layers, kind.command), name=kind.command)
    gathered = _tables(layers, kind.stage) + _tables(layers[-1:], stage.name)
    return WorkSettings(kind, own, stage, resolve(stage.spec.options, gathered, name=stage.name))


def _tables(layers: Sequence[ConfigLayer], name: str) -> list[Layer]:
    return [Layer(layer.source, layer.tables.get(name, {})) for layer in layers]
