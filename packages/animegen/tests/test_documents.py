"""JSON that users hand in: what is right is read, what is wrong is told with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from animegen.documents import read_json
from animegen.errors import InputError, UsageError
from animegen.pipeline.inputs import read_text_boxes


@pytest.mark.parametrize(
    "data", [b'{"a": [1, 2.5, "\xc3\xa4", null]}', b'\xef\xbb\xbf{"a": [1, 2.5, "\xc3\xa4", null]}']
)
def test_a_document_is_read_with_and_without_a_mark_at_its_start(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.json").write_bytes(data)
    assert read_json(tmp_path / "a.json", "a list") == {"a": [1, 2.5, "ä", None]}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{\n "a": 1,\n}', r"a.json is not a list: not JSON at line 3, column 1 \(.+\)\.$"),
        (b"", "not JSON at line 1, column 1"),
        (b'["\xc3\xa4",\n "\xc3\xa4\xff"]', "byte 0xff at line 2, column 4 is not UTF-8"),
        (b"\xef\xbb\xbf[\xff]", "byte 0xff at line 1, column 2 is not UTF-8"),
        (b"[NaN]", r"not JSON \(NaN is no number\)"),
        (b"[" * 200_000, "nested too deep"),
        (b"9" * 5000, "not JSON"),
        (None, r"cannot be read as a list: No such file or directory\.$"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, data: bytes | None, words: str) -> None:
    if data is not None:
        (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(InputError, match=words) as caught:
        read_json(tmp_path / "a.json", "a list")
    assert str(tmp_path / "a.json") in caught.value.message


def test_a_folder_is_no_document(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read as a list"):
        read_json(tmp_path, "a list")


@pytest.mark.parametrize("number", ["1e999", "9" * 400, "-1e300"])
def test_a_box_outside_of_any_picture_is_no_box(tmp_path: Path, number: str) -> None:
    (tmp_path / "boxes.json").write_text(f'{{"first": [[0, 0, 9, {number}]]}}')
    with pytest.raises(UsageError, match="is not a box"):
        read_text_boxes(tmp_path / "boxes.json")
