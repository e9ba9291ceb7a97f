"""What the plugin says of itself: its record, its options, the published files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import animegen
import animegen_rife.plugin
from animegen.errors import MissingError, UsageError
from animegen.media import PanelPair
from animegen.options import Layer, resolve
from animegen_rife.plugin import RifeOptions, animegen_interpolators
from animegen_rife.weights import PICKLES, PREFERRED, VERSIONS

SPEC = animegen_interpolators()[0]


def test_it_makes_any_time_and_carries_alpha() -> None:
    assert SPEC.frames is None
    assert SPEC.carries_alpha


def test_every_published_version_can_be_chosen_and_has_a_file_of_its_own() -> None:
    files = {weight.file for weight in SPEC.weights}
    assert len(VERSIONS) == 36
    chosen = {version: SPEC.weights_for(RifeOptions(model=version)) for version in VERSIONS}
    assert all(len(weights) == 1 for weights in chosen.values())
    assert len({weights[0].file for weights in chosen.values()}) == 36
    assert {f"flownet_v{version}.pkl" for version in VERSIONS} <= files


def test_every_record_says_where_its_file_is_and_under_which_terms() -> None:
    for weight in SPEC.weights:
        assert weight.license == "MIT"
        assert weight.purpose
        assert all(url.startswith(("https://github.com/", "hf://")) for url in weight.urls) and weight.urls
    for version, weight in PICKLES.items():
        assert weight.urls == (f"https://github.com/HolyWu/vs-rife/releases/download/model/flownet_v{version}.pkl",)


def test_only_the_default_is_required() -> None:
    assert [weight.file for weight in SPEC.weights if weight.required] == ["rife_v4.25.safetensors"]
    assert [weight.file for weight in SPEC.weights_for(RifeOptions())] == ["rife_v4.25.safetensors"]


def test_a_file_with_a_digest_is_preferred_to_one_without() -> None:
    for version in VERSIONS:
        assert PREFERRED[version].sha256 is not None or PICKLES[version].sha256 is None
    assert SPEC.weights_for(RifeOptions(model="4.26"))[0].file == "rife_v4.26.safetensors"
    assert SPEC.weights_for(RifeOptions(model="4.26", source="vs-rife"))[0].file == "flownet_v4.26.pkl"
    assert SPEC.weights_for(RifeOptions(model="4.6"))[0].file == "flownet_v4.6.pkl"


def test_a_file_of_the_users_own_needs_no_published_one() -> None:
    assert SPEC.weights_for(RifeOptions(file="mine.pkl")) == ()
    assert SPEC.weights_for(RifeOptions(file="mine.pkl", model="4.6")) == ()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"scale": 0.3}, "0.25, 0.5, 1, 2 or 4"),
        ({"scale": 8}, "scale (from test) is 8.0; it takes 0.25"),
        ({"model": "4.16"}, "4.16.lite"),
        ({"model": "5.0"}, "it takes auto, 4.0, 4.1"),
        ({"ensemble": True}, "rife 4.25 has no ensemble"),
        ({"ensemble": True, "model": "4.22"}, "rife 4.22 has no ensemble"),
        ({"multiple": 96}, "multiples of 64"),
        ({"multiple": 64, "model": "4.25.lite"}, "multiples of 128"),
        ({"batch": 0}, "1 .. 64"),
        ({"source": "drive"}, "preferred or vs-rife"),
    ],
)
def test_options_that_no_version_or_not_this_one_can_fulfil_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(RifeOptions, [Layer("test", given)], name="rife")
    assert says in caught.value.message


def test_versions_with_ensemble_are_named_where_there_is_none() -> None:
    with pytest.raises(UsageError) as caught:
        RifeOptions(ensemble=True)
    named = " ".join(caught.value.hints)
    assert "4.6" in named and "4.24" in named
    assert "4.21" not in named and "4.26" not in named
    RifeOptions(ensemble=True, model="4.24")
    RifeOptions(ensemble=True, file="mine.pkl")  # what it holds is seen when it is read


@pytest.mark.parametrize("value", ["0.25", "0.5", "1", "1.0", "2", "4"])
def test_every_scale_can_be_typed(value: str) -> None:
    assert resolve(RifeOptions, [Layer("command line", {"scale": value})]).values.scale == float(value)


def test_without_its_file_a_run_stops_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_pair: PanelPair
) -> None:
    for name in ("ANIMEGEN_HOME", "ANIMEGEN_WEIGHTS"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    with pytest.raises(MissingError) as caught:
        animegen.run(
            tiny_pair.first.image, tiny_pair.last.image, interpolator="flow", upsampler="rife", out=tmp_path / "out"
        )
    assert "rife_v4.25.safetensors" in caught.value.message
    assert "animegen weights fetch rife" in caught.value.hints


def test_contract(stage_contract: Callable[..., Any], checkpoint: Callable[..., Path]) -> None:
    path = checkpoint("4.25", rename=lambda name: name.replace("block", "blocks.", 1), suffix=".safetensors")
    findings = stage_contract(
        animegen_rife.plugin, weights={"rife_v4.25.safetensors": path}, untrained={"rife": (48, 64)}
    )
    assert {finding.level for finding in findings} == {"ok"}
    assert {"absent weights", "one time", "seen before", "smallest size"} <= {finding.check for finding in findings}
