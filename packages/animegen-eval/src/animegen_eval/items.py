"""One thing to be scored: what a metric is shown, what it is called in tables, and which of its frames count.

Interface for whoever scores something else (`ablation` does): make an `Item` for each clip, hand all to
`scoring.Scorer.score`, and its rows to `tables`. An item is light: pictures are read when a metric needs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from animegen.pipeline.hashing import array_digest, json_digest
from animegen_eval.samples.pictures import Picked, Pictures

if TYPE_CHECKING:
    from animegen.measuring import Quantity
    from animegen.media import Mask
    from animegen.stages import MetricSpec

Series = Literal["frame", "step", "clip", "set"]


@dataclass(frozen=True, eq=False)
class Shown:
    """What a metric is shown of one clip; see `animegen.measuring.Sample`, which it becomes.

    Attributes:
        frames: The clip.
        times: Of its frames, ascending, 0 and 1 at the ends.
        reference: True frames at the same times.
        panels: Two pictures of the clip's size.
        ignored: (2, H, W) bool.
        prompt: What was asked for in words.
    """

    frames: Pictures
    times: tuple[float, ...]
    reference: Pictures | None = None
    panels: Pictures | None = None
    ignored: Mask | None = None
    prompt: str = ""

    def for_metric(self, spec: MetricSpec) -> Shown:
        """Without what the metric does not say that it reads, so that its scores cannot depend on that."""
        reads = {name for quantity in spec.quantities for name in quantity.reads}
        return replace(
            self,
            reference=self.reference if "reference" in reads else None,
            panels=self.panels if "panels" in reads else None,
            ignored=self.ignored if "panels" in reads else None,
            prompt=self.prompt if "prompt" in reads else "",
        )

    @property
    def digest(self) -> str:
        """Hash of all of it."""
        parts = [one.digest if one is not None else None for one in (self.frames, self.reference, self.panels)]
        ignored = None if self.ignored is None else array_digest(self.ignored)
        return json_digest([*parts, ignored, list(self.times), self.prompt])

    def shifted(self, by: int) -> Shown:
        """Frame t + `by` against the true frame t, where both are there; one frame less for each step of `by`."""
        assert self.reference is not None
        count = len(self.frames)
        true = [index for index in range(count) if 0 <= index + by < count]
        return replace(
            self,
            frames=Picked(self.frames, [index + by for index in true]),
            times=tuple(self.times[index] for index in true),
            reference=Picked(self.reference, true),
        )


@dataclass(frozen=True)
class Variant:
    """One number a clip, made of a series.

    Attributes:
        name: In tables.
        scope: Of the quantities that it is made of.
        counted: Indices of the frames that count; None for all values.
        tolerant: Each true frame is held against the best of the drawn ones within a step of it, in order.
        frame_rate: It is measured at the clip's own frame rate, and so says nothing by itself.
        of: Names of the only quantities that it is made of; none for all.
        in_region: It is measured in a part of the picture, and its frames are in no table of frames.
    """

    name: str
    scope: Series
    counted: tuple[int, ...] | None = None
    tolerant: bool = False
    frame_rate: bool = False
    of: tuple[str, ...] = ()
    in_region: bool = False

    def takes(self, quantity: Quantity) -> bool:
        """Whether it is made of a quantity. At another frame rate, only of what could be taken for a merit."""
        if self.of and quantity.name not in self.of:
            return False
        if quantity.scope != self.scope or (self.frame_rate and quantity.better == "none"):
            return False
        return not self.tolerant or "reference" in quantity.reads


NATIVE = (Variant("native", "step", frame_rate=True), Variant("native-clip", "clip", frame_rate=True))
"""What is measured at a clip's own frame rate, and tabled beside the repeat control alone."""


@dataclass(frozen=True, eq=False)
class Item:
    """A clip, or a part of one, as one system or control has it.

    Attributes:
        shown: What metrics are shown.
        variants: The numbers that are made of their answers; quantities of other scopes are left out.
        config: System, or name of the control.
        control: Whether nobody proposes it as a system (`controls.NAMES`).
        clip: Name of the clip; the same for all systems.
        title: What the clip belongs to.
        run: Where it comes from, for people.
        gap: Frames of the true clip from one given picture to the other; None where there is no such thing.
        part: Number of the clip's frame with which this part begins; parts of one clip are averaged into it.
        stratum: Kind of clip, e.g. by motion.
        own_ends: Its panels are its own first and last frame, so that comparing them says nothing.
    """

    shown: Shown
    variants: tuple[Variant, ...]
    config: str
    clip: str
    control: bool = False
    title: str = ""
    run: str = ""
    gap: int | None = None
    part: int = 0
    stratum: str = ""
    own_ends: bool = False

    def asks(self, quantity: Quantity) -> tuple[Variant, ...]:
        """The variants that are made of a quantity; none where the item lacks what the quantity reads."""
        shown = self.shown
        has = {
            "reference": shown.reference is not None,
            "panels": shown.panels is not None,
            "prompt": bool(shown.prompt),
        }
        if not all(has[name] for name in quantity.reads):
            return ()
        return tuple(variant for variant in self.variants if variant.takes(quantity))


def even_times(count: int) -> tuple[float, ...]:
    """Times of `count` frames, evenly from 0 to 1."""
    return tuple(index / (count - 1) for index in range(count)) if count > 1 else (0.0,)


def middles(count: int) -> tuple[int, ...]:
    """Indices of all frames but the first and the last: those two are given, and copying them is no merit."""
    return tuple(range(1, count - 1))


def middle(count: int) -> tuple[int, ...]:
    """Index of the frame half way; of an even count, the two next to that time."""
    return (count // 2,) if count % 2 else (count // 2 - 1, count // 2)


def indices_at(count: int, steps: int) -> Sequence[int]:
    """Indices of `steps` + 1 evenly spaced frames out of `count`; `steps` must divide ``count - 1``."""
    stride, rest = divmod(count - 1, steps)
    if rest:
        raise ValueError(f"{count} frames have none at every {steps}th of their time")
    return range(0, count, stride)
