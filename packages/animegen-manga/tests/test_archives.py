"""Pages from images, folders, archives and PDF documents; hostile archives."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from animegen.errors import InputError, MissingError
from animegen.imageio import encode_png, write_image
from animegen_manga import archives, open_pages, pdf
from animegen_manga.names import natural_key, safe_name

GREY = np.full((6, 8, 3), 90, np.uint8)


def make_zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_an_archive_in_natural_order_without_what_is_no_page(tmp_path):
    png = encode_png(GREY)
    path = make_zip(
        tmp_path / "第1巻 a.cbz",
        {
            "c 10/1.png": png,
            "c 2/10.png": png,
            "c 2/9.PNG": png,
            "__MACOSX/c 2/._9.png": b"x",
            "c 2/.hidden.png": b"x",
            "ComicInfo.xml": b"<x/>",
        },
    )
    pages = list(open_pages(path))
    assert [page.name for page in pages] == ["第1巻 a/c 2/9", "第1巻 a/c 2/10", "第1巻 a/c 10/1"]
    assert [(page.title, page.index, page.count) for page in pages][2] == ("第1巻 a", 2, 3)
    assert np.array_equal(pages[0].read(), GREY)


def test_folders_and_images(tmp_path):
    folder = tmp_path / "日本 語"
    for name in ("2.png", "10.png", "sub/1.png", ".x.png", "__MACOSX/3.png", "2.bmp"):
        write_image(folder / name, GREY)
    (folder / "notes.txt").write_text("x")
    assert [page.name for page in open_pages(str(folder))] == [
        "日本 語/2.bmp",
        "日本 語/2.png",
        "日本 語/10",
        "日本 語/sub/1",
    ]
    (page,) = open_pages([folder / "10.png"])
    assert np.array_equal(page.read(), GREY)


def encrypted(path: Path) -> Path:
    make_zip(path, {"1.png": encode_png(GREY)})
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(signature) + offset
        data[at : at + 2] = struct.pack("<H", 1)
    path.write_bytes(data)
    return path


def evil_name(path: Path, name: str) -> Path:
    return make_zip(path, {name: encode_png(GREY), "1.png": encode_png(GREY)})


BAD = {
    "parent": (lambda p: evil_name(p / "a.cbz", "../1.png"), "outside"),
    "absolute": (lambda p: evil_name(p / "a.cbz", "/tmp/1.png"), "outside"),
    "drive": (lambda p: evil_name(p / "a.cbz", "C:\\1.png"), "outside"),
    "backslash": (lambda p: evil_name(p / "a.cbz", "x\\..\\..\\1.png"), "outside"),
    "bomb": (lambda p: make_zip(p / "a.cbz", {"1.png": bytes(8 << 20)}), "unpack to 8 MiB"),
    "encrypted": (lambda p: encrypted(p / "a.cbz"), "encrypted"),
    "empty archive": (lambda p: make_zip(p / "a.cbz", {}), "holds no page"),
    "no page": (lambda p: make_zip(p / "a.cbz", {"x.txt": b"x"}), "holds no page"),
    "text": (lambda p: write(p / "a.cbz", b"this is text"), "not a ZIP file"),
    "nothing": (lambda p: write(p / "a.cbz", b""), "0 bytes"),
    "rar": (lambda p: write(p / "a.cbr", b"Rar!\x1a\x07\x01\x00 and so on"), "RAR"),
    "7z": (lambda p: write(p / "a.cb7", b"7z\xbc\xaf\x27\x1c and so on"), "7z"),
    "unknown ending": (lambda p: write(p / "a.docx", b"x"), "neither an image nor"),
    "absent": (lambda p: p / "none.cbz", "no file or folder"),
    "empty folder": (lambda p: folder(p / "empty"), "holds no page"),
}


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize("kind", BAD)
def test_bad_sources_are_input_errors(tmp_path, kind):
    make, message = BAD[kind]
    path = make(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        list(open_pages(path))
    assert str(path) in str(caught.value)


def test_a_rar_archive_says_what_to_do(tmp_path):
    with pytest.raises(InputError) as caught:
        list(open_pages(write(tmp_path / "a.cbr", b"Rar!\x1a\x07\x00")))
    assert "CBZ" in caught.value.hints[0]


def test_an_archive_called_cbr_that_is_a_zip_is_read(tmp_path):
    assert len(list(open_pages(make_zip(tmp_path / "a.cbr", {"1.png": encode_png(GREY)})))) == 1


def test_many_small_bombs_are_refused_in_total(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 3_000)
    path = make_zip(tmp_path / "a.zip", {f"{i}.png": bytes(1000) for i in range(5)})
    with pytest.raises(InputError, match="limit"):
        list(open_pages(path))
    monkeypatch.setattr(archives, "MAX_MEMBERS", 4)
    with pytest.raises(InputError, match="5 entries"):
        list(open_pages(path))


def test_a_damaged_page_is_named_when_it_is_read(tmp_path):
    path = make_zip(tmp_path / "a.cbz", {"1.png": encode_png(GREY)}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(data)
    (page,) = open_pages(path)
    with pytest.raises(InputError, match=r"1\.png is damaged"):
        page.read()


def test_a_page_that_is_no_image(tmp_path):
    (page,) = open_pages(make_zip(tmp_path / "a.cbz", {"1.png": b"not an image"}))
    with pytest.raises(InputError, match=r"a\.cbz!1\.png"):
        page.read()


def test_pages_larger_than_allowed(tmp_path):
    path = make_zip(tmp_path / "a.cbz", {"1.png": encode_png(GREY)})
    (page,) = open_pages(path, max_pixels=40)
    with pytest.raises(InputError, match="48"):
        page.read()


def test_pdf_without_its_library_says_what_to_install(tmp_path, monkeypatch):
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(pdf, "import_module", absent)
    with pytest.raises(MissingError) as caught:
        list(open_pages(write(tmp_path / "a.pdf", b"%PDF-1.4")))
    assert "animegen-manga[pdf]" in caught.value.hints[0]


def small_pdf(width: int, height: int) -> bytes:
    """One page, its left half painted red."""
    content = f"1 0 0 rg 0 0 {width // 2} {height} re f".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 {width} {height}]/Contents 4 0 R>>".encode(),
        b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
    ]
    out, offsets = io.BytesIO(b""), []
    out.write(b"%PDF-1.4\n")
    for number, body in enumerate(objects, start=1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj%s endobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 5\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % o for o in offsets))
    out.write(b"trailer<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % start)
    return out.getvalue()


def test_pdf_pages_are_drawn_in_rgb_within_the_limit(tmp_path):
    pytest.importorskip("pypdfium2")
    path = write(tmp_path / "a b.pdf", small_pdf(72, 36))
    (page,) = open_pages(path)
    image = page.read()
    assert image.shape == (100, 200, 3)
    assert image[50, 50].tolist() == [255, 0, 0]
    assert image[50, 150].tolist() == [255, 255, 255]
    (page,) = open_pages(path, max_pixels=5000)
    assert image.size > page.read().size
    with pytest.raises(InputError, match="PDF"):
        list(open_pages(write(tmp_path / "b.pdf", b"%PDF-1.4 nonsense")))


def test_a_manga109_folder_brings_its_annotation(tmp_path):
    write_image(tmp_path / "images" / "A" / "000.png", GREY)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "A.xml").write_text(
        '<book title="A" readingdirection="ltr"><pages><page index="0" width="8" height="6">'
        '<frame id="1" xmin="0" ymin="0" xmax="8" ymax="6"/></page></pages></book>'
    )
    (page,) = open_pages(tmp_path)
    assert (page.name, page.direction) == ("A/000", "ltr")
    assert page.page is not None
    assert len(page.page.frames) == 1
    assert np.array_equal(page.read(), GREY)
    (tmp_path / "images" / "A" / "000.png").unlink()
    with pytest.raises(InputError, match=r"000\.jpg"):
        list(open_pages(tmp_path))


def test_names():
    assert sorted(["p10", "p9", "p010", "q1", "p"], key=natural_key) == ["p", "p9", "p010", "p10", "q1"]
    assert safe_name('a:b/..\\c"/巻 1.') == "a_b/_c_/巻 1"
    assert safe_name("con/x") == "con_/x"
    assert safe_name("a", taken={"a", "a-2"}) == "a-3"
    assert ".." not in safe_name("../../x").split("/")
