"""torch.compile as an option of a stage: said before it takes its minute, and a clear error where it cannot work."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from typing import ParamSpec, TypeVar

import torch

from animegen.errors import MissingError

P = ParamSpec("P")
R = TypeVar("R")

_COMPILERS = ("c++", "g++", "clang++", "cl")


def compiled(
    function: Callable[P, R],
    device: torch.device,
    *,
    stage: str = "this stage",
    say: Callable[[str], None] | None = None,
    dynamic: bool | None = False,
) -> Callable[P, R]:
    """`function`, compiled for `device`.

    Args:
        function: A module or function of tensors. What it computes may differ in the last bits from then on.
        device: Where it will run.
        stage: Its name, for messages.
        say: Told once, before the first call, that it takes a while.
        dynamic: False compiles anew for each size (fastest code); True once for all; None lets torch choose.

    Raises:
        MissingError: What torch needs for it is not installed: a C++ compiler for the processor, Triton for CUDA.
    """
    require_compiler(device, stage=stage)
    inner: Callable[P, R] = torch.compile(function, dynamic=dynamic)
    waiting = [say] if say is not None else []

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if waiting:
            waiting.pop()(f"{stage} is compiled for {device} now; the first result of each size takes a minute or so.")
        return inner(*args, **kwargs)

    return call


def require_compiler(device: torch.device, *, stage: str = "this stage") -> None:
    """Check that torch.compile can work for `device`. Raises MissingError with what to install."""
    without = f"or leave compile off: {stage} works without it"
    if device.type == "cuda":
        if find_spec("triton") is None:
            name = "triton-windows" if os.name == "nt" else "triton"
            raise MissingError(
                f"{stage} cannot be compiled for {device}: Triton is not installed.",
                hint=(f"pip install {name}", without),
            )
        return
    named = os.environ.get("CXX", "")
    whose = f" ({named}, of CXX)" if named else ""
    if not any(shutil.which(name) for name in (named, *_COMPILERS) if name):
        raise MissingError(
            f"{stage} cannot be compiled for {device}: there is no C++ compiler{whose}.",
            hint=("install g++ or clang (Debian, Ubuntu: apt install g++), or name one in CXX", without),
        )
