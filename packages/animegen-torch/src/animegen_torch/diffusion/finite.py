"""Where infinite or undefined numbers come from, when a result holds some."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from animegen.errors import AnimeGenError


class NotFiniteError(AnimeGenError):
    """A network's result is not finite; the message says which part of it gave the first such number."""


def is_finite(x: Tensor) -> bool:
    """Whether all of `x` is. Cheap: one reduction, one number read back."""
    return bool(torch.isfinite(x.sum(dtype=torch.float32))) or bool(torch.isfinite(x).all())


def first_not_finite(network: nn.Module, call: Callable[[], Any]) -> str | None:
    """Name of the innermost part of `network` that is the first to give a number that is not finite in `call`."""
    found: list[str] = []

    def watch(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def look(module: nn.Module, args: Any, out: Any) -> None:
            if not found and isinstance(out, Tensor) and not is_finite(out):
                found.append(name)

        return look

    hooks = [part.register_forward_hook(watch(name)) for name, part in network.named_modules() if name]
    try:
        call()
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else None


def require_finite(
    out: Tensor, network: nn.Module, call: Callable[[], Any], *, what: str, dtype: torch.dtype, given: Tensor
) -> None:
    """Fail unless `out`, what `call` made of `given` with `network`, is finite.

    Args:
        what: The network's name, and when it ran, for the message.
        dtype: What the network computes in.

    Raises:
        NotFiniteError: It is not; the message names the part of the network, found by running it once more.
    """
    if is_finite(out):
        return
    kind = str(dtype).removeprefix("torch.")
    if not is_finite(given):
        raise NotFiniteError(f"{what} was given numbers that are not finite.", hint="report this with run.json")
    part = first_not_finite(network, call)
    where = f"{part} ({type(network.get_submodule(part)).__name__})" if part else "an operation outside its layers"
    if dtype == torch.float32:
        hint = "the weights may be damaged: animegen weights verify"
    else:
        hint = "use --dtype float32" if dtype == torch.bfloat16 else "use --dtype bfloat16, or float32"
    raise NotFiniteError(f"{what} gave numbers that are not finite in {kind}; the first come from {where}.", hint=hint)
