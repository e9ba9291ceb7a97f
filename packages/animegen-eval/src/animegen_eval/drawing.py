"""Interpolators at work for an evaluation: between two true frames, as ``animegen run`` would use them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animegen.media import Panel, PanelPair
from animegen.pipeline.hashing import json_digest
from animegen.pipeline.job import Job
from animegen.pipeline.outputs import RestoredFrames
from animegen.pipeline.progress import Reporter
from animegen.pipeline.session import Session
from animegen.pipeline.store import DiskStore, MemoryStore, Store
from animegen.settings.layers import ConfigLayer
from animegen.settings.resolve import Choice, resolve_settings
from animegen.stages import InterpolatorSpec
from animegen_eval.drawn import Drawn, DrawnRecords, row
from animegen_eval.samples.pictures import Held, Made, Memory, Pictures

if TYPE_CHECKING:
    from animegen.media import Image
    from animegen.registry import Registry
    from animegen.weights.store import WeightStore

_ALONE = {"detector": "none", "inpainter": "none", "preprocessor": [], "upsampler": "none", "loop": False}


class Drawing:
    """One interpolator, with what it draws kept on disk.

    Args:
        name: As ``--interpolator`` has it.
        registry: What is installed.
        layers: Settings, weakest first; only options of the interpolator, device, dtype and seed matter.
        folder: Where frames are kept; None keeps those of this process in memory.
        memory: Where decoded clips are kept.
        weights: Where weights lie.

    Raises:
        UsageError: An unknown name or option.
        MissingError: Its weights or libraries are not here.
    """

    def __init__(
        self,
        name: str,
        registry: Registry,
        layers: Sequence[ConfigLayer],
        folder: Path | None,
        memory: Memory,
        weights: WeightStore,
    ) -> None:
        alone = ConfigLayer("evaluation", {"run": {**_ALONE, "interpolator": name, "size": "fit", "untrained": False}})
        kept = [replace(layer, tables=_only_interpolator(layer)) for layer in layers]
        self._settings = resolve_settings(registry, [*kept, alone])
        store: Store = MemoryStore() if folder is None else DiskStore(folder)
        self._session = Session(self._settings, store, weights=weights, reporter=Reporter())
        self._memory = memory
        self._alone = threading.Lock()
        self._records = DrawnRecords(None if folder is None else folder / "pairs")
        self._asked: dict[str, tuple[int, str, str]] = {}
        self._session.check(self._choice)

    @property
    def _choice(self) -> Choice:
        choice = self._settings.one("interpolator")
        assert choice is not None
        return choice

    @property
    def spec(self) -> InterpolatorSpec:
        """Its record."""
        spec = self._choice.stage.spec
        assert isinstance(spec, InterpolatorSpec)
        return spec

    @property
    def name(self) -> str:
        """What tables call it."""
        return self._choice.stage.name

    def identity(self) -> dict[str, object]:
        """What makes it draw what it draws."""
        return {**self._session.identity(self._choice), "seed": self._settings.run.values.seed}

    def between(self, ends: Pictures, count: int, *, title: str = "", clip: str = "") -> Pictures:
        """`count` frames, of which the first and the last are the two pictures of `ends`; drawn when asked for.

        Args:
            ends: The two pictures.
            count: Frames, ends included.
            title, clip: Where they come from, for `drawn`.
        """
        how = [json_digest(self.identity()), ends.digest]

        def draw() -> Iterator[Image]:
            first, last = ends
            run = self._settings.run
            fixed = self.spec.frames == count
            values = replace(run.values, frames=None if fixed else count)
            with self._alone:  # one model, one session
                self._session.settings = replace(self._settings, run=replace(run, values=values))
                job = Job(self._session, PanelPair(Panel(first), Panel(last)))
                job.interpolate()
                frames = RestoredFrames(job)
                step = job.records[-1]
                if made.digest not in self._records:
                    self._records.put(made.digest, Drawn(None if step.cached else step.seconds, tuple(step.warnings)))
            yield from frames

        made = Made(how, count, ends.size, draw)
        self._asked[made.digest] = count - 1, title, clip
        return Held(made, self._memory)

    def drawn(self, by: str = "config") -> list[dict[str, Any]]:
        """What drawing took and what was said: a line for each gap, and each title or clip where `by` says so."""
        lines: dict[tuple[int, str, str], list[Drawn]] = {}
        for key, (gap, title, clip) in self._asked.items():
            if (record := self._records.get(key)) is not None:
                line = gap, title if by != "config" else "", clip if by == "clip" else ""
                lines.setdefault(line, []).append(record)
        return [{"gap": gap, "title": title, "clip": clip, **row(pairs)} for (gap, title, clip), pairs in lines.items()]

    def close(self) -> None:
        """Let go of the stage."""
        self._session.close()


def _only_interpolator(layer: ConfigLayer) -> dict[str, dict[str, object]]:
    """A layer without the roles and options of a run that an evaluation sets itself."""
    tables = {name: dict(table) for name, table in layer.tables.items()}
    run = tables.get("run", {})
    tables["run"] = {name: run[name] for name in ("seed", "device", "dtype", "prompt") if name in run}
    return tables
