"""Pages to panels on disk: files, records, pairs, resuming, failures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from animegen.errors import UsageError
from animegen.imageio import read_image, write_image
from animegen.media import Box, Region
from animegen_manga import ExtractOptions, TitleOverride, extract_panels, open_pages

BOXES = [Box(155, 5, 295, 195), Box(5, 5, 145, 195), Box(5, 205, 295, 395)]


def picture(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    image = np.full((400, 300, 3), 255, np.uint8)
    for box in BOXES:
        image[box.y0 : box.y1, box.x0 : box.x1] = rng.integers(0, 255, (1, 1, 3))
    return image


def find(image, text_boxes):
    return [Region("panel", box, 0.9, "cuts") for box in BOXES[::-1]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(2):
        write_image(tmp_path / "本 1" / f"p {number}.png", picture(number))
    return tmp_path / "本 1"


def test_panels_records_and_pairs(folder, tmp_path):
    seen = []
    out = tmp_path / "out here"
    summary = extract_panels(open_pages(folder), out, detect=find, progress=lambda n, name: seen.append((n, name)))
    assert (summary.pages, summary.panels, summary.reused, summary.failed) == (2, 6, 0, ())
    assert seen == [(1, "本 1/p 0"), (2, "本 1/p 1")]
    page = picture(1)
    for number, box in enumerate(BOXES, start=1):
        panel = read_image(out / "panels" / "本 1" / "p 1" / f"{number:02d}.png")
        assert np.array_equal(panel, page[box.y0 : box.y1, box.x0 : box.x1])
    assert read_image(out / "overlay" / "本 1" / "p 1.png").shape == page.shape
    document = json.loads((out / "panels.json").read_text("utf-8"))
    assert document["schema_version"] == 1
    record = document["pages"][1]
    assert [panel["box"] for panel in record["panels"]] == [list(box) for box in BOXES]
    assert record["panels"][0]["text_boxes"] is None
    rows = [line.split("\t") for line in (out / "pairs.tsv").read_text("utf-8").splitlines()]
    assert rows[0] == ["id", "first", "last", "prompt", "text_boxes", "score"]
    # Of the three panels the first two are alike in shape, the third is not.
    assert [row[1] for row in rows[1:]] == [f"panels/本 1/p {n}/01.png" for n in range(2)]
    for row in rows[1:]:
        assert (out / row[1]).is_file()
        assert (out / row[2]).is_file()
        assert 0 <= float(row[5]) <= 1
    rejected = [pair for pair in document["pairs"] if pair["rejected"]]
    assert len(rejected) == summary.rejected == 2
    assert not [path for path in out.rglob("*") if ".part" in path.name]


def test_left_to_right(folder, tmp_path):
    extract_panels(open_pages(folder), tmp_path / "o", detect=find, options=ExtractOptions(direction="ltr"))
    panels = json.loads((tmp_path / "o" / "panels.json").read_text("utf-8"))["pages"][0]["panels"]
    assert [panel["box"] for panel in panels] == [list(BOXES[i]) for i in (1, 0, 2)]


def test_done_pages_are_not_made_again(folder, tmp_path):
    out, calls = tmp_path / "o", []

    def counting(image, text_boxes):
        calls.append(1)
        return find(image, text_boxes)

    def run(**options):
        calls.clear()
        summary = extract_panels(open_pages(folder), out, detect=counting, **options)
        return len(calls), summary.reused

    assert run() == (2, 0)
    before = (out / "pairs.tsv").read_bytes(), (out / "panels.json").read_bytes()
    assert run() == (0, 2)
    assert ((out / "pairs.tsv").read_bytes(), (out / "panels.json").read_bytes()) == before
    (out / "panels" / "本 1" / "p 0" / "02.png").unlink()
    assert run() == (1, 1)
    (out / "records" / "本 1" / "p 1.json").write_text("{broken")
    assert run() == (1, 1)
    write_image(folder / "p 1.png", picture(7)[:399])
    assert run() == (1, 1)
    assert run(detector="another") == (2, 0)
    assert run(detector="another", options=ExtractOptions(direction="ltr")) == (2, 0)
    assert run(detector="another", options=ExtractOptions(direction="ltr"), force=True) == (2, 0)


def test_a_page_that_cannot_be_read_does_not_stop_the_others(folder, tmp_path):
    (folder / "p 05.png").write_bytes(b"no image")
    summary = extract_panels(open_pages(folder), tmp_path / "o", detect=find)
    assert summary.pages == 2
    ((name, reason),) = summary.failed
    assert name == "本 1/p 05"
    assert "p 05.png" in reason


def test_a_page_without_panels_is_kept_whole(folder, tmp_path):
    summary = extract_panels(open_pages(folder / "p 0.png"), tmp_path / "o", detect=lambda image, boxes: [])
    assert (summary.panels, summary.whole, summary.pairs) == (1, ("p 0",), 0)
    assert np.array_equal(read_image(tmp_path / "o" / "panels" / "p 0" / "01.png"), picture(0))


def test_pages_of_one_name_do_not_meet(folder, tmp_path):
    out = tmp_path / "o"
    summary = extract_panels(open_pages([folder / "p 0.png", folder / "p 0.png"]), out, detect=find)
    assert summary.pages == 2
    assert (out / "panels" / "p 0-2" / "03.png").is_file()


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    write_image(root / "images" / "A" / "000.png", picture(0))
    (root / "annotations").mkdir()
    frames = "".join(
        f'<frame id="0{i}" xmin="{b.x0}" ymin="{b.y0}" xmax="{b.x1}" ymax="{b.y1}"/>' for i, b in enumerate(BOXES)
    )
    (root / "annotations" / "A.xml").write_text(
        '<book title="A"><characters><character id="c" name="n"/></characters><pages>'
        f'<page index="0" width="300" height="400">{frames}'
        '<frame id="09" xmin="0" ymin="0" xmax="9" ymax="9"/>'
        '<text id="t" xmin="165" ymin="15" xmax="185" ymax="55">a</text>'
        '<text id="u" xmin="10" ymin="190" xmax="30" ymax="198">b</text>'
        '<body id="b1" xmin="160" ymin="10" xmax="290" ymax="190" character="c"/>'
        '<body id="b2" xmin="10" ymin="10" xmax="140" ymax="190" character="c"/>'
        "</page></pages></book>"
    )
    return root


def test_annotation_is_taken_where_there_is_one(annotated, tmp_path):
    out = tmp_path / "o"
    extract_panels(open_pages(annotated), out, detect=lambda image, boxes: pytest.fail("not to be asked"))
    document = json.loads((out / "panels.json").read_text("utf-8"))
    panels = document["pages"][0]["panels"]
    assert [panel["id"] for panel in panels] == ["00", "01", "02"]
    assert panels[0]["text_boxes"] == [[10, 10, 30, 50]]
    assert panels[1]["text_boxes"] == [[5, 185, 25, 190]]
    assert [panel["characters"] for panel in panels] == [["c"], ["c"], []]
    first = document["pairs"][0]
    assert first["terms"]["characters"] == 1.0
    lettering = json.loads((out / "text" / f"{first['id']}.json").read_text())
    assert lettering == {"first": [[10, 10, 30, 50]], "last": [[5, 185, 25, 190]]}
    detected = extract_panels(
        open_pages(annotated), out, detect=find, options=ExtractOptions(annotated=False, overlays=False)
    )
    assert (detected.panels, detected.reused) == (3, 0)


def test_an_order_given_by_hand(annotated, tmp_path):
    overrides = {"A": TitleOverride(pages={0: ("02", "00", "01")})}
    extract_panels(open_pages(annotated), tmp_path / "o", overrides=overrides)
    panels = json.loads((tmp_path / "o" / "panels.json").read_text())["pages"][0]["panels"]
    assert [panel["id"] for panel in panels] == ["02", "00", "01"]
    with pytest.raises(UsageError, match="3 panels"):
        extract_panels(open_pages(annotated), tmp_path / "o", overrides={"A": TitleOverride(pages={0: (1,)})})


def test_covers_and_contents_take_part_in_no_pair(tmp_path):
    for number in range(13):
        write_image(tmp_path / "b" / f"{number}.png", picture(number))
    extract_panels(open_pages(tmp_path / "b"), tmp_path / "o", detect=find, options=ExtractOptions(overlays=False))
    rows = (tmp_path / "o" / "pairs.tsv").read_text().splitlines()[1:]
    assert [row.split("\t")[1] for row in rows] == [f"panels/b/{n}/01.png" for n in range(4, 11)]
    options = ExtractOptions(overlays=False, per_title=2, seed=1)
    summary = extract_panels(open_pages(tmp_path / "b"), tmp_path / "o", detect=find, options=options)
    assert (summary.pairs, summary.reused) == (2, 13)
    document = json.loads((tmp_path / "o" / "panels.json").read_text())
    assert sum(pair["chosen"] for pair in document["pairs"]) == 2
