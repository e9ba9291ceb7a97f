"""The whole way from a study's folder to a page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from animegen.errors import InputError, UsageError
from animegen_eval.report import build, findings
from animegen_eval.report.numbers import percent
from animegen_eval.rows import Row
from animegen_eval.statistics.design import Design, Factor
from animegen_eval.statistics.factorial import analyse
from animegen_eval.statistics.records import Resampling

PAIRS = [("cats", f"pair-{number}") for number in range(4)] + [("dogs", f"pair-{number}") for number in range(4, 8)]
FEW = Resampling(draws=200)
NASTY = "<script>alert(1)</script>"


def build_report(source: Path, out: Path | None = None, **options: Any) -> build.Built:
    return build.build_report(source, out, resampling=FEW, **options)


class Reader(HTMLParser):
    """Elements, addresses and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("href", "src", "poster") and value:
                self.addresses.append(value)
            if name == "id" and value:
                self.ids.append(value)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def read(folder: Path) -> Reader:
    return Reader((folder / "index.html").read_text("utf-8"))


def clip_data(folder: Path) -> list[dict[str, object]]:
    found = re.search(r'id="clip-data">(.*?)</script>', (folder / "index.html").read_text("utf-8"), re.DOTALL)
    assert found
    result: list[dict[str, object]] = json.loads(found[1])
    return result


