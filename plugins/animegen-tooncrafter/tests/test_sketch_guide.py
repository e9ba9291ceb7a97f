"""From drawings to frames: a sketch steers its own frame, most of all, and its encoder is only borrowed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from animegen.errors import InputError
from animegen.imageio import write_image
from animegen_tooncrafter.checkpoint import BLUEPRINT, ModelConfiguration
from animegen_tooncrafter.diffusion.schedule import Schedule
from animegen_tooncrafter.diffusion.sketch_encoder import SketchEncoder, SketchGuide
from animegen_tooncrafter.diffusion.unet import UNet
from animegen_tooncrafter.first_stage.autoencoder import EncodedKeyframes
from animegen_tooncrafter.sketch.guide import Sketches, guided, planned
from animegen_tooncrafter.sketch.options import SketchOptions
from animegen_tooncrafter.synthesis import Conditions, Parts, Settings, denoise, synthesize
from animegen_torch.diffusion.guidance import CONDITIONAL, UNCONDITIONAL
from animegen_torch.diffusion.noise import Noise
from animegen_torch.placement.lending import lend

FRAMES = 6
Guided = Callable[[], AbstractContextManager[SketchGuide]]
QUICK = Settings(steps=2, frames=FRAMES)


@pytest.fixture(scope="module")
def encoder(tiny_model: ModelConfiguration) -> SketchEncoder:
    made = BLUEPRINT.untrained("sketch", tiny_model, seed=1)
    assert isinstance(made, SketchEncoder)
    return made.for_inference()


@pytest.fixture(scope="module")
def unet(tiny_model: ModelConfiguration) -> UNet:
    made = BLUEPRINT.untrained("unet", tiny_model, seed=2)
    assert isinstance(made, UNet)
    return made.for_inference()


@pytest.fixture(scope="module")
def plain(unet: UNet) -> Tensor:
    """The latent without sketches."""
    return sampled(unet, None)


def absent() -> AbstractContextManager[None]:
    raise AssertionError("sampling borrows the U-Net and the sketch encoder alone")


def sampled(unet: UNet, sketch: SketchGuide | Guided | None, settings: Settings = QUICK) -> Tensor:
    """The latent (4, T, 8, 8) of one clip, always from the same noise."""
    generator = torch.Generator().manual_seed(3)
    tokens = {name: torch.randn(1, 77 + 256, 64, generator=generator) for name in (CONDITIONAL, UNCONDITIONAL)}
    conditions = Conditions(tokens, EncodedKeyframes(torch.randn(2, 4, 8, 8, generator=generator), ()))
    parts = Parts(absent, absent, absent, lend(unet), absent, Schedule.compute())  # type: ignore[arg-type]
    return denoise(conditions, parts, Noise(4), settings, sketch=sketch)[0]


def cross(at: int = 20) -> Tensor:
    """White lines on black, (1, 64, 64)."""
    lines = torch.zeros(1, 64, 64)
    lines[0, at : at + 2] = lines[0, :, at : at + 2] = 1
    return lines


def change(a: Tensor, b: Tensor) -> Tensor:
    """Of each frame of two latents (4, T, h, w)."""
    return (a - b).square().mean((0, 2, 3)).sqrt()


@pytest.mark.parametrize("frame", [0, 2, 5])
def test_a_sketch_changes_its_own_frame_most(unet: UNet, encoder: SketchEncoder, plain: Tensor, frame: int) -> None:
    changed = change(sampled(unet, guided(lend(encoder), {frame: cross()})), plain)
    assert int(changed.argmax()) == frame
    assert (changed > 0).all()


def test_without_temporal_layers_all_other_frames_stay_exactly_as_they_were(
    unet: UNet, encoder: SketchEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unet, "temporal", False)
    # The rescale of guidance takes its deviation over the whole clip, which mixes frames.
    apart = replace(QUICK, guidance=replace(QUICK.guidance, rescale=0.0))
    steered = sampled(unet, guided(lend(encoder), {1: cross(), 4: cross(40)}), apart)
    changed = change(steered, sampled(unet, None, apart))
    assert changed[[1, 4]].min() > 1e-3
    assert changed[[0, 2, 3, 5]].max() == 0


def test_other_lines_and_more_scale_make_other_clips(unet: UNet, encoder: SketchEncoder, plain: Tensor) -> None:
    one, other, weak, off = (
        sampled(unet, guided(lend(encoder), {2: lines}, scale))
        for lines, scale in ((cross(), 0.6), (cross(44), 0.6), (cross(), 0.06), (cross(), 0.0))
    )
    assert change(one, other)[2] > 1e-3
    assert 0 < change(weak, plain)[2] < change(one, plain)[2] / 3
    assert torch.equal(off, plain)


def test_the_encoder_is_lent_for_the_sampling_alone(unet: UNet, encoder: SketchEncoder) -> None:
    seen: list[str] = []

    @contextmanager
    def borrowed() -> Iterator[SketchEncoder]:
        seen.append("lent")
        yield encoder
        seen.append("returned")

    guide = guided(borrowed, {2: cross()})
    assert seen == []
    lent = sampled(unet, guide)
    assert seen == ["lent", "returned"]
    assert torch.equal(lent, sampled(unet, SketchGuide.of(encoder, {2: cross()})))


class _Recorder:
    """An encoder that keeps what it was shown."""

    def __init__(self) -> None:
        self.device = torch.device("cpu")
        self.shown: list[Tensor] = []

    def hint(self, sketches: Tensor) -> Tensor:
        self.shown.append(sketches)
        return sketches


def test_hints_come_from_the_drawings_that_options_name(tmp_path: Path) -> None:
    keyframe = np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    for name, row in (("2.png", 20), ("4.png", 40)):
        sheet = np.full((128, 256, 3), 245, np.uint8)
        sheet[2 * row : 2 * row + 5] = 20
        write_image(tmp_path / name, sheet)
    options = SketchOptions(sketch=str(tmp_path), sketch_scale=0.9)
    assert planned(options, FRAMES) == f"2 drawings of {tmp_path.name} steer frames 2, 4"
    found = Sketches(options).hints(keyframe, FRAMES)
    assert {frame: tuple(one.shape) for frame, one in found.items()} == {2: (1, 64, 128), 4: (1, 64, 128)}
    assert [int(one[0].mean(1).argmax()) for one in found.values()] == pytest.approx([21, 41], abs=1)
    recorder = _Recorder()
    with Sketches(options).guide(lend(recorder), keyframe, FRAMES)() as guide:  # type: ignore[type-var]
        assert guide.frames == (2, 4)
        assert guide.scale == 0.9
        assert torch.equal(recorder.shown[0], torch.stack(list(found.values())))


def test_what_a_plan_says_of_drawings(tmp_path: Path) -> None:
    assert planned(SketchOptions(), 16) == ""
    write_image(tmp_path / "one.png", np.full((64, 128, 3), 245, np.uint8))
    one = str(tmp_path / "one.png")
    assert planned(SketchOptions(sketch=one), 16) == "1 drawing of one.png steers frame 8"
    folder = tmp_path / "all"
    folder.mkdir()
    for index in range(16):
        write_image(folder / f"{index}.png", np.full((64, 128, 3), 245, np.uint8))
    every = SketchOptions(sketch=str(folder))
    assert planned(every, 16) == "16 drawings of all steer every frame"
    some = replace(every, sketch_count=3, sketch_positions="random")
    assert planned(some, 16) == "16 drawings of all steer 3 random frames"
    with pytest.raises(InputError, match="does not exist"):
        planned(SketchOptions(sketch=str(tmp_path / "absent")), 16)


def test_drawings_for_one_transition_do_not_steer_the_next_unsaid(tmp_path: Path) -> None:
    sheet = np.full((64, 128, 3), 245, np.uint8)
    sheet[30:33] = 20
    write_image(tmp_path / "one.png", sheet)
    said: list[str] = []
    sketches = Sketches(SketchOptions(sketch=str(tmp_path / "one.png")), said.append)
    first, second = np.random.default_rng(0).integers(0, 256, (2, 64, 128, 3), dtype=np.uint8)
    sketches.hints(first, 16)
    sketches.hints(first, 16)
    assert said == []
    sketches.hints(second, 16)
    assert len(said) == 1
    assert "more than one transition" in said[0]


def test_a_whole_clip_is_steered(
    encoder: SketchEncoder, unet: UNet, tiny_model: ModelConfiguration, tmp_path: Path
) -> None:
    others = {
        part: lend(BLUEPRINT.untrained(part, tiny_model, seed=5).eval())
        for part in ("text", "image", "projector", "first_stage")
    }
    parts = Parts(unet=lend(unet), schedule=Schedule.compute(), **others)  # type: ignore[arg-type]
    sheet = np.full((64, 64, 3), 245, np.uint8)
    sheet[30:33] = 20
    write_image(tmp_path / "3.png", sheet)
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    first = torch.from_numpy(picture).permute(2, 0, 1).float() / 127.5 - 1
    guide = Sketches(SketchOptions(sketch=str(tmp_path), sketch_frames=(3,))).guide(lend(encoder), picture, FRAMES)
    steered, free = (
        synthesize(
            first, first.flip(-1), "a girl turns", parts, Noise(4), replace(QUICK, second_pass=False), sketch=one
        )
        for one in (guide, None)
    )
    assert (steered - free).abs().amax((1, 2, 3)).min() > 0  # the decoder mixes neighbours, the U-Net all frames
