"""The plugins of this environment as the user's settings want them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from animegen.errors import AnimeGenError
from animegen.registry import Registry
from animegen.settings.layers import file_layer, plugins_off
from animegen.stages import OFFERED

if TYPE_CHECKING:
    from animegen.weights.names import KnownWeight


def installed() -> Registry:
    """Every plugin that is installed, less those of ``[plugins] off``.

    Raises:
        UsageError: The settings file is malformed.
    """
    return Registry(off=plugins_off(file_layer()))


def known(registry: Registry | None = None) -> tuple[KnownWeight, ...]:
    """Every file of weights that an installed stage, trainer or maker of datasets can load."""
    from animegen.weights.names import known_weights

    registry = registry or installed()
    return known_weights((stage.plugin.name, stage.spec) for kind in OFFERED for stage in registry.stages(kind))


def loaded(registry: Registry, note: Callable[[str], None]) -> set[tuple[str, str]]:
    """(distribution, file) of the weights that stages load with the settings of this place, else by default.

    Args:
        registry: The stages.
        note: Told where settings are wrong and defaults are taken in their place.
    """
    from animegen.options import Layer, resolve
    from animegen.settings.recipes import best_available
    from animegen.settings.resolve import layers_here, resolve_settings

    try:
        here = layers_here(registry, {})
        settings = resolve_settings(registry, [best_available(registry)[0].layer, *here])
    except AnimeGenError as error:
        note(f"settings are left out here: {error.message}")
        here, settings = [], None
    options = [(choice.stage, choice.options.values) for choice in (settings.taking_part if settings else ())]
    in_use = [stage for stage, _ in options]
    for stage in registry.stages():
        if stage.spec.weights and stage not in in_use:
            own = [Layer(layer.source, layer.tables.get(stage.name, {})) for layer in here]
            try:
                options.append((stage, resolve(stage.spec.options, own, name=stage.name).values))
            except AnimeGenError as error:
                note(f"settings of {stage.name} are left out here: {error.message}")
                options.append((stage, stage.spec.options()))
    return {(stage.plugin.name, weight.file) for stage, values in options for weight in stage.spec.weights_for(values)}
