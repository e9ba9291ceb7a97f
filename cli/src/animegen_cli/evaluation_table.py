"""The table of an evaluation on a terminal: quantities down, systems and controls across, intervals beside systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from animegen_cli.console import Console, columns

if TYPE_CHECKING:
    from animegen_eval.statistics.comparison import Comparison
    from animegen_eval.summary import Figure, GateResult, Summary
    from animegen_eval.tables import Evaluation

_SIGNS = {"lower": "low", "higher": "high", "none": ""}


def say_evaluation(console: Console, evaluation: Evaluation) -> None:
    """The summary on standard output: a JSON document, or tables and what is to be read from them."""
    if console.json:
        console.document(evaluation.document())
        return
    summary = evaluation.summary
    shown = [one for one in summary.figures if one.headline and not one.stratum]
    for part in dict.fromkeys((one.title, one.clip, one.gap) for one in shown):
        figures = [one for one in shown if (one.title, one.clip, one.gap) == part]
        _block(console, _title(*part), figures)
    if "published" in evaluation.facts:
        from animegen_cli.dataset_tables import say_dataset

        say_dataset(console, evaluation)
    native = [one for one in summary.figures if one.variant == "native" and not (one.stratum or one.title or one.clip)]
    for gap in dict.fromkeys(one.gap for one in native):
        figures = [one for one in native if one.gap == gap]
        _block(console, f"{_title('', '', gap)}, every step at its own frame rate: read it beside repeat only", figures)
    _gates(console, summary)
    _drawn(console, evaluation.facts.get("interpolators", ()))
    if any(one.rank == 1 for one in shown):
        console.text("*: the best mean; whether that is more than chance, animegen compare says. [name]: a control.")
    if any(one.infinite for one in shown):
        console.text("inf: at least one clip is equal to its true one; summary.json counts them.")


def _title(title: str, clip: str, gap: int | None) -> str:
    parts = [" ".join(part for part in (title, clip) if part), "" if gap is None else f"gap {gap}"]
    return ", ".join(part for part in parts if part) or "all clips"


def _block(console: Console, title: str, figures: Sequence[Figure]) -> None:
    """One table, in as many pieces as the line's width asks for."""
    configs = list(dict.fromkeys((one.config, one.control) for one in figures))
    configs.sort(key=lambda one: one[1])
    cells = {(one.quantity, one.config, one.control): one for one in figures}
    quantities = list(dict.fromkeys(one.quantity for one in figures))
    n = max((one.n for one in figures), default=0)
    console.text(f"{title} ({n} clip{'s' * (n != 1)})")
    first = [["quantity", "better", *()], *([name, _SIGNS[_of(figures, name).better]] for name in quantities)]
    rest = []
    for config, control in configs:
        head = f"[{config}]" if control else config
        rest.append([head, *(_cell(cells.get((name, config, control))) for name in quantities)])
    notes = ["", *(_note([one for one in figures if one.quantity == name]) for name in quantities)]
    room = columns() - sum(max(map(len, column)) + 2 for column in zip(*first, strict=True))
    for piece in _pieces(rest, room):
        last = piece[-1] is rest[-1]
        lines = [
            [*start, *(column[row] for column in piece), *([notes[row]] if last else [])]
            for row, start in enumerate(first)
        ]
        console.table(lines[0], lines[1:])
    console.text("")


def _pieces(cells: Sequence[list[str]], room: int) -> list[list[list[str]]]:
    pieces: list[list[list[str]]] = [[]]
    left = room
    for column in cells:
        width = max(map(len, column)) + 2
        if pieces[-1] and width > left:
            pieces.append([])
            left = room
        pieces[-1].append(column)
        left -= width
    return pieces


def _of(figures: Sequence[Figure], quantity: str) -> Figure:
    return next(one for one in figures if one.quantity == quantity)


def _cell(figure: Figure | None) -> str:
    from animegen_eval.tables import number

    if figure is None:
        return ""
    text = number(figure.mean)
    if figure.missing:
        text += f" ({figure.missing} missing)"
    if figure.rank == 1:
        text += "*"
    if figure.control or figure.interval is None:
        return text
    return f"{text} [{number(figure.interval.low)}, {number(figure.interval.high)}]"


def _note(figures: Sequence[Figure]) -> str:
    """What keeps a quantity from ranking."""
    if beaten := figures[0].beaten_by:
        return f"no ranking: won by {', '.join(beaten)}"
    return "diagnostic" if figures[0].better == "none" else ""


def _gates(console: Console, summary: Summary) -> None:
    if not summary.gates:
        return
    lines = [_gate(gate) for gate in summary.gates]
    console.table(("gate", "system", "gap", "value", "must be", "verdict"), lines)
    console.text("")


def _drawn(console: Console, interpolators: Sequence[Mapping[str, Any]]) -> None:
    """What drawing took, and where an interpolator said something of what it drew."""
    from animegen_eval.tables import number

    rows = [(one["name"], line) for one in interpolators for line in one["drawn"]]
    if not rows:
        return
    console.table(
        ("drawn by", "clips", "gap", "pairs", "s a pair", "warned of"),
        [
            (name, " ".join(part for part in (line["title"], line["clip"]) if part) or "all", str(line["gap"]),
             str(line["pairs"]), number(line["seconds"]), str(line["warned"]))
            for name, line in rows
        ],
    )  # fmt: skip
    for name in dict.fromkeys(name for name, line in rows if line["warning"]):
        console.text(f"{name}: {next(line['warning'] for other, line in rows if other == name and line['warning'])}")
    console.text("")


def _gate(gate: GateResult) -> tuple[str, ...]:
    from animegen_eval.tables import number

    bounds = {
        (True, False): f"<= {number(gate.high)}",
        (False, True): f">= {number(gate.low)}",
        (False, False): f"{number(gate.low)} .. {number(gate.high)}",
        (True, True): "",
    }[gate.low is None, gate.high is None]
    verdict = f"unknown: {gate.reason}" if gate.verdict == "unknown" else gate.verdict
    gap = "" if gate.gap is None else str(gate.gap)
    return gate.rule.quantity, gate.config, gap, number(gate.value), bounds, verdict


def say_comparison(console: Console, comparison: Comparison, a: str, b: str) -> None:
    """A comparison on standard output: B less A, clip by clip."""
    from animegen_eval.statistics.records import plain
    from animegen_eval.tables import number

    if console.json:
        console.document({"a": a, "b": b, **dict(plain(comparison))})  # type: ignore[arg-type]
        return
    rows = []
    for row in comparison.rows:
        interval = "" if row.interval is None else f"[{number(row.interval.low)}, {number(row.interval.high)}]"
        improved = "" if row.share_improved is None else f"{row.improved} of {row.n}"
        p = "" if row.test is None or row.test.p_sign_flip is None else f"{row.test.p_sign_flip:.3g}"
        holm = "" if row.p_holm is None else f"{row.p_holm:.3g}"
        rows.append(
            (row.metric, _SIGNS[row.better], number(row.mean_a), number(row.mean_b), number(row.difference), interval,
             p, holm, improved, f"{len(row.dropped)} without a value" if row.dropped else "")
        )  # fmt: skip
    console.text(f"A {a}\nB {b}")
    console.table(("quantity", "better", "A", "B", "B - A", "95 % interval", "p", "Holm", "improved", ""), rows)
