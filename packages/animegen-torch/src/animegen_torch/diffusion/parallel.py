"""How the calls of a step run: in one batch, one after the other where memory runs out, or on two devices at once."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

import torch
from torch import Tensor

from animegen_torch.diffusion.denoiser import Denoiser
from animegen_torch.diffusion.guidance import CONDITIONAL
from animegen_torch.memory import is_out_of_memory, release


class Careful:
    """A denoiser that, out of memory with several branches in one batch, does the step again with one at a time.

    Args:
        denoiser: Its `together` is changed.
        on_less: Called with a sentence when that happens.
    """

    def __init__(self, denoiser: Denoiser, on_less: Callable[[str], None] | None = None) -> None:
        self._denoiser, self._on_less = denoiser, on_less

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._denoiser.device

    def __call__(self, x: Tensor, timestep: int, branches: Sequence[str]) -> Mapping[str, Tensor]:
        """See `Predictor`."""
        try:
            return self._denoiser(x, timestep, branches)
        except (RuntimeError, MemoryError) as error:
            if len(branches) == 1 or not self._denoiser.together or not is_out_of_memory(error):
                raise
            traceback.clear_frames(error.__traceback__)  # they hold the memory that is to be used again
        self._denoiser.together = False
        release(self.device)
        if self._on_less is not None:
            self._on_less(f"Out of memory on {self.device}; the calls of guidance run apart from here on.")
        return self._denoiser(x, timestep, branches)


class Parallel:
    """The conditional prediction by one denoiser, the others by another, each in a thread of its own.

    In every step the latents travel to the second device and its predictions travel back. To be used in a ``with``.

    Args:
        first, second: Each knows the branches that it is asked for; they may be on one device, which gains nothing.
    """

    def __init__(self, first: Careful, second: Careful) -> None:
        self._first, self._second = first, second
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="guidance")

    def __enter__(self) -> Parallel:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._threads.shutdown(cancel_futures=True)

    def __call__(self, x: Tensor, timestep: int, branches: Sequence[str]) -> Mapping[str, Tensor]:
        """See `Predictor`; predictions are where `x` is."""
        others = [name for name in branches if name != CONDITIONAL]
        if not others:
            return self._first(x, timestep, branches)
        there = self._threads.submit(self._second, x.to(self._second.device), timestep, others)
        try:
            found = dict(self._first(x, timestep, [CONDITIONAL]))
        finally:
            # The other thread uses the latents: it has to be done, whatever became of this one.
            error = there.exception()
        if error is not None:
            raise error
        found.update({name: one.to(x.device) for name, one in there.result().items()})
        return {name: found[name] for name in branches}
