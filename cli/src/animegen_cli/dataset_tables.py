"""Tables of a dataset with subsets of its own, on a terminal: every subset, and published scores apart from ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from animegen_cli.console import Console

if TYPE_CHECKING:
    from animegen_eval.summary import Figure
    from animegen_eval.tables import Evaluation

ALL = "all"


def say_dataset(console: Console, evaluation: Evaluation) -> None:
    """Subsets down, systems across, one table a quantity; then what others have published."""
    figures = [one for one in evaluation.summary.figures if not (one.title or one.clip)]
    subsets = ("", *evaluation.facts["subsets"])
    for region in (False, True):
        shown = [one for one in figures if (one.variant == "region" if region else one.headline)]
        for name in dict.fromkeys(one.quantity for one in shown):
            of_name = [one for one in shown if one.quantity == name and one.stratum in subsets]
            _subsets(console, f"{name}{', region of motion alone' if region else ''}", subsets, of_name)
    _published(console, evaluation.facts["published"])


def _subsets(console: Console, title: str, subsets: Sequence[str], figures: Sequence[Figure]) -> None:
    from animegen_eval.tables import number

    configs = sorted(dict.fromkeys((one.config, one.control) for one in figures), key=lambda one: one[1])
    cells = {(one.stratum, one.config, one.control): one for one in figures}
    rows = []
    for subset in subsets:
        here = [cells.get((subset, *config)) for config in configs]
        if any(here):
            count = max(one.n for one in here if one)
            rows.append((subset or ALL, str(count), *("" if one is None else number(one.mean) for one in here)))
    console.text(title)
    console.table(("subset", "clips", *(f"[{name}]" if control else name for name, control in configs)), rows)
    console.text("")


def _published(console: Console, published: Mapping[str, Any]) -> None:
    """Never in one table with ours, and never ranked."""
    console.text(f"published on {published['dataset']} by others, not measured here, and in no ranking")
    rows = [
        (one["system"], one["subset"] or ALL, one["quantity"], one["printed"], _note(one), one["source"])
        for one in published["scores"]
    ]
    console.table(("system", "subset", "quantity", "as printed", "", "source"), rows)
    for text in published["differs"]:
        console.text(f"differs: {text}")
    for text in published["quirks"]:
        console.text(f"protocol: {text}")


def _note(score: Mapping[str, Any]) -> str:
    if score["comparable"]:
        return "same protocol"
    return f"not comparable: {score['differs'] or 'see below'}"
