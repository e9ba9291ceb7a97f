"""The Manga109 reader: good books typed, faults mended or refused, attacks turned away."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from animegen.errors import InputError, UsageError
from animegen.imageio import write_image
from animegen.media import Box
from animegen_manga import TERMS, AnnotationWarning, Manga109, courtesy

PAGE = '<page index="3" width="100" height="80">{}</page>'
BOOK = '<book title="A"><characters><character id="00000001" name="7"/></characters><pages>{}</pages></book>'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "annotations").mkdir()
    (tmp_path / "images" / "A").mkdir(parents=True)
    (tmp_path / "books.txt").write_bytes(b"A \r\n\r\n  \r\n")
    return tmp_path


def book(root: Path, inside: str, **options: bool):
    (root / "annotations" / "A.xml").write_text(BOOK.format(PAGE.format(inside)), "utf-8")
    return Manga109(root, **options).book("A")


def test_a_page_is_typed_and_unknown_tags_are_kept(root):
    page = book(
        root,
        '<frame id="12345678" xmin="0" ymin="0" xmax="100" ymax="40"/>'
        '<text id="0000000a" xmin="1" ymin="2" xmax="3" ymax="4">one\ntwo</text>'
        '<text id="0000000b" xmin="1" ymin="2" xmax="3" ymax="4"/>'
        '<body id="0000000c" xmin="1" ymin="2" xmax="30" ymax="40" character="00000001"/>'
        '<face id="0000000d" xmin="1" ymin="2" xmax="9" ymax="9" character="00000001"/>'
        '<speaks text="0000000a" by="0000000c"/>'
        '<balloon id="0000000e" xmin="5" ymin="5" xmax="9" ymax="9"/>',
        strict=True,
    ).pages[0]
    assert (page.index, page.width, page.height) == (3, 100, 80)
    assert page.frames[0].id == "12345678"
    assert page.frames[0].box == Box(0, 0, 100, 40)
    assert [text.content for text in page.texts] == ["one\ntwo", ""]
    assert page.bodies[0].character == page.faces[0].character == "00000001"
    assert [(o.tag, o.box) for o in page.others] == [("speaks", None), ("balloon", Box(5, 5, 9, 9))]
    assert page.others[0].attributes == {"text": "0000000a", "by": "0000000c"}


def test_titles_have_no_blanks_and_names_stay_text(root):
    data = Manga109(root)
    assert data.titles == ("A",)
    assert book(root, "").characters["00000001"].name == "7"
    assert book(root, "").direction == "rtl"


def test_titles_without_a_list_are_the_annotation_files(root):
    (root / "books.txt").unlink()
    for title in ("B10", "B9"):
        (root / "annotations" / f"{title}.xml").write_text(BOOK.format(""), "utf-8")
    assert Manga109(root).titles == ("B9", "B10")


def test_another_annotation_folder(root):
    (root / "annotations.v2").mkdir()
    (root / "annotations.v2" / "A.xml").write_text(BOOK.format(""), "utf-8")
    assert Manga109(root, annotations="annotations.v2").book("A").pages == ()


FAULTS = {
    "outside": ('<frame id="1" xmin="-5" ymin="0" xmax="300" ymax="40"/>', [Box(0, 0, 100, 40)]),
    "far outside": ('<frame id="1" xmin="200" ymin="0" xmax="300" ymax="40"/>', []),
    "inverted": ('<frame id="1" xmin="50" ymin="0" xmax="10" ymax="40"/>', []),
    "empty": ('<frame id="1" xmin="10" ymin="5" xmax="10" ymax="40"/>', []),
    "fraction": ('<frame id="1" xmin="1.6" ymin="0" xmax="10" ymax="40"/>', [Box(2, 0, 10, 40)]),
    "no number": ('<frame id="1" xmin="a" ymin="0" xmax="10" ymax="40"/>', []),
    "not finite": ('<frame id="1" xmin="nan" ymin="0" xmax="10" ymax="40"/>', []),
    "missing": ('<frame id="1" ymin="0" xmax="10" ymax="40"/>', []),
    "id twice": ('<frame id="1" xmin="0" ymin="0" xmax="9" ymax="9"/>' * 2, [Box(0, 0, 9, 9)] * 2),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_mended_with_a_warning_or_refused(root, fault):
    inside, expected = FAULTS[fault]
    with pytest.warns(AnnotationWarning, match=r"A\.xml"):
        assert [frame.box for frame in book(root, inside).pages[0].frames] == expected
    with pytest.raises(InputError, match=r"A\.xml"):
        book(root, inside, strict=True)


BAD_FILES = {
    "entities": (
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><book title="&b;"/>',
        "document type",
    ),
    "external entity": ('<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">]><book>&f;</book>', "document"),
    "doctype": ('<!DOCTYPE book SYSTEM "book.dtd"><book/>', "document type"),
    "malformed": ("<book>\n<pages>\n</book>", "line 3"),
    "not a book": ("<html/>", "<html>"),
    "text": ("just text", "line 1"),
    "empty": ("", "well-formed"),
    "no size": ('<book><pages><page index="0" height="5"/></pages></book>', "width"),
    "no area": ('<book><pages><page index="0" width="0" height="5"/></pages></book>', "0x5"),
    "encoding": ('<?xml version="1.0" encoding="no-such"?><book/>', "XML"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_files_are_input_errors(root, kind):
    content, message = BAD_FILES[kind]
    (root / "annotations" / "A.xml").write_text(content, "utf-8")
    with pytest.raises(InputError, match=message) as caught:
        Manga109(root).book("A")
    assert "A.xml" in str(caught.value)


def test_what_is_not_there_is_named(root):
    with pytest.raises(InputError, match=r"A\.xml"):
        Manga109(root).book("A")
    with pytest.raises(UsageError, match="no title 'Aa'") as caught:
        Manga109(root).book("Aa")
    assert "did you mean 'A'" in caught.value.hints[0] or "titles" in caught.value.hints[0]
    with pytest.raises(InputError, match="annotations"):
        Manga109(root / "images")
    with pytest.raises(InputError, match=r"003\.jpg"):
        Manga109(root).image_path("A", 3)


def test_a_title_cannot_be_a_path(root):
    (root / "books.txt").write_text("../secret\n")
    with pytest.raises(InputError, match="path"):
        Manga109(root)


@pytest.mark.parametrize("name", ["3.png", "003.jpg", "00003.png"])
def test_images_are_found_with_any_padding(root, name):
    write_image(root / "images" / "A" / name, np.zeros((80, 100, 3), np.uint8))
    (root / "images" / "A" / "cover.jpg").write_bytes(b"no page")
    assert Manga109(root).image_path("A", np.int64(3)).name == name


def test_the_size_of_the_image_is_checked(root):
    write_image(root / "images" / "A" / "003.png", np.zeros((81, 100, 3), np.uint8))
    page = book(root, "").pages[0]
    with pytest.warns(AnnotationWarning, match="100x81"):
        assert Manga109(root).read_image("A", page).shape == (81, 100, 3)
    with pytest.raises(InputError, match="100x81"):
        Manga109(root, strict=True).read_image("A", page)


def test_the_dictionary_form(root):
    inside = (
        '<text id="12345678" xmin="1" ymin="2" xmax="3" ymax="4"/>'
        '<frame id="0000000b" xmin="1" ymin="2" xmax="3" ymax="4"/><speaks by="9"/>'
    )
    book(root, inside)
    by_tag = Manga109(root).as_dict("A")
    assert by_tag["title"] == "A"
    assert by_tag["character"] == [{"@id": "00000001", "@name": "7", "type": "character"}]
    page = by_tag["page"][0]
    assert (page["@index"], page["@width"], page["@height"]) == (3, 100, 80)
    text = {"@id": "12345678", "@xmin": 1, "@ymin": 2, "@xmax": 3, "@ymax": 4, "type": "text", "#text": ""}
    assert page["text"] == [text]
    assert page["face"] == page["body"] == []
    assert page["speaks"] == [{"@by": "9", "type": "speaks"}]
    in_order = Manga109(root).as_dict("A", separate_by_tag=False)["page"][0]
    assert [item["type"] for item in in_order["contents"]] == ["text", "frame", "speaks"]
    assert "text" not in in_order


def test_courtesy_needs_the_author():
    assert courtesy("A", {"A": "Someone"}) == "courtesy of Someone"
    with pytest.raises(UsageError, match="author of 'A'"):
        courtesy("A", {"A": " "})
    assert "Redistribution" in TERMS


@pytest.mark.data
def test_real_pages_in_manga109_layout(real_data):
    data = Manga109(real_data / "pages", strict=True)
    books = {b.title: b for b in data}
    assert {t: sum(len(p.frames) for p in b.pages) for t, b in books.items()} == {
        "HarukoSan": 65,
        "PageBlanche": 14,
        "PepperCarrot17": 16,
        "ToriNoMe": 11,
    }
    assert books["PageBlanche"].direction == "ltr"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = books["PageBlanche"].page(6)
        assert data.read_image("PageBlanche", page).shape == (1577, 1200, 3)
    assert page.others[0].tag == "balloon"
