"""Which files of parameters there are, and which of them a user means by a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from animegen.errors import StageError, UsageError, did_you_mean
from animegen.weights.store import short_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from animegen.stages import StageSpec, Weight


@dataclass(frozen=True)
class KnownWeight:
    """A file some installed stage can load.

    Attributes:
        plugin: Name of the distribution.
        weight: Its record.
        stages: Names of the stages that load it.
    """

    plugin: str
    weight: Weight
    stages: tuple[str, ...]

    @property
    def name(self) -> str:
        """``PLUGIN/FILE``: what the user types for this one file."""
        return f"{short_name(self.plugin)}/{self.weight.file}"


def known_weights(stages: Iterable[tuple[str, StageSpec]]) -> tuple[KnownWeight, ...]:
    """Every file the given stages name, once each, in their order.

    Args:
        stages: (name of the distribution, record of a stage) for each stage.

    Raises:
        StageError: Two stages of one plugin name the same file with different records.
    """
    found: dict[str, KnownWeight] = {}
    for plugin, spec in stages:
        for weight in spec.weights:
            this = KnownWeight(plugin, weight, (spec.name,))
            other = found.setdefault(this.name, this)
            if other.weight != weight or other.plugin != plugin:
                raise StageError(f"{this.name} has two different records (stages {other.stages[0]} and {spec.name}).")
            if spec.name not in other.stages:
                found[this.name] = KnownWeight(plugin, weight, (*other.stages, spec.name))
    return tuple(found.values())


def choose_weights(
    known: Sequence[KnownWeight], names: Iterable[str], *, optional: bool = False
) -> tuple[KnownWeight, ...]:
    """The files meant by `names`, once each.

    Args:
        known: All there are.
        names: A plugin or a stage (its required files), ``PLUGIN/FILE``, or a file name that is unique.
        optional: For a plugin or stage, the files it can do without as well.

    Raises:
        UsageError: An unknown or ambiguous name, with what it could be.
    """
    chosen: dict[str, KnownWeight] = {}
    for name in names:
        for one in _meant(known, name, optional):
            chosen.setdefault(one.name, one)
    return tuple(chosen.values())


def _meant(known: Sequence[KnownWeight], name: str, optional: bool) -> list[KnownWeight]:
    plugin, _, file = name.rpartition("/")
    if exact := [one for one in known if one.name == f"{short_name(plugin)}/{file}"]:
        return exact
    group = [one for one in known if short_name(name) == short_name(one.plugin) or name in one.stages]
    if group:
        return [one for one in group if optional or one.weight.required] or group
    files = [one for one in known if one.weight.file == name]
    if len(files) == 1:
        return files
    if files:
        raise UsageError(
            f"{name!r} is a file of {len(files)} plugins.",
            hint="say which: " + " or ".join(one.name for one in files),
        )
    names = {one.name for one in known} | {short_name(one.plugin) for one in known}
    names |= {one.weight.file for one in known} | {stage for one in known for stage in one.stages}
    raise UsageError(
        f"no weights are named {name!r}.",
        hint=f"{did_you_mean(name, names)}animegen weights list --all shows all",
    )
