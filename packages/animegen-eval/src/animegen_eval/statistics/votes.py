"""Two-choice studies with "no preference": what the votes say, and how much of it is the raters'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from animegen.errors import InputError
from animegen_eval.statistics.agreement import fleiss, krippendorff_alpha
from animegen_eval.statistics.binomial import ShareTest, share_test
from animegen_eval.statistics.bootstrap import draw_units, from_replicates
from animegen_eval.statistics.corrections import holm
from animegen_eval.statistics.records import Interval

Vote = Literal["A", "B", "N"]
Votes = Sequence[Sequence["Vote | None"]]


@dataclass(frozen=True)
class RaterTest:
    """Sign test over raters: each rater counts once, for the side of most of their votes.

    Attributes:
        for_a: Raters with more votes for A.
        for_b: With more for B.
        tied: With as many for both.
        test: `for_a` against `for_b`.
    """

    for_a: int
    for_b: int
    tied: int
    test: ShareTest


@dataclass(frozen=True)
class Axis:
    """What the votes on one question say.

    Attributes:
        name: Name of the question, e.g. ``motion``.
        no_preference: Votes for neither.
        decisive: A against B among votes with a preference: the primary test; without decisive votes, no test.
        no_preference_share: Share of votes for neither; a headline must say so above about a third.
        ties_split_rate: Rate of A if each vote for neither counts half for each.
        p_holm: ``decisive.p`` corrected by Holm over the axes.
        raters: Sign test over raters.
        rater_interval: Rate of A, with raters drawn again.
        alpha: Krippendorff's, with "no preference" as a third answer.
        alpha_decisive: With "no preference" as a missing one.
        kappa: Fleiss', with three answers; None where a rater did not judge every pair.
    """

    name: str
    no_preference: int
    decisive: ShareTest
    no_preference_share: float
    ties_split_rate: float
    p_holm: float | None
    raters: RaterTest
    rater_interval: Interval | None
    alpha: float | None
    alpha_decisive: float | None
    kappa: float | None


def analyse_study(
    axes: Mapping[str, Votes], *, draws: int = 4000, seed: int = 20240, level: float = 0.95
) -> tuple[Axis, ...]:
    """Analyse a study, with Holm's correction over its axes.

    Args:
        axes: By question: (raters, pairs) of ``A``, ``B``, ``N`` for no preference, None for not judged.
        draws: Of raters.
        seed: Of PCG64.
        level: Confidence of the intervals.

    Raises:
        InputError: An axis without a vote, with rows of unequal length, or with anything else than those letters.
    """
    found = [_axis(name, votes, draws, seed, level) for name, votes in axes.items()]
    adjusted = holm([axis.decisive.p for axis in found])
    return tuple(replace(axis, p_holm=p) for axis, p in zip(found, adjusted, strict=True))


def position_bias(chosen: Sequence[Literal["left", "right"]], level: float = 0.95) -> ShareTest:
    """Test decisive votes for the left side against one half: sides were drawn at random, so nothing else moves it."""
    left = sum(side == "left" for side in chosen)
    return share_test(left, len(chosen) - left, level)


def rater_interval(votes: Votes, *, draws: int = 4000, seed: int = 20240, level: float = 0.95) -> Interval | None:
    """Percentile interval of the rate of A among decisive votes, with raters drawn again.

    Returns:
        None for fewer than two raters, or where a draw may hold no decisive vote.
    """
    counts = np.array([[rater.count(side) for side in ("A", "B")] for rater in map(list, votes)], np.float64)
    if len(counts) < 2:
        return None
    found = []
    for block in draw_units(len(counts), draws, seed):
        a, b = np.moveaxis(counts[block].sum(axis=1), -1, 0)
        with np.errstate(invalid="ignore"):
            found.append(a / (a + b))
    return from_replicates(np.concatenate(found), level=level, seed=seed, over="raters")


def _axis(name: str, votes: Votes, draws: int, seed: int, level: float) -> Axis:
    if len({len(rater) for rater in votes}) > 1:
        raise InputError(f"Votes on {name} have rows of unequal length; None stands for a pair not judged.")
    flat = [vote for rater in votes for vote in rater if vote is not None]
    if unknown := {*flat} - {"A", "B", "N"}:
        raise InputError(f"Votes on {name} hold {', '.join(sorted(map(repr, unknown)))}; expected A, B or N.")
    if not flat:
        raise InputError(f"There is no vote on {name}.")
    a, b, ties = (flat.count(side) for side in ("A", "B", "N"))
    leads = [rater.count("A") - rater.count("B") for rater in map(list, votes) if any(vote for vote in rater)]
    for_a, for_b = sum(lead > 0 for lead in leads), sum(lead < 0 for lead in leads)
    full = [[vote for vote in rater if vote is not None] for rater in votes]
    complete = all(len(given) == len(rater) for given, rater in zip(full, votes, strict=True))
    return Axis(
        name,
        ties,
        share_test(a, b, level),
        ties / len(flat),
        (a + ties / 2) / len(flat),
        None,
        RaterTest(for_a, for_b, len(leads) - for_a - for_b, share_test(for_a, for_b, level)),
        rater_interval(votes, draws=draws, seed=seed, level=level),
        krippendorff_alpha(votes),
        krippendorff_alpha([[None if vote == "N" else vote for vote in rater] for rater in votes]),
        fleiss(full) if complete else None,
    )
