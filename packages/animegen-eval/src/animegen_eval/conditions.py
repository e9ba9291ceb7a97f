"""Conditions on an evaluation, for scripts: ``lpips-alex>0.2`` makes it fail where a system's mean is above 0.2."""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass

from animegen.errors import AnimeGenError, UsageError, did_you_mean
from animegen_eval.summary import Figure
from animegen_eval.tables import number

_COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_FORM = re.compile(
    r"(?P<quantity>[a-z0-9-]+)(?::(?P<variant>[a-z-]+))?(?:@(?P<gap>\d+))?\s*(?P<sign><=|>=|<|>)\s*(?P<bound>\S+)"
)


class ConditionFailed(AnimeGenError):
    """A condition of ``--fail-if`` holds. Its exit code is its own: 5 is for too little memory here."""

    exit_code = 7


@dataclass(frozen=True)
class Condition:
    """What must not be.

    Attributes:
        text: As it was typed.
        quantity: Name of the number.
        variant: Of it; empty for the headline.
        gap: None for all.
        sign: How it is compared with `bound`.
        bound: The number.
    """

    text: str
    quantity: str
    variant: str
    gap: int | None
    sign: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> Condition:
        """From ``QUANTITY[:VARIANT][@GAP]>NUMBER``. Raises UsageError."""
        match = _FORM.fullmatch(text.strip())
        try:
            if match is None:
                raise ValueError
            bound = float(match["bound"])
        except ValueError:
            raise UsageError(
                f"--fail-if {text!r} is no condition.", hint="for example: --fail-if 'psnr<25', 'psnr:middles@4<=20'"
            ) from None
        gap = None if match["gap"] is None else int(match["gap"])
        return cls(text, match["quantity"], match["variant"] or "", gap, match["sign"], bound)


def check(conditions: Sequence[Condition], figures: Sequence[Figure]) -> None:
    """Whether any system's mean is what it must not be; a mean that is missing cannot pass.

    Raises:
        UsageError: A condition is on a quantity that the table has not.
        ConditionFailed: One holds, with the values.
    """
    told = []
    for condition in conditions:
        mine = [one for one in figures if _is_meant(one, condition)]
        if not mine:
            known = sorted({one.quantity for one in figures})
            near = did_you_mean(condition.quantity, known)
            raise UsageError(
                f"--fail-if {condition.text!r}: the table has no such number of a system.",
                hint=f"{near}it has {', '.join(known)}",
            )
        for figure in mine:
            if figure.mean is None or _COMPARISONS[condition.sign](figure.mean, condition.bound):
                where = "" if figure.gap is None else f", gap {figure.gap}"
                told.append(f"{figure.quantity} of {figure.config}{where} is {number(figure.mean)} ({condition.text})")
    if told:
        raise ConditionFailed(f"{len(told)} condition{'s' * (len(told) > 1)} failed: {'; '.join(told)}.")


def _is_meant(figure: Figure, condition: Condition) -> bool:
    return (
        not figure.control
        and not (figure.stratum or figure.title or figure.clip)
        and figure.quantity == condition.quantity
        and (figure.variant == condition.variant if condition.variant else figure.headline)
        and condition.gap in (None, figure.gap)
    )
