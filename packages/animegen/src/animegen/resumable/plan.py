"""What a stage says of long work before it begins and at its end. Light."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animegen.memory import in_words, too_little

if TYPE_CHECKING:
    from animegen.registry import Stage
    from animegen.stages import Demand


@dataclass(frozen=True)
class WorkPlan:
    """What a stage found and would do.

    Attributes:
        summary: What is made, in a line.
        material: What was found, in a line: ``5 videos, 1 h 52 min``.
        demands: Memory by device, over all processes.
        hint: What to set for less memory, shown where there is too little.
        lines: Further (label, text) for the plan.
        warnings: What the user should know before it begins.
        facts: Plain values for the document.
    """

    summary: str
    material: str
    _: KW_ONLY
    demands: tuple[Demand, ...] = ()
    hint: str = ""
    lines: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WorkResult:
    """What the work left.

    Attributes:
        files: What was made, the file to use first.
        use: How to use it, as it is typed.
        facts: Plain values for the document.
    """

    files: tuple[Path, ...]
    _: KW_ONLY
    use: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def plan_lines(stage: Stage, plan: WorkPlan, how: tuple[str, str], notes: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(label, text) of a plan; `how` it goes comes before the memory, further `notes` at the end."""
    yield "plan", f"{stage.name} {stage.plugin.version}: {plan.summary}"
    yield "from", plan.material
    yield from plan.lines
    yield how
    for demand in plan.demands:
        what = f" ({demand.what})" if demand.what else ""
        free = f" ({in_words(demand.have)} free)" if demand.have is not None else ""
        yield "need", f"{in_words(demand.need)} on {demand.device}{what}{free}"
    for text in (*plan.warnings, *notes):
        yield "note", text


def refuse_too_much(stage: Stage, plan: WorkPlan, purpose: str = "") -> None:
    """Raise ResourceError where a device has less than is needed of it `purpose` (`` to train``)."""
    for demand in plan.demands:
        if demand.have is not None and demand.need > demand.have:
            raise too_little(stage.name, demand.need, demand.device + purpose, demand.have, plan.hint)
