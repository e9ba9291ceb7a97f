"""Points from which a training goes on: folders that are whole or absent.

DIR/saves/00000500/
  trained.safetensors     the parameters that move, as they are trained
  average.safetensors     their average, where one is kept
  buffers.safetensors     statistics that move with it, where there are any
  optimizer.safetensors   its moments, as ``PARAMETER/exp_avg``
  state.json              the step, and what else is needed

Learning rates, random numbers and the place in the material follow from the number of the step.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from animegen.errors import InputError, ResourceError

FOLDER = "saves"
_PARTS = ("trained", "average", "optimizer", "buffers")
_NAME = re.compile(r"\d{8}")


@dataclass
class Save:
    """What is kept of a training after a step.

    Attributes:
        step: Steps done.
        trained: The parameters that move.
        average: Their average; empty where none is kept.
        optimizer: State of the optimiser, from `optimizer_state`.
        buffers: What else moves; empty where nothing does.
        extra: Further plain values.
    """

    step: int
    trained: Mapping[str, Tensor]
    average: Mapping[str, Tensor] = field(default_factory=dict)
    optimizer: Mapping[str, Tensor] = field(default_factory=dict)
    buffers: Mapping[str, Tensor] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


def write(out: Path, save: Save, *, keep: int) -> Path:
    """Write a save into ``out/saves`` and drop all but the last `keep`.

    Raises:
        ResourceError: The disk is full or read-only; earlier saves are as they were.
    """
    folder = out / FOLDER
    target = folder / f"{save.step:08d}"
    beside = folder / f".{target.name}.{secrets.token_hex(4)}.part"
    try:
        beside.mkdir(parents=True)
        for name in _PARTS:
            if tensors := getattr(save, name):
                save_file({key: tensor.detach().contiguous() for key, tensor in tensors.items()}, _file(beside, name))
        state = {"step": save.step, "parts": [name for name in _PARTS if getattr(save, name)], "extra": save.extra}
        (beside / "state.json").write_text(json.dumps(state) + "\n", "utf-8")
        shutil.rmtree(target, ignore_errors=True)  # of a training that was taken up before this step
        beside.replace(target)
    except (OSError, SafetensorError) as error:
        number = getattr(error, "errno", None)
        why = os.strerror(number) if number else str(error)
        raise ResourceError(
            f"{target} cannot be written: {why}.", hint="free some space; the same command with --resume goes on"
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    for old in _found(out)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def last(out: Path, *, device: torch.device | str = "cpu") -> Save | None:
    """The latest save in ``out/saves``, or None; what killed runs left half written is removed.

    Raises:
        InputError: It is damaged.
    """
    for part in (out / FOLDER).glob(".*.part"):
        shutil.rmtree(part, ignore_errors=True)
    found = _found(out)
    if not found:
        return None
    path = found[-1]
    try:
        state = json.loads((path / "state.json").read_text("utf-8"))
        tensors = {name: load_file(_file(path, name), device=str(device)) for name in _parts(state)}
        return Save(state["step"], extra=state["extra"], **tensors)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise InputError(
            f"{path} is damaged: {error}.",
            hint=f"remove it and --resume goes on from {found[-2].name if len(found) > 1 else 'the beginning'}",
        ) from error


def clear(out: Path, *, after: int = -1) -> None:
    """Forget all saves in `out`, or those of steps behind one."""
    if after >= 0:
        for path in _found(out):
            if int(path.name) > after:
                shutil.rmtree(path, ignore_errors=True)
        return
    shutil.rmtree(out / FOLDER, ignore_errors=True)
    with suppress(OSError):
        (out / FOLDER).rmdir()


def optimizer_state(optimizer: torch.optim.Optimizer, names: Mapping[int, str]) -> dict[str, Tensor]:
    """The tensors an optimiser keeps, as ``PARAMETER/KEY``.

    Args:
        optimizer: One whose state is tensors, as that of Adam and its kin.
        names: Name of each parameter by its ``id``.
    """
    found = {}
    for parameter, kept in optimizer.state.items():
        for key, value in kept.items():
            found[f"{names[id(parameter)]}/{key}"] = torch.as_tensor(value)
    return found


def restore_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Tensor], names: Mapping[int, str]) -> None:
    """Give an optimiser the state that `optimizer_state` took."""
    kept: dict[str, dict[str, Tensor]] = {}
    for name, value in state.items():
        parameter, _, key = name.rpartition("/")
        kept.setdefault(parameter, {})[key] = value
    document = optimizer.state_dict()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    document["state"] = {
        number: kept[names[id(parameter)]]
        for number, parameter in enumerate(parameters)
        if names[id(parameter)] in kept
    }
    optimizer.load_state_dict(document)


@torch.no_grad()
def restore_parameters(parameters: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Copy saved values into parameters, or into buffers.

    Raises:
        InputError: Other parameters were trained then.
    """
    if parameters.keys() != tensors.keys():
        raise InputError(
            f"the save holds {len(tensors)} trained tensors, this training moves {len(parameters)}.",
            hint="to begin a new training, name another folder: --out DIR",
        )
    for name, parameter in parameters.items():
        parameter.copy_(tensors[name])


def _parts(state: Mapping[str, Any]) -> list[str]:
    if "parts" not in state:  # as they were written at first
        return ["trained", "optimizer", *(["average"] if state["average"] else [])]
    return [name for name in _PARTS if name in state["parts"]]


def _found(out: Path) -> list[Path]:
    return sorted(path for path in (out / FOLDER).glob("*") if _NAME.fullmatch(path.name) and path.is_dir())


def _file(folder: Path, name: str) -> str:
    return str(folder / f"{name}.safetensors")
