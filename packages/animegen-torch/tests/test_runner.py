"""What is done around a model of clips, with a model of a few numbers: placed once, less at once, done again, kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from animegen.errors import ResourceError, StageError, UsageError
from animegen_torch.diffusion.clip import Clip, ClipModel
from animegen_torch.diffusion.finite import NotFiniteError
from animegen_torch.diffusion.kept import key_of
from animegen_torch.diffusion.noise import Noise
from animegen_torch.diffusion.runner import Runner
from animegen_torch.placement.choice import Choice, first_that_fits, own_placement, smaller_settings
from animegen_torch.placement.demands import needs
from animegen_torch.placement.machine import Machine
from animegen_torch.placement.placement import offload, parallel, single, split
from animegen_torch.placement.sizes import Sizes
from animegen_torch.placement.source import Blueprint, Source, untrained

TOY = ClipModel("toy", "Toy", multiple=4, usual="8×8 is usual", sizes="8x8", map_help="devices by part", frames=3)
CLIP = Clip(8, 8, frames=3)
FULL = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
OUTPUT = {"cpu": "float32", "cuda:0": "float16", "cuda:1": "float16"}


@dataclass(frozen=True)
class Width:
    """Sizes of the toy."""

    width: int = 3


def new(part: str, model: Width) -> nn.Module:
    return nn.Linear(model.width, model.width * (2 if part == "unet" else 1), bias=part != "text")


TOYS: Blueprint[Width] = Blueprint(
    ("text", "unet", "first_stage", "guide"),
    new,
    lambda part, name: part == "unet" and name == "bias",
    lambda name: name,
)
Made = Callable[..., tuple[Runner[Source[Width], int], Any]]


@pytest.fixture
def made(stage_context: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """A runner that decodes four frames at once, and its context."""
    monkeypatch.setenv("ANIMEGEN_HOME", str(tmp_path))

    def make(dtype: str = "float32") -> tuple[Runner[Source[Width], int], Any]:
        context = stage_context(dtype=dtype)

        def choose(machine: Machine, sizes: Sizes[Width], clip: Clip) -> Choice[int]:
            return Choice(single(machine.devices[0], TOYS.parts), clip.branches > 1, 4, {})

        runner: Runner[Source[Width], int] = Runner(
            TOY, context, lambda: untrained(TOYS, Width()), choose, lambda machine, choice: ("draw less",)
        )
        runner.settle(CLIP)
        return runner, context

    return make


def test_parts_are_placed_at_the_first_clip_and_again_after_closing(made: Made) -> None:
    runner, _ = made()
    choice, residence = runner.choice, runner.residence
    runner.settle(Clip(16, 16, branches=1))
    assert runner.choice is choice and runner.residence is residence
    runner.close()
    runner.close()
    runner.settle(Clip(16, 16, branches=1))
    assert not runner.choice.together


def test_decoding_goes_down_the_ways_and_stays_where_it_went_through(made: Made) -> None:
    runner, context = made()
    tried = []

    def decode(coder: Any, at_once: int) -> int:
        tried.append(at_once)
        if at_once > 1:
            raise FULL
        with coder() as network:
            return int(network.in_features)

    assert runner.decode((2, 1), decode, onward="with fewer") == 3
    assert tried == [4, 2, 1]
    assert context.warnings == ["Out of memory on cpu while decoding; it goes on with fewer."] * 2
    runner.decode((), decode, onward="with fewer")
    assert tried == [4, 2, 1, 1] and runner.choice.decoding == 1


def test_where_no_way_suffices_the_next_settings_are_told(made: Made) -> None:
    runner, context = made()
    with pytest.raises(ResourceError, match="out of memory on cpu in toy, decoding") as decoding:
        runner.decode((), lambda coder, at_once: _raise(FULL), onward="with fewer")
    assert decoding.value.hints == ("what was sampled is kept: the same command again only decodes", "draw less")
    assert not context.warnings, "it does not go on"
    with pytest.raises(ResourceError, match="in toy, sampling") as sampling:
        runner.attempt("sampling", "unet", lambda: _raise(MemoryError()))
    assert sampling.value.hints == ("draw less",)
    with pytest.raises(RuntimeError, match="a bug"):
        runner.attempt("sampling", "unet", lambda: _raise(RuntimeError("a bug")))


def test_what_half_precision_does_not_hold_is_done_again_in_float32(made: Made) -> None:
    runner, context = made("bfloat16")
    seen: list[torch.dtype] = []

    def encode(coder: Any) -> torch.dtype:
        with coder() as network:
            seen.append(network.weight.dtype)
            if network.weight.dtype != torch.float32:
                raise NotFiniteError("too large.")
            return seen[-1]

    assert runner.encode(encode) == torch.float32
    assert seen == [torch.bfloat16, torch.float32]
    assert context.warnings[-1] == "too large. That part is done again in float32."
    with pytest.raises(NotFiniteError):
        made()[0].encode(lambda coder: _raise(NotFiniteError("too large.")))


def test_an_encoder_that_runs_again_is_given_the_same_noise() -> None:
    once, twice = Noise(7), Noise(7)
    draws = [twice.posterior((2, 3)), twice.posterior((2, 3))]
    assert torch.equal(once.posterior((2, 3)), draws[1]) and torch.equal(*draws)
    assert torch.equal(once.start((4,)), twice.start((4,)))


def test_what_was_sampled_is_taken_from_where_it_was_kept(made: Made) -> None:
    latents = torch.arange(6.0).view(2, 3)
    first, _ = made()
    assert torch.equal(first.sampled("key", lambda: latents), latents)
    second, context = made()
    assert torch.equal(second.sampled("key", lambda: pytest.fail("sampled again")), latents)
    assert "only decoding was left" in context.warnings[-1]
    second.kept.drop("key")
    assert torch.equal(made()[0].sampled("key", lambda: latents + 1), latents + 1)


def test_a_key_hangs_on_both_pictures_and_on_all_facts() -> None:
    black, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    keys = {key_of(black, white, (1, "a")), key_of(white, black, (1, "a")), key_of(black, white, (1, "b"))}
    assert len(keys) == 3 and key_of(black, white, (1, "a")) in keys


def test_parameters_are_those_of_the_source(made: Made) -> None:
    source = untrained(TOYS, Width())
    unet = source.part("unet", torch.bfloat16, torch.device("cpu"))
    assert unet.weight.dtype == torch.bfloat16 and unet.bias.dtype == torch.float32
    assert not unet.training and not any(one.requires_grad for one in unet.parameters())
    again = source.tensors("unet", torch.bfloat16)
    assert all(torch.equal(one, again[name]) for name, one in unet.state_dict().items())
    with pytest.raises(RuntimeError, match=r"[Mm]issing"):
        TOYS.filled("unet", Width(), {"weight": torch.zeros(6, 3)})


class Ticking(nn.Linear):
    """A network with a buffer that no file has."""

    def __init__(self) -> None:
        super().__init__(1, 1)
        self.register_buffer("tick", torch.zeros(1), persistent=False)


def test_a_network_with_something_that_nothing_fills_is_refused() -> None:
    blueprint: Blueprint[None] = Blueprint(("unet",), lambda part, _: Ticking(), lambda *_: False, str)
    with pytest.raises(StageError, match="tick"):
        blueprint.filled("unet", None, Ticking().state_dict())


def moments(part: str, device: str) -> Iterator[tuple[int, str]]:
    if part != "guide":
        yield {"text": 5, "unet": 100, "first_stage": 50}[part], part


def needed(placement: Any, **given: Any) -> Mapping[str, tuple[int, str]]:
    return needs(Sizes.of(TOYS, Width()), placement, OUTPUT, moments, **given)


def test_needs_are_weights_and_what_lies_beside_them() -> None:
    sizes = Sizes.of(TOYS, Width())
    assert sizes.parameters == {"text": 9, "unet": 24, "first_stage": 12, "guide": 12}
    assert sizes.layers == {"weight": 18, "bias": 6} and sizes.largest == 18
    parts, guide = TOYS.parts, ("guide",)
    assert needed(single("cuda:0", parts)) == {"cuda:0": (2 * 57 + 100, "unet")}
    assert needed(single("cuda:0", parts), without=guide) == {"cuda:0": (2 * 45 + 100, "unet")}
    apart = needed(split("cuda:0", "cuda:1", parts))
    assert apart == {"cuda:1": (2 * 24 + 100, "unet"), "cuda:0": (2 * 33 + 50, "first_stage")}
    # A part that comes alone finds room where another was; the one that steers the U-Net comes with it.
    assert needed(offload("cuda:0", parts)) == {"cuda:0": (2 * 24 + 100, "unet")}
    assert needed(offload("cuda:0", parts), beside=guide) == {"cuda:0": (2 * 36 + 100, "unet")}
    resting = needed(offload("cuda:0", parts, rest="cpu"), waiting=7)
    assert resting["cpu"] == (2 * 57 + 7, "what waits for its turn")
    twins = needed(parallel(split("cuda:0", "cuda:1", parts), "cuda:0"))
    assert twins["cuda:0"] == (2 * 57 + 100, "unet")


def test_the_first_way_that_fits_is_taken_and_the_last_where_none_does() -> None:
    here = Machine(("cuda:0",), {"cuda:0": 100, "cpu": None}, OUTPUT)
    placement = single("cuda:0", TOYS.parts)
    ways = [Choice(placement, True, at_once, {"cuda:0": (50 * at_once, "decoding")}) for at_once in (4, 2, 1)]
    assert first_that_fits(here, ways).decoding == 2
    assert first_that_fits(here, ways[:1]).decoding == 4
    assert ways[0].describe(here, 2) == ["single: all on cuda:0", "float16", "guidance together"]
    assert ways[0].describe(here, 1) == ["single: all on cuda:0", "float16"]
    plan = ways[0].plan(here, "words", smaller_settings("toy", here, ways[0], "4x4"))
    assert [(one.device, one.need, one.have) for one in plan.demands] == [("cuda:0", 200, 100)]
    assert plan.hint == "-o toy.device_map=offload (each part comes when it runs); or -o toy.size=4x4"
    assert own_placement("auto", here, Sizes.of(TOYS, Width()), stage="toy") is None


def test_what_can_be_drawn() -> None:
    assert TOY.drawn_at("16x8") == (16, 8) and TOY.drawn_at("15x8") is None and TOY.drawn_at(None) is None
    TOY.check_size(8, 16, 2)
    for size, told in (((8, 10, 3), "10×8"), ((0, 8, 3), "8×0"), ((8, 8, 1), "1 frames")):
        with pytest.raises(UsageError, match=told):
            TOY.check_size(*size)
    image = np.zeros((8, 8, 3), np.uint8)
    TOY.check_pair(image, image)
    wrong: list[Any] = [image[:4], image[..., :2], image.astype(np.float32)]
    for other in wrong:
        with pytest.raises(StageError, match="toy takes"):
            TOY.check_pair(image, other)


def _raise(error: Exception) -> Any:
    raise error
