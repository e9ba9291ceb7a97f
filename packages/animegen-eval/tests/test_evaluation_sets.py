"""A set of clips against a set of real ones: floors, controls, what the real ones have against themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from animegen.errors import UsageError
from animegen_eval.evaluation import Evaluator, Request


@pytest.fixture
def folders(kit, save, tmp_path: Path):
    for number in range(4):
        save(kit.disc(5, way=10 + number), f"system/{number}")
        save(np.minimum(kit.disc(6, way=12 + number), 200), f"true/{number}")
    return tmp_path / "system", tmp_path / "true"


def test_small_sets_are_refused_with_the_reason(folders, registry):
    system, true = folders
    with pytest.raises(UsageError, match="fewer than 256 clips") as caught:
        Evaluator(Request((system,), "clip-set", truth=true), registry)
    assert "real 4, system 4" in caught.value.message
    assert "--force" in caught.value.hints[0]


def test_forced_they_are_measured_and_the_table_says_so(folders, registry, tmp_path):
    system, true = folders
    request = Request((system,), "clip-set", truth=true, force=True)
    with Evaluator(request, registry, out=tmp_path / "out") as evaluator:
        found = evaluator.run()
    assert any("biased upward" in note for note in found.facts["notes"])
    values = {(row.config, row.control): row.value for row in found.clips}
    assert None not in values.values()  # the metric's own floor is forced with it
    assert found.facts["metrics"][0]["options"] == {"force": True}
    assert {config for config, control in values if control} == {"crossfade", "cut", "freeze", "warp-blend", "real"}
    assert values["system", False] > 10 * values["real", True]  # the true ones are darker, all alike
    assert {row.clip for row in found.clips} == {"4 clips against 4", "2 clips against 2"}


def test_a_clip_metric_is_none_of_sets(folders, registry):
    system, true = folders
    with pytest.raises(UsageError, match="single clips"):
        Evaluator(Request((system,), "clip-set", metrics=("psnr",), truth=true, force=True), registry)
    with pytest.raises(UsageError, match="needs real clips"):
        Evaluator(Request((system,), "clip-set", force=True), registry)
