"""Held-out middles: real clips are cut into parts, systems are given the ends of each, and scored on what lies between.

Every part is a question with a known answer; the gap sets how hard it is, so gaps are rows of their own. Parts whose
ends are one held drawing are left out: there, whoever copies wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from animegen.errors import InputError
from animegen_eval import controls
from animegen_eval.drawing import Drawing
from animegen_eval.items import NATIVE, Item, Shown, Variant, even_times, middle, middles
from animegen_eval.motion import is_held, stratum
from animegen_eval.profiles import Profile
from animegen_eval.samples.atd12k import Cropped
from animegen_eval.samples.pictures import Memory, Picked, Pictures
from animegen_eval.samples.sources import Source

REGION = "region"
"""Variant of what is measured in the marked region of a clip."""


@dataclass(frozen=True, eq=False)
class Part:
    """A piece of a real clip, from one given picture to the other.

    Attributes:
        source: The clip.
        gap: Steps from the first picture to the last.
        start: Index of the first.
        stratum: Motion between both.
    """

    source: Source
    gap: int
    start: int
    stratum: str

    @property
    def true(self) -> Pictures:
        """The true frames, ends included."""
        return Picked(self.source.pictures, range(self.start, self.start + self.gap + 1))

    @property
    def ends(self) -> Pictures:
        """The two given pictures."""
        return Picked(self.source.pictures, (self.start, self.start + self.gap))


def cut(profile: Profile, sources: Sequence[Source], gaps: Sequence[int], note: Callable[[str], None]) -> list[Part]:
    """Parts of real clips, evenly spread over each clip.

    Args:
        profile: Says how many of a clip for each gap, and whether held drawings count. They overlap in their ends.
        sources: The clips.
        gaps: Steps from one given picture to the other.
        note: Told of clips that are too short, and of held drawings.

    Raises:
        InputError: No clip is long enough for any gap, or one has not as many frames as it must have.
    """
    if wrong := [one for one in sources if profile.frames not in (None, len(one.pictures))]:
        raise InputError(
            f"{len(wrong)} of {len(sources)} clips have not {profile.frames} frames: "
            f"{', '.join(f'{one.name} ({len(one.pictures)})' for one in wrong[:5])}{' …' if len(wrong) > 5 else ''}.",
            hint=f"{profile.name} takes a folder of folders with {profile.frames} pictures each",
        )
    found: list[Part] = []
    for source in sources:
        count = len(source.pictures)
        for gap in gaps:
            starts = range(0, count - gap, gap)
            if not starts:
                note(f"{source.name} has {count} frames: too short for a gap of {gap}")
                continue
            held = 0
            for start in spread(starts, profile.parts):
                first, last = source.pictures.at((start, start + gap))
                if not profile.keep_held and is_held(first, last):
                    held += 1
                    continue
                # A dataset with subsets of its own has no use for ours.
                found.append(Part(source, gap, start, "" if profile.dataset else stratum(first, last)))
            if held:
                of = min(profile.parts, len(starts))
                note(f"{source.name}, gap {gap}: {held} of {of} parts are held drawings, left out")
    if not found:
        raise InputError(
            f"none of {len(sources)} clips has {min(gaps) + 1} frames of which the first and the last differ.",
            hint="--gap 2 is the least; name longer clips, with a frame for every drawing",
        )
    return found


def spread(starts: Sequence[int], most: int) -> list[int]:
    """At most `most` of `starts`, evenly over all of them."""
    if len(starts) <= most:
        return list(starts)
    return [starts[round(number * (len(starts) - 1) / max(1, most - 1))] for number in range(most)]


def gaps_of(profile: Profile, drawings: Sequence[Drawing]) -> tuple[int, ...]:
    """Gaps of a profile, and those of interpolators that always make one count of frames."""
    fixed = {drawing.spec.frames - 1 for drawing in drawings if drawing.spec.frames is not None}
    able = any(drawing.spec.frames is None for drawing in drawings)
    return tuple(sorted({*(profile.gaps if able or not fixed else ()), *fixed}))


def items(profile: Profile, parts: Sequence[Part], drawings: Sequence[Drawing], memory: Memory) -> Iterator[Item]:
    """Every system, control and the real clip itself on every part."""
    for part in parts:
        count = part.gap + 1
        paired = (
            Variant("middle", "frame", middle(count)),
            Variant("middles", "frame", middles(count)),
            *((Variant("middles-tolerant", "frame", middles(count), tolerant=True),) if profile.tolerant else ()),
        )
        whole = (*paired, Variant("steps", "step"), Variant("clip", "clip"))
        for drawing in drawings:
            if drawing.spec.frames in (None, count):
                drawn = drawing.between(part.ends, count, title=part.source.title, clip=part.source.name)
                yield _item(part, drawn, drawing.name, whole)
                yield from _in_region(profile, part, drawn, drawing.name)
        for name, made in controls.from_panels(part.ends, count, memory).items():
            yield _item(part, made, name, whole, control=True)
            yield from _in_region(profile, part, made, name, control=True)
        yield _item(part, part.true, controls.REAL, whole, control=True, reference=False)
        again = controls.repeated(part.true, profile.repeat)
        yield _item(part, again, controls.REPEAT, NATIVE, control=True, reference=False)
        yield _item(part, part.true, controls.REAL, NATIVE, control=True, reference=False)


def _in_region(profile: Profile, part: Part, frames: Pictures, config: str, *, control: bool = False) -> Iterator[Item]:
    """The same in the marked region alone, where there is one."""
    region = part.source.region
    if region is None or not profile.in_region:
        return
    variant = Variant(REGION, "frame", middle(part.gap + 1), of=profile.in_region, in_region=True)
    item = _item(part, Cropped(frames, region), config, (variant,), control=control)
    yield replace(item, shown=replace(item.shown, reference=Cropped(part.true, region), panels=None))


def _item(
    part: Part,
    frames: Pictures,
    config: str,
    variants: tuple[Variant, ...],
    *,
    control: bool = False,
    reference: bool = True,
) -> Item:
    shown = Shown(
        frames, even_times(len(frames)), part.true if reference else None, part.ends, None, part.source.prompt
    )
    return Item(
        shown,
        variants,
        config,
        part.source.name,
        control,
        part.source.title,
        part.source.run,
        part.gap,
        part.start,
        part.stratum,
    )
