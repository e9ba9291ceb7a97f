"""The devices of a training: accelerate's Accelerator as the options ask for it, and the launcher of several."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import patch_environment

from animegen.errors import MissingError, UsageError
from animegen.registry import is_installed
from animegen_torch.devices import pick_device, pick_devices
from animegen_torch.precision import is_fast, pick_dtype
from animegen_torch.training.options import LoopOptions

_MIXED = {torch.float32: "no", torch.float16: "fp16", torch.bfloat16: "bf16"}


def shared() -> bool:
    """Whether this process is one of several that share a training."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def training_device(devices: Sequence[str], *, stage: str) -> torch.device:
    """Where this process trains: its own of `devices` where several share the training, else the first of them.

    Raises:
        ResourceError: A device named is not here.
        UsageError: A name is not that of a device, or there are more processes on this machine than devices.
    """
    if not shared():
        return pick_device(devices, stage=stage)
    found = pick_devices(devices, stage=stage)
    if found[0].type == "cpu":
        return found[0]
    mine = int(os.environ.get("LOCAL_RANK", "0"))
    if mine >= len(found):
        raise UsageError(
            f"process {mine + 1} has no device: {', '.join(map(str, found))}.", hint="start a process for each device"
        )
    return found[mine]


def training_dtype(name: str, device: torch.device, *, stage: str) -> torch.dtype:
    """What is computed in. ``auto`` is bfloat16 where that is fast, else float16 on CUDA, else float32.

    Raises:
        UsageError: Training in that type is not possible there.
    """
    allowed = [torch.float32, torch.bfloat16, *([torch.float16] if device.type == "cuda" else [])]
    if name == "auto":
        return next(
            kind for kind in (torch.bfloat16, torch.float16, torch.float32) if kind in allowed and is_fast(kind, device)
        )
    return pick_dtype(name, device, allowed=allowed, stage=f"training of {stage} on {device.type}")


def make_accelerator(options: LoopOptions, device: torch.device, dtype: torch.dtype, out: Path) -> Accelerator:
    """An Accelerator for one training; several may follow one another in a process.

    Raises:
        MissingError: TensorBoard is asked for and not installed.
    """
    if options.tensorboard and not is_installed("tensorboard"):
        raise MissingError(
            "tensorboard is not installed here.",
            hint=("python -m pip install 'animegen-torch[train]'", "or leave -o trainer.tensorboard out"),
        )
    # What an earlier training of this process chose must not hold for this one; a group of processes stays.
    AcceleratorState._reset_state(reset_partial_state=not shared())
    named = {"ACCELERATE_TORCH_DEVICE": str(device)}
    if shared() and device.type == "cuda":
        torch.cuda.set_device(device)
    with patch_environment(**named):
        return Accelerator(
            mixed_precision=_MIXED[dtype],
            gradient_accumulation_steps=options.accumulate,
            cpu=device.type == "cpu",
            log_with="tensorboard" if options.tensorboard else None,
            project_dir=str(out),
        )


def launch(devices: Sequence[str]) -> list[str]:
    """The command line that starts a process for each of `devices`, up to the name of the module to run.

    The processor counts as often as it is named: ``cpu,cpu`` is two processes.

    torch's own launcher sets the variables that accelerate reads; ``accelerate launch`` does for several machines.

    Of the kind that `animegen.stages.TrainerSpec.launch` names.

    Raises:
        ResourceError: A device named is not here.
        UsageError: A name is not that of a device.
    """
    found = pick_devices(devices, stage="training")
    count = len(found) if found[0].type != "cpu" else devices.count("cpu") or 1
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count), "-m"]
