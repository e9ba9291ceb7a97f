"""ToonCrafter of the published size on the processor: seconds and memory of each part of an untrained clip.

    python benchmarks/tooncrafter_real_size.py [--steps 2] [--size 320x512] [--dtype float32] [--no-second-pass]

One process, part after part: each is drawn from its seed when it runs and let go of behind, so that never more than one
is in memory (the U-Net is the largest: 5.8 GB in float32). What is known is printed at once. Two steps take some 25
minutes at 100 GFLOP/s, of which the decoder's two passes are half; 50 steps are reckoned from the median of a step.
GFLOP/s are those of the published pipeline's products; what ours leaves out of them counts as done. In bfloat16 a
processor without units for it takes several times as long.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from clip_parts import Taken, clip, held, settings_of

from animegen_tooncrafter.checkpoint import ModelConfiguration
from animegen_tooncrafter.placement.choose import choose
from animegen_tooncrafter.plugin import TOONCRAFTER, ToonCrafterOptions
from animegen_tooncrafter.synthesis import Parts
from animegen_torch.devices import free_memory
from animegen_torch.diffusion.clip import Clip
from animegen_torch.memory import gib
from animegen_torch.placement.machine import Machine
from animegen_torch.placement.residence import Residence
from animegen_torch.placement.sizes import Sizes

STEPS, FRAMES = 50, TOONCRAFTER.frames
TFLOP = {"tokens": 0.82, "encoding": 1.38, "step": 25.2, "decoding": 71.0, "one pass": 37.87}
"""Of a clip of 512×320 and 16 frames, by part: both branches, both keyframes."""


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--size", default="320x512", help="height x width, multiples of 64")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--no-second-pass", action="store_true", help="leave out the decoder's second pass")
    parser.add_argument("--threads", type=int, help="by default as many as torch takes")
    parser.add_argument("--tiny", action="store_true", help="small networks, to try the script itself")
    parser.add_argument("--out", type=Path, help="JSON file for every number")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    height, width = map(int, options.size.split("x"))
    TOONCRAFTER.check_size(height, width, FRAMES)
    model = ModelConfiguration()
    if options.tiny:
        from tooncrafter_gpu import tiny

        model = tiny()
    source = held(model)
    cpu = torch.device("cpu")
    free = free_memory(cpu)
    machine = Machine(("cpu",), {"cpu": free}, {"cpu": options.dtype})
    wanted = ToonCrafterOptions(device_map="offload", steps=options.steps)
    sizes = Sizes.of(source.blueprint, source.model)
    choice = choose(wanted, machine, sizes, Clip(height, width, FRAMES, wanted.branches))
    need, what = choice.needs["cpu"]
    print(
        f"{width}×{height}, {FRAMES} frames, {options.dtype}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}; {choice.placement.describe()}",
        flush=True,
    )
    print(f"planned: {gib(need)} while {what}; {'?' if free is None else gib(free)} are free", flush=True)
    if free is not None and need > free:
        sys.exit("that does not fit; --dtype bfloat16 takes half")
    published = not options.tiny and (height, width) == (320, 512)

    def tell(name: str, one: Taken) -> None:
        key = "step" if name.startswith("step") else name
        if key == "decoding" and options.no_second_pass:
            key = "one pass"
        rate = f", {1000 * TFLOP[key] / one.seconds:.0f} GFLOP/s" if published and key in TFLOP else ""
        peak = f", peak {gib(one.bytes)} of the process" if one.bytes else ""
        print(f"{name:>14}: {one.seconds:.1f} s wall, {one.processor:.1f} s of processor{rate}{peak}", flush=True)

    residence = Residence(source, choice.placement, {"cpu": options.dtype})
    settings = settings_of(choice, options.steps, FRAMES, second_pass=not options.no_second_pass)
    run = clip(cpu, (height, width), Parts.of(residence, source.schedule()[0]), settings, tell=tell)
    print(
        f"a clip of {options.steps} steps took {sum(one.seconds for one in run.parts.values()):.0f} s, "
        f"at most {gib(max(one.bytes for one in run.parts.values()))}; "
        f"one of {STEPS} would take {run.seconds(STEPS) / 3600:.2f} h (reckoned)"
    )
    if options.out is not None:
        record = {"size": [height, width], "dtype": options.dtype, "planned": need, **run.told()}
        record["parts"] = {name: asdict(one) for name, one in run.parts.items()}
        options.out.write_text(json.dumps(record, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
