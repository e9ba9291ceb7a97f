"""What the stages of a run say of themselves before anything is loaded: plans, and the memory that they add up to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from animegen.errors import MissingError, StageError
from animegen.media import describe
from animegen.memory import in_words, memory, too_little
from animegen.pipeline.session import blame
from animegen.stages import Demand, StagePlan

if TYPE_CHECKING:
    from animegen.pipeline.session import Session
    from animegen.settings.resolve import Choice
    from animegen.settings.roles import Role

_PROGRAM = 130 * 2**20
"""Bytes of the interpreter with numpy, OpenCV and libav; measured by ``benchmarks/pairs.py``."""
OWN = "the program"


@dataclass(frozen=True)
class Planned:
    """What one stage says.

    Attributes:
        role: Its place in the run.
        stage: Its full name; that of the program itself is `OWN`.
        plan: What it says.
    """

    role: Role | None
    stage: str
    plan: StagePlan

    def as_record(self) -> dict[str, Any]:
        """For run.json."""
        return {"role": self.role, "stage": self.stage, **asdict(self.plan)}


@dataclass(frozen=True)
class Need:
    """What is needed of one device at the worst moment of a run.

    Attributes:
        device: Its name.
        need: Bytes.
        have: Bytes free; None where nobody can tell.
        worst: The stage at that moment.
    """

    device: str
    need: int
    have: int | None
    worst: Planned

    @property
    def fits(self) -> bool:
        return self.have is None or self.need <= self.have

    def __str__(self) -> str:
        free = "" if self.have is None else f" ({in_words(self.have)} free)"
        return f"{in_words(self.need)} on {self.device}{free}"


def program(pixels: int, pictures: int) -> Planned:
    """What a run takes beside its stages: the program, and pictures of `pixels` pixels."""
    demand = Demand("cpu", _PROGRAM + 3 * pixels * pictures, memory().free, "program and pictures")
    return Planned(None, OWN, StagePlan("", (demand,), hint="a smaller picture needs less: --size 640x480"))


def ask(session: Session, choice: Choice, *, size: tuple[int, int], frames: int) -> Planned | None:
    """What a stage says of its work on pictures of `size` (H, W), `frames` in one call.

    Returns:
        None where it says nothing, or cannot yet for want of weights or libraries: `Session.check` tells of these.

    Raises:
        UsageError, InputError: What the stage itself refuses.
        StageError: Its plan is no plan.
    """
    spec = choice.stage.spec
    if spec.plan is None:
        return None
    try:
        with blame(choice):
            module, _, attribute = spec.plan.partition(":")
            function = getattr(import_module(module), attribute)
            plan = function(choice.options.values, session.context(choice), size=size, frames=frames)
    except MissingError:
        return None
    if wrong := plan_problem(plan):
        raise StageError(
            f"the plan of {choice.stage.full_name} {wrong}.",
            hint=f"this is a bug in the stage; try: animegen plugins check {choice.stage.plugin.short_name}",
        )
    return Planned(choice.role, choice.stage.full_name, plan)


def plan_problem(plan: Any) -> str:
    """What is wrong with a plan, after ``the plan of NAME``; empty where nothing is."""
    if not isinstance(plan, StagePlan):
        return f"is {describe(plan)}; expected a StagePlan"
    texts: dict[str, Any] = {"summary": plan.summary, "hint": plan.hint}
    for name, text in texts.items():
        if not isinstance(text, str) or "\n" in text:
            return f"has a {name} that is no single line: {text!r}"
    demands: Any = plan.demands
    if not isinstance(demands, tuple) or not all(isinstance(demand, Demand) for demand in demands):
        return f"has demands that are no tuple of Demand: {demands!r}"
    return next(filter(None, map(_demand_problem, demands)), "")


def _demand_problem(demand: Any) -> str:
    if not isinstance(demand.device, str) or not demand.device.strip():
        return f"demands memory of the device {demand.device!r}, which is no name"
    for name, value in (("need", demand.need), ("have", demand.have)):
        if not (type(value) is int and value >= 0) and (name, value) != ("have", None):
            return f"says {name} {value!r} of {demand.device}; expected bytes, a whole number"
    return ""


def needs(planned: Sequence[Planned], *, together: bool = False) -> list[Need]:
    """Bytes by device: of the program and, beside it, of the stage that takes most.

    Args:
        planned: What each stage says, the program's own among them.
        together: Of all stages at once, as where they are kept open.
    """
    found = []
    for device in dict.fromkeys(demand.device for one in planned for demand in one.plan.demands):
        each = [(one, sum(demand.need for demand in _of(one, device))) for one in planned]
        own = sum(need for one, need in each if one.role is None)
        worst, most = max(((one, need) for one, need in each if one.role is not None), key=_second, default=each[0])
        known = [demand.have for one in planned for demand in _of(one, device) if demand.have is not None]
        alone = own if worst.role is None else own + most
        need = sum(need for _, need in each) if together else alone
        found.append(Need(device, need, min(known, default=None), worst))
    return found


def refuse_too_much(needed: Iterable[Need]) -> None:
    """Raise ResourceError where a device has less than is needed of it, with the next smaller setting."""
    for one in needed:
        if one.fits:
            continue
        assert one.have is not None
        own = _of(one.worst, one.device)
        what = " and ".join(demand.what for demand in own if demand.what)
        where = f"{one.device} ({what})" if what else one.device
        hint = one.worst.plan.hint or "free some, or give the stage less to do: animegen plugins show NAME"
        raise too_little(one.worst.stage, one.need, where, one.have, hint)


def plan_words(planned: Sequence[Planned]) -> Iterator[tuple[str, str]]:
    """(label, text) lines: what each stage has to say, and the memory by device."""
    for one in planned:
        if one.plan.summary:
            yield "how", f"{one.stage.rpartition(':')[2]}: {one.plan.summary}"
    if needed := needs(planned):
        yield "need", ", ".join(map(str, needed))


def _second(pair: tuple[Planned, int]) -> int:
    return pair[1]


def _of(one: Planned, device: str) -> list[Demand]:
    return [demand for demand in one.plan.demands if demand.device == device]
