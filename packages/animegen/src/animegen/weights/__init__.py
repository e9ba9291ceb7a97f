"""Files of parameters: where they lie, whether they are what was published, how they get here."""

from __future__ import annotations

from animegen.weights.store import WeightStore

__all__ = ["WeightStore"]
