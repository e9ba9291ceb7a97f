"""What a training is asked to do: the table ``[train]``, the trainer, and where each value came from. Light."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from animegen.options import Layer, Resolved, option, resolve
from animegen.registry import Registry, Stage
from animegen.settings.layers import ConfigLayer, check_tables, environment_layer, file_layer
from animegen.settings.resolve import DTYPES, table_names
from animegen.stages import TrainerSpec
from animegen.training.records import Order

TABLE = "train"
KIND = "trainer"


@dataclass(frozen=True)
class TrainOptions:
    """Options of any training; the table ``[train]``."""

    steps: int = option(2000, "Steps of the optimiser, those before --resume included.", min=1)
    seed: int = option(123, "Start of the random numbers; the same seed on the same machine learns the same.", min=0)
    device: str = option("auto", "auto, cpu, cuda:0, or several, with a process for each: cuda:0,cuda:1.")
    dtype: str = option("auto", "Number format to compute in; what is trained stays in float32.", choices=DTYPES)

    @property
    def devices(self) -> tuple[str, ...]:
        """Each device named."""
        return tuple(part.strip() for part in self.device.split(",") if part.strip()) or ("auto",)

    def order(self, *, resume: bool) -> Order:
        """What the trainer is told."""
        return Order(self.steps, self.seed, resume)


@dataclass(frozen=True)
class TrainSettings:
    """Everything a training is asked to do, resolved and checked; nothing heavy has been imported.

    Attributes:
        train: The training's own options with sources.
        trainer: What trains.
        options: Its options with sources.
    """

    train: Resolved[TrainOptions]
    trainer: Stage
    options: Resolved[Any]

    @property
    def spec(self) -> TrainerSpec:
        """The trainer's record."""
        spec = self.trainer.spec
        assert isinstance(spec, TrainerSpec)  # the registry checks every record against its hook
        return spec


def resolve_training(registry: Registry, name: str, layers: Sequence[ConfigLayer]) -> TrainSettings:
    """Gather settings from `layers`, weakest first.

    A trainer's options are read from the table ``[trainer]`` and, from what was typed, from the one with its name. (In
    a settings file that table belongs to the stage, which often has the same name.)

    Raises:
        UsageError: An unknown trainer, table or option, or a bad value; the message names the source.
        MissingError: A trainer of a plugin that did not load.
    """
    trainer = registry.find("trainer", name)
    known = table_names(registry) | {trainer.name}
    for layer in layers:
        check_tables(layer, known)
    train = resolve(TrainOptions, [Layer(layer.source, layer.tables.get(TABLE, {})) for layer in layers], name=TABLE)
    gathered = [Layer(layer.source, layer.tables.get(KIND, {})) for layer in layers]
    if layers:
        gathered.append(Layer(layers[-1].source, layers[-1].tables.get(trainer.name, {})))
    return TrainSettings(train, trainer, resolve(trainer.spec.options, gathered, name=trainer.name))


def usual_layers(
    registry: Registry, settings: Mapping[str, Mapping[str, Any]], *, config: bool = True, source: str = "Python"
) -> list[ConfigLayer]:
    """The layers of a training, weakest first: ``animegen.toml``, environment, then `settings`."""
    layers = []
    if config:
        from_file = file_layer()
        layers = [from_file] if from_file else []
        layers.append(environment_layer(table_names(registry) - {"plugins"}))
    return [*layers, ConfigLayer(source, settings)]
