"""Journals that survive kills."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from animegen.errors import ResourceError
from animegen.resumable.journal import Journal


def test_a_journal_goes_on_after_its_last_whole_row(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "one.jsonl"
    with Journal(path) as journal:
        assert journal.rows == [] and not journal.finished
        journal.add({"frame": 1, "value": 0.1})
        journal.add({"frame": 2, "value": 1e-17})
    with path.open("ab") as file:
        file.write(b'{"frame": 3, "val')  # as a kill leaves it
    with Journal(path) as journal:
        assert journal.rows == [{"frame": 1, "value": 0.1}, {"frame": 2, "value": 1e-17}] and not journal.finished
        journal.add({"frame": 3, "value": 3.5})
        journal.finish()
    again = Journal(path)
    assert again.finished and [row["frame"] for row in again.rows] == [1, 2, 3]
    assert [json.loads(line) for line in path.read_text().splitlines()][-1] == {"end": 3}


def test_a_journal_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot be written"):
        Journal(tmp_path / "other" / "..").add({"a": 1})
