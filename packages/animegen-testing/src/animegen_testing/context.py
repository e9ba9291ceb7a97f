"""What a stage is lent, and where its weights lie, without a pipeline."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from animegen.errors import MissingError, StageError
from animegen.weights.store import WeightStore

if TYPE_CHECKING:
    from animegen.stages import Weight


@dataclass
class FakeContext:
    """An `animegen.stages.Context` that remembers what a stage says.

    Attributes:
        weights: Path of each file by its name.
        devices: As a user would allow them.
        dtype: ``auto``, ``float32``, ``float16`` or ``bfloat16``.
        untrained: As with ``--untrained``; then no weight is given.
        warnings: Every message of `warn`.
        progress_calls: Every (done, total, unit) of `progress`.
    """

    weights: Mapping[str, Path] = field(default_factory=dict)
    devices: tuple[str, ...] = ("cpu",)
    dtype: str = "auto"
    untrained: bool = False
    warnings: list[str] = field(default_factory=list)
    progress_calls: list[tuple[int, int, str]] = field(default_factory=list)

    def weight(self, file: str) -> Path:
        if self.untrained:
            raise StageError(f"{file} was asked for, but the stage runs untrained, without weights.")
        if file in self.weights:
            return Path(self.weights[file])
        raise MissingError(f"{file} is not here.", hint=f"animegen weights fetch {file}")

    def progress(self, done: int, total: int, unit: str = "steps") -> None:
        self.progress_calls.append((done, total, unit))

    def warn(self, message: str) -> None:
        self.warnings.append(message)


class GivenWeights(WeightStore):
    """A store that holds just the files given, whatever their digests, and never looks at the user's own."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        super().__init__(Path(tempfile.gettempdir()) / "animegen-testing-holds-nothing", environ={}, offline=True)
        self._files = files

    def path(self, plugin: str, weight: Weight) -> Path:
        if weight.file in self._files:
            return Path(self._files[weight.file])
        return super().path(plugin, weight)
