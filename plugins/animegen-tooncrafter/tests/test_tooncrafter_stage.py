"""The stage, from a file to frames: a tiny model on the real path, in every placement a processor can stand for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("open_clip")
from animegen.errors import MissingError, ResourceError, UsageError
from animegen_testing.context import FakeContext
from animegen_tooncrafter import plugin
from animegen_tooncrafter.first_stage.autoencoder import FirstStage
from animegen_tooncrafter.first_stage.sweeps import Sweeps
from animegen_tooncrafter.placement.plan import plan
from animegen_tooncrafter.plugin import ToonCrafterOptions
from animegen_tooncrafter.stage import ToonCrafter
from animegen_torch.diffusion.finite import NotFiniteError
from animegen_torch.placement.residence import Residence

FRAMES = 6
TIMES = [number / (FRAMES - 1) for number in range(FRAMES)]
Made = Callable[..., tuple[ToonCrafter, Any]]


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def made(tiny_file: Path, stage_context: Callable[..., Any]) -> Made:
    """A stage with the tiny file, and its context: ``made(dtype="bfloat16", steps=3)``."""

    def make(*, dtype: str = "float32", **options: Any) -> tuple[ToonCrafter, Any]:
        context = stage_context(dtype=dtype)
        return ToonCrafter(ToonCrafterOptions(file=str(tiny_file), **{"steps": 2, **options}), context), context

    return make


@pytest.fixture(scope="module")
def pair() -> tuple[Any, Any]:
    draw = np.random.default_rng(5)
    first = draw.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return first, np.ascontiguousarray(255 - first[:, ::-1])


@pytest.fixture(scope="module")
def expected(tiny_file: Path, pair: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The clip of the plain placement."""
    options = {"device_map": "single", "guidance": "apart", "decoder_frames": 64}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANIMEGEN_HOME", str(tmp_path_factory.mktemp("home")))
        stage = ToonCrafter(
            ToonCrafterOptions(file=str(tiny_file), steps=2, **options),  # type: ignore[arg-type]
            FakeContext(dtype="float32"),
        )
        return stage(*pair, TIMES, prompt="rain", seed=4)


def same(drawn: Any, expected: Any) -> bool:
    """Equal but for rounding: where levels are cut off, a last bit may tip one over."""
    return bool(np.abs(drawn.astype(int) - expected).max() <= 1 and (drawn != expected).mean() < 0.01)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int | None, bool]]:
    """(frames at once, recompute) of every pass of the decoder."""
    seen: list[tuple[int | None, bool]] = []
    run = Sweeps.run

    def watched(self: Sweeps, *args: Any, **kwargs: Any) -> Any:
        seen.append((self._chunking.frames, self._chunking.recompute))
        return run(self, *args, **kwargs)

    monkeypatch.setattr(Sweeps, "run", watched)
    return seen


@pytest.mark.slow
def test_contract(tiny_file: Path, stage_contract: Callable[..., Any]) -> None:
    options = {"file": str(tiny_file), "steps": 1, "second_pass": False, "guidance_scale": 1.0}
    stage_contract(plugin, options={"tooncrafter": options})


def test_a_clip(made: Made, pair: tuple[Any, Any]) -> None:
    stage, context = made(steps=3)
    frames = stage(*pair, TIMES, prompt="rain", seed=4)
    assert (frames.shape, frames.dtype) == ((FRAMES, 64, 64, 3), np.uint8)
    assert context.progress_calls == [(1, 3, "steps"), (2, 3, "steps"), (3, 3, "steps")]
    assert any("16" in warning for warning in context.warnings), "another count than 16 is said"
    np.testing.assert_array_equal(frames, stage(*pair, TIMES, prompt="rain", seed=4))
    assert not list(stage._runner.kept.folder.glob("*")), "nothing is left behind by a clip that is done"
    for other in ({"prompt": "snow", "seed": 4}, {"prompt": "rain", "seed": 5}):
        assert (frames != stage(*pair, TIMES, **other)).mean() > 0.01, other
    stage.close()
    np.testing.assert_array_equal(frames, stage(*pair, TIMES, prompt="rain", seed=4))


MAPS: dict[str, dict[str, Any]] = {
    "two U-Nets": {"*": "cpu", "unet": ["cpu", "cpu"]},
    "parts from the file": {"*": "cpu", "rest": "file"},
    "blocks from memory": {"*": "cpu", "blocks": {"output_blocks": "cpu", "middle_block": "cpu"}},
    "blocks from memory and disk": {"*": "cpu", "blocks": {"output_blocks": "cpu", "input_blocks": "disk"}},
    "all of the U-Net from disk": {
        "*": "cpu",
        "rest": "file",
        "blocks": dict.fromkeys(
            (
                "time_embed",
                "fps_embedding",
                "input_blocks",
                "init_attn",
                "middle_block",
                "output_blocks",
                "out",
            ),
            "disk",
        ),
    },
}


