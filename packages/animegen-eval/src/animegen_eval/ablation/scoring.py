"""All cells scored like any other systems: same times, same panels, beside the same controls.

What a score is held against is the same in every cell, and was written into study.json before the first clip was made:
panels as drawn, never as some cell cleaned them; balloons left out in all cells, also where nothing removes them; for
style, panels without screentone in all cells where taking it away is a level of some factor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from animegen.pictures.sizing import plan_fit
from animegen.pipeline.pipeline import Pipeline
from animegen.pipeline.progress import Reporter
from animegen.pipeline.runfolder import CACHE
from animegen.settings.layers import ConfigLayer
from animegen_eval import two_panel
from animegen_eval.ablation.design import AblationDesign
from animegen_eval.ablation.work import Order, load_pair
from animegen_eval.cache import ScoreCache
from animegen_eval.facts import facts_of
from animegen_eval.metrics import choose_metrics
from animegen_eval.profiles import Profile, find_profile
from animegen_eval.rows import clip_rows, frame_rows
from animegen_eval.samples.pictures import ArrayPictures, Memory
from animegen_eval.samples.runs import run
from animegen_eval.samples.sources import Source
from animegen_eval.scoring import HELD, Scorer
from animegen_eval.summary import summarise
from animegen_eval.tables import Evaluation

if TYPE_CHECKING:
    from animegen.errors import MissingError
    from animegen.registry import Registry

PROFILE = "two-panel"
DESCREEN = "descreen"
STYLE = "style-"
"""How quantities of style begin, which may be held against panels without screentone."""


def profile(factor: int) -> Profile:
    """The profile of a study: clips between two panels, beside the baseline repeated as often as upsampling adds."""
    return replace(find_profile(PROFILE), repeat=max(2, factor))


def references(design: AblationDesign, factor: int) -> dict[str, Any]:
    """What scores are held against, fixed beforehand; for study.json."""
    stages = {
        name
        for factor in design.factors
        for level in factor.levels
        if factor.key == "preprocessor"
        for name in level.tables["run"]["preprocessor"]
    }
    toned = [name for name in sorted(stages) if name.rpartition(":")[2] == DESCREEN]
    return {
        "profile": PROFILE,
        "repeat": factor,
        "times": "those that all configurations of a pair share",
        "panels": "as drawn",
        "balloons": "left out in all configurations, by what looks at the panels (endpoints, transition, style)",
        "style": f"panels after {toned[0]}, in all configurations" if toned else "panels as drawn",
        "descreen": toned[0] if toned else None,
    }


def score(
    order: Order,
    pairs: Sequence[int],
    registry: Registry,
    *,
    metrics: Sequence[str] = (),
    layers: Sequence[ConfigLayer] = (),
    device: str = "auto",
    dtype: str = "auto",
    argv: Sequence[str] = (),
    reporter: Reporter | None = None,
) -> tuple[Evaluation, Mapping[str, MissingError]]:
    """Tables of all cells, and the metrics that cannot measure here.

    Args:
        order: The study; its clips are there.
        pairs: Numbers of the pairs that every cell has.
        registry: Metrics to choose from.
        metrics: Names of metrics or quantities; none for all that are installed.
        layers: Options of metrics.
        device, dtype: Handed to metrics with weights.
        argv: The command, for the record.
        reporter: Told what happens.

    Raises:
        AnimeGenError: A metric is unknown; clips cannot be compared; the disk is full.
    """
    told = reporter or Reporter()
    chosen = choose_metrics(registry, metrics, layers, device=device, dtype=dtype)
    style = [metric for metric in chosen if all(name.startswith(STYLE) for name in metric.quantities)]
    other = [metric for metric in chosen if metric not in style]
    memory = Memory(HELD)
    sources = [source for number in pairs for source in _of_pair(order, number, memory)]
    for text in dict.fromkeys(note for source in sources for note in source.notes):
        told.warned(text)
    fixed = order.study.fixed["references"]
    how = profile(fixed["repeat"])
    with Pipeline(layers=[*order.layers, order.cells[0].layer], out=order.out, registry=registry) as first:
        scorer = Scorer(ScoreCache(order.out / CACHE / "scores", told.warned), first.weights, told)
        scores = list(scorer.score(list(two_panel.items(how, sources, {}, told.warned, memory)), other))
        if style:
            held = _untoned(order, sources, first, fixed["descreen"]) if fixed["descreen"] else sources
            scores += scorer.score(list(two_panel.items(how, held, {}, told.warned, memory)), style)
        clips = clip_rows(scores)
        facts = {
            **facts_of(how, chosen, sources, clips, weights=first.weights, missing=scorer.missing, notes=(), argv=argv),
            "study": str(order.study.folder),
            "references": fixed,
        }
    frames = tuple(row for one in scores for row in frame_rows(one))
    return Evaluation(frames, tuple(clips), summarise(clips, how), facts), dict(scorer.missing)


def _of_pair(order: Order, number: int, memory: Memory) -> list[Source]:
    """The clips of a pair, one a cell."""
    pair = order.pairs[number]
    found = []
    for cell in order.cells:
        source = run(order.study.clip(cell.code, number, pair.id), memory)
        assert source is not None, "an unfinished run is an error there"
        found.append(replace(source, config=cell.code, name=pair.id, title=pair.title))
    return found


def _untoned(order: Order, sources: Sequence[Source], first: Pipeline, stage: str) -> list[Source]:
    """The same clips held against panels without screentone."""
    layer = ConfigLayer("reference", {"run": {"inpainter": "none", "preprocessor": [stage]}})
    pipeline = Pipeline(layers=[*order.layers, order.cells[0].layer, layer], beside=first)
    numbers = {pair.id: number for number, pair in enumerate(order.pairs)}
    panels: dict[str, ArrayPictures] = {}
    for source in sources:
        if source.name in panels:
            continue
        strip, _ = load_pair(order.pairs[numbers[source.name]], pipeline.settings.run.values.max_pixels)
        job = pipeline.job(strip)
        job.take("preprocess")
        sizes = [(image.shape[1], image.shape[0]) for image in job.images]
        mode = "crop" if pipeline.settings.run.values.size == "crop" else source.pictures.size
        fitted = [plan_fit(sizes[0], own, mode=mode).apply(i, 1) for own, i in zip(sizes, job.images, strict=True)]
        panels[source.name] = ArrayPictures(np.ascontiguousarray(np.stack(fitted)))
    return [replace(source, panels=panels[source.name]) for source in sources]
