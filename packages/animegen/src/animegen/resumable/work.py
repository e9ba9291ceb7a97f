"""The stage that does long work: looked over, opened, and asked what it would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from animegen.errors import InputError
from animegen.pipeline.progress import Reporter
from animegen.pipeline.session import StageContext, blame, check_files, weight_digests
from animegen.registry import check_libraries, import_target
from animegen.resumable.record import identity
from animegen.resumable.settings import WorkSettings
from animegen.settings.resolve import Choice
from animegen.weights.store import WeightStore


class Work:
    """A stage, its settings and its material.

    Args:
        settings: What to do.
        material: What to do it with.
        reporter: Told what happens.
        weights: Where weights lie.

    Attributes:
        stage: The stage itself, once it has been asked for its plan.

    Raises:
        InputError: Some of the material is not there.
    """

    def __init__(
        self,
        settings: WorkSettings[Any],
        material: Sequence[Path],
        reporter: Reporter | None = None,
        weights: WeightStore | None = None,
    ) -> None:
        for path in material:
            if not path.exists():
                raise InputError(f"{path} is not here.", hint=f"MATERIAL is {settings.spec.material}")
        self.settings = settings
        self.reporter = reporter or Reporter()
        self.stage: Any = None
        self._weights = weights or WeightStore()
        role: Any = settings.kind.stage  # no place in a run, but it is named as one
        self._choice = Choice(role, settings.stage, settings.options, "command line")
        self._context = StageContext(
            settings.stage, settings.devices, settings.values.dtype, self._weights, self.reporter
        )

    @property
    def warnings(self) -> list[str]:
        """What the stage has warned of so far."""
        return self._context.warnings

    def check(self) -> None:
        """Whether the stage could be opened. Raises MissingError for a library, InputError for a file of an option."""
        check_libraries(self.settings.stage)
        check_files(self._choice)

    def plan(self, material: Any, order: Any) -> Any:
        """What the stage says, which is made now; nothing large is loaded.

        Raises:
            MissingError: A file of weights is not here.
            AnimeGenError: Whatever the stage refuses.
        """
        make = import_target(self.settings.stage)
        with self.blame():
            self.stage = make(self.settings.options.values, self._context)
            plan = self.stage.plan(material, order)
        for weight in self.settings.spec.weights_for(self.settings.options.values):
            self._weights.path(self.settings.stage.plugin.name, weight)
        return plan

    def identity(self, material: Mapping[str, str] | None = None) -> dict[str, Any]:
        """See `animegen.resumable.record.identity`."""
        return identity(self.settings, weight_digests(self._choice, self._weights), material)

    def blame(self) -> AbstractContextManager[None]:
        """Whatever the stage raises names it; see `animegen.pipeline.session.blame`."""
        return blame(self._choice, smaller=self.settings.kind.smaller)