@pytest.mark.parametrize("name", MAPS)
def test_wherever_parts_are_the_clip_is_the_same(
    made: Made, pair: tuple[Any, Any], expected: Any, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "map.json"
    path.write_text(json.dumps(MAPS[name]))
    stage, _ = made(device_map=str(path), guidance="apart", decoder_frames=64)
    assert same(stage(*pair, TIMES, prompt="rain", seed=4), expected)


@pytest.mark.parametrize("options", [{"device_map": "offload"}, {"guidance": "together"}, {"decoder_frames": 2}])
def test_however_it_works_the_clip_is_the_same(
    made: Made, pair: tuple[Any, Any], expected: Any, options: dict[str, Any]
) -> None:
    stage, _ = made(**{"guidance": "apart", "decoder_frames": 64, **options})
    assert same(stage(*pair, TIMES, prompt="rain", seed=4), expected)


@pytest.mark.parametrize(
    ("dtype", "least"), [("bfloat16", 25.0), pytest.param("float16", 40.0, marks=pytest.mark.slow)]
)
def test_half_precision_stays_near(made: Made, pair: tuple[Any, Any], expected: Any, dtype: str, least: float) -> None:
    stage, _ = made(dtype=dtype, guidance="apart")
    difference = stage(*pair, TIMES, prompt="rain", seed=4).astype(float) - expected
    psnr = 20 * np.log10(255 / np.sqrt((difference**2).mean()))
    assert least <= psnr < 100, psnr


def out_of_memory_above(monkeypatch: pytest.MonkeyPatch, frames: int) -> None:
    """The decoder runs out of memory with more frames at once."""
    run = Sweeps.run

    def run_or_fail(self: Sweeps, *args: Any, **kwargs: Any) -> Any:
        if (self._chunking.frames or 99) > frames:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return run(self, *args, **kwargs)

    monkeypatch.setattr(Sweeps, "run", run_or_fail)


def test_the_decoder_takes_fewer_frames_when_memory_runs_out(
    made: Made, pair: tuple[Any, Any], expected: Any, monkeypatch: pytest.MonkeyPatch, counted: list[Any]
) -> None:
    out_of_memory_above(monkeypatch, 2)
    stage, context = made(guidance="apart", decoder_frames=8)
    assert same(stage(*pair, TIMES, prompt="rain", seed=4), expected)
    assert sum("Out of memory" in warning for warning in context.warnings) == 2  # 8, then 4
    assert counted[0][0] == 2
    stage(*pair, TIMES, prompt="rain", seed=4)
    assert sum("Out of memory" in warning for warning in context.warnings) == 2, "what did not fit is not tried again"


def test_what_was_sampled_outlives_a_failed_decoding(
    made: Made, pair: tuple[Any, Any], expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as failing:
        out_of_memory_above(failing, 0)
        stage, _ = made(guidance="apart")
        with pytest.raises(ResourceError, match="out of memory on cpu in tooncrafter, decoding") as error:
            stage(*pair, TIMES, prompt="rain", seed=4)
        assert "only decodes" in error.value.hints[0]
        stage.close()
    again, context = made(guidance="apart", decoder_frames=64)
    assert same(again(*pair, TIMES, prompt="rain", seed=4), expected)
    assert context.progress_calls == [], "nothing was sampled again"
    assert any("earlier try" in warning for warning in context.warnings)
    other, context = made(guidance="apart")
    other(*pair, TIMES, prompt="snow", seed=4)
    assert context.progress_calls, "what is kept belongs to one clip"


def test_guidance_runs_apart_when_memory_runs_out(
    made: Made, pair: tuple[Any, Any], expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from animegen_tooncrafter.diffusion.unet import UNet

    forward = UNet.forward

    def small(self: UNet, x: torch.Tensor, times: torch.Tensor, context: Any, *args: Any, **kwargs: Any) -> Any:
        if context.samples > 1:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        return forward(self, x, times, context, *args, **kwargs)

    monkeypatch.setattr(UNet, "forward", small)
    stage, context = made(guidance="together", decoder_frames=64)
    assert same(stage(*pair, TIMES, prompt="rain", seed=4), expected)
    assert sum("apart from here on" in warning for warning in context.warnings) == 1


def test_out_of_memory_while_sampling_names_the_next_smaller_setting(
    made: Made, pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from animegen_tooncrafter.diffusion.unet import UNet

    def never(self: UNet, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(UNet, "forward", never)
    with pytest.raises(ResourceError, match="in tooncrafter, sampling") as error:
        made(device_map="single")[0](*pair, TIMES)
    assert "device_map=offload" in error.value.hints[0]


def test_a_decoder_that_overflows_is_run_again_in_float32(
    made: Made, pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    decode, seen = FirstStage.decode, []

    def overflowing(self: FirstStage, *args: Any, **kwargs: Any) -> Any:
        seen.append(self.dtype)
        if self.dtype != torch.float32:
            raise NotFiniteError("the decoder gave numbers that are not finite in bfloat16; the first come from mid.")
        return decode(self, *args, **kwargs)

    monkeypatch.setattr(FirstStage, "decode", overflowing)
    stage, context = made(dtype="bfloat16")
    assert stage(*pair, TIMES).std() > 1
    assert seen == [torch.bfloat16, torch.float32]
    assert any("again in float32" in warning for warning in context.warnings)
    with pytest.raises(NotFiniteError):
        monkeypatch.setattr(FirstStage, "decode", lambda self, *a, **k: _raise())
        stage(*pair, TIMES)


def _raise() -> None:
    raise NotFiniteError("not finite")


def test_numbers_that_are_not_finite_name_their_part(
    made: Made, pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    built = Residence._brought

    def spoiled(self: Any, part: str, *args: Any) -> Any:
        module = built(self, part, *args)
        if part == "unet":
            module.middle_block[1].proj_in.weight = torch.nn.Parameter(
                torch.full_like(module.middle_block[1].proj_in.weight, torch.inf), requires_grad=False
            )
        return module

    monkeypatch.setattr(Residence, "_brought", spoiled)
    with pytest.raises(NotFiniteError, match=r"middle_block\.1\.proj_in"):
        made()[0](*pair, TIMES)


def test_keyframes_may_be_copied_and_the_tone_matched(made: Made, pair: tuple[Any, Any], expected: Any) -> None:
    copied = made(guidance="apart", decoder_frames=64, keyframes="copied")[0](*pair, TIMES, prompt="rain", seed=4)
    np.testing.assert_array_equal(copied[0], pair[0])
    np.testing.assert_array_equal(copied[-1], pair[1])
    np.testing.assert_array_equal(copied[1:-1], expected[1:-1])
    matched = made(guidance="apart", tone="match")[0](*pair, TIMES, prompt="rain", seed=4)
    wanted = pair[0].mean((0, 1))
    assert np.abs(matched[0].mean((0, 1)) - wanted).max() < np.abs(expected[0].mean((0, 1)) - wanted).max()


def test_random_parameters_need_no_file(
    tiny_file: Path, pair: tuple[Any, Any], stage_context: Callable[..., Any]
) -> None:
    # With a file its sizes are taken, and nothing else of it.
    options = ToonCrafterOptions(file=str(tiny_file), steps=1)
    context = stage_context()
    context.untrained = True
    drawn = ToonCrafter(options, context)(*pair, TIMES)
    assert drawn.std() > 1
    whole = plan(ToonCrafterOptions(device_map="single"), context, size=(320, 512), frames=16)
    assert whole.demands[0].need > 10 * 2**30, "the published sizes, where no file says otherwise"


def test_a_published_file_that_is_not_here(stage_context: Callable[..., Any]) -> None:
    with pytest.raises(MissingError, match=r"model\.ckpt"):
        ToonCrafter(ToonCrafterOptions(), stage_context())
    planned = plan(ToonCrafterOptions(), stage_context(), size=(320, 512), frames=16)
    assert planned.demands, "what it will need is said before it is downloaded"


@pytest.mark.parametrize("size", [(60, 64), (64, 0)])
def test_sizes_that_cannot_be_drawn(made: Made, size: tuple[int, int]) -> None:
    picture = np.zeros((*size, 3), np.uint8)
    with pytest.raises(UsageError, match="cannot draw"):
        made()[0](picture, picture, TIMES)


def test_the_plan_says_what_is_done(made: Made, tiny_file: Path, stage_context: Callable[..., Any]) -> None:
    options = ToonCrafterOptions(file=str(tiny_file), steps=7, device_map="offload", guidance="apart")
    said = plan(options, stage_context(dtype="float32"), size=(64, 64), frames=16)
    for words in ("7 steps", "offload", "cpu", "float32", "guidance apart"):
        assert words in said.summary
    with pytest.raises(UsageError, match="cannot draw 60×64"):
        plan(options, stage_context(), size=(64, 60), frames=16)


@pytest.mark.parametrize(("text", "size"), [("512x512", (512, 512)), ("576X320", (576, 320)), (None, None)])
def test_the_size_that_is_drawn_at(text: str | None, size: tuple[int, int] | None) -> None:
    assert ToonCrafterOptions(size=text).drawn_at == size


@pytest.mark.parametrize("text", ["512", "500x320", "0x64", "wide"])
def test_a_size_that_cannot_be_drawn_at(text: str) -> None:
    with pytest.raises(UsageError, match="size of tooncrafter"):
        ToonCrafterOptions(size=text)
