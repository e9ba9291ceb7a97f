"""What the plugin says of itself, and the contract of stages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import animegen
import animegen_eisai.plugin
from animegen.errors import MissingError, UsageError
from animegen.media import PanelPair
from animegen.options import Layer, resolve
from animegen_eisai.plugin import EisaiOptions, animegen_interpolators

SPEC = animegen_interpolators()[0]


def test_every_record_says_where_its_file_is_and_under_which_terms() -> None:
    assert [weight.file for weight in SPEC.weights] == [
        "eisai_ssl.pt",
        "eisai_dtm.pt",
        "eisai_anime_interp_full.ckpt",
    ]
    for weight in SPEC.weights:
        assert "licence" in weight.license and weight.purpose
        assert len(weight.urls) == 2 and all(url.endswith(weight.file) for url in weight.urls)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, ["eisai_ssl.pt", "eisai_dtm.pt", "eisai_anime_interp_full.ckpt"]),
        ({"refine": False}, ["eisai_ssl.pt", "eisai_anime_interp_full.ckpt"]),
        ({"ssl_file": "a", "dtm_file": "b"}, ["eisai_anime_interp_full.ckpt"]),
        ({"ssl_file": "a", "dtm_file": "b", "flow_file": "c"}, []),
    ],
)
def test_only_the_files_that_are_used_are_asked_for(options: dict[str, Any], wanted: list[str]) -> None:
    assert [weight.file for weight in SPEC.weights_for(EisaiOptions(**options))] == wanted


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"size": "540p"}, "fitted, own or published"),
        ({"iterations": 0}, "1 .. 64"),
        ({"headroom": 0.5}, "0 .. 0.3"),
    ],
)
def test_options_out_of_range_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(EisaiOptions, [Layer("test", given)], name="eisai")
    assert says in caught.value.message


def test_without_its_files_a_run_stops_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_pair: PanelPair
) -> None:
    pytest.importorskip("torch")
    for name in ("ANIMEGEN_HOME", "ANIMEGEN_WEIGHTS"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    with pytest.raises(MissingError) as caught:
        animegen.run(tiny_pair.first.image, tiny_pair.last.image, interpolator="eisai", out=tmp_path / "out")
    assert "eisai_" in caught.value.message
    assert any("animegen weights fetch eisai" in hint for hint in caught.value.hints)


def test_contract(stage_contract: Callable[..., Any], files: dict[str, Path]) -> None:
    findings = stage_contract(
        animegen_eisai.plugin,
        weights=files,
        options={"eisai": {"size": "own", "iterations": 1}},
        untrained={"eisai": (64, 64)},
    )
    mine = [finding for finding in findings if finding.level != "skipped"]
    assert {finding.level for finding in mine} == {"ok"}
    assert {"absent weights", "one time", "smallest size", "untrained"} <= {finding.check for finding in mine}
