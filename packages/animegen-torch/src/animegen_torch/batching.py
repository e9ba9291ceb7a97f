"""Many items through a network, as many at once as the memory allows."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import torch

from animegen_torch.memory import is_out_of_memory, out_of_memory, release

T = TypeVar("T")
R = TypeVar("R")


class Batches:
    """Runs a function over items in batches; halves the batch when memory runs out, and remembers the size that fits.

    Keep one for as long as the pictures have one size: what did not fit is not tried again.

    Args:
        size: Items at once, to begin with.
        device: Where the function computes.
        stage: Name for the message when even one item is too much.
        hints: What needs less memory, said with that message.
        warn: Called once with a sentence whenever the size is lowered.
    """

    def __init__(
        self,
        size: int,
        device: torch.device,
        *,
        stage: str = "this stage",
        hints: Sequence[str] = (),
        warn: Callable[[str], None] | None = None,
    ) -> None:
        if size < 1:
            raise ValueError(f"a batch has at least 1 item, not {size}")
        self.size = size
        self.device = device
        self.stage = stage
        self.hints = tuple(hints)
        self.warn = warn

    def run(self, function: Callable[[Sequence[T]], Sequence[R]], items: Iterable[T]) -> Iterator[R]:
        """`function` over `items`, lazily: results come in the order of the items, one for each.

        Args:
            function: Takes a few items at once and gives one result for each. It may be called again with some of the
                items after it ran out of memory, so it must not have changed anything by then.

        Raises:
            ResourceError: The memory does not suffice for one item.
            ValueError: The function gave more or fewer results than items.
        """
        waiting = iter(items)
        batch = list(islice(waiting, self.size))
        while batch:
            now = batch[: self.size]
            results = self._try(function, now)
            if results is None:
                continue
            yield from results
            del results  # the consumer may have let go of them; so must we before the next batch
            batch = batch[len(now) :]
            batch += islice(waiting, max(0, self.size - len(batch)))

    def _try(self, function: Callable[[Sequence[T]], Sequence[R]], batch: list[T]) -> Sequence[R] | None:
        """Results, or None when there was too little memory and the size has been lowered."""
        try:
            results = function(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            # A traceback keeps every variable of the calls that failed, and with them the memory.
            traceback.clear_frames(error.__traceback__)
            if len(batch) == 1:
                raise out_of_memory(self.device, self.stage, hints=self.hints) from error
        else:
            if len(results) != len(batch):
                raise ValueError(f"{self.stage} gave {len(results)} results for {len(batch)} items")
            return results
        self.size = max(1, len(batch) // 2)
        release(self.device)
        if self.warn is not None:
            self.warn(f"{self.stage} ran out of memory on {self.device}; {self.size} at once from here on.")
        return None
