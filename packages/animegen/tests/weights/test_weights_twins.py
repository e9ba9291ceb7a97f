"""A file that several plugins load is fetched once: the others are given the same bytes, verified again."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from animegen.errors import MissingError
from animegen.weights.store import WeightStore


@pytest.fixture
def weight(server: Any) -> Any:
    """A record whose place answers."""
    server.answers["/net.pt"] = [server.whole()]
    return server.record(f"{server.url}/net.pt")


def test_a_second_plugin_takes_what_the_first_one_has(store: WeightStore, server: Any, weight: Any) -> None:
    other = replace(weight, file="same.pth", license="BSD", sha256=weight.sha256.upper())
    assert not store.has_twin("animegen-match", other)
    first = store.fetch("animegen-style", weight)
    assert store.has_twin("animegen-match", other) and not store.has_twin("animegen-style", weight)

    second = store.fetch("animegen-match", other)

    assert len(server.seen) == 1
    assert (second.state, second.sha256) == ("verified", server.sha)
    assert second.path == store.folder / "match" / "same.pth"
    assert second.path.samefile(first.path)
    note = json.loads((store.folder / "match" / "same.pth.note.json").read_text())
    assert (note["source"], note["license"]) == (f"{server.url}/net.pt", "BSD")
    store.remove("animegen-style", weight)
    assert second.path.read_bytes() == server.data
    assert store.path("animegen-match", other) == second.path


def test_where_links_fail_it_is_copied_even_offline(
    store: WeightStore, server: Any, weight: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = store.fetch("style", weight)

    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    store.offline = True
    steps: list[str] = []
    second = store.fetch("match", weight, progress=lambda *step: steps.append(step[2]))

    assert second.path.read_bytes() == server.data
    assert not second.path.samefile(first.path)
    assert {"copy", "verify"} == set(steps)
    assert {path.name for path in second.path.parent.iterdir()} == {"net.pt", "net.pt.note.json"}


def test_a_file_that_is_not_what_it_was_is_not_taken(store: WeightStore, server: Any, weight: Any) -> None:
    first = store.fetch("style", weight).path
    before, damaged = first.stat(), bytes(reversed(server.data))
    first.write_bytes(damaged)
    os.utime(first, ns=(before.st_atime_ns, before.st_mtime_ns))  # as if nothing had happened

    assert store.fetch("match", weight).path.read_bytes() == server.data
    assert len(server.seen) == 2
    assert first.read_bytes() == damaged, "it is not ours to mend"


@pytest.mark.parametrize("changes", [{"sha256": "0" * 64}, {"sha256": None}])
def test_another_file_is_never_taken(store: WeightStore, weight: Any, changes: dict[str, Any]) -> None:
    store.fetch("style", weight)
    store.offline = True

    with pytest.raises(MissingError, match="offline"):
        store.fetch("match", replace(weight, **changes))
    assert not (store.folder / "match" / "net.pt").exists()


def test_what_nobody_has_read_yet_is_not_taken(store: WeightStore, server: Any, weight: Any) -> None:
    place = Path(store.folder / "style" / "net.pt")
    place.parent.mkdir(parents=True)
    place.write_bytes(server.data)

    assert not store.fetch("match", weight).path.samefile(place)
    assert len(server.seen) == 1
