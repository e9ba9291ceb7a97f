"""Where weights are fetched from: servers that are busy, move and forget, mirrors, secrets, no network at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from animegen.errors import MissingError
from animegen.weights.fetch import Patience, public
from animegen.weights.store import WeightStore


def test_what_is_not_there_is_looked_for_in_the_next_place(store: WeightStore, server: Any) -> None:
    server.answers["/second/net.pt"] = [server.whole()]

    status = store.fetch("demo", server.record(f"{server.url}/first/net.pt", f"{server.url}/second/net.pt"))

    assert status.source == f"{server.url}/second/net.pt"


def test_all_places_are_listed_when_none_has_it(store: WeightStore, server: Any, waits: list[float]) -> None:
    server.answers["/c"] = [server.busy(403)]
    server.answers["/d"] = [lambda handler: handler.send(200, b"<html>", Content_Type="text/html; charset=utf-8")]
    weight = server.record(f"{server.url}/a", f"{server.url}/b", f"{server.url}/c", f"{server.url}/d", "ftp://x/y")

    with pytest.raises(MissingError) as caught:
        store.fetch("demo", weight)

    text = caught.value.message
    assert "net.pt could not be fetched from any of 5 places" in text
    assert f"{server.url}/a (404 Not Found); {server.url}/b (404 Not Found)" in text
    assert f"{server.url}/c (403 Forbidden)" in text
    assert f"{server.url}/d (answered with a web page instead of the file)" in text
    assert "ftp://x/y (is not an address that can be fetched)" in text
    assert waits == [], "what is final is not tried again"


def test_a_busy_server_is_given_the_time_it_asks_for(store: WeightStore, server: Any, waits: list[float]) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    server.answers["/net.pt"] = [server.busy(429, "7"), server.busy(503, later), server.whole()]

    assert store.fetch("demo", server.record(f"{server.url}/net.pt")).state == "verified"
    assert waits[0] == 7.0
    assert 25 < waits[1] <= 30


def test_a_server_that_asks_for_too_long_is_left(store: WeightStore, server: Any, waits: list[float]) -> None:
    server.answers["/net.pt"] = [server.busy(429, "3600")]
    server.answers["/other"] = [server.whole()]

    status = store.fetch("demo", server.record(f"{server.url}/net.pt", f"{server.url}/other"))
    assert status.source.endswith("/other")
    assert waits == []
    store.remove("demo", server.record())

    with pytest.raises(MissingError, match=r"429 Too Many Requests; asks to come back in 3600 s"):
        store.fetch("demo", server.record(f"{server.url}/net.pt"))


def test_a_server_that_stays_busy_is_given_up(store: WeightStore, server: Any, waits: list[float]) -> None:
    server.answers["/net.pt"] = [server.busy(503)]

    with pytest.raises(MissingError, match=r"503 Service Unavailable; gave up after 3 attempts"):
        store.fetch("demo", server.record(f"{server.url}/net.pt"))
    assert len(server.seen) == 3


def test_redirects_are_followed_and_resumed(store: WeightStore, server: Any) -> None:
    server.answers["/net.pt"] = [server.moved("/elsewhere?token=secret")]
    server.answers["/elsewhere"] = [server.broken_after(30 * server.chunk), server.whole()]

    status = store.fetch("demo", server.record(f"{server.url}/net.pt"))

    assert status.path.read_bytes() == server.data
    assert [headers.get("Range") for _, path, headers in server.seen if "elsewhere" in path] == [
        None,
        f"bytes={30 * server.chunk}-",
    ]
    assert "secret" not in (store.folder / "demo" / "net.pt.note.json").read_text()


def test_secrets_of_an_address_are_neither_shown_nor_kept(store: WeightStore, server: Any) -> None:
    host = server.url.removeprefix("http://")
    with pytest.raises(MissingError) as caught:
        store.fetch("demo", server.record(f"http://me:hunter2@{host}/net.pt?token=hunter2"))
    assert "hunter2" not in caught.value.message
    assert public("https://me:pw@host:8080/a/b?x=1#y") == "https://host:8080/a/b"

    with pytest.raises(MissingError) as caught:  # nobody listens there
        store.fetch("demo", server.record("http://me:hunter2@127.0.0.1:9/net.pt?token=hunter2"))
    assert "no connection" in caught.value.message
    assert "hunter2" not in caught.value.message

    server.answers["/net.pt"] = [server.broken_after(10)]
    with pytest.raises(MissingError):
        store.fetch("demo", server.record(f"http://me:hunter2@{host}/net.pt?token=hunter2"))
    assert all("hunter2" not in path.read_text("latin1") for path in store.folder.rglob("*.*") if path.is_file())


def test_mirrors_come_first_and_the_rest_of_a_download_may_come_from_another_place(tmp_path: Path, server: Any) -> None:
    server.answers["/mirror/demo/net.pt"] = [server.broken_after(45 * server.chunk), server.busy(404)]
    server.answers["/net.pt"] = [server.whole(etag='"another"')]
    store = WeightStore(
        tmp_path,
        patience=Patience(sleep=lambda _: None),
        environ={"ANIMEGEN_WEIGHTS_MIRROR": f"{server.url}/gone, {server.url}/mirror/"},
    )

    status = store.fetch("animegen-demo", server.record(f"{server.url}/net.pt"))

    assert status.path.read_bytes() == server.data
    assert [path for _, path, _ in server.seen] == [
        "/gone/demo/net.pt",
        "/mirror/demo/net.pt",
        "/mirror/demo/net.pt",
        "/net.pt",
    ]
    assert server.ranges()[-1] == f"bytes={45 * server.chunk}-"
    assert "If-Range" not in server.seen[-1][2], "an ETag means nothing to another server"


@pytest.mark.parametrize("variable", ["ANIMEGEN_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_means_offline(tmp_path: Path, server: Any, variable: str) -> None:
    store = WeightStore(tmp_path, environ={variable: "1"})

    with pytest.raises(MissingError, match=r"Nothing is fetched while offline"):
        store.fetch("demo", server.record(f"{server.url}/net.pt"))
    assert server.seen == []


def test_a_record_without_address_says_how_to_hand_the_file_in(store: WeightStore, server: Any) -> None:
    with pytest.raises(MissingError, match=r"demo needs net.pt \(5.12 MB\), which is not here") as caught:
        store.fetch("demo", server.record())
    assert caught.value.hints == ("from a file you have: animegen weights fetch demo/net.pt --from net.pt",)
