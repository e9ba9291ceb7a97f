"""Towers and what is left out of them, keyframes, and what happens to decoded frames."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from animegen.errors import StageError, UsageError
from animegen_tooncrafter.conditioning.image import ImageTower, clip_pixels
from animegen_tooncrafter.conditioning.keyframes import gradio_keyframe, keyframe, script_keyframe
from animegen_tooncrafter.conditioning.output import as_loop, copy_keyframes, match_tone, to_frames
from animegen_tooncrafter.conditioning.towers import (
    IMAGE_LEFTOVERS,
    TEXT_LEFTOVERS,
    ImageConfiguration,
)
from animegen_tooncrafter.first_stage.autoencoder import FirstStage
from animegen_torch.diffusion.finite import NotFiniteError
from animegen_torch.diffusion.text import TextConfiguration, TextTower, tokenize

SMALL_TEXT = TextConfiguration(width=32, heads=2, layers=3)
SMALL_IMAGE = ImageConfiguration(width=32, head_width=16, layers=2, patch_size=56)


@pytest.fixture(scope="module")
def manifest() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the published file."""
    path = Path(__file__).parent / "manifest.json.gz"
    tensors = json.loads(gzip.decompress(path.read_bytes()))["tensors"]
    return {name: tuple(shape) for name, (shape, _) in tensors.items()}


@pytest.mark.parametrize(
    ("prefix", "make", "leftovers"),
    [
        ("first_stage_model.", FirstStage, ()),
        ("cond_stage_model.", TextTower, TEXT_LEFTOVERS),
        ("embedder.", ImageTower, IMAGE_LEFTOVERS),
    ],
)
def test_names_and_shapes_of_the_published_file(
    manifest: dict[str, tuple[int, ...]], prefix: str, make: type[nn.Module], leftovers: tuple[str, ...]
) -> None:
    with torch.device("meta"):
        network = make()
    assert all(tensor.is_meta for tensor in network.state_dict().values())
    ours = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    theirs = {name.removeprefix(prefix): shape for name, shape in manifest.items() if name.startswith(prefix)}
    extra = {name for name in theirs if any(re.match(pattern, name) for pattern in leftovers)}
    assert ours == {name: shape for name, shape in theirs.items() if name not in extra}
    for pattern in leftovers:
        assert any(re.match(pattern, name) for name in extra), pattern
    # Whoever fills a network without memory gives it all it has: nothing is hidden in buffers that no file holds.
    assert {name for name, _ in network.named_buffers()} <= ours.keys()


def test_prompts_as_tokens() -> None:
    tokens = tokenize(["an anime scene", "", "word " * 200])
    assert tokens.shape == (3, 77)
    assert tokens[:, 0].tolist() == [49406] * 3
    assert tokens[1, 1:].tolist() == [49407] + [0] * 75
    assert int(tokens[2, -1]) == 49407


def test_a_word_changes_the_tokens_from_its_place_on() -> None:
    torch.manual_seed(0)
    tower = TextTower(SMALL_TEXT).eval()
    nn.init.normal_(tower.model.positional_embedding)
    one, other = tower(["a red house", "a red horse"])
    differ = [bool(pair) for pair in ((one - other).abs() > 1e-5).any(1)]
    assert differ == [False] * 3 + [True] * 74


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_towers_answer_in_the_type_of_their_parameters(dtype: torch.dtype) -> None:
    text = TextTower(SMALL_TEXT).to(dtype).eval()(["a"])
    image = ImageTower(SMALL_IMAGE).to(dtype).eval()(torch.zeros(2, 3, 48, 64))
    assert (text.dtype, tuple(text.shape)) == (dtype, (1, 77, 32))
    assert (image.dtype, tuple(image.shape)) == (dtype, (2, 17, 32))


def test_a_tower_that_gives_no_numbers_says_so() -> None:
    tower = ImageTower(SMALL_IMAGE).eval()
    nn.init.constant_(tower.model.visual.ln_pre.weight, torch.nan)
    with pytest.raises(NotFiniteError, match="image tower"):
        tower(torch.zeros(1, 3, 48, 64))


