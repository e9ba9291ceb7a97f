"""Fetched bytes that are not the published ones: found out, told, and never kept."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from animegen.errors import MissingError
from animegen.weights.store import WeightStore


def leftovers(store: WeightStore) -> set[str]:
    folder = store.folder / "demo"
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def test_a_file_that_changed_meanwhile_is_fetched_from_its_start(store: WeightStore, server: Any) -> None:
    old = b"x" * len(server.data)
    server.answers["/net.pt"] = [server.broken_after(30 * server.chunk, old, '"old"'), server.whole()]

    assert store.fetch("demo", server.record(f"{server.url}/net.pt")).path.read_bytes() == server.data
    assert server.ranges() == [None, f"bytes={30 * server.chunk}-"]


def test_a_seam_that_does_not_fit_is_fetched_once_more(store: WeightStore, server: Any) -> None:
    # Another file under the same name and without an ETag: nothing but the digest can tell.
    server.answers["/net.pt"] = [
        server.broken_after(30 * server.chunk, b"x" * len(server.data), ""),
        server.whole(etag=""),
        server.whole(etag=""),
    ]

    assert store.fetch("demo", server.record(f"{server.url}/net.pt")).path.read_bytes() == server.data
    assert server.ranges() == [None, f"bytes={30 * server.chunk}-", None]


def test_wrong_bytes_that_never_come_in_one_go_are_given_up(store: WeightStore, server: Any) -> None:
    wrong = b"x" * len(server.data)
    server.answers["/net.pt"] = [server.broken_after(40 * server.chunk, wrong), server.whole(wrong)] * 10

    with pytest.raises(MissingError, match="wrong bytes, deleted"):
        store.fetch("demo", server.record(f"{server.url}/net.pt"))
    assert len(server.seen) == 4


def test_wrong_bytes_are_deleted_and_both_digests_are_told(store: WeightStore, server: Any) -> None:
    wrong = b"y" * len(server.data)
    server.answers["/net.pt"] = [server.whole(wrong)]

    with pytest.raises(MissingError) as caught:
        store.fetch("demo", server.record(f"{server.url}/net.pt"))

    assert f"SHA-256 expected {server.sha}, got {hashlib.sha256(wrong).hexdigest()}" in caught.value.message
    assert len(server.seen) == 1, "the same wrong bytes are not fetched twice"
    assert leftovers(store) == set()
    assert store.status("demo", server.record()).state == "absent"


def test_md5_decides_where_it_is_all_there_is(store: WeightStore, server: Any) -> None:
    server.answers["/net.pt"] = [server.whole()]
    good = hashlib.md5(server.data).hexdigest()

    with pytest.raises(MissingError, match=f"MD5 expected {'0' * 32}, got {good}"):
        store.fetch("demo", server.record(f"{server.url}/net.pt", sha256=None, md5="0" * 32))
    status = store.fetch("demo", server.record(f"{server.url}/net.pt", sha256=None, md5=good.upper()))
    assert (status.state, status.sha256) == ("verified", server.sha)


def test_another_size_is_refused_before_it_is_fetched(store: WeightStore, server: Any) -> None:
    server.answers["/net.pt"] = [server.whole(server.data[:-1])]

    with pytest.raises(MissingError, match=r"has 5,119,999 bytes where 5,120,000 are expected"):
        store.fetch("demo", server.record(f"{server.url}/net.pt"))


def test_without_a_digest_the_parts_of_two_places_are_never_joined(store: WeightStore, server: Any) -> None:
    server.answers["/a"] = [server.broken_after(45 * server.chunk), server.busy(404)]
    server.answers["/b"] = [server.whole()]
    weight = server.record(f"{server.url}/a", f"{server.url}/b", sha256=None, size=None)

    status = store.fetch("demo", weight)

    assert server.ranges()[-1] is None
    assert (status.state, status.sha256) == ("unverified", server.sha)
    assert status.describe(weight) == "here, no published digest"
    assert store.path("demo", weight) == status.path