@pytest.fixture(scope="module")
def built(write_study: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> build.Built:
    """A report of 8 pairs without clips."""
    folder = tmp_path_factory.mktemp("built")
    return build_report(write_study(folder, PAIRS, clips=False), folder / "out")


def test_a_study_becomes_a_page_whose_links_all_lie_in_its_folder(
    make_study: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    built = build_report(make_study(PAIRS[2:6:2]), out, argv=["/x/animegen", "report", "my study"])
    page = read(out)
    assert built.page == out / "index.html"
    assert len(page.ids) == len(set(page.ids))
    for address in page.addresses:
        if address.startswith("#"):
            assert address[1:] in page.ids, address
        elif not address.startswith("data:"):
            assert not address.startswith(("http", "/", ".."))
            assert (out / address).is_file(), address
    played = clip_data(out)
    assert [len(pair["clips"]) for pair in played] == [8 + 4] * 2  # type: ignore[arg-type]
    for pair in played:
        for clip in pair["clips"]:  # type: ignore[attr-defined]
            assert (out / clip["file"]).is_file()
            assert (out / clip["poster"]).is_file()
    assert "animegen report 'my study'" in page.text  # the program's name, not where it lies
    assert "/x/animegen" not in page.text
    assert built.bytes < 3_000_000


def test_findings_are_those_of_the_numbers(built: build.Built) -> None:
    found = built.findings
    turned = [text for text in found if "turns round in line-chamfer" in text]
    assert any("preprocessing (none → descreen)" in text and "with balloon-removal flat" in text for text in turned)
    assert any("balloon-removal (none → flat) raises endpoint-psnr" in text and ": better" in text for text in found)
    assert not any("upsampling (none → x4) lowers" in text or "upsampling (none → x4) raises" in text for text in found)
    assert any("1 of 3 quantities prefer a control" in text and "flicker-mae" in text for text in found)
    assert any("2 titles" in text for text in found)


def test_a_disqualified_quantity_is_marked_and_makes_no_finding(built: build.Built) -> None:
    text = read(built.page.parent).text
    assert "won by crossfade, freeze" in text
    assert "disqualified: won by crossfade, freeze" in text


def test_numbers_at_the_native_rate_stand_only_beside_the_repeat_control(built: build.Built) -> None:
    html = built.page.read_text("utf-8")
    table = html[html.index('id="t-native"') : html.index("</table>", html.index('id="t-native"'))]
    assert "frames repeated" in table
    assert table.count("<tr") == 1 + 4  # the configurations with another frame rate than the baseline
    assert table.count("−75.0 %") >= 4  # what repeating frames does by arithmetic
    assert "native" not in html[html.index('id="t-systems"') : html.index("</table>", html.index('id="t-systems"'))]


@pytest.mark.parametrize("where", ["pair", "title", "system", "reason"])
def test_names_are_text_wherever_they_come_from(
    where: str, make_study: Callable[..., Path], make_evaluation: Callable[..., Path],
    make_rows: Callable[..., list[Row]], tmp_path: Path,
) -> None:  # fmt: skip
    nasty = f"{NASTY}\"&'--><img src=x onerror=alert(2)>$x$"
    pairs = [(nasty, "a"), ("t", "b")] if where == "title" else [("t", nasty), ("t", "b")]
    if where in ("pair", "title"):
        folder = make_study(pairs, clips=where == "pair")
    else:
        rows = make_rows([("t", "a"), ("t", "b"), ("u", "c"), ("u", "d")])
        change = {"config": nasty} if where == "system" else {"value": None, "missing": nasty}
        rows = [replace(row, **change) if row.config == "011" else row for row in rows]
        folder = make_evaluation(rows)
    build_report(folder, tmp_path / "out", title=nasty)
    page = read(tmp_path / "out")
    assert page.tags.count("script") == 2
    assert "x" not in page.addresses
    assert NASTY in page.text
    for path in (tmp_path / "out" / "figures").glob("*.svg"):
        root = ElementTree.parse(path).getroot()
        assert not [node for node in root.iter() if node.tag.rpartition("}")[2] in ("script", "img")]


def test_missing_and_infinite_values_are_told(
    make_evaluation: Callable[..., Path], make_rows: Callable[..., list[Row]], tmp_path: Path
) -> None:
    rows = make_rows([("t", "a"), ("t", "b"), ("u", "c")])

    def changed(row: Row) -> Row:
        if row.quantity == "endpoint-psnr" and row.config == "000" and row.clip == "a":
            return replace(row, value=float("inf"))
        if row.quantity == "line-chamfer" and row.config == "111":
            return replace(row, value=None, missing="no line was found", failed=row.clip == "b")
        return row

    build_report(make_evaluation([changed(row) for row in rows]), tmp_path / "out")
    page = read(tmp_path / "out")
    assert "∞" in page.text
    assert "1 of 3 are ∞" in page.text
    assert page.text.count("no line was found") == 2  # missing, and failed
    assert not re.search(r"\bnan\b", page.text, re.IGNORECASE)


def test_one_pair_has_no_interval_and_no_finding(make_study: Callable[..., Path], tmp_path: Path) -> None:
    built = build_report(make_study([("t", "only")], clips=False), tmp_path / "out")
    assert "One pair is an example: it has no interval." in built.findings
    assert not any("Holm p" in text for text in built.findings)


def test_a_study_without_clips_and_without_all_cells_still_makes_a_page(
    make_study: Callable[..., Path], make_rows: Callable[..., list[Row]], tmp_path: Path
) -> None:
    pairs = [("t", "a"), ("t", "b")]
    rows = [row for row in make_rows(pairs) if row.config != "111"]
    build_report(make_study(pairs, clips=False, rows=rows), tmp_path / "out")
    text = read(tmp_path / "out").text
    assert "No effects: No pair has a value of line-chamfer in all 8 cells." in text


def test_a_second_report_replaces_the_first_and_nothing_else(make_study: Callable[..., Path], tmp_path: Path) -> None:
    study, out = make_study([("t", "a")]), tmp_path / "out"
    build_report(study, out)
    (out / "clips" / "old.mp4").write_bytes(b"x")
    (out / "mine.txt").write_text("kept")
    build_report(study, out)
    assert not (out / "clips" / "old.mp4").exists()
    assert (out / "mine.txt").read_text() == "kept"
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("years")
    with pytest.raises(UsageError, match="is no report"):
        build_report(study, other)
    with pytest.raises(UsageError, match="tables themselves"):
        build_report(study, study)


def test_reports_of_one_study_are_equal(make_study: Callable[..., Path], tmp_path: Path) -> None:
    study = make_study([("t", "a"), ("u", "c")])
    first, second = (build_report(study, tmp_path / name).page.read_bytes() for name in ("one", "two"))
    assert first == second


def test_what_is_no_study_is_refused(tmp_path: Path, make_evaluation: Callable[..., Path]) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty holds no evaluation"):
        build_report(tmp_path / "empty")
    with pytest.raises(InputError, match=r"nowhere does not exist"):
        build_report(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no scores"):
        build_report(make_evaluation([]))


def test_a_factor_changes_nothing_only_where_none_of_its_levels_does() -> None:
    design = Design((Factor("tone", ("none", "a", "b")), Factor("rate", ("none", "x4"))))
    table = {f"pair {n}": {cell: n + (1 + n / 10) * (cell[0] == "b") for cell in design.cells} for n in range(5)}
    result = analyse(design, table, metric="made-up", better="lower", resampling=FEW)
    assert findings.unchanged(result) == ["rate"]


def test_changes_from_nearly_nothing_are_told_as_a_factor() -> None:
    assert [percent(share) for share in (0.0, -0.613, 9.5, 210_771.0)] == ["0 %", "−61.3 %", "+950.0 %", "×2.1e+05"]


def test_terms_of_a_pair_are_shown_as_its_record_has_them(make_study: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_study([("A", "one"), ("B", "two")], clips=False)
    study = json.loads((folder / "study.json").read_text("utf-8"))
    study["choice"]["pairs"][0] |= {"licence": "CC BY 4.0", "source": "a <comic> by A. N. Other"}
    (folder / "study.json").write_text(json.dumps(study), "utf-8")
    text = build.build_report(folder, tmp_path / "page").page.read_text("utf-8")
    assert "<b>A / one</b>: CC BY 4.0, a &lt;comic&gt; by A. N. Other" in text
    assert text.count("CC BY 4.0") >= 2  # among the licences, and beside the pair's clips
    assert "not recorded" not in text
