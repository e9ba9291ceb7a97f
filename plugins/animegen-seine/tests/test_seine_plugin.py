"""What the plugin says of itself: its record, its options, the published files, its plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from animegen.errors import ResourceError, UsageError
from animegen.options import Layer, resolve
from animegen_seine.model import BLUEPRINT, ModelConfiguration
from animegen_seine.placement.choose import choose
from animegen_seine.placement.plan import plan
from animegen_seine.plugin import SeineOptions, animegen_interpolators
from animegen_torch.diffusion.clip import Clip
from animegen_torch.placement.machine import Machine
from animegen_torch.placement.sizes import Sizes

SPEC = animegen_interpolators()[0]
GIB = 1 << 30


def test_it_makes_sixteen_frames_from_words() -> None:
    assert SPEC.frames == 16 and SPEC.other_counts and SPEC.uses_prompt and SPEC.uses_seed and SPEC.untrained
    assert SPEC.needs_for(SeineOptions()).size == (512, 320)
    assert SPEC.needs_for(SeineOptions(size="512x512")).size == (512, 512)


def test_every_record_says_where_its_file_is_and_under_which_terms() -> None:
    for weight in SPEC.weights:
        assert weight.purpose and weight.license
        assert weight.urls and all(url.startswith("hf://") and "@" in url for url in weight.urls)
        assert weight.sha256 is None or len(weight.sha256) == 64
        # Only SEINE's own file has no published digest.
        assert (weight.sha256 is None) == (weight.file == "seine.pt"), weight.file


@pytest.mark.parametrize(
    ("options", "files"),
    [
        ({}, {"seine.pt", "sd15-vae.safetensors", "sd15-text-encoder.safetensors"}),
        ({"base": "checkpoint"}, {"seine.pt", "sd-v1-4.ckpt"}),
        ({"file": "a"}, {"sd15-vae.safetensors", "sd15-text-encoder.safetensors"}),
        ({"autoencoder": "a"}, {"seine.pt", "sd15-text-encoder.safetensors"}),
        ({"base": "checkpoint", "autoencoder": "a"}, {"seine.pt", "sd-v1-4.ckpt"}),
        ({"file": "a", "autoencoder": "a", "text_encoder": "a", "base": "checkpoint"}, set()),
    ],
)
def test_the_files_that_options_ask_for(options: dict[str, Any], files: set[str]) -> None:
    assert {weight.file for weight in SPEC.weights_for(SeineOptions(**options))} == files


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "500x320"}, "multiples of 8"),
        ({"size": "big"}, "multiples of 8"),
        ({"guidance_interval": (0.9, 0.2)}, "guidance_interval"),
        ({"guidance_interval": ()}, "guidance_interval"),
        ({"eta": 0.5}, "goes with ddim"),
        ({"device_map": "everywhere"}, "device_map"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SeineOptions(**options)


def test_texts_become_options() -> None:
    layer = Layer("command line", {"steps": "50", "sampler": "ddim", "guidance_interval": "0.1,0.9", "eta": "0.5"})
    options = resolve(SeineOptions, [layer], name="seine").values
    assert (options.steps, options.sampler, options.guidance_interval, options.eta) == (50, "ddim", (0.1, 0.9), 0.5)


def machine(free: float, dtype: str = "float16") -> Machine:
    return Machine(("cuda:0",), {"cuda:0": round(free * GIB), "cpu": 64 * GIB}, {"cuda:0": dtype, "cpu": "float32"})


def test_the_fastest_way_that_fits_is_taken() -> None:
    sizes, clip = Sizes.of(BLUEPRINT, ModelConfiguration()), Clip(320, 512)
    found = [
        (choice.placement.name, choice.together, choice.fits(machine(free)))
        for free in (24, 3.6, 3.2, 1.0)
        for choice in [choose(SeineOptions(), machine(free), sizes, clip)]
    ]
    assert found[0] == ("single", True, True)
    assert found[1][0] in ("single", "offload") and found[1][2]
    assert found[2] == ("offload", False, True)
    assert found[3] == ("offload", False, False)
    assert choose(SeineOptions(guidance="apart"), machine(24), sizes, clip).together is False
    assert choose(SeineOptions(device_map="offload"), machine(24), sizes, clip).placement.stay is False
    with pytest.raises(ResourceError, match="needs two devices"):
        choose(SeineOptions(device_map="split"), machine(24), sizes, clip)
    two = Machine(("cuda:0", "cuda:1"), {}, {"cuda:0": "float16", "cuda:1": "float16"})
    assert choose(SeineOptions(device_map="split"), two, sizes, clip).placement.devices["unet"] == "cuda:1"
    assert choose(SeineOptions(guidance_scale=1), machine(24), sizes, Clip(320, 512, 16, 1)).together is False


def test_the_plan_says_what_is_needed_before_anything_is_here(stage_context: Callable[..., Any]) -> None:
    made = plan(SeineOptions(device_map="single"), stage_context(dtype="float32"), size=(320, 512), frames=16)
    assert made.summary.startswith("250 steps of DDPM; single: all on cpu; float32; guidance")
    # 1.1 thousand million parameters in float32, and what lies beside them.
    assert 4.1 * GIB < made.demands[0].need < 12 * GIB
    assert "-o seine.device_map=offload" in made.hint
    less = plan(SeineOptions(device_map="offload"), stage_context(dtype="float32"), size=(320, 512), frames=16)
    assert less.demands[0].need < made.demands[0].need
    with pytest.raises(UsageError, match="512×321"):
        plan(SeineOptions(), stage_context(), size=(321, 512), frames=16)
