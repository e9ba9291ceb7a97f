"""ToonCrafter of the published size on a CUDA GPU: memory of each placement on cards of 15, 8 and 6 GB, and speed.

    python benchmarks/tooncrafter_gpu.py [--out tooncrafter_gpu.json]

Untrained parameters of the published sizes are drawn on the device: nothing is downloaded. First one clip of 512×320,
16 frames and 50 steps with all the memory there is: its seconds by part, and TFLOP/s against the 1343 TFLOP of such a
clip (products of the published pipeline; what ours leaves out of them counts as done). Then each placement under each
cap of memory, with two steps: what the plan says it needs, what torch took at most, and what a clip of 50 steps would
take, reckoned from those. All of it in one call of at most eight minutes; what there is no time for is left out and
said.

A cap is torch's own limit for this process; a card needs some 0.4 GB besides for the driver. One GPU stands for both of
`split`, in turns: with the parts of one device in memory, then those of the other. They never compute at the same
time.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from clip_parts import clip, held, settings_of

from animegen.errors import AnimeGenError
from animegen_tooncrafter.checkpoint import ModelConfiguration
from animegen_tooncrafter.first_stage.sweeps import Chunking
from animegen_tooncrafter.placement.choose import choose
from animegen_tooncrafter.placement.source import Source
from animegen_tooncrafter.plugin import TOONCRAFTER, ToonCrafterOptions
from animegen_tooncrafter.synthesis import Parts
from animegen_torch.devices import free_memory
from animegen_torch.diffusion.clip import Clip
from animegen_torch.memory import gib, is_out_of_memory, release
from animegen_torch.placement.choice import Choice
from animegen_torch.placement.machine import Machine
from animegen_torch.placement.residence import Residence
from animegen_torch.placement.sizes import Sizes

GB = 10**9
CAPS = (15, 8, 6)
MAPS = ("split", "single", "offload")
STEPS, SHORT = 50, 2
TFLOP_OF_A_CLIP = 1343.0
BUDGET = 440.0
"""Seconds after which no further case is begun: the call is to end within eight minutes."""


@dataclass(frozen=True)
class Bench:
    """What all cases share."""

    device: torch.device
    dtype: str
    source: Source
    size: tuple[int, int]
    frames: int
    deadline: float

    @property
    def name(self) -> str:
        return str(self.device)


def chosen(bench: Bench, device_map: str, cap: int | None) -> Choice[Chunking]:
    """What a run would choose on cards with `cap` bytes free; two of them for `split`."""
    names = (bench.name,) if device_map != "split" else (bench.name, f"{bench.device.type}:second")
    memory = {"cpu": free_memory(torch.device("cpu"))}
    machine = Machine(names, memory | dict.fromkeys(names, cap), {"cpu": "float32"} | dict.fromkeys(names, bench.dtype))
    options = ToonCrafterOptions(device_map=device_map, guidance="together" if device_map == "split" else "auto")
    sizes = Sizes.of(bench.source.blueprint, bench.source.model)
    return choose(options, machine, sizes, Clip(*bench.size, bench.frames, options.branches))


def case(bench: Bench, device_map: str, cap: int) -> dict[str, Any]:
    """One placement under one cap, as a record."""
    choice = chosen(bench, device_map, cap)
    needs = {device: need for device, (need, _) in choice.needs.items() if device != "cpu"}
    if bench.name == "cpu":
        needs = {device: need for device, (need, _) in choice.needs.items()}
    record: dict[str, Any] = {
        "map": device_map,
        "cap": cap,
        "placement": choice.placement.describe(),
        "together": choice.together,
        "decoder": {"together": choice.together, **vars(choice.decoding)},
        "planned": needs,
    }
    if too_much := {device: need for device, need in needs.items() if need > cap}:
        record["result"] = "the plan says that it does not fit"
        record["planned_too_much"] = too_much
        return record
    here = dict.fromkeys(choice.placement.devices, bench.name)
    placement = replace(choice.placement, devices=here)
    residence = Residence(bench.source, placement, {bench.name: bench.dtype, "cpu": "float32"})
    # One GPU stands for two: what one device holds goes before what the other holds comes.
    between = residence.close if device_map == "split" else None
    try:
        with capped(bench.device, cap):
            run = clip(
                bench.device,
                bench.size,
                Parts.of(residence, bench.source.schedule()[0]),
                settings_of(choice, SHORT, bench.frames),
                between=between,
            )
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)
        record["result"] = "out of memory"
        return record
    finally:
        residence.close()
        release(bench.device)
    peaks = {name: one.bytes for name, one in run.parts.items()}
    names = list(choice.placement.used)  # the U-Net's first
    record["peak"] = (
        {names[0]: peaks["sampling"], names[1]: max(peaks[name] for name in peaks if name != "sampling")}
        if device_map == "split"
        else {bench.name: max(peaks.values())}
    )
    record["reserved"] = max(one.reserved for one in run.parts.values())
    record |= {"result": "done", "seconds_50_reckoned": round(run.seconds(STEPS), 2), **run.told()}
    return record


@contextmanager
def capped(device: torch.device, cap: int) -> Iterator[None]:
    """No more than `cap` bytes of the device for torch."""
    if device.type != "cuda":
        yield
        return
    whole = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(min(1.0, cap / whole), device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)


def fastest(bench: Bench, steps: int, *, published: bool) -> dict[str, Any]:
    """A clip with all parts resident and all the memory there is; a short one before, which warms libraries up."""
    device, choice = bench.device, chosen(bench, "single", None)
    residence = Residence(bench.source, choice.placement, {bench.name: bench.dtype, "cpu": "float32"})
    try:
        clip(
            device,
            bench.size,
            Parts.of(residence, bench.source.schedule()[0]),
            settings_of(choice, SHORT, bench.frames),
        )
        run = clip(
            device,
            bench.size,
            Parts.of(residence, bench.source.schedule()[0]),
            settings_of(choice, steps, bench.frames),
        )
    finally:
        residence.close()
        release(bench.device)
    seconds = sum(one.seconds for one in run.parts.values())
    record = {"steps": steps, "seconds": round(seconds, 3), "peak": max(one.bytes for one in run.parts.values())}
    if published:
        record["tflop"] = TFLOP_OF_A_CLIP
        record["tflop_per_second"] = round(TFLOP_OF_A_CLIP / seconds, 1)
    return record | run.told()


def tell(record: Mapping[str, Any]) -> str:
    """One line of a case."""
    plan = ", ".join(f"{device} {gib(need)}" for device, need in record["planned"].items())
    text = f"{record['map']:>7} under {record['cap'] / GB:.0f} GB: planned {plan}; {record['result']}"
    if "peak" in record:
        peak = ", ".join(f"{device} {gib(most)}" for device, most in record["peak"].items())
        text += f": peak {peak}; {record['seconds_50_reckoned']:.1f} s with {STEPS} steps (reckoned)"
    return text


def device_here(name: str | None) -> torch.device:
    """The GPU, or a way out where there is none."""
    if name is not None:
        return torch.device(name)
    if not torch.cuda.is_available():
        why = "this torch is built without CUDA" if torch.version.cuda is None else "no NVIDIA driver answers"
        sys.exit(f"tooncrafter_gpu.py needs a CUDA GPU, and there is none here ({why}); nothing was measured.")
    return torch.device("cuda:0")


def tiny() -> ModelConfiguration:
    """Small sizes of everything, to try this script without a GPU."""
    from tooncrafter_clip import HALF

    unet = replace(HALF.unet, model_channels=32, num_head_channels=16, context_dim=64)
    resampler = replace(HALF.resampler, dim=64, depth=1, heads=2, output_dim=64)
    text = replace(HALF.text, width=64, heads=2, layers=2)
    return replace(HALF, unet=unet, first_stage=replace(HALF.first_stage, ch=32), resampler=resampler, text=text)


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("tooncrafter_gpu.json"))
    parser.add_argument("--dtype", help="by default bfloat16 where the GPU has it, else float16")
    parser.add_argument("--size", default="320x512", help="height x width")
    parser.add_argument("--steps", type=int, default=STEPS, help="of the clip with all the memory")
    parser.add_argument("--tiny", action="store_true", help="small networks, to try the script itself")
    parser.add_argument("--device", help="cpu, with --tiny, where there is no GPU")
    options = parser.parse_args()
    begun = time.perf_counter()
    device = device_here(options.device)
    cuda = device.type == "cuda"
    dtype = options.dtype or (
        ("bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16") if cuda else "float32"
    )
    height, width = map(int, options.size.split("x"))
    model = tiny() if options.tiny else ModelConfiguration()
    bench = Bench(device, dtype, held(model), (height, width), TOONCRAFTER.frames, begun + BUDGET)
    name = torch.cuda.get_device_name(device) if cuda else "processor"
    report: dict[str, Any] = {
        "device": name,
        "memory": torch.cuda.get_device_properties(device).total_memory if cuda else None,
        "torch": torch.__version__,
        "dtype": dtype,
        "size": [height, width],
        "frames": bench.frames,
        "tiny": options.tiny,
        "cases": [],
    }

    def save() -> None:
        options.out.write_text(json.dumps(report, indent=1), encoding="utf-8")

    print(f"{name}, {dtype}, {width}×{height}, {bench.frames} frames, torch {torch.__version__}", flush=True)
    published = not options.tiny and (height, width, options.steps) == (320, 512, STEPS)
    for map_, cap in ((None, None), *((map_, cap * GB) for cap in CAPS for map_ in MAPS)):
        if time.perf_counter() > bench.deadline:
            report["cases"].append({"map": map_, "cap": cap, "result": "left out: no time"})
            print(f"{map_} under {cap}: left out, no time", flush=True)
            continue
        try:
            if map_ is None or cap is None:
                report["clip"] = record = fastest(bench, options.steps, published=published)
                rate = f", {record['tflop_per_second']:.0f} TFLOP/s" if published else ""
                print(
                    f"a clip, {options.steps} steps: {record['seconds']:.1f} s{rate}, peak {gib(record['peak'])}",
                    flush=True,
                )
            else:
                report["cases"].append(case(bench, map_, cap))
                print(tell(report["cases"][-1]), flush=True)
        except AnimeGenError as error:  # the others may go well
            report["cases"].append({"map": map_, "cap": cap, "result": error.message})
            print(f"{map_} under {cap}: {error.message}", flush=True)
        finally:
            save()
    report["seconds"] = round(time.perf_counter() - begun, 1)
    save()
    print(f"{report['seconds']:.0f} s in all; {options.out} holds every number")


if __name__ == "__main__":
    main()
