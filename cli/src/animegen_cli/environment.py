"""The plugins of this environment as the user's settings want them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from animegen.config import file_layer
from animegen.errors import UsageError, did_you_mean
from animegen.registry import Registry

if TYPE_CHECKING:
    from animegen.weights_names import KnownWeight

_TABLE = "plugins"
_KEYS = ("off",)


def installed() -> Registry:
    """Every plugin that is installed, less those of ``[plugins] off``.

    Raises:
        UsageError: The settings file is malformed.
    """
    layer = file_layer()
    table = layer.tables.get(_TABLE, {}) if layer else {}
    for key in table:
        if key not in _KEYS:
            assert layer is not None
            raise UsageError(
                f"unknown option {_TABLE}.{key} (from {layer.source}).",
                hint=f'{did_you_mean(key, _KEYS)}for example: [{_TABLE}] off = ["rife"]',
            )
    off = table.get("off", [])
    return Registry(off=[off] if isinstance(off, str) else map(str, off))


def known(registry: Registry | None = None) -> tuple[KnownWeight, ...]:
    """Every file of weights that an installed stage can load."""
    from animegen.weights_names import known_weights

    registry = registry or installed()
    return known_weights((stage.plugin.name, stage.spec) for stage in registry.stages())
