"""A model of clips at work for a stage: placed at the first clip, content with less when memory runs out."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor

from animegen.weights.store import default_home
from animegen_torch.diffusion.clip import Clip, ClipModel
from animegen_torch.diffusion.finite import NotFiniteError
from animegen_torch.diffusion.kept import Kept
from animegen_torch.diffusion.noise import Noise
from animegen_torch.diffusion.sampling import Step
from animegen_torch.memory import is_out_of_memory, out_of_memory, release
from animegen_torch.placement.choice import Choice
from animegen_torch.placement.lending import Lend
from animegen_torch.placement.machine import machine_of
from animegen_torch.placement.placement import UNET
from animegen_torch.placement.residence import Residence
from animegen_torch.placement.sizes import Sizes

if TYPE_CHECKING:
    from animegen.stages import Context
    from animegen_torch.placement.machine import Machine
    from animegen_torch.placement.source import Source

S = TypeVar("S", bound="Source[Any]")
D = TypeVar("D")
T = TypeVar("T")
FIRST_STAGE = "first_stage"
"""The part that turns pictures into latents and back; every model of clips has it."""


class Runner(Generic[S, D]):
    """The parts of one model, and what a stage does around each of them.

    Where parts are is decided at the first clip, from what is free then, and stays so. When memory runs out, what can
    be done without another result is done by itself: the calls of guidance run apart, the decoder takes less at once.
    What half precision cannot hold in the autoencoder is done again in float32. What was sampled is kept on disk until
    it is decoded, so that another try after a failed one only decodes.

    Args:
        model: What is drawn with.
        context: Of the stage.
        source: Gives where parts come from; called once, when the devices are known to be here.
        choose: The placement of a clip on a machine; `D` is how its decoder works.
        smaller: What to type where a choice does not fit.

    Raises:
        InputError, MissingError: Whatever `source` raises.
        ResourceError: None of the devices can be used.
        UsageError: The number format is none it computes in.
    """

    def __init__(
        self,
        model: ClipModel,
        context: Context,
        source: Callable[[], S],
        choose: Callable[[Machine, Sizes[Any], Clip], Choice[D]],
        smaller: Callable[[Machine, Choice[D]], Sequence[str]],
    ) -> None:
        self.model = model
        self.context = context
        self.machine = machine_of(context, model.stage, warn=context.warn)
        self.source = source()
        self.kept = Kept(default_home() / "latents")
        self._choose, self._smaller = choose, smaller
        self._choice: Choice[D] | None = None
        self._residence: Residence | None = None

    @property
    def choice(self) -> Choice[D]:
        """Where parts are and how they work, as far as that was found out by now."""
        assert self._choice is not None, "settle comes first"
        return self._choice

    @property
    def residence(self) -> Residence:
        """The parts in their places."""
        assert self._residence is not None, "settle comes first"
        return self._residence

    def settle(self, clip: Clip) -> None:
        """Decide where parts are, for the first clip."""
        if self._choice is None:
            sizes = Sizes.of(self.source.blueprint, self.source.model)
            self._choice = self._choose(self.machine, sizes, clip)
            self._residence = Residence(self.source, self._choice.placement, self.machine.dtypes)

    def close(self) -> None:
        """Let go of all parts; the next clip reads them again."""
        if self._residence is not None:
            self._residence.close()
        self._residence = self._choice = None

    def noise(self, seed: int, where: str) -> Noise:
        """Random numbers of a clip, drawn on the U-Net's device (``device``) or on the processor (``cpu``)."""
        return Noise(seed, self.residence.device_of(UNET) if where == "device" else "cpu")

    def show(self, step: Step) -> None:
        """Tell the run how far sampling is."""
        self.context.progress(step.number, step.total, "steps")

    def attempt(self, doing: str, part: str, work: Callable[[], T]) -> T:
        """`work` of a part, with what to type next where its memory does not suffice."""
        try:
            return work()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise self._too_little(doing, part) from error

    def encode(self, work: Callable[[Lend[Any]], T]) -> T:
        """`work` with the autoencoder, in float32 where half precision gave numbers that are not finite."""
        return self._finite(lambda coder: self.attempt("encoding", FIRST_STAGE, lambda: work(coder)))

    def sampled(self, key: str, sample: Callable[[], Tensor]) -> Tensor:
        """The latents that an earlier try kept under this key, else what `sample` gives, which are kept then."""
        latents = self.kept.get(key)
        if latents is not None:
            self.context.warn("What an earlier try had sampled is used; only decoding was left to do.")
            return latents
        latents = sample()
        self.kept.put(key, latents)
        return latents

    def decode(self, less: Iterable[D], work: Callable[[Lend[Any], D], T], *, onward: str) -> T:
        """`work` with the autoencoder, by the first way of decoding that the memory suffices for.

        Args:
            less: Ways that take less than the one that was chosen, the largest first.
            work: Decodes what was sampled, by one of these ways.
            onward: How it goes on after one that did not suffice: ``frame by frame``.
        """
        ways = (self.choice.decoding, *less)
        return self._finite(lambda coder: self._by_ladder(ways, lambda way: work(coder, way), onward))

    def _by_ladder(self, ways: Sequence[D], work: Callable[[D], T], onward: str) -> T:
        device = self.residence.device_of(FIRST_STAGE)
        for number, way in enumerate(ways, 1):
            try:
                result = work(way)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                traceback.clear_frames(error.__traceback__)  # they hold what has to go
                failed = error
            else:
                self._choice = replace(self.choice, decoding=way)  # the next clip need not find out again
                return result
            release(device)
            if number < len(ways):
                self.context.warn(f"Out of memory on {device} while decoding; it goes on {onward}.")
        kept = "what was sampled is kept: the same command again only decodes"
        raise self._too_little("decoding", FIRST_STAGE, kept) from failed

    def _finite(self, work: Callable[[Lend[Any]], T]) -> T:
        """`work` with the autoencoder, once more with one in float32 where a narrower type did not hold its numbers."""
        try:
            return work(self.residence.lend(FIRST_STAGE))
        except NotFiniteError as error:
            if self.residence.dtype_of(FIRST_STAGE) == torch.float32:
                raise
            self.context.warn(f"{error.message} That part is done again in float32.")
        return work(self.residence.lend(FIRST_STAGE, dtype=torch.float32))

    def _too_little(self, doing: str, part: str, *first: str) -> Exception:
        hints = (*first, *self._smaller(self.machine, self.choice))
        return out_of_memory(self.residence.device_of(part), self.model.stage, doing=doing, hints=hints)
