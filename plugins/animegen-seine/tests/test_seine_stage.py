"""The stage, from files to frames: a tiny model on the real path, in every placement a processor can stand for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from animegen.errors import InputError, MissingError, ResourceError, StageError, UsageError
from animegen_seine import plugin, stage
from animegen_seine.plugin import SeineOptions
from animegen_seine.stage import Seine
from animegen_torch.diffusion.autoencoder.pictures import Autoencoder
from animegen_torch.diffusion.denoiser import Denoiser
from animegen_torch.diffusion.finite import NotFiniteError
from animegen_torch.placement.residence import Residence

FRAMES = 5
TIMES = [number / (FRAMES - 1) for number in range(FRAMES)]
Made = Callable[..., tuple[Seine, Any]]
Pair = tuple[Any, Any]


@pytest.fixture(scope="module")
def pair() -> Pair:
    """Two pictures whose latent is 4 × 3: no multiple of anything."""
    draw = np.random.default_rng(5)
    first = draw.integers(0, 256, (32, 24, 3), dtype=np.uint8)
    return first, np.ascontiguousarray(255 - first[:, ::-1])


def same(drawn: Any, expected: Any) -> bool:
    """Equal but for rounding."""
    return bool(np.abs(drawn.astype(int) - expected).max() <= 1 and (drawn != expected).mean() < 0.02)


def test_a_clip(made: Made, pair: Pair) -> None:
    seine, context = made(steps=3)
    frames = seine(*pair, TIMES, prompt="rain", seed=4)
    assert (frames.shape, frames.dtype) == ((FRAMES, 32, 24, 3), np.uint8)
    assert context.progress_calls == [(1, 3, "steps"), (2, 3, "steps"), (3, 3, "steps")]
    assert any("trained for 16" in warning for warning in context.warnings)
    np.testing.assert_array_equal(frames, seine(*pair, TIMES, prompt="rain", seed=4))
    assert not list(seine._runner.kept.folder.glob("*")), "nothing is left behind by a clip that is done"
    for other in ({"prompt": "snow", "seed": 4}, {"prompt": "rain", "seed": 5}):
        assert (frames != seine(*pair, TIMES, **other)).mean() > 0.01, other
    swapped = seine(pair[1], pair[0], TIMES, prompt="rain", seed=4)
    assert (frames != swapped).mean() > 0.01, "the pictures matter, and which of them is first"
    seine.close()
    np.testing.assert_array_equal(frames, seine(*pair, TIMES, prompt="rain", seed=4))


def test_contract(files: dict[str, str], stage_contract: Callable[..., Any]) -> None:
    options = {**files, "steps": 1, "guidance_scale": 1.0}
    stage_contract(plugin, options={"seine": options}, untrained={"seine": (32, 48)})


MAPS: dict[str, dict[str, Any]] = {
    "parts from the file": {"*": "cpu", "rest": "file"},
    "blocks from memory and disk": {"*": "cpu", "blocks": {"up_blocks": "cpu", "down_blocks.0.attentions": "disk"}},
    "all of the U-Net from disk": {
        "*": "cpu",
        "rest": "file",
        "blocks": dict.fromkeys(
            ("conv_in", "time_embedding", "down_blocks", "mid_block", "up_blocks", "conv_norm_out", "conv_out"), "disk"
        ),
    },
}


def test_every_placement_gives_the_same_clip(made: Made, pair: Pair, tmp_path: Path) -> None:
    expected = made(device_map="single", guidance="apart")[0](*pair, TIMES, prompt="rain", seed=4)
    ways: list[dict[str, Any]] = [
        {"device_map": "single", "guidance": "together", "decoder_frames": 4},
        {"device_map": "offload"},
        {"device_map": "auto"},
    ]
    for number, placement in enumerate(MAPS.values()):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(placement))
        ways.append({"device_map": str(path)})
    for way in ways:
        assert same(made(**way)[0](*pair, TIMES, prompt="rain", seed=4), expected), way


def test_a_map_is_checked(made: Made, pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    for content, message in (
        ({"*": "cpu", "image": "cpu"}, "'image' is no part"),
        ({"*": "cpu", "blocks": {"middle": "cpu"}}, "no block 'middle'"),
        ({"*": "cpu", "unet": ["cpu", "cpu"]}, "seine runs one"),
    ):
        path.write_text(json.dumps(content))
        with pytest.raises(UsageError) as caught:
            made(device_map=str(path))[0](*pair, TIMES)
        assert message in str(caught.value) + " ".join(caught.value.hints)
    with pytest.raises(ResourceError, match="needs two devices"):
        made(device_map="split")[0](*pair, TIMES)


@pytest.mark.parametrize(("dtype", "far"), [("bfloat16", 14.0), ("float16", 3.0)])
def test_half_precision_is_near(made: Made, pair: Pair, dtype: str, far: float) -> None:
    options = {"sampler": "ddim", "steps": 3, "guidance_scale": 2.0}
    expected = made(**options)[0](*pair, TIMES, prompt="rain", seed=4)
    drawn = made(dtype=dtype, **options)[0](*pair, TIMES, prompt="rain", seed=4)
    assert np.abs(drawn.astype(float) - expected).mean() < far
    assert drawn.std() > 1


def test_half_precision_that_overflows_is_done_again(made: Made, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    decode = Autoencoder.decode

    def spoiled(self: Autoencoder, *args: Any, **kwargs: Any) -> Any:
        if self.dtype != torch.float32:
            raise NotFiniteError("the autoencoder's decoder gave numbers that are not finite in bfloat16.")
        return decode(self, *args, **kwargs)

    monkeypatch.setattr(Autoencoder, "decode", spoiled)
    seine, context = made(dtype="bfloat16")
    assert seine(*pair, TIMES).std() > 1
    assert any("again in float32" in warning for warning in context.warnings)
    with pytest.raises(NotFiniteError):
        monkeypatch.setattr(Autoencoder, "decode", lambda self, *a, **k: _raise())
        seine(*pair, TIMES)


def _raise() -> None:
    raise NotFiniteError("not finite")


def test_numbers_that_are_not_finite_name_their_part(made: Made, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    built = Residence._brought

    def spoiled(self: Any, part: str, *args: Any) -> Any:
        module = built(self, part, *args)
        if part == "unet":
            module.mid_block.attentions[0].proj_in.weight.data.fill_(torch.inf)
        return module

    monkeypatch.setattr(Residence, "_brought", spoiled)
    with pytest.raises(NotFiniteError, match=r"mid_block\.attentions\.0\.proj_in"):
        made()[0](*pair, TIMES)


def test_what_was_sampled_is_kept_until_it_is_decoded(made: Made, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = made()[0](*pair, TIMES, seed=1)
    with monkeypatch.context() as patch:
        patch.setattr(stage, "decode", lambda *args: (_ for _ in ()).throw(MemoryError()))
        with pytest.raises(ResourceError, match="decoding"):
            made()[0](*pair, TIMES, seed=1)
    monkeypatch.setattr(stage, "denoise", lambda *a, **k: pytest.fail("it was sampled already"))
    seine, context = made()
    np.testing.assert_array_equal(seine(*pair, TIMES, seed=1), expected)
    assert any("earlier try" in warning for warning in context.warnings)


def test_less_memory_makes_the_calls_run_apart(made: Made, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = made(guidance="apart")[0](*pair, TIMES, seed=1)
    run = Denoiser._run

    def little(self: Denoiser, x: Any, timestep: int, first: int, count: int) -> Any:
        if count > 1:
            raise MemoryError
        return run(self, x, timestep, first, count)

    monkeypatch.setattr(Denoiser, "_run", little)
    seine, context = made(guidance="together")
    assert same(seine(*pair, TIMES, seed=1), expected)
    assert any("run apart" in warning for warning in context.warnings)


def test_options_change_what_they_say(made: Made, pair: Pair) -> None:
    def drawn(**options: Any) -> Any:
        return made(**{"sampler": "ddim", **options})[0](*pair, TIMES, prompt="rain", seed=4)

    plain = drawn()
    for other in (
        {"sampler": "ddpm"},
        {"steps": 3},
        {"eta": 1.0},
        {"guidance_scale": 3.0},
        {"guidance_interval": (0.0, 0.5)},
        {"prompt_suffix": ""},
        {"negative_prompt": "sun"},
        {"posterior": "mean"},
    ):
        assert (drawn(**other) != plain).mean() > 0.001, other
    copied = drawn(keyframes="copied")
    np.testing.assert_array_equal(copied[[0, -1]], np.stack(pair))
    np.testing.assert_array_equal(copied[1:-1], plain[1:-1])


def test_random_parameters_need_no_file(files: dict[str, str], pair: Pair, stage_context: Callable[..., Any]) -> None:
    context = stage_context()
    context.untrained = True
    # With files their sizes are taken, and nothing else of them.
    seine = Seine(SeineOptions(**files, steps=1), context)
    assert seine(*pair, TIMES).std() > 1
    assert seine._runner.source.identity == "untrained"


def test_a_missing_file_names_the_command(stage_context: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        Seine(SeineOptions(), stage_context())
    with pytest.raises(MissingError, match="is not there") as caught:
        none = str(tmp_path / "none.pt")
        Seine(SeineOptions(file=none, autoencoder=none, text_encoder=none), stage_context())
    assert "animegen weights fetch seine" in caught.value.hints[0]


def test_impossible_clips_are_refused(made: Made, pair: Pair) -> None:
    seine, _ = made()
    with pytest.raises(UsageError, match="24×30"):
        seine(np.zeros((30, 24, 3), np.uint8), np.zeros((30, 24, 3), np.uint8), TIMES)
    with pytest.raises(UsageError, match="1 frames"):
        seine(*pair, [0.0])
    with pytest.raises(StageError, match="one size"):
        seine(pair[0], pair[0][:16], TIMES)


def test_a_file_of_something_else_says_what_it_is(files: dict[str, str], stage_context: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="holds an autoencoder in diffusers' form, not SEINE"):
        Seine(SeineOptions(**{**files, "file": files["autoencoder"]}), stage_context())
    with pytest.raises(InputError, match="does not hold the text encoder: it holds SEINE"):
        Seine(SeineOptions(**{**files, "text_encoder": files["file"]}), stage_context())
    with pytest.raises(InputError, match="does not hold the autoencoder: it holds CLIP"):
        Seine(SeineOptions(**{**files, "autoencoder": files["text_encoder"]}), stage_context())
