"""The plugins of this environment as the user's settings want them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from animegen.registry import Registry
from animegen.settings.layers import file_layer, plugins_off

if TYPE_CHECKING:
    from animegen.weights.names import KnownWeight


def installed() -> Registry:
    """Every plugin that is installed, less those of ``[plugins] off``.

    Raises:
        UsageError: The settings file is malformed.
    """
    return Registry(off=plugins_off(file_layer()))


def known(registry: Registry | None = None) -> tuple[KnownWeight, ...]:
    """Every file of weights that an installed stage can load."""
    from animegen.weights.names import known_weights

    registry = registry or installed()
    return known_weights((stage.plugin.name, stage.spec) for stage in registry.stages())
