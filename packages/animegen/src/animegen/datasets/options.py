"""What is asked of ``animegen data``: the table ``[data]``, the maker, and where each value came from. Light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from animegen.datasets.records import DataOrder
from animegen.options import Layer, Resolved, option, resolve
from animegen.registry import Registry, Stage
from animegen.settings.layers import ConfigLayer, check_tables
from animegen.settings.resolve import DTYPES, table_names
from animegen.stages import DatasetSpec

TABLE = "data"
KIND = "dataset"


@dataclass(frozen=True)
class DataOptions:
    """Options of any dataset's making; the table ``[data]``."""

    jobs: int = option(1, "Processes at once; each has a model of its own.", min=1, max=256)
    device: str = option("auto", "auto, cpu, cuda:0, or several, which the processes share: cuda:0,cuda:1.")
    dtype: str = option("auto", "Number format on the device.", choices=DTYPES)

    @property
    def devices(self) -> tuple[str, ...]:
        """Each device named."""
        return tuple(part.strip() for part in self.device.split(",") if part.strip()) or ("auto",)

    @property
    def order(self) -> DataOrder:
        """What the maker is told."""
        return DataOrder(self.jobs)


@dataclass(frozen=True)
class DataSettings:
    """Everything that is asked for, resolved and checked; nothing heavy has been imported.

    Attributes:
        data: Options of any dataset with sources.
        maker: What makes it.
        options: Its options with sources.
    """

    data: Resolved[DataOptions]
    maker: Stage
    options: Resolved[Any]

    @property
    def spec(self) -> DatasetSpec:
        """The maker's record."""
        spec = self.maker.spec
        assert isinstance(spec, DatasetSpec)  # the registry checks every record against its hook
        return spec


def resolve_dataset(registry: Registry, name: str, layers: Sequence[ConfigLayer]) -> DataSettings:
    """Gather settings from `layers`, weakest first.

    A maker's options are read from the table ``[dataset]`` and, from what was typed, from the one with its name.

    Raises:
        UsageError: An unknown dataset, table or option, or a bad value; the message names the source.
        MissingError: A dataset of a plugin that did not load.
    """
    maker = registry.find("dataset", name)
    known = table_names(registry) | {maker.name}
    for layer in layers:
        check_tables(layer, known)
    data = resolve(DataOptions, [Layer(layer.source, layer.tables.get(TABLE, {})) for layer in layers], name=TABLE)
    gathered = [Layer(layer.source, layer.tables.get(KIND, {})) for layer in layers]
    if layers:
        gathered.append(Layer(layers[-1].source, layers[-1].tables.get(maker.name, {})))
    return DataSettings(data, maker, resolve(maker.spec.options, gathered, name=maker.name))
