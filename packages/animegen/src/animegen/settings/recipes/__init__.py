"""Recipes: named settings in TOML files that anyone can write and share.

A recipe has a ``[recipe]`` table with a summary and the plugins it needs, and otherwise the tables of
``animegen.toml``. Shipped ones lie in the package; a user's own lie in ``recipes/`` beside ``animegen.toml`` or in
the user's configuration folder.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from animegen.errors import AnimeGenError, MissingError, UsageError, did_you_mean
from animegen.registry import Registry
from animegen.settings.layers import ConfigLayer, as_layer, find_file, read_toml
from animegen.settings.roles import ROLE_KINDS, ROLES

DEFAULT = "quick"
BEST = "animegen"


@dataclass(frozen=True)
class Recipe:
    """A recipe ready to use.

    Attributes:
        name: What users type after ``--recipe``.
        summary: One sentence.
        layer: Its settings.
        place: Where it was found, for ``animegen config``.
        plugins: Distributions whose stages it names.
    """

    name: str
    summary: str
    layer: ConfigLayer
    place: str
    plugins: tuple[str, ...] = ()

    def missing(self, registry: Registry) -> list[str]:
        """Those of its plugins that are not installed."""
        here = {row.name for row in registry.plugins}
        return [name for name in self.plugins if name not in here]

    def check(self, registry: Registry) -> None:
        """Raises MissingError, with the command that brings them, where plugins are not installed."""
        if missing := self.missing(registry):
            raise MissingError(
                f"the recipe {self.name} needs {' and '.join(missing)}, not installed here.",
                hint=f"python -m pip install {' '.join(missing)}",
            )


def folders() -> Iterator[Path]:
    """Where a user's own recipes may lie, the nearest first."""
    from platformdirs import user_config_path

    config = find_file()
    yield (config.parent if config else Path.cwd()) / "recipes"
    yield user_config_path("animegen") / "recipes"


def names() -> list[str]:
    """Every recipe that can be named."""
    own = {path.stem for folder in folders() if folder.is_dir() for path in folder.glob("*.toml")}
    shipped = {
        entry.name.removesuffix(".toml")
        for entry in resources.files("animegen.settings.recipes").iterdir()
        if entry.name.endswith(".toml")
    }
    return sorted(own | shipped)


def load(name: str) -> Recipe:
    """A recipe by name, or by the path of a file ending in ``.toml``.

    Raises:
        UsageError: No such recipe (with a near match), or it is malformed.
    """
    if name.endswith(".toml"):
        return _from_document(Path(name).stem, read_toml(Path(name)), name)
    for folder in folders():
        if (path := folder / f"{name}.toml").is_file():
            return _from_document(name, read_toml(path), str(path))
    shipped = resources.files("animegen.settings.recipes") / f"{name}.toml"
    if not shipped.is_file():
        raise UsageError(
            f"no recipe is named {name!r}.", hint=f"{did_you_mean(name, names())}Known: {', '.join(names())}."
        )
    return _from_document(name, tomllib.loads(shipped.read_text("utf-8")), "built in")


def _from_document(name: str, document: dict[str, object], place: str) -> Recipe:
    head = document.pop("recipe", {})
    head = head if isinstance(head, dict) else {}
    listed = head.get("plugins", [])
    plugins = tuple(map(str, listed)) if isinstance(listed, list) else ()
    return Recipe(name, str(head.get("summary", "")), as_layer(f"recipe {name}", document), place, plugins)


def best_available(registry: Registry) -> tuple[Recipe, str]:
    """The recipe of a run that names none, and why.

    The brief's own recipe is taken as soon as every stage it names is installed with its weights at hand;
    until then the built-in stages, which always work.
    """
    from animegen.weights.store import WeightStore

    best = load(BEST)
    missing = []
    store = WeightStore()
    for role in ROLES:
        asked = best.layer.tables["run"].get(role, "none")
        for name in asked if isinstance(asked, list) else [asked]:
            if name in ("none", "auto"):
                continue
            try:
                stage = registry.find(ROLE_KINDS[role], name)
            except AnimeGenError:
                missing.append(f"{name} is not installed")
                continue
            if not all(
                store.status(stage.plugin.name, weight).usable(weight)
                for weight in stage.spec.weights
                if weight.required
            ):
                missing.append(f"the weights of {name} are not here")
    if not missing:
        return best, "every stage of the full recipe is here"
    return load(DEFAULT), f"the stages that need no weights, as {missing[0]}"
