"""ATD-12K: scores that others published stand apart from ours, in the summary and in a report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from animegen_eval import published
from animegen_eval.profiles import find_profile
from animegen_eval.report import datasets
from animegen_eval.report.evaluations import read_evaluation
from animegen_eval.samples.sources import Source
from animegen_eval.tables import Evaluation


def test_published_scores_stand_apart_with_their_source_and_rank_nothing(
    dataset: Path, evaluate: Callable[..., Evaluation], tmp_path: Path, atd: Any
) -> None:
    evaluation = evaluate(dataset)
    systems = {one.config for one in evaluation.summary.figures}
    assert not systems & {score.system for score in published.ATD12K}
    ranks = {atd.figure(evaluation, "psnr", name).rank for name in ("flow", "crossfade")}
    assert ranks <= {None, 1, 2}
    written = json.loads((tmp_path / "out" / "summary.json").read_text())["published"]
    assert len(written["scores"]) == len(published.ATD12K)
    assert all(score["source"] and score["printed"] and not score["comparable"] for score in written["scores"])
    assert any("4 triplets, not the 2000" in text for text in written["differs"])
    assert any(quirk.startswith("ssim-atd12k") for quirk in written["quirks"])


def test_a_report_has_subsets_and_apart_from_them_what_was_published(
    dataset: Path, evaluate: Callable[..., Evaluation], tmp_path: Path, atd: Any
) -> None:
    evaluation = evaluate(dataset)
    material = read_evaluation(tmp_path / "out")
    whole, region = datasets.subset_tables(material)
    lines = [(row[0].text, row[1].text, row[2].text) for row in whole.rows]
    counts = {"all": 4, "east": 2, "west": 2, "easy": 1, "medium": 2, "hard": 1}
    assert lines == [(name, config, str(n)) for name, n in counts.items() for config in ("flow", "crossfade")]
    psnr = [column.name for column in whole.columns].index("psnr")
    assert whole.rows[3][psnr].sort == atd.figure(evaluation, "psnr", "crossfade", "east").mean
    assert [column.name for column in region.columns] == ["subset", "system", "N", "psnr", "ssim-atd12k"]
    table = datasets.published_table(material)
    assert table is not None and {row[0].text for row in table.rows} == {"EISAI", "GMFSS"}
    assert all("not comparable" in row[4].text for row in table.rows)
    assert any("4 triplets" in text for text in datasets.published_notes(material))


def test_only_the_whole_test_part_at_its_size_may_stand_beside_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Frames:
        size = (960, 540)

    def sources(count: int, config: str = "test_2k_540p") -> list[Source]:
        return [Source(f"Japan_{number}", config, "", Frames()) for number in range(count)]  # type: ignore[arg-type]

    told = published.facts(sources(2000))
    assert not told["differs"]
    assert {score["system"] for score in told["scores"] if score["comparable"]} == {"EISAI"}
    assert published.differences(sources(1999)) and published.differences(sources(2000, "train_10k"))
    Frames.size = (480, 270)
    assert published.differences(sources(2000)) == ["not all are of 960 × 540"]


def test_published_numbers_are_as_printed() -> None:
    for score in published.ATD12K:
        printed = float(score.printed.split()[0]) / (100 if "× 100" in score.printed else 1)
        assert score.value == pytest.approx(printed, rel=1e-9)
    quantities = set(find_profile("atd12k").quantities)
    assert all(score.quantity in quantities for score in published.ATD12K if not score.differs)
