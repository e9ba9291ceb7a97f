"""Number formats: which one a stage computes in, and how exactly float32 is multiplied."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from animegen.errors import UsageError, did_you_mean

NAMES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
"""What a user may name, besides ``auto``."""


def pick_dtype(
    name: str,
    device: torch.device,
    *,
    allowed: Sequence[torch.dtype] = (torch.float32, torch.float16, torch.bfloat16),
    stage: str = "this stage",
    warn: Callable[[str], None] | None = None,
) -> torch.dtype:
    """The type a stage computes in.

    Args:
        name: `Context.dtype`. ``auto`` is the fastest type that `device` has units for and that is `allowed`: float16
            on CUDA, bfloat16 on a processor with AMX or AVX-512 BF16, else float32.
        allowed: Types the stage gives sound results in.
        stage: Its name, for messages.
        warn: Called with a sentence when the type named is slow on `device`; it is used all the same.

    Raises:
        UsageError: The name is none, or the stage cannot compute in that type.
    """
    if name == "auto":
        best = fastest_dtype(device)
        return best if best in allowed else torch.float32
    if name not in NAMES:
        names = ("auto", *NAMES)
        raise UsageError(f"{name!r} is not a number format.", hint=f"{did_you_mean(name, names)}{', '.join(names)}")
    dtype = NAMES[name]
    if dtype not in allowed:
        others = " or ".join(known for known, one in NAMES.items() if one in allowed)
        raise UsageError(f"{stage} does not compute in {name}.", hint=f"use --dtype {others}, or auto")
    if warn is not None and not is_fast(dtype, device):
        warn(f"{device} has no units for {name}: {stage} is slower in it than in float32.")
    return dtype


def fastest_dtype(device: torch.device) -> torch.dtype:
    """The fastest of float16, bfloat16 and float32 on `device`, by what its hardware has."""
    wanted = {"cuda": torch.float16, "cpu": torch.bfloat16}.get(device.type, torch.float32)
    return wanted if is_fast(wanted, device) else torch.float32


def is_fast(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether `device` computes in `dtype` at least as fast as in float32. Torch is asked, never a name of a model."""
    if dtype == torch.float32:
        return True
    if dtype not in (torch.float16, torch.bfloat16):
        return False
    if device.type == "cuda":
        if torch.version.hip:
            return True
        # Tensor cores take float16 from 7.0 (Volta) and bfloat16 from 8.0 (Ampere) on.
        return torch.cuda.get_device_capability(device) >= ((7, 0) if dtype == torch.float16 else (8, 0))
    if device.type == "mps":
        return dtype == torch.float16
    return device.type == "cpu" and _cpu_has(dtype)


def _cpu_has(dtype: torch.dtype) -> bool:
    has_library: Callable[[], bool] = torch.backends.mkldnn.is_available  # the one that knows these units
    if not has_library():
        return False
    wanted = ("amx_bf16", "avx512_bf16", "avx10_2") if dtype == torch.bfloat16 else ("amx_fp16", "avx10_2")
    ask = getattr(torch.cpu, "get_capabilities", None)
    if ask is not None:
        has = ask()
        return any(bool(has.get(unit)) for unit in wanted)
    older = (
        ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
        if dtype == torch.bfloat16
        else ("_is_amx_fp16_supported",)
    )
    return any(bool(getattr(torch.cpu, unit, lambda: False)()) for unit in older)


@contextmanager
def tf32(on: bool) -> Iterator[None]:
    """Within the block, let CUDA multiply float32 in TF32 (10 bits of fraction, several times faster), or forbid it.

    Torch as it comes allows it in convolutions and forbids it in matrix products; here both do what is said, and go
    back afterwards. The settings belong to the process, not to a thread. Without CUDA nothing changes in any result.
    """
    matmul, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if on else "highest")
    torch.backends.cudnn.allow_tf32 = on
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.allow_tf32 = convolutions
