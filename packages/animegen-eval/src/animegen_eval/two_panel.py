"""Clips between two panels: every system at the same timestamps, beside controls made of the panels.

A number that is taken from step to step falls when frames are added, whatever they show. So clips of one pair are
sampled to the times that all of them have; what they have at their own frame rate is given only beside ``repeat``,
which shows the same frames several times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from math import gcd

import numpy as np

from animegen.errors import InputError
from animegen_eval import controls
from animegen_eval.items import NATIVE, Item, Shown, Variant, even_times, indices_at, middles
from animegen_eval.profiles import Profile
from animegen_eval.samples.pictures import Memory, Picked, Pictures
from animegen_eval.samples.sources import Source

_SHOWN = 5


def items(
    profile: Profile,
    sources: Sequence[Source],
    truth: Mapping[str, Source],
    note: Callable[[str], None],
    memory: Memory | None = None,
) -> Iterator[Item]:
    """Every system, the controls and the true clip, where there is one, for every pair of panels.

    Raises:
        InputError: Clips of one pair differ in size or duration, have no times in common, or are of one frame; or
            clips of different pairs differ in how long a step takes.
    """
    groups: dict[tuple[str, str], list[Source]] = {}
    for source in sources:
        groups.setdefault(source.key, []).append(source)
    _even_groups(groups, note)
    checked = {key: _checked(group, truth.get(key[1])) for key, group in groups.items()}
    _same_steps(groups, checked)
    for key, group in groups.items():
        yield from _of_pair(profile, group, truth.get(key[1]), checked[key], note, memory)


def common_steps(counts: Sequence[int]) -> int:
    """Steps of the finest even sampling that clips of `counts` frames share: 16 and 61 frames share 15 steps."""
    return reduce(gcd, (count - 1 for count in counts))


def _even_groups(groups: Mapping[tuple[str, str], Sequence[Source]], note: Callable[[str], None]) -> None:
    """Say which systems lack clips that others have; comparing them leaves those clips out."""
    configs = {source.config for group in groups.values() for source in group}
    for config in sorted(configs):
        lacking = [name for (_, name), group in groups.items() if config not in {source.config for source in group}]
        if lacking:
            shown = ", ".join(lacking[:_SHOWN]) + (" …" if len(lacking) > _SHOWN else "")
            note(f"{config} lacks {len(lacking)} of {len(groups)} clips ({shown}): its means are over other clips")


def _checked(group: Sequence[Source], true: Source | None) -> int:
    """Steps that all clips of a pair share."""
    every = [*group, *([true] if true else [])]
    name = group[0].name
    who = {f"{source.config}" if source is not true else "truth": source for source in every}
    _same_size(name, {label: source.pictures.size for label, source in who.items()})
    counts = {label: len(source.pictures) for label, source in who.items()}
    if short := [label for label, count in counts.items() if count < 3]:
        raise InputError(
            f"{name} of {short[0]} has {counts[short[0]]} frame{'s' * (counts[short[0]] != 1)}; "
            "a clip between two panels has at least one between them.",
            hint="name other clips; animegen run --frames N makes one of N frames",
        )
    told = ", ".join(f"{label} {count}" for label, count in counts.items())
    seconds = {Fraction(len(source.pictures) - 1) / source.fps for source in who.values() if source.fps is not None}
    if len(seconds) > 1:
        rates = ", ".join(
            f"{label} {counts[label]} frames at {float(source.fps):g} fps"
            for label, source in who.items()
            if source.fps is not None
        )
        raise InputError(
            f"{name} lasts differently long: {rates}.",
            hint="clips are compared at equal times: all must go from the first panel to the last in the same time",
        )
    steps = common_steps(list(counts.values()))
    if steps < 2:
        raise InputError(
            f"{name} has no times in common between its ends: {told} frames.",
            hint="frame counts less one must share a factor: 16 and 61 frames do (15 steps), 16 and 60 do not",
        )
    return steps


def _same_steps(groups: Mapping[tuple[str, str], Sequence[Source]], steps: Mapping[tuple[str, str], int]) -> None:
    """Refuse a table of clips whose steps last differently long: a mean over them would mean nothing."""
    lengths: dict[Fraction, list[str]] = {}
    for key, group in groups.items():
        for source in group[:1]:  # all of a group last equally long
            if source.fps is not None:
                lengths.setdefault((len(source.pictures) - 1) / source.fps / steps[key], []).append(key[1])
    if len(lengths) > 1:
        told = "; ".join(
            f"{float(1 / length):g} fps: {', '.join(names[:_SHOWN])}{' …' if len(names) > _SHOWN else ''}"
            for length, names in sorted(lengths.items())
        )
        raise InputError(
            f"the clips have {len(lengths)} different frame rates ({told}).",
            hint="evaluate clips of each rate by themselves, or make all of them at one rate",
        )


def _of_pair(
    profile: Profile,
    group: Sequence[Source],
    true: Source | None,
    steps: int,
    note: Callable[[str], None],
    memory: Memory | None,
) -> Iterator[Item]:
    name, count = group[0].name, steps + 1
    first = next((source for source in group if source.panels is not None), true or group[0])
    panels = first.panels if first.panels is not None else _ends(first.pictures)
    if first.panels is None:
        note(f"{name}: no panels are known; the first and last frame of {'the true clip' if true else 'it'} are taken")
    reference = None if true is None else _sampled(true.pictures, steps)
    balloons = [source.ignored for source in group if source.ignored is not None]
    ignored = np.logical_or.reduce(balloons) if balloons else None  # alike for all, whoever looked for balloons
    variants = (
        Variant("middles", "frame", middles(count)),
        *((Variant("middles-tolerant", "frame", middles(count), tolerant=True),) if profile.tolerant else ()),
        Variant("steps", "step"),
        Variant("clip", "clip"),
    )

    def item(source: Source, frames: Pictures, config: str, kinds: tuple[Variant, ...], *, control: bool) -> Item:
        own = source.panels if source.panels is not None else panels
        paired = reference if kinds is variants and config != controls.REAL else None
        shown = Shown(frames, even_times(len(frames)), paired, own, ignored, source.prompt)
        ends = source.panels is None and true is None
        return Item(shown, kinds, config, name, control, source.title, source.run, own_ends=ends)

    for source in group:
        sampled = _sampled(source.pictures, steps)
        yield item(source, sampled, source.config, variants, control=False)
        factor, own = (len(source.pictures) - 1) // steps, source.pictures
        yield item(source, own, source.config, NATIVE, control=False)
        again = controls.repeated(sampled, factor if factor > 1 else profile.repeat)
        yield item(source, again, f"{controls.REPEAT} {source.config}", NATIVE, control=True)
    for control, made in controls.from_panels(panels, count, memory).items():
        yield item(first, made, control, variants, control=True)
    if reference is not None:
        yield item(first, reference, controls.REAL, variants, control=True)


def _sampled(pictures: Pictures, steps: int) -> Pictures:
    indices = indices_at(len(pictures), steps)
    return pictures if len(indices) == len(pictures) else Picked(pictures, indices)


def _ends(pictures: Pictures) -> Pictures:
    return Picked(pictures, (0, len(pictures) - 1))


def _same_size(name: str, sizes: Mapping[str, tuple[int, int]]) -> None:
    """Refuse clips of one name but different sizes. Raises InputError with each of them."""
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{who} {width}x{height}" for who, (width, height) in sizes.items())
        raise InputError(
            f"{name} comes in different sizes: {told}.",
            hint="nothing is resized for a score: make all systems give one size (animegen run --size WxH)",
        )
