"""Where parts go: arithmetic of the plan, what is chosen, maps of one's own. No network is made, but for its sizes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("open_clip")
from animegen.errors import InputError, ResourceError, UsageError
from animegen_tooncrafter.checkpoint import BLUEPRINT, ModelConfiguration
from animegen_tooncrafter.checkpoint.parts import layer_of
from animegen_tooncrafter.first_stage.sweeps import Chunking
from animegen_tooncrafter.placement.activations import decoding, encoding, sampling
from animegen_tooncrafter.placement.choose import choose, next_smaller
from animegen_tooncrafter.placement.demands import LADDER, needs
from animegen_tooncrafter.placement.placement import STEERS, Placement, offload, parallel, single, split
from animegen_tooncrafter.plugin import ToonCrafterOptions
from animegen_torch.diffusion.clip import Clip
from animegen_torch.placement.choice import Choice, own_placement
from animegen_torch.placement.machine import Machine
from animegen_torch.placement.sizes import Sizes

GIB = 2**30
CLIP = Clip(320, 512)
Published = Sizes[ModelConfiguration]
HALF = {"cuda:0": "float16", "cuda:1": "float16", "cpu": "float32"}


@pytest.fixture(scope="module")
def published() -> Published:
    return Sizes.of(BLUEPRINT, ModelConfiguration())


def machine(*gib: float, memory: float = 64, dtype: str = "float16") -> Machine:
    """GPUs with so much free memory each."""
    devices = tuple(f"cuda:{number}" for number in range(len(gib))) or ("cpu",)
    free: dict[str, int | None] = {device: int(size * GIB) for device, size in zip(devices, gib, strict=False)}
    return Machine(devices, {**free, "cpu": int(memory * GIB)}, {**dict.fromkeys(devices, dtype), "cpu": "float32"})


def chosen(sizes: Published, there: Machine, clip: Clip = CLIP, **options: Any) -> Choice[Chunking]:
    return choose(ToonCrafterOptions(**options), there, sizes, clip)


def test_sizes_are_those_of_the_published_model(published: Published) -> None:
    assert published.parameters["unet"] == 1_438_854_980
    assert published.parameters["projector"] == 48_787_456
    assert published.parameters["first_stage"] == 34_163_592 + 65_778_223 + 92  # two 1×1 convolutions besides
    assert sum(published.layers.values()) == published.parameters["unet"]
    assert {"input_blocks.1.0", "input_blocks.1.2", "middle_block.3", "output_blocks.11.1", "init_attn.0"} <= set(
        published.layers
    )


@pytest.mark.parametrize(
    ("tensor", "layer"),
    [
        ("input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight", "input_blocks.4.1"),
        ("output_blocks.8.3.conv.bias", "output_blocks.8.3"),
        ("middle_block.0.in_layers.2.weight", "middle_block.0"),
        ("time_embed.0.weight", "time_embed"),
        ("out.2.bias", "out"),
    ],
)
def test_a_layer_is_never_cut_through_a_residual(tensor: str, layer: str) -> None:
    assert layer_of(tensor) == layer


def test_memory_grows_with_what_it_should_grow_with() -> None:
    unet, first = ModelConfiguration().unet, ModelConfiguration().first_stage

    def step(clip: Clip, at_once: int = 2, dtype: str = "float16") -> int:
        return sampling(clip, unet, dtype, "cuda", at_once=at_once)

    assert step(Clip(320, 512, 32)) > 1.4 * step(CLIP) > 1.4 * 1.2 * step(CLIP, 1)
    assert step(CLIP, dtype="float32") > 1.3 * step(CLIP)
    assert step(Clip(576, 1024)) > 2 * step(CLIP)
    assert encoding(Clip(640, 512), first, "float16", "cuda") > 1.5 * encoding(CLIP, first, "float16", "cuda")
    ways = [
        decoding(CLIP, first, "float16", "cuda", at_once=way.frames or 16, recompute=way.recompute, offload=way.offload)
        for way in LADDER
    ]
    assert ways == sorted(ways, reverse=True)
    assert len(set(ways)) == len(ways), "every step of the ladder has to need less"


def test_what_is_held_at_once_is_what_the_placement_says(published: Published) -> None:
    way = Chunking(frames=2)
    weights = {part: 2 * numbers for part, numbers in published.parameters.items() if part != "sketch"}
    whole = needs(published, single("cuda:0"), CLIP, HALF, chunking=way)["cuda:0"][0]
    parts = needs(published, split("cuda:0", "cuda:1"), CLIP, HALF, chunking=way)
    assert whole > sum(weights.values())
    assert parts["cuda:1"][0] > weights["unet"]
    assert whole - parts["cuda:0"][0] == weights["unet"]  # both have their worst moment in decoding
    one = needs(published, offload("cuda:0"), CLIP, HALF, chunking=way)["cuda:0"]
    assert one[0] == max(weights["unet"] + sampling(CLIP, published.model.unet, "float16", "cuda", at_once=2), one[0])
    assert one[0] < whole - sum(weights.values()) + weights["unet"] + weights["first_stage"]
    both = needs(published, parallel(split("cuda:0", "cuda:1"), "cuda:0"), CLIP, HALF, chunking=way)
    assert both["cuda:0"][0] == parts["cuda:0"][0] + weights["unet"]
    assert both["cuda:1"][0] < parts["cuda:1"][0]  # one branch in a call instead of two


def test_resting_parts_are_counted_where_they_rest(published: Published) -> None:
    way = Chunking(frames=1)
    on_file = needs(published, offload("cuda:0", rest="file"), CLIP, HALF, chunking=way)
    in_memory = needs(published, offload("cuda:0", rest="cpu"), CLIP, HALF, chunking=way)
    total = sum(2 * numbers for part, numbers in published.parameters.items() if part != "sketch")
    assert in_memory["cuda:0"] == on_file["cuda:0"]
    assert in_memory["cpu"][0] - on_file["cpu"][0] == total
    with_sketch = needs(published, offload("cuda:0"), CLIP, HALF, chunking=way, sketch=True)
    assert with_sketch["cuda:0"][0] >= on_file["cuda:0"][0] + 2 * published.parameters["sketch"]


@pytest.mark.parametrize(
    ("gib", "name", "twin"),
    [
        ((24,), "single", False),
        ((15, 15), "split", True),
        ((8,), "offload", False),
        ((6,), "offload", False),
        ((7, 15), "split", False),
    ],
)
def test_auto_takes_the_fastest_that_fits(published: Published, gib: tuple[float, ...], name: str, twin: bool) -> None:
    choice = chosen(published, machine(*gib))
    assert choice.fits(machine(*gib))
    assert (choice.placement.name, choice.placement.twin is not None) == (name, twin)
    assert not choice.placement.blocks


def test_on_a_small_card_the_unet_comes_by_blocks_and_only_as_many_as_must(published: Published) -> None:
    small = chosen(published, machine(3.4))
    smaller = chosen(published, machine(3.0))
    assert small.placement.blocks
    assert set(small.placement.blocks.values()) == {"cpu"}
    assert len(small.placement.blocks) < len(smaller.placement.blocks) < len(published.layers)
    for size, choice in ((3.4, small), (3.0, smaller)):
        assert choice.fits(machine(size)), choice.needs
    # Without memory to wait in, blocks come from the file.
    last = chosen(published, machine(3.0, memory=1))
    assert set(last.placement.blocks.values()) >= {"disk"}


def test_what_is_asked_for_is_what_is_tried(published: Published) -> None:
    assert chosen(published, machine(24), device_map="offload").placement.name == "offload"
    assert chosen(published, machine(15, 15), device_map="single").placement.used == ("cuda:0",)
    assert not chosen(published, machine(24), guidance="apart").together
    assert chosen(published, machine(15, 15), device_map="split", guidance="together").placement.twin is None
    assert chosen(published, machine(24), decoder_frames=3).decoding.frames == 3
    # What does not fit is not changed behind the user's back.
    alone = chosen(published, machine(4), device_map="single")
    assert alone.placement.name == "single"
    assert not alone.fits(machine(4))
    without = chosen(published, machine(15, 15), replace(CLIP, branches=1), guidance_scale=1)
    assert without.placement.twin is None


@pytest.mark.parametrize("options", [{"device_map": "split"}, {"guidance": "parallel"}])
def test_two_devices_asked_for_and_one_here(published: Published, options: dict[str, str]) -> None:
    with pytest.raises(ResourceError, match="needs two devices") as error:
        chosen(published, machine(24), **options)
    assert "--device" in " ".join(error.value.hints)


def test_the_next_smaller_setting_is_named_and_helps(published: Published) -> None:
    there = machine(6, dtype="float32")
    options = ToonCrafterOptions(device_map="single", guidance="together", decoder_frames=8)
    choice = choose(options, there, published, CLIP)
    hints = next_smaller(options, there, choice)
    asked = ["decoder_frames=1", "guidance=apart", "device_map=offload", "--dtype float16", "size=448x256"]
    assert [name for hint in hints for name in asked if name in hint] == asked
    total = choice.needs["cuda:0"][0]
    smaller = choose(replace(options, device_map="offload"), there, published, CLIP).needs["cuda:0"][0]
    assert smaller < total


def write(folder: Path, content: Any) -> Path:
    path = folder / "map.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def own(path: Path, sizes: Published, there: Machine) -> Placement:
    found = own_placement(str(path), there, sizes, stage="tooncrafter", follows=STEERS)
    assert found is not None
    return found


def test_a_map_of_ones_own(tmp_path: Path, published: Published) -> None:
    two_cards = machine(8, 8)
    one = own(write(tmp_path, {"*": "cuda:0", "unet": ["cuda:1", "cuda:0"], "text": "cpu"}), published, two_cards)
    assert one.devices["text"] == "cpu"
    assert (one.devices["unet"], one.twin, one.stay) == ("cuda:1", "cuda:0", True)
    two = own(
        write(tmp_path, {"*": "cuda:0", "rest": "cpu", "blocks": {"output_blocks": "cpu", "input_blocks.11": "disk"}}),
        published,
        two_cards,
    )
    assert not two.stay
    assert two.rest == "cpu"
    assert two.blocks["input_blocks.11.0"] == "disk"
    assert sum(place == "cpu" for place in two.blocks.values()) == sum(
        name.startswith("output_blocks.") for name in published.layers
    )


@pytest.mark.parametrize(
    ("content", "kind", "says"),
    [
        ("{", InputError, "is not JSON"),
        ([1], UsageError, "holds a list"),
        ({"unett": "cuda:0"}, UsageError, "'unett' is no part"),
        ({"unet": "cuda:0"}, UsageError, "gives no device for text"),
        ({"*": "cuda:7"}, UsageError, "'cuda:7', which is not here"),
        ({"*": 3}, UsageError, "3, which is not here"),
        ({"*": "cpu", "text": ["cpu", "cpu"]}, UsageError, "text has 2 devices"),
        ({"*": "cpu", "rest": "attic"}, UsageError, "rest is 'attic'"),
        ({"*": "cpu", "blocks": {"input_blocks": "attic"}}, UsageError, "blocks from 'attic'"),
        ({"*": "cpu", "blocks": {"input_block": "cpu"}}, UsageError, "no block 'input_block'"),
        ({"*": "cpu", "blocks": "cpu"}, UsageError, "blocks is a str"),
        ({"*": "cpu", "unet": ["cpu", "cpu"], "blocks": {"out": "cpu"}}, UsageError, "two U-Nets"),
    ],
)
def test_a_map_that_is_wrong_says_where(
    tmp_path: Path, published: Published, content: Any, kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=says) as error:
        own(write(tmp_path, content), published, machine(8))
    assert "map.json" in str(error.value)


def test_a_map_that_is_not_there(tmp_path: Path, published: Published) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        own(tmp_path / "none.json", published, machine())
