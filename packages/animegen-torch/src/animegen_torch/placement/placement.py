"""Which part runs where: all in one place, the U-Net apart, each while it runs, or a map of a user's own."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from animegen.errors import InputError, UsageError, did_you_mean

UNET = "unet"
"""The part that takes the most time and memory; every model here has it."""
RESTS = ("cpu", "file")
AWAY = ("cpu", "disk")


@dataclass(frozen=True)
class Placement:
    """Where parts are.

    Attributes:
        name: ``single``, ``split``, ``offload`` or the name of a file.
        devices: Where each part runs; one of them is `UNET`.
        twin: Where a second U-Net runs, which makes the unconditional predictions; None for no second one.
        stay: Whether a part stays on its device once it is there; otherwise it leaves as soon as it has run.
        rest: Where a part is that does not stay: ``cpu`` (in the processor's memory) or ``file`` (read again).
        blocks: Layers of the U-Net (``input_blocks.4.1``) that come to its device when they run and leave at once, and
            where they come from: ``cpu`` or ``disk`` (the file).
    """

    name: str
    devices: Mapping[str, str]
    twin: str | None = None
    stay: bool = True
    rest: str = "file"
    blocks: Mapping[str, str] = field(default_factory=dict)

    @property
    def used(self) -> tuple[str, ...]:
        """The devices that anything runs on, the U-Net's first."""
        found = dict.fromkeys((self.devices[UNET], *self.devices.values()))
        return tuple(found) if self.twin is None else tuple(dict.fromkeys((*found, self.twin)))

    def describe(self) -> str:
        """Some words for the plan: ``split: U-Net on cuda:1, all else on cuda:0``."""
        unet, others = self.devices[UNET], dict.fromkeys(d for part, d in self.devices.items() if part != UNET)
        if set(others) == {unet}:
            text = f"all on {unet}"
        elif len(others) == 1:
            text = f"U-Net on {unet}, all else on {next(iter(others))}"
        else:
            text = ", ".join(f"{part.replace('_', ' ')} on {device}" for part, device in self.devices.items())
        if self.twin is not None:
            text += f", a second U-Net on {self.twin}"
        if not self.stay:
            where = "the processor's memory" if self.rest == "cpu" else "the file"
            text += f", each part from {where} when it runs"
        if self.blocks:
            places = " and ".join(
                f"{sum(one == place for one in self.blocks.values())} from {'memory' if place == 'cpu' else 'disk'}"
                for place in AWAY
                if place in self.blocks.values()
            )
            text += f", the U-Net by blocks ({places})"
        return f"{self.name}: {text}"


def single(device: str, parts: Sequence[str]) -> Placement:
    """All parts on one device."""
    return Placement("single", dict.fromkeys(parts, device))


def split(first: str, second: str, parts: Sequence[str], *, seconds: Collection[str] = (UNET,)) -> Placement:
    """The parts in `seconds` on the second device, all else on the first."""
    return Placement("split", {part: second if part in seconds else first for part in parts})


def offload(device: str, parts: Sequence[str], *, rest: str = "file") -> Placement:
    """Every part on one device, but only while it runs."""
    return Placement("offload", dict.fromkeys(parts, device), stay=False, rest=rest)


def parallel(placement: Placement, device: str) -> Placement:
    """The same with a second U-Net on `device`."""
    return replace(placement, twin=device)


def read_map(
    path: Path,
    parts: Sequence[str],
    known: Sequence[str],
    layers: Sequence[str] = (),
    *,
    stage: str,
    follows: Collection[str] = (),
) -> Placement:
    """A placement from a JSON file.

    ``{"unet": "cuda:1", "*": "cuda:0"}``: devices by part, ``*`` for those that are not named. A list of two
    devices for the U-Net runs both calls of guidance at once. Besides, ``"rest"`` (``device``, ``cpu`` or ``file``):
    where parts are while they do not run; and ``"blocks"``: layers of the U-Net, or beginnings of their names, that
    are brought when they run, and from where, ``{"output_blocks": "cpu", "input_blocks.11": "disk"}``.

    Args:
        path: The file.
        parts: Those of the model.
        known: Devices that there are.
        layers: Names of the U-Net's layers.
        stage: Whose option it is, for messages.
        follows: Parts that are where the U-Net is, unless something else is said of them.

    Raises:
        InputError: It cannot be read, or is no JSON.
        UsageError: It holds something else than this.
    """
    try:
        content = json.loads(path.expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} (device_map of {stage}) cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise InputError(f"{path} (device_map of {stage}) is not JSON: {error}.") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path} holds a {type(content).__name__}, not devices by part.", hint=_EXAMPLE)
    allowed = (*parts, "*", "rest", "blocks")
    for name in content:
        if name not in allowed:
            near = did_you_mean(name, allowed)
            raise UsageError(f"{path}: {name!r} is no part.", hint=f"{near}parts are {', '.join(parts)}")
    devices: dict[str, str] = {}
    twin: str | None = None
    for part in parts:
        given = content.get(part, content.get("*"))
        if given is None and part in follows:
            given = content.get(UNET)
            given = given[0] if isinstance(given, list) and given else given
        if given is None:
            raise UsageError(f"{path} gives no device for {part}.", hint='add it, or "*": "cuda:0" for all the rest')
        if isinstance(given, list):
            if part != UNET or len(given) != 2:
                raise UsageError(f"{path}: {part} has {len(given)} devices.", hint="only unet may have two")
            given, twin = given[0], _device(given[1], path, part, known)
        devices[part] = _device(given, path, part, known)
    rest = content.get("rest", "device")
    if rest not in ("device", *RESTS):
        raise UsageError(f"{path}: rest is {rest!r}.", hint="it takes device, cpu or file")
    blocks = _blocks(content.get("blocks", {}), path, layers)
    if twin is not None and blocks:
        raise UsageError(f"{path} asks for two U-Nets and for one by blocks.", hint="leave blocks out, or one device")
    return Placement(path.name, devices, twin, rest == "device", rest if rest in RESTS else "file", blocks)


_EXAMPLE = 'for example {"unet": "cuda:1", "*": "cuda:0"}'


def _device(given: Any, path: Path, part: str, known: Sequence[str]) -> str:
    if not isinstance(given, str) or given not in known:
        raise UsageError(
            f"{path}: {part} is to run on {given!r}, which is not here.",
            hint=f"{did_you_mean(str(given), known)}here are {', '.join(known)}",
        )
    return given


def _blocks(given: Any, path: Path, layers: Sequence[str]) -> dict[str, str]:
    if not isinstance(given, dict):
        raise UsageError(f"{path}: blocks is a {type(given).__name__}.", hint='for example {"output_blocks": "cpu"}')
    found: dict[str, str] = {}
    for name, place in given.items():
        if place not in AWAY:
            raise UsageError(f"{path}: blocks from {place!r}.", hint="they come from cpu or disk")
        its = [layer for layer in layers if layer == name or layer.startswith(f"{name}.")]
        if not its:
            near = did_you_mean(name, [*layers, *dict.fromkeys(layer.partition(".")[0] for layer in layers)])
            raise UsageError(f"{path}: the U-Net has no block {name!r}.", hint=f"{near}such as {', '.join(layers[:3])}")
        found.update({layer: str(place) for layer in its})
    return found
