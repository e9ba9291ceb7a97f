"""What the plugin says of itself: its record, its options, the published files, its plan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import animegen
import animegen_film.plugin
from animegen.errors import MissingError, ResourceError, UsageError
from animegen.media import PanelPair
from animegen.options import Layer, resolve
from animegen_film.plan import plan
from animegen_film.plugin import FilmOptions, animegen_interpolators

SPEC = animegen_interpolators()[0]


def test_it_makes_any_time() -> None:
    assert SPEC.frames is None and not SPEC.carries_alpha and SPEC.untrained


def test_every_record_says_where_its_file_is_and_under_which_terms() -> None:
    for weight in SPEC.weights:
        assert weight.license == "Apache-2.0" and weight.purpose
        assert weight.urls and all(url.startswith(("https://github.com/", "hf://")) for url in weight.urls)
    assert [weight.file for weight in SPEC.weights if weight.required] == ["film_net_fp16.safetensors"]


@pytest.mark.parametrize(
    ("given", "files"),
    [
        ({}, ["film_net_fp16.safetensors"]),
        ({"weights": "fp32"}, ["film_net_fp32.pt"]),
        ({"weights": "fp16-port"}, ["film_net_fp16.pt"]),
        ({"file": "mine.pt"}, []),
    ],
)
def test_one_file_is_chosen(given: dict[str, Any], files: list[str]) -> None:
    assert [weight.file for weight in SPEC.weights_for(FilmOptions(**given))] == files


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"tile": 200}, "multiples of 64"),
        ({"tile": 64}, "128 .. 8192"),
        ({"tile": 128, "overlap": 128}, "tiles are 128"),
        ({"times": "halves"}, "recursion, original or direct"),
        ({"weights": "style"}, "fp16, fp32 or fp16-port"),
    ],
)
def test_options_that_cannot_be_fulfilled_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(FilmOptions, [Layer("test", given)], name="film")
    assert says in caught.value.message


def test_the_plan_says_what_is_needed(stage_context: Callable[..., Any]) -> None:
    context = stage_context(dtype="float32")
    whole = plan(FilmOptions(), context, size=(1080, 1920), frames=9)
    tiles = plan(FilmOptions(tile=512), context, size=(1080, 1920), frames=9)
    half = plan(FilmOptions(), stage_context(dtype="bfloat16"), size=(1080, 1920), frames=9)
    assert whole.summary == "recursion, float32 on cpu" and "tiles of 512" in tiles.summary
    assert [demand.device for demand in whole.demands] == ["cpu"]
    assert tiles.demands[0].need < whole.demands[0].need / 3 and half.demands[0].need < 0.6 * whole.demands[0].need
    assert whole.hint == "-o film.tile=512" and tiles.hint == "-o film.tile=256"
    assert not plan(FilmOptions(tile=256), context, size=(1080, 1920), frames=9).hint


def test_too_little_memory_is_told_before_anything_is_loaded(
    tmp_path: Path, tiny_pair: PanelPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("animegen_film.plan.free_memory", lambda device: 1 << 20)
    with pytest.raises(ResourceError) as caught:
        animegen.run(
            tiny_pair.first.image, tiny_pair.last.image, interpolator="film", untrained=True, out=tmp_path / "out"
        )
    assert "film" in caught.value.message
    assert any("film.tile=512" in hint for hint in caught.value.hints)


def test_without_its_file_a_run_stops_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_pair: PanelPair
) -> None:
    for name in ("ANIMEGEN_HOME", "ANIMEGEN_WEIGHTS"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    with pytest.raises(MissingError) as caught:
        animegen.run(tiny_pair.first.image, tiny_pair.last.image, interpolator="film", out=tmp_path / "out")
    assert "film_net_fp16.safetensors" in caught.value.message
    assert "animegen weights fetch film" in caught.value.hints


@pytest.mark.usefixtures("made")  # with it a stage takes files of the small network
def test_contract_with_a_small_network(stage_contract: Callable[..., Any], small_file: Path) -> None:
    findings = stage_contract(animegen_film.plugin, options={"film": {"file": str(small_file)}})
    # Random parameters are those of the whole network, which the slow test tries.
    assert {finding.level for finding in findings if finding.check != "untrained"} == {"ok"}
    assert {"one time", "seen before"} <= {finding.check for finding in findings}


@pytest.mark.slow
def test_contract(stage_contract: Callable[..., Any], published: Path) -> None:
    findings = stage_contract(
        animegen_film.plugin,
        weights={"film_net_fp16.safetensors": published},
        untrained={"film": (48, 64)},
    )
    assert {finding.level for finding in findings} == {"ok"}
    assert {"absent weights", "one time", "smallest size"} <= {finding.check for finding in findings}
