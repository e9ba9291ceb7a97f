"""From what a user asks for and what is free to a placement and a way of working, and the plan that says so."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from animegen.errors import ResourceError
from animegen.stages import Demand, StagePlan
from animegen_torch.placement.demands import BYTES, Moment
from animegen_torch.placement.machine import Machine
from animegen_torch.placement.placement import UNET, Placement, offload, read_map
from animegen_torch.placement.sizes import Sizes

D = TypeVar("D")


@dataclass(frozen=True)
class Choice(Generic[D]):
    """A placement, how the model works there, and what that needs.

    Attributes:
        placement: Where parts are.
        together: Whether the calls of guidance run in one batch.
        decoding: How the decoder trades time for memory; of what kind is the model's affair.
        needs: Bytes at the worst moment and when that is, by device.
    """

    placement: Placement
    together: bool
    decoding: D
    needs: Mapping[str, Moment]

    def fits(self, machine: Machine) -> bool:
        """Whether there is as much on every device."""
        return all(
            (have := machine.free.get(device)) is None or need <= have for device, (need, _) in self.needs.items()
        )

    def describe(self, machine: Machine, branches: int) -> list[str]:
        """Some words for the plan: where, in which number format, and how the calls of guidance run."""
        formats = dict.fromkeys(machine.dtypes[device] for device in self.placement.used)
        words = [self.placement.describe(), " and ".join(formats)]
        if branches > 1 and self.placement.twin is None:
            words.append("guidance together" if self.together else "guidance apart")
        return words

    def plan(self, machine: Machine, summary: str, hints: Sequence[str]) -> StagePlan:
        """The plan of a clip that is made so; `hints` are what to type for less."""
        demands = (Demand(device, need, machine.free.get(device), when) for device, (need, when) in self.needs.items())
        return StagePlan(summary, tuple(demands), hint="; or ".join(hints))


def first_that_fits(machine: Machine, ways: Iterable[Choice[D]]) -> Choice[D]:
    """The first of `ways` (at least one, the fastest first) that fits, or the last where none does."""
    choice: Choice[D] | None = None
    for choice in ways:
        if choice.fits(machine):
            break
    assert choice is not None
    return choice


def own_placement(
    device_map: str, machine: Machine, sizes: Sizes[Any], *, stage: str, follows: Collection[str] = ()
) -> Placement | None:
    """The placement in the JSON file that a device map names, or None where it names none; see `read_map`.

    Raises:
        InputError, UsageError: It is not what it should be.
    """
    if not device_map.endswith(".json"):
        return None
    known = tuple(dict.fromkeys((*machine.devices, "cpu")))
    return read_map(Path(device_map), tuple(sizes.parameters), known, tuple(sizes.layers), stage=stage, follows=follows)


def roomiest(machine: Machine) -> str:
    """The device with the most memory free."""
    return max(machine.devices, key=lambda one: machine.free.get(one) or 0)


def offload_to(device: str, machine: Machine, sizes: Sizes[Any]) -> Placement:
    """Parts one after another, from the processor's memory where there is ample room for them, else from the file."""
    whole = sum(sizes.parameters.values()) * BYTES[machine.dtypes[device]]
    memory = machine.free.get("cpu")
    # In memory parts need not be converted again for every clip.
    ample = device != "cpu" and (memory is None or 1.5 * whole < memory)
    return offload(device, tuple(sizes.parameters), rest="cpu" if ample else "file")


def too_few_devices(what: str, machine: Machine, *, hint: str = "name them: --device cuda:0,cuda:1") -> ResourceError:
    """The error to raise where options ask for more devices than there are: ``split needs two devices``."""
    return ResourceError(f"{what}; there is {', '.join(machine.devices)}.", hint=hint)


def smaller_settings(stage: str, machine: Machine, choice: Choice[Any], size: str) -> list[str]:
    """What to type where a choice does not fit, that goes for every model: the next smaller setting first.

    Args:
        stage: Whose options they are.
        machine: What is here.
        choice: What does not fit.
        size: A smaller size, with what it means.
    """
    hints = []
    if choice.placement.stay:
        hints.append(f"-o {stage}.device_map=offload (each part comes when it runs)")
    device = choice.placement.devices[UNET]
    if device != "cpu" and BYTES[machine.dtypes[device]] == 4:
        hints.append("--dtype float16 (half the memory)")
    return [*hints, f"-o {stage}.size={size}"]
