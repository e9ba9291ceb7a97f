"""What a study's tables say: effects that are known beforehand, and numbers that fall by arithmetic alone."""

from __future__ import annotations

import pytest

from animegen_eval.ablation.analysis import analyse_study
from animegen_eval.ablation.design import AblationDesign, on, vary
from animegen_eval.ablation.tables import markdown, summary_lines
from animegen_eval.rows import Row
from animegen_eval.statistics.records import Resampling, plain

EIGHT = AblationDesign(
    (on("inpainter=flat", factor=4), on("preprocessor=lab", factor=4), on("upsampler=flow", factor=4))
)
QUICK = Resampling(draws=200)


def row(config: str, clip: str, value: float | None, **other: object) -> Row:
    facts: dict[str, object] = {
        "run": "",
        "title": clip[0],
        "gap": None,
        "control": False,
        "metric": "m",
        "quantity": "q",
        "variant": "middles",
        "scope": "frame",
        "index": None,
        "time": None,
        "missing": "" if value is not None else "broken",
        "failed": value is None,
        "unit": "",
        "better": "lower",
        "stratum": "",
        "part": None,
        "counts": True,
        "steps": 15,
    }
    return Row(config=config, clip=clip, value=value, **{**facts, **other})  # type: ignore[arg-type]


def table(value: object, **other: object) -> list[Row]:
    assert callable(value)
    return [
        row(cell.code, f"{title}{number}", value(cell.code, number), **other)
        for cell in EIGHT.cells
        for title in "AB"
        for number in range(4)
    ]


def test_known_effects_and_an_effect_that_turns_round() -> None:
    def value(code: str, number: int) -> float:
        balloon, lab, _ = map(int, code)
        return 10 + number - 2 * balloon + (3 if balloon else -3) * lab + 0.01 * ((number * (1 + lab) + balloon) % 3)

    analysis = analyse_study(EIGHT, table(value), QUICK)
    (result,) = analysis.effects
    means = {effect.name: effect.test.mean for effect in result.effects}
    assert means["balloon-removal"] == pytest.approx(1, abs=0.02)  # -2, and half of the +-3 that lab adds: -2 + 3
    assert means["preprocessing"] == pytest.approx(0, abs=0.02)
    assert means["balloon-removal:preprocessing"] == pytest.approx(3, abs=0.02)
    assert means["upsampling"] == 0
    sure = [turn for turn in result.reversals if turn.evidence == "both"]
    assert {turn.factor for turn in sure} == {"preprocessing", "balloon-removal"}
    text = markdown(EIGHT, analysis)
    assert "q: preprocessing → lab: -3 with balloon-removal = none, +3 with balloon-removal = flat" in text
    assert "No clip is changed by upsampling at these times" in text
    assert ("q", "upsampling") in [line[:2] for line in summary_lines(EIGHT, analysis)]
    plain(analysis)  # JSON holds all of it, and no NaN


def test_a_pair_without_one_value_is_left_out_of_all_cells() -> None:
    rows = [
        row(r.config, r.clip, None if (r.config, r.clip) == ("011", "B2") else r.value)
        for r in table(lambda code, number: number + int(code[0]))
    ]
    (result,) = analyse_study(EIGHT, rows, QUICK).effects
    assert result.n == 7
    assert [drop.unit for drop in result.dropped] == ["B2"]
    nothing = analyse_study(EIGHT, [row(r.config, r.clip, None) for r in rows], QUICK)
    assert nothing.skipped == {"q": "broken"}


def test_a_frame_rate_alone_is_shown_for_what_it_is() -> None:
    """Upsampling that repeats frames: at equal times nothing; at its own rate a quarter, as the control has."""
    step = {"scope": "step", "variant": "steps"}
    rows = table(lambda code, number: 1.0 + number, **step)
    for cell in EIGHT.cells:
        factor = 4 if cell.code[2] == "1" else 1
        for title in "AB":
            for number in range(4):
                clip, value = f"{title}{number}", (1.0 + number) / factor
                native = {"scope": "step", "variant": "native"}
                rows.append(row(cell.code, clip, value, steps=15 * factor, **native))
                again = {**native, "control": True, "steps": 60}
                rows.append(row(f"repeat {cell.code}", clip, (1.0 + number) / 4, **again))
    rates = analyse_study(EIGHT, rows, QUICK).frame_rates
    assert {rate.cell for rate in rates} == {"001", "011", "101", "111"}
    for rate in rates:
        assert rate.factor == 4
        assert rate.equal.ratio_of_means == 0
        assert rate.native.ratio_of_means == rate.repeated.ratio_of_means == pytest.approx(-0.75)
    text = markdown(EIGHT, analyse_study(EIGHT, rows, QUICK))
    assert "| q | 111 : baseline | 0 (0 .. 0) | -75.0 % (-75.0 % .. -75.0 %) | -75.0 % (×4) |" in text
    wrong = [r for r in rows if not r.config.startswith("repeat 000")]
    assert not analyse_study(EIGHT, wrong, QUICK).frame_rates  # never without its control


def test_more_levels_than_two_and_some_cells_alone() -> None:
    design = AblationDesign((vary("preprocessor=none,lab,descreen+lab", factor=4), vary("run.seed=1,2", factor=4)))
    assert [cell.code for cell in design.cells] == ["00", "01", "10", "11", "20", "21"]
    assert design.cells[4].layer.tables == {"run": {"preprocessor": ["descreen", "lab"], "seed": "1"}}
    rows = [row(cell.code, f"A{n}", float(cell.code[0]) + n + 0.1 * (n % 2)) for cell in design.cells for n in range(5)]
    (result,) = analyse_study(design, rows, QUICK).effects
    names = [effect.name for effect in result.effects if len(effect.levels) == 1]
    assert names == ["preprocessing=lab", "preprocessing=descreen+lab", "run.seed"]
    part = AblationDesign(design.factors, ("00", "21"))
    assert not part.full
    analysis = analyse_study(part, [r for r in rows if r.config in ("00", "21")], QUICK)
    assert not analysis.effects
    assert "only some configurations" in analysis.skipped["q"]
