"""Records that every analysis shares, and their form as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import TypeAlias

import numpy as np

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


@dataclass(frozen=True)
class Interval:
    """Where a value lies, with a stated confidence.

    Attributes:
        low: Lower end.
        high: Upper end.
        level: Confidence, in (0, 1).
        method: How it was made: ``percentile``, ``bca``, ``t``, ``clopper-pearson``, ``wilson`` ...
        over: What was drawn again, e.g. ``pairs``, ``titles``, ``raters``; empty where nothing was.
        draws: Number of draws; 0 where nothing was drawn.
        seed: Of PCG64; None where nothing was drawn.
    """

    low: float
    high: float
    level: float = 0.95
    method: str = ""
    over: str = ""
    draws: int = 0
    seed: int | None = None

    def excludes(self, value: float = 0.0) -> bool:
        """Whether the value lies outside."""
        return not self.low <= value <= self.high


@dataclass(frozen=True)
class Resampling:
    """Everything random in an analysis, so that a reader can draw the same again.

    Attributes:
        draws: Number of draws of every kind, at least 100.
        level: Confidence of the intervals.
        seed: Percentile bootstrap over pairs.
        bca_seed: BCa bootstrap over pairs.
        flip_seed: Sign flips.
        title_seed: Bootstrap over titles.
    """

    draws: int = 5000
    level: float = 0.95
    seed: int = 12345
    bca_seed: int = 999
    flip_seed: int = 777
    title_seed: int = 54321

    def __post_init__(self) -> None:
        if self.draws < 100:
            raise ValueError(f"{self.draws} draws cannot carry a 95 % interval; at least 100")
        if not 0 < self.level < 1:
            raise ValueError(f"a confidence of {self.level} is not between 0 and 1")


@dataclass(frozen=True)
class Dropped:
    """A unit that an analysis left out.

    Attributes:
        unit: Name of the pair or clip.
        reason: Why, in a few words.
    """

    unit: str
    reason: str


def plain(value: object) -> Json:
    """A result as JSON holds it.

    Dataclasses become objects, tuples become arrays, infinities become ``"inf"`` and ``"-inf"`` (JSON has none).

    Raises:
        ValueError: A NaN: no result here may hold one.
        TypeError: Something that is no part of a result.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if math.isnan(value):
            raise ValueError("a result holds NaN")
        return value if math.isfinite(value) else str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} is no part of a result")
