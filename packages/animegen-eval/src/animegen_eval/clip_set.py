"""A set of clips against a set of real ones: one number for both together (FVD, KVD).

Such numbers are biased upward by small sets, more than systems differ, so sets below a floor are refused. What the
real clips have against themselves, split in two, stands beside as ``real``: nothing smaller means anything.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from animegen.atomic import write_bytes
from animegen.errors import AnimeGenError, MissingError, StageError, UsageError
from animegen.measuring import Missing, Sample, Value
from animegen.pipeline.boundary import check_scores
from animegen.pipeline.hashing import json_digest
from animegen.pipeline.progress import Reporter
from animegen_eval.controls import REAL
from animegen_eval.items import Item, Shown, Variant, even_times
from animegen_eval.metrics import ChosenMetric, opened
from animegen_eval.profiles import Profile
from animegen_eval.rows import Row
from animegen_eval.samples.sources import Source
from animegen_eval.scoring import Failed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.weights.store import WeightStore

WHOLE_SET = (Variant("set", "set"),)


def refuse_small(profile: Profile, items: Sequence[Item], real: Sequence[Source], *, force: bool) -> str:
    """A note on small sets, or an empty string.

    Raises:
        UsageError: A set is below the profile's floor, and `force` is not set.
    """
    counts = {REAL: len(real)}
    for item in items:
        if not item.control:
            counts[item.config] = counts.get(item.config, 0) + 1
    small = {name: count for name, count in counts.items() if count < profile.least_clips}
    if not small:
        return ""
    told = ", ".join(f"{name} {count}" for name, count in small.items())
    text = f"sets of fewer than {profile.least_clips} clips ({told}) carry no such number: it is biased upward"
    if not force:
        raise UsageError(
            f"{text}.", hint="--force measures all the same, and the table says so; clip by clip is better"
        )
    return f"{text}; measured all the same (--force)"


class SetScorer:
    """Features clip by clip, kept by content, and distances between sets.

    Args:
        folder: Where features are kept; None keeps nothing.
        weights: Where weights lie.
        reporter: Told what happens.
    """

    def __init__(self, folder: Path | None, weights: WeightStore, reporter: Reporter) -> None:
        self._folder, self._weights, self._reporter = folder, weights, reporter
        self.missing: dict[str, MissingError] = {}

    def score(self, items: Sequence[Item], real: Sequence[Source], metrics: Sequence[ChosenMetric]) -> list[Row]:
        """A row for each quantity and system, control, and the real clips split in two."""
        rows: list[Row] = []
        for number, metric in enumerate(metrics, start=1):
            self._reporter.started(number, len(metrics), metric.stage.name, f"{len(items) + len(real)} clips")
            try:
                if (absent := metric.absent(self._weights)) is not None:
                    raise absent
                with opened(metric, self._weights, self._reporter) as (stage, _):
                    rows += self._rows(metric, stage, items, real)
            except MissingError as error:
                self.missing[metric.stage.name] = error
                for config, control in _configs(items):
                    rows += _as_rows(metric, config, control, 0, len(real), Missing(error.message))
        return rows

    def _rows(self, metric: ChosenMetric, stage: Any, items: Sequence[Item], real: Sequence[Source]) -> list[Row]:
        shown = [Shown(one.pictures, even_times(len(one.pictures)), prompt=one.prompt) for one in real]
        true = [self._features(metric, stage, one) for one in shown]
        sets = {key: [self._features(metric, stage, item.shown) for item in items if _key(item) == key]
                for key in _configs(items)}  # fmt: skip
        found: list[Row] = []
        for (config, control), features in sets.items():
            found += self._distance(metric, stage, config, control, features, true)
        return found + self._distance(metric, stage, REAL, True, true[::2], true[1::2])

    def _distance(
        self,
        metric: ChosenMetric,
        stage: Any,
        config: str,
        control: bool,
        one: Sequence[NDArray[np.float32]],
        other: Sequence[NDArray[np.float32]],
    ) -> list[Row]:
        answer: Any
        try:
            answer = check_scores(metric.stage.full_name, stage.distance(one, other), metric.spec.quantities, 1)
        except AnimeGenError as error:
            answer = Failed(error.message)
        except Exception as error:
            answer = Failed(f"{metric.stage.full_name} raised {type(error).__name__}: {error}")
        return _as_rows(metric, config, control, len(one), len(other), answer)

    def _features(self, metric: ChosenMetric, stage: Any, shown: Shown) -> NDArray[np.float32]:
        key = json_digest({"metric": metric.digest(self._weights), "over": "set", "shown": shown.digest})
        path = None if self._folder is None else self._folder / key[:2] / f"{key[2:]}.npy"
        if path is not None and (known := self._load(path)) is not None:
            return known
        features = stage.features(Sample(shown.frames.array(), shown.times, prompt=shown.prompt))
        if not isinstance(features, np.ndarray) or features.ndim != 2 or not np.isfinite(features).all():
            raise StageError(f"{metric.stage.full_name} gave no finite features (rows, dimensions) of a clip.")
        if path is not None:
            buffer = io.BytesIO()
            np.save(buffer, features.astype(np.float32), allow_pickle=False)
            write_bytes(path, buffer.getvalue())
        return features.astype(np.float32)

    def _load(self, path: Path) -> NDArray[np.float32] | None:
        try:
            features: NDArray[np.float32] = np.load(path, allow_pickle=False)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError) as error:
            self._reporter.warned(f"kept features are damaged and are measured again ({path.name}: {error})")
            return None
        return features


def _key(item: Item) -> tuple[str, bool]:
    return item.config, item.control


def _configs(items: Sequence[Item]) -> list[tuple[str, bool]]:
    return list(dict.fromkeys(_key(item) for item in items))


def _as_rows(
    metric: ChosenMetric, config: str, control: bool, count: int, real: int, answer: Missing | Mapping[str, Any]
) -> list[Row]:
    rows = []
    for quantity in metric.quantities.values():
        value: Value = answer if isinstance(answer, Missing) else answer[quantity.name]
        row = Row(
            run="", config=config, title="", clip=f"{count} clips against {real}", gap=None, control=control,
            metric=metric.stage.name, quantity=quantity.name, variant="set", scope="set", index=None, time=None,
            value=None, missing="", failed=False, unit=quantity.unit, better=quantity.better, stratum="", part=None,
            counts=True, steps=None,
        )  # fmt: skip
        if isinstance(value, Missing):
            rows.append(replace(row, missing=value.reason, failed=isinstance(value, Failed)))
        else:
            rows.append(replace(row, value=float(value)))
    return rows
