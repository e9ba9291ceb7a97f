"""What the metrics promise of their values, and what they say where there can be none."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import animegen_vgg_style.plugin
from animegen.errors import InputError, MissingError, UsageError
from animegen.imageio import write_image
from animegen.measuring import Missing, Sample
from animegen_torch.published import VGG19
from animegen_torch.vgg19 import Vgg19
from animegen_vgg_style.gram import gram, normalised_distance
from animegen_vgg_style.gram3 import Gram3
from animegen_vgg_style.pictures import plane
from animegen_vgg_style.plugin import StyleOptions, animegen_metrics
from animegen_vgg_style.stage import StyleFloor, StyleFrobenius, StyleVgg19


@pytest.fixture
def sample(toy_image: Callable[..., Any]) -> Sample:
    frames = np.stack([toy_image("screentone", height=70, width=84, shift=0.1 * step) for step in range(4)])
    return Sample(frames, (0, 0.3, 0.7, 1), panels=frames[[0, -1]])


def test_contract(stage_contract: Callable[..., Any], weights: dict[str, Path]) -> None:
    stage_contract(animegen_vgg_style.plugin, weights=weights)


def test_it_is_zero_on_a_panel_and_below_one_elsewhere(made: Callable[..., Any], sample: Sample) -> None:
    scores = made()(sample)
    assert scores["style-vgg19"][0] == scores["style-vgg19"][-1] == 0
    assert all(0 < value < 1 for value in scores["style-vgg19"][1:-1])
    layers = [scores[f"style-vgg19-{layer}"][1] for layer in animegen_vgg_style.plugin.LAYERS]
    assert np.mean(layers) == pytest.approx(scores["style-vgg19"][1])


def test_it_is_symmetric(made: Callable[..., Any], sample: Sample) -> None:
    one, other = sample.frames[0], sample.frames[2]
    there = made()(Sample(one[None], (0,), panels=np.stack((other, other))))
    back = made()(Sample(other[None], (0,), panels=np.stack((one, one))))
    assert there["style-vgg19"][0] == pytest.approx(back["style-vgg19"][0], rel=1e-5)


def test_the_floor_is_what_one_panel_scores_against_the_other(made: Callable[..., Any], sample: Sample) -> None:
    assert sample.panels is not None
    first, last = sample.panels
    alone = made()(Sample(last[None], (1,), panels=np.stack((first, first))))["style-vgg19"][0]
    assert made(StyleFloor)(sample)["style-vgg19-panels"] == pytest.approx(alone, rel=1e-5)


def test_the_order_of_frames_does_not_matter(made: Callable[..., Any], sample: Sample) -> None:
    turned = dataclasses.replace(sample, frames=np.ascontiguousarray(sample.frames[::-1]))
    assert made()(turned)["style-vgg19"] == made()(sample)["style-vgg19"][::-1]


def test_colour_is_no_style(made: Callable[..., Any], sample: Sample) -> None:
    luma = np.array([0.299, 0.587, 0.114])
    tinted = np.clip(np.round(sample.frames.astype(float) * 0.5 + np.array([40.0, 20.0, 0.0])), 0, 255)
    grey = np.repeat(np.round(tinted @ luma)[..., None], 3, axis=3).astype(np.uint8)
    coloured, plain = (
        made()(dataclasses.replace(sample, frames=frames))["style-vgg19"] for frames in (tinted.astype(np.uint8), grey)
    )
    assert coloured == pytest.approx(plain, abs=0.01)


def test_what_is_ignored_may_be_anything(
    made: Callable[..., Any], sample: Sample, toy_image: Callable[..., Any]
) -> None:
    ignored = np.zeros((2, 70, 84), bool)
    ignored[:, 10:40, 20:60] = True
    masked = dataclasses.replace(sample, ignored=ignored)
    spoilt = sample.frames.copy()
    spoilt[:, 10:40, 20:60] = toy_image("noise", height=30, width=40)
    other = dataclasses.replace(masked, frames=spoilt)
    assert made()(other)["style-vgg19"] == pytest.approx(made()(masked)["style-vgg19"], abs=1e-9)
    assert made()(dataclasses.replace(sample, frames=spoilt))["style-vgg19"][1] > 0.01
    assert made()(masked)["style-vgg19"][1] != made()(sample)["style-vgg19"][1]


def test_a_panel_that_is_ignored_altogether_is_left_out(made: Callable[..., Any], sample: Sample) -> None:
    ignored = np.zeros((2, 70, 84), bool)
    ignored[0] = True
    scores = made()(dataclasses.replace(sample, ignored=ignored))
    assert scores["style-vgg19"][0] > 0 == scores["style-vgg19"][-1]
    nothing = made()(dataclasses.replace(sample, ignored=np.ones((2, 70, 84), bool)))
    assert all(isinstance(value, Missing) for value in nothing["style-vgg19"])
    floor = made(StyleFloor)(dataclasses.replace(sample, ignored=ignored))["style-vgg19-panels"]
    assert isinstance(floor, Missing)


def test_the_domain_is_the_mean_of_a_folder(made: Callable[..., Any], sample: Sample, tmp_path: Path) -> None:
    for index, frame in enumerate(sample.frames[:2]):
        write_image(tmp_path / f"{index}.png", frame)
    (tmp_path / "notes.txt").write_text("not a picture")
    scores = made(domain=str(tmp_path))(dataclasses.replace(sample, panels=None))
    assert isinstance(scores["style-vgg19"][0], Missing)
    near, far = scores["style-vgg19-domain"][0], scores["style-vgg19-domain"][3]
    assert 0 < near < far
    (tmp_path / "1.png").unlink()
    assert made(domain=str(tmp_path))(sample)["style-vgg19-domain"][0] == pytest.approx(0, abs=1e-6)
    with pytest.raises(InputError, match="no folder with pictures"):
        made(domain=str(tmp_path / "absent"))(sample)


def test_blank_pages_have_no_style_but_are_equal() -> None:
    zero, some = torch.zeros(4, 4), torch.eye(4)
    assert normalised_distance(zero, zero) == 0
    assert normalised_distance(zero, some) == normalised_distance(some, zero) == 1
    assert normalised_distance(some, 3 * some) == pytest.approx(0)
    assert normalised_distance(torch.diag(torch.tensor([1.0, 0])), torch.diag(torch.tensor([0, 2.0]))) == pytest.approx(
        1
    )


def test_a_weight_of_zero_is_as_if_the_place_were_not_there() -> None:
    features = torch.randn(5, 6, 8, generator=torch.Generator().manual_seed(1))
    weights = torch.ones(6, 8)
    weights[:, 4:] = 0
    assert torch.allclose(gram(features, weights), gram(features[:, :, :4]), atol=1e-6)
    assert torch.allclose(gram(features), torch.cov(features.flatten(1), correction=0), atol=1e-6)


def test_sides_are_brought_down_and_never_up(toy_image: Callable[..., Any]) -> None:
    def size(height: int, width: int) -> tuple[int, ...]:
        shown = plane(toy_image(height=height, width=width), None, shorter=256, longest=512)
        assert shown is not None
        return shown.luma.shape

    assert size(100, 140) == (96, 134)
    assert size(400, 640) == (256, 409)
    assert size(200, 1600)[1] == 512
    assert size(20, 2000) == (16, 1536)


def test_without_the_file_there_is_no_score(stage_context: Callable[..., Any]) -> None:
    for kind in (StyleVgg19, StyleFloor, StyleFrobenius):
        with pytest.raises(MissingError) as caught:
            kind(StyleOptions(), stage_context())
        told = str(caught.value)
        assert VGG19.file in told and str(VGG19.sha256) in told and "No score was computed" in told
        assert any("animegen weights fetch" in hint for hint in caught.value.hints)
        assert any("searched" in hint for hint in caught.value.hints)


@pytest.mark.parametrize("harm", ["another", "lacking", "shape", "nan"])
def test_a_file_that_does_not_fit_is_refused(
    harm: str, stage_context: Callable[..., Any], tmp_path: Path, sample: Sample
) -> None:
    state = {name: torch.zeros_like(tensor) for name, tensor in Vgg19().state_dict().items()}
    if harm == "another":
        state = {"conv1.weight": torch.zeros(3)}
    elif harm == "lacking":
        del state["features.28.bias"]
    elif harm == "shape":
        state["features.0.weight"] = torch.zeros(64, 1, 3, 3)
    else:
        state["features.0.bias"] = torch.full((64,), float("nan"))
    torch.save(state, tmp_path / "file.pth")
    metric = StyleVgg19(StyleOptions(), stage_context({VGG19.file: tmp_path / "file.pth"}))
    with pytest.raises(InputError):
        metric(sample)


def test_another_number_format_is_refused(weights: dict[str, Path], stage_context: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match="bfloat16"):
        StyleVgg19(StyleOptions(), stage_context(weights, dtype="bfloat16"))


@pytest.mark.parametrize("kind", [StyleVgg19, StyleFloor, StyleFrobenius])
def test_floats_and_sizes_that_differ_are_refused(kind: type[Any], made: Callable[..., Any], sample: Sample) -> None:
    assert sample.panels is not None
    for wrong in (
        dataclasses.replace(sample, frames=sample.frames / 255),
        dataclasses.replace(sample, panels=sample.panels[:, :-1]),
        Sample(sample.frames[:, :8, :8], sample.times),
    ):
        with pytest.raises(UsageError):
            made(kind)(wrong)


def test_three_channels_need_no_weights(sample: Sample) -> None:
    scores = Gram3()(sample)
    assert scores["style-gram3"][0] == scores["style-gram3"][-1] == 0  # type: ignore[index]
    assert Gram3()(Sample(sample.frames, sample.times)) == {"style-gram3": Missing("there are no panels")}


def test_closing_lets_go_and_reads_again(made: Callable[..., Any], sample: Sample) -> None:
    metric = made()
    before = metric(sample)["style-vgg19"]
    metric.close()
    assert metric._network is None and not metric._panels
    assert metric(sample)["style-vgg19"] == before


def test_records_are_light_and_name_each_quantity_once() -> None:
    names = [quantity.name for spec in animegen_metrics() for quantity in spec.quantities]
    assert len(names) == len({*names})
    code = "import sys, animegen_vgg_style.plugin; print([m for m in ('torch', 'numpy', 'cv2') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
