"""Fetching weights from the Hugging Face Hub, played by a server of this machine."""

from __future__ import annotations

from typing import Any

import pytest

from animegen.errors import MissingError
from animegen.weights.fetch import PlaceFailed, parse_hub
from animegen.weights.store import WeightStore


def leftovers(store: WeightStore) -> set[str]:
    folder = store.folder / "demo"
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def test_a_file_of_the_hub_is_fetched_through_its_library(store: WeightStore, hub: Any) -> None:
    hub.answers["/someone/nets/resolve/v1/sub/net.pt"] = [hub.hub_file(hub.whole())]
    steps: list[tuple[int, int | None, str]] = []

    weight = hub.record("hf://someone/nets/sub/net.pt@v1")
    status = store.fetch("demo", weight, progress=lambda *step: steps.append(step))

    assert status.state == "verified"
    assert status.path.read_bytes() == hub.data
    assert status.source == "hf://someone/nets/sub/net.pt@v1"
    assert leftovers(store) == {"net.pt", "net.pt.note.json"}
    assert (len(hub.data), len(hub.data), "fetch") in steps
    asked = [headers for _, path, headers in hub.seen if "resolve" in path]
    assert [headers.get("Authorization") for headers in asked] == ["Bearer hf_hunter2"] * 2
    assert all("hunter2" not in path.read_text("latin1") for path in store.folder.rglob("*") if path.is_file())


def test_the_token_is_not_sent_to_where_the_hub_keeps_its_files(store: WeightStore, hub: Any) -> None:
    elsewhere = f"http://localhost:{hub.server_address[1]}/blob"
    hub.answers["/someone/nets/resolve/main/net.pt"] = [hub.hub_file(hub.moved(elsewhere))]
    hub.answers["/blob"] = [hub.whole()]

    assert store.fetch("demo", hub.record("hf://someone/nets/net.pt")).state == "verified"
    sent = {path: "hf_hunter2" in str(headers) for _, path, headers in hub.seen if "api" not in path}
    assert sent == {"/someone/nets/resolve/main/net.pt": True, "/blob": False}


def test_a_file_of_the_hub_is_resumed(store: WeightStore, hub: Any) -> None:
    head = hub.hub_file(hub.missing)
    broken = hub.hub_file(hub.broken_after(30 * hub.chunk))
    hub.answers["/someone/nets/resolve/main/net.pt"] = [head, broken, head, hub.hub_file(hub.whole())]

    status = store.fetch("demo", hub.record("hf://someone/nets/net.pt"))

    assert status.path.read_bytes() == hub.data
    asked = [headers.get("Range") for command, _, headers in hub.seen if command == "GET"]
    assert asked == [None, f"bytes={30 * hub.chunk}-"]


def test_a_file_of_the_hub_that_was_interrupted_is_resumed(store: WeightStore, hub: Any) -> None:
    hub.answers["/someone/nets/resolve/main/net.pt"] = [hub.hub_file(hub.whole())]
    weight = hub.record("hf://someone/nets/net.pt")

    def interrupt(done: int, total: int | None, step: str) -> None:
        if done >= 2_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.fetch("demo", weight, progress=interrupt)
    kept = store.status("demo", weight)
    assert kept.state == "partial"
    assert kept.size > 1_000_000

    assert store.fetch("demo", weight).path.read_bytes() == hub.data
    asked = [headers.get("Range") for command, _, headers in hub.seen if command == "GET"]
    assert asked == [None, f"bytes={kept.size}-"]


def test_a_branch_of_the_hub_that_moved_on_is_fetched_from_its_start(store: WeightStore, hub: Any) -> None:
    old = hub.broken_after(30 * hub.chunk, b"x" * len(hub.data))
    hub.answers["/someone/nets/resolve/main/net.pt"] = [
        hub.hub_file(hub.missing),
        hub.hub_file(old),
        hub.hub_file(hub.whole(), commit="b" * 40),
    ]

    assert store.fetch("demo", hub.record("hf://someone/nets/net.pt")).path.read_bytes() == hub.data
    assert [headers.get("Range") for command, _, headers in hub.seen if command == "GET"] == [None, None]


def test_a_busy_hub_is_given_the_time_it_asks_for(store: WeightStore, hub: Any, waits: list[float]) -> None:
    hub.answers["/someone/nets/resolve/main/net.pt"] = [hub.busy(429, "9"), hub.hub_file(hub.whole())]

    assert store.fetch("demo", hub.record("hf://someone/nets/net.pt")).state == "verified"
    assert waits == [9.0]


def test_a_hub_that_cannot_be_reached_is_told(
    store: WeightStore, server: Any, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(MissingError, match="gave up after 3 attempts"):
        store.fetch("demo", server.record("hf://someone/nets/net.pt"))
    assert len(waits) == 2


def test_a_hub_library_that_is_set_offline_is_told(
    store: WeightStore, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub.errors import OfflineModeIsEnabled

    def refuse(*_: object, **__: object) -> None:
        raise OfflineModeIsEnabled("offline")

    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", refuse)
    with pytest.raises(MissingError, match="set to be offline"):
        store.fetch("demo", server.record("hf://someone/nets/net.pt"))


def test_what_the_hub_does_not_have_is_told(store: WeightStore, hub: Any) -> None:
    hub.answers["/someone/gated/resolve/main/net.pt"] = [lambda handler: handler.send(403, X_Error_Code="GatedRepo")]
    hub.answers["/someone/gone/resolve/main/net.pt"] = [lambda handler: handler.send(404, X_Error_Code="EntryNotFound")]
    with pytest.raises(MissingError) as caught:
        store.fetch("demo", hub.record("hf://someone/gated/net.pt", "hf://someone/gone/net.pt", "hf://x/y"))

    assert "hf://someone/gated/net.pt (is gated: accept its terms on its page" in caught.value.message
    assert "hf://someone/gone/net.pt (not found" in caught.value.message
    assert "hf://x/y (is not of the form hf://OWNER/NAME/PATH@REVISION)" in caught.value.message


def test_wrong_bytes_of_the_hub_are_deleted(store: WeightStore, hub: Any) -> None:
    hub.answers["/someone/nets/resolve/main/net.pt"] = [hub.hub_file(hub.whole(b"z" * len(hub.data)))]

    with pytest.raises(MissingError, match=f"SHA-256 expected {hub.sha}"):
        store.fetch("demo", hub.record("hf://someone/nets/net.pt"))
    assert leftovers(store) == set()


def test_hub_addresses() -> None:
    assert parse_hub("hf://a/b/c/d.pt@refs") == ("a/b", "c/d.pt", "refs")
    assert parse_hub("hf://a/b/c.pt") == ("a/b", "c.pt", "main")
    with pytest.raises(PlaceFailed):
        parse_hub("hf://a/b")
