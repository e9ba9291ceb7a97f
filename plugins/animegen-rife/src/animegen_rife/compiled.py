"""torch.compile, taken at its word only after it was compared with what is not compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from animegen_rife.layers import Frame
    from animegen_rife.network import IFNet

TOLERANCE = {torch.float32: 1 / 255, torch.float16: 4 / 255, torch.bfloat16: 8 / 255}
"""Most that a value may differ from eager output before the compiled network is given up: whole levels of 255, for
sums in another order move the edge of a warped line a little."""


class Compiled:
    """A network that is compiled for each size of picture and compared with the network itself the first time.

    Where it cannot be compiled, or gives something else (compiled samplers have done so), the network itself is used
    from then on, and `warn` is told.
    """

    def __init__(self, network: IFNet, warn: Callable[[str], None]) -> None:
        self.network = network
        self.warn = warn
        self._compiled: Callable[..., Tensor] | None = torch.compile(network, dynamic=False)
        self._checked: set[tuple[int, ...]] = set()

    def __call__(self, first: Frame, last: Frame, times: Tensor, *, scale: float, ensemble: bool) -> Tensor:
        """As `IFNet.forward`."""
        if self._compiled is None:
            return self.network(first, last, times, scale=scale, ensemble=ensemble)  # type: ignore[no-any-return]
        try:
            result = self._compiled(first, last, times, scale=scale, ensemble=ensemble)
        except Exception as error:
            if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
                raise
            line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            self._give_up(f"it could not be compiled here ({line[:120]})")
            return self(first, last, times, scale=scale, ensemble=ensemble)
        key = (len(times), *first.planes.shape)
        if key not in self._checked:
            self._checked.add(key)
            plain = self.network(first, last, times, scale=scale, ensemble=ensemble)
            off = float((result.float() - plain.float()).abs().max())
            if off > TOLERANCE[self.network.dtype]:
                self._give_up(f"compiled it gives other frames (up to {off * 255:.0f} of 255 levels)")
                return plain  # type: ignore[no-any-return]
        return result

    def _give_up(self, why: str) -> None:
        self._compiled = None
        self.warn(f"rife runs without torch.compile: {why}.")