@pytest.mark.parametrize("size", [(32, 40), (320, 512), (700, 230)])
def test_a_flat_picture_stays_flat_for_clip(size: tuple[int, int]) -> None:
    pixels = clip_pixels(torch.zeros(1, 3, *size))
    assert pixels.shape == (1, 3, 224, 224)
    assert (pixels[0].amax((1, 2)) - pixels[0].amin((1, 2))).max() < 1e-5


def picture(height: int, width: int) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_a_keyframe_and_back_is_the_picture() -> None:
    levels = picture(64, 128)
    tensor = keyframe(levels)
    assert (float(tensor.min()), float(tensor.max())) == (-1.0, 1.0)
    assert np.abs(to_frames(tensor[None])[0].astype(int) - levels).max() <= 1  # levels are cut off, not rounded


def test_what_is_too_narrow_is_black_on_one_path_and_grey_on_the_other() -> None:
    tall = np.full((128, 64, 3), 255, np.uint8)
    assert float(script_keyframe(tall, 64, 128)[:, :, 0].max()) == -1.0
    assert float(gradio_keyframe(tall, 64, 128)[:, :, 0].abs().max()) == 0.0


def clip(frames: int = 5) -> Tensor:
    return torch.rand(frames, 3, 8, 8, generator=torch.Generator().manual_seed(0)) - 0.5


def test_levels_are_cut_off() -> None:
    values = torch.tensor([-3.0, -1.0, 0.0, 0.999, 1.0, 3.0]).view(6, 1, 1, 1).expand(-1, 3, 1, 1)
    assert to_frames(values)[:, 0, 0, 0].tolist() == [0, 0, 127, 254, 255, 255]


def test_no_number_is_not_turned_into_black() -> None:
    frames = clip()
    frames[2, 1, 3, 3] = torch.nan
    with pytest.raises(StageError, match="not numbers"):
        to_frames(frames)


def test_tone_of_the_keyframes() -> None:
    frames = clip()
    first, last = frames[0] * 1.1 + 0.1, frames[-1] * 0.9 - 0.1
    matched = match_tone(frames, first, last)
    assert torch.allclose(matched[0], first, atol=1e-5)
    assert torch.allclose(matched[-1], last, atol=1e-5)
    assert torch.allclose(matched[2], frames[2], atol=1e-5)  # half of both: they cancel out
    assert torch.allclose(match_tone(frames, frames[0], frames[-1]), frames, atol=1e-6)


def test_tone_changes_no_more_than_drift_does() -> None:
    frames = clip()
    matched = match_tone(frames, torch.full((3, 8, 8), 1.0), torch.full((3, 8, 8), -1.0), most=0.1)
    assert float((matched - frames).abs().max()) <= 0.1 + 0.1 * 0.5 + 1e-6
    flat = torch.zeros(3, 3, 4, 4)
    assert torch.allclose(match_tone(flat, flat[0] + 0.05, flat[0] + 0.05), flat + 0.05)


def test_ends_copied_and_loops() -> None:
    frames, first, last = clip(), torch.zeros(3, 8, 8), torch.ones(3, 8, 8)
    copied = copy_keyframes(frames, first, last)
    assert torch.equal(copied[0], first)
    assert torch.equal(copied[-1], last)
    assert torch.equal(copied[1:-1], frames[1:-1])
    assert not torch.equal(frames[0], first)
    assert torch.equal(as_loop(frames), frames[:-1])


def test_sizes_that_do_not_fit_are_refused() -> None:
    from animegen_tooncrafter.synthesis import Settings, check_keyframes

    good = torch.zeros(3, 64, 128)
    for first, last, settings, told in (
        (good, torch.zeros(3, 128, 64), Settings(), "128×64 and 64×128"),
        (good[:, :48], good[:, :48], Settings(), "128×48"),
        (good, good, Settings(frames=1), "1 frames"),
    ):
        with pytest.raises(UsageError, match=told):
            check_keyframes(first, last, settings)
