"""One benchmark per stage kind, over every stage that is installed and has its weights: ``nox -s bench``.

Everything runs on the bundled pair at 512 × 320, so that figures of stages of one kind can be compared in one
run; screentone removal is also timed on a page of 1170 × 1654.
"""

from __future__ import annotations

import numpy as np
import pytest

from animegen._cv2 import cv2
from animegen.errors import AnimeGenError
from animegen.measuring import Sample
from animegen.media import union_mask
from animegen.options import resolve
from animegen.pictures.sample import sample_pair
from animegen.pipeline.progress import Reporter
from animegen.pipeline.session import StageContext
from animegen.registry import Registry, Stage, import_target
from animegen.weights.store import WeightStore

WIDTH, HEIGHT = 512, 320
PAGE_WIDTH, PAGE_HEIGHT = 1170, 1654
TIMES = tuple(step / 8 for step in range(1, 8))

REGISTRY = Registry()


def stages(kind):
    return pytest.mark.parametrize("stage", list(REGISTRY.stages(kind)), ids=lambda stage: stage.name)


def opened(stage: Stage):
    try:
        target = import_target(stage)
        context = StageContext(stage, ("auto",), "auto", WeightStore(), Reporter())
        for weight in stage.spec.weights:
            if weight.required:
                context.weight(weight.file)
        return target(resolve(stage.spec.options).values, context)
    except AnimeGenError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def pair():
    return [
        cv2.resize(panel.image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        for panel in (sample_pair().first, sample_pair().last)
    ]


@pytest.fixture(scope="module")
def page():
    """The sample panel laid out again and again: line art and screentone all over a page."""
    panel = sample_pair().first.image
    down, across = -(-PAGE_HEIGHT // panel.shape[0]), -(-PAGE_WIDTH // panel.shape[1])
    return np.ascontiguousarray(np.tile(panel, (down, across, 1))[:PAGE_HEIGHT, :PAGE_WIDTH])


@stages("detector")
def test_detector(benchmark, stage, page):
    benchmark.extra_info["size"] = f"{PAGE_WIDTH}x{PAGE_HEIGHT}"
    benchmark.pedantic(opened(stage), args=(page,), rounds=3, warmup_rounds=1)


@stages("inpainter")
def test_inpainter(benchmark, stage, pair):
    panel = sample_pair().first
    regions = _balloons(panel)
    mask = union_mask(regions, *panel.image.shape[:2])
    mask = cv2.resize(mask.astype(np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST).astype(bool)
    benchmark.extra_info["masked"] = f"{mask.mean():.1%}"
    benchmark.pedantic(opened(stage), args=(pair[0], mask), rounds=5, warmup_rounds=1)


def _balloons(panel):
    stage = opened(REGISTRY.find("detector", "balloons"))
    return stage(panel.image, panel.text_boxes)


@stages("preprocessor")
def test_preprocessor(benchmark, stage, pair):
    benchmark.pedantic(opened(stage), args=(pair[0],), rounds=5, warmup_rounds=1)


@stages("preprocessor")
def test_preprocessor_on_a_page(benchmark, stage, page):
    benchmark.extra_info["size"] = f"{PAGE_WIDTH}x{PAGE_HEIGHT}"
    benchmark.pedantic(opened(stage), args=(page,), rounds=3, warmup_rounds=1)


@stages("interpolator")
def test_interpolator(benchmark, stage, pair):
    times = TIMES if stage.spec.frames is None else np.linspace(0, 1, stage.spec.frames).tolist()
    benchmark.extra_info["frames"] = len(times)
    benchmark.pedantic(opened(stage), args=(*pair, times), rounds=3, warmup_rounds=1)


@stages("metric")
def test_metric(benchmark, stage, pair):
    count = 9  # what the metrics of sets need at least
    frames, reference = (np.stack([panel] * count) for panel in pair)
    sample = Sample(frames, np.linspace(0, 1, count), reference, np.stack(pair), prompt="a pair of panels")
    metric = opened(stage)
    benchmark.extra_info["frames"] = count
    call = metric.features if stage.spec.over == "set" else metric
    benchmark.pedantic(call, args=(sample,), rounds=3, warmup_rounds=1)
