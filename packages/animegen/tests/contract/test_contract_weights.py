"""What the contract asks of weights and records: absent files are named, records hold what fetching needs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from animegen import Needs, Weight
from animegen.contract import Finding, check_stage, failed
from animegen.errors import MissingError
from animegen.registry import Stage
from animegen.weights.store import WeightStore

Make = Callable[..., Stage]
Read = Callable[[list[Finding]], dict[str, str]]


CONTENT = b"parameters"
WEIGHT = Weight("model.bin", ("https://example.org/model.bin",), "MIT", sha256=hashlib.sha256(CONTENT).hexdigest())


class Weighted:
    """Reads its weight when it is made."""

    def __init__(self, options: Any, context: Any) -> None:
        assert context.weight("model.bin").read_bytes() == CONTENT

    def __call__(self, image: Any) -> Any:
        return image.copy()


def test_absent_weights_are_named_with_the_command_and_the_rest_is_skipped(
    tmp_path: Path, stage_of: Make, levels: Read
) -> None:
    stage = stage_of("preprocessor", made=Weighted, weights=(WEIGHT,))
    store = WeightStore(tmp_path, environ={}, offline=True)
    findings = check_stage(stage, weights=store)
    assert not failed(findings)
    assert levels(findings)["absent weights"] == "ok"
    assert (findings[-1].level, findings[-1].check) == ("skipped", "run")
    assert "animegen weights fetch acme" in findings[-1].message
    source = tmp_path / "mine.bin"
    source.write_bytes(CONTENT)
    store.fetch("acme", WEIGHT, source_file=source)
    assert levels(check_stage(stage, weights=store))["shape"] == "ok"


def test_a_stage_that_runs_without_its_weights_is_an_error(tmp_path: Path, stage_of: Make, errors: Read) -> None:
    store = WeightStore(tmp_path, environ={}, offline=True)
    stage = stage_of("preprocessor", lambda image: image.copy(), weights=(WEIGHT,))
    assert "must never do that" in errors(check_stage(stage, weights=store))["absent weights"]

    def hides(image: Any) -> Any:
        raise RuntimeError("cannot open model.bin")

    stage = stage_of("preprocessor", hides, weights=(WEIGHT,))
    assert "let the MissingError" in errors(check_stage(stage, weights=store))["absent weights"]

    def unhelpful(image: Any) -> Any:
        raise MissingError("model.bin is not here.")

    stage = stage_of("preprocessor", unhelpful, weights=(WEIGHT,))
    assert "without the command" in errors(check_stage(stage, weights=store))["absent weights"]


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (replace(WEIGHT, urls=("http://example.org/x",)), "only https:// and hf://"),
        (replace(WEIGHT, urls=("hf://owner/name/x",)), "without @REVISION"),
        (replace(WEIGHT, license=" "), "names no licence"),
        (replace(WEIGHT, sha256="A" * 64), "SHA-256"),
        (replace(WEIGHT, md5="12"), "MD5"),
        (replace(WEIGHT, size=0), "size"),
    ],
)
def test_a_weight_that_could_not_be_fetched_or_known_again_is_told(
    weight: Weight, words: str, stage_of: Make, errors: Read
) -> None:
    assert words in errors(check_stage(stage_of("preprocessor", weights=(weight,))))["record"]


def test_records_that_contradict_themselves_are_told(stage_of: Make, errors: Read) -> None:
    assert "at least 2" in errors(check_stage(stage_of("interpolator", frames=1)))["record"]
    needs = Needs(multiple_of=8, size=(510, 320))
    assert "multiples of 8" in errors(check_stage(stage_of("interpolator", needs=needs)))["record"]
    twice = (WEIGHT, WEIGHT)
    assert "two of its weights" in errors(check_stage(stage_of("inpainter", weights=twice)))["record"]
