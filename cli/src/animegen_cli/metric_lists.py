"""``animegen evaluate --list`` and ``--check``: what can be measured here, and whether it is measured rightly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from animegen.errors import AnimeGenError, PartialError
from animegen_cli.console import Console, size


def list_metrics(console: Console, names: Sequence[str], out: Path) -> None:
    """A line for every quantity of the metrics installed here.

    Args:
        console: Where to.
        names: Of metrics or quantities; none for all.
        out: Folder of the last evaluation, which knows what beat which; it may be absent.
    """
    from animegen.weights.store import WeightStore
    from animegen_cli.environment import installed
    from animegen_eval.metrics import choose_metrics

    registry, store, beaten = installed(), WeightStore(), _beaten(out)
    chosen = choose_metrics(registry, names) + ([] if names else choose_metrics(registry, names, over="set"))
    rows: list[dict[str, Any]] = []
    for metric in chosen:
        absent = metric.absent(store)
        total = sum(weight.size or 0 for weight in metric.spec.weights_for(metric.options.values))
        rows += [
            {
                "metric": metric.stage.name,
                "quantity": quantity.name,
                "scope": quantity.scope,
                "better": quantity.better,
                "unit": quantity.unit,
                "needs": sorted(quantity.reads),
                "weights": metric.weight_digests(store),
                "size": total,
                "absent": None if absent is None else absent.message,
                "beaten_by": beaten.get(quantity.name),
                "summary": quantity.summary,
            }
            for quantity in metric.quantities.values()
        ]
    if console.json:
        console.document(rows)
        return
    console.table(
        ("metric", "quantity", "a value a", "better", "unit", "needs", "weights", "a control wins", "what"),
        [
            (
                row["metric"],
                row["quantity"],
                row["scope"],
                row["better"],
                row["unit"] or "-",
                _needs(row["needs"]),
                _weights(row),
                "?" if row["beaten_by"] is None else ", ".join(row["beaten_by"]) or "no",
                row["summary"],
            )
            for row in rows
        ],
    )
    if not beaten:
        console.say("note", f"? until an evaluation is in {out}")


def _needs(reads: Sequence[str]) -> str:
    return ", ".join("truth" if name == "reference" else name for name in reads) or "-"


def _weights(row: dict[str, Any]) -> str:
    if not row["weights"]:
        return "-" if row["absent"] is None else "absent"
    known = f"{size(row['size'])} " if row["size"] else ""  # not every file's size was published
    return f"{known}{'here' if row['absent'] is None else 'absent'}"


def _beaten(out: Path) -> dict[str, list[str]]:
    """By quantity, the controls that won in the last table, where there is one."""
    from animegen_eval.tables import read_summary

    try:
        figures = read_summary(out)["figures"]
    except AnimeGenError:
        return {}
    found: dict[str, list[str]] = {}
    for figure in figures:
        if figure["headline"] and not figure["stratum"]:
            known = found.setdefault(figure["quantity"], [])
            known += [name for name in figure["beaten_by"] if name not in known]
    return found


def check_metrics(console: Console, names: Sequence[str]) -> None:
    """Read the weights of metrics and try each on tiny clips whose answers are known to be better or worse.

    Raises:
        PartialError: A metric breaks its contract.
    """
    from animegen.contract.run import run_checks
    from animegen.weights.store import WeightStore
    from animegen_cli.environment import installed
    from animegen_eval.metrics import choose_metrics

    registry, store = installed(), WeightStore()
    chosen = choose_metrics(registry, names) + ([] if names else choose_metrics(registry, names, over="set"))
    findings = [finding for metric in chosen for finding in run_checks(metric.stage, store, {}, ("cpu",))]
    if console.json:
        console.document([asdict(finding) for finding in findings])
    else:
        console.table(
            ("metric", "check", "state", "what"),
            [(one.stage, one.check, one.level, one.message) for one in findings],
            wrap=True,
        )
    if broken := [finding for finding in findings if finding.level == "error"]:
        raise PartialError(f"{len(broken)} checks failed.", hint="animegen plugins check NAME says more")
