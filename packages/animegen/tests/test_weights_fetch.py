"""Fetching weights from a server that breaks off, lies, is busy, moves and forgets."""

from __future__ import annotations

import errno
import hashlib
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from animegen.errors import MissingError, ResourceError
from animegen.stages import Weight
from animegen.weights.fetch import Patience, PlaceFailed, parse_hub, public
from animegen.weights.store import WeightStore

DATA = bytes(range(256)) * 20_000  # 5,120,000 bytes: several chunks
CHUNK = 1 << 16  # what is written at a time; a break in its middle loses the rest of it
SHA = hashlib.sha256(DATA).hexdigest()
Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        headers = {name.title(): value for name, value in self.headers.items()}
        self.server.seen.append((self.command, self.path, headers))
        path = self.path.partition("?")[0]
        answers = self.server.answers.get(path, [missing])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        answer(self)
        self.close_connection = True

    def send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        headers.setdefault("Content_Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """Answers per path, each used once, the last one for ever."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, list[Answer]] = {}
        self.seen: list[tuple[str, str, dict[str, str]]] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up in the middle is part of these tests."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def ranges(self) -> list[str | None]:
        return [headers.get("Range") for _, _, headers in self.seen]


def missing(handler: Handler) -> None:
    handler.send(404)


def whole(data: bytes = DATA, etag: str = '"one"') -> Answer:
    """The file, or the range of it that is asked for, as RFC 9110 has it."""

    def answer(handler: Handler) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        unchanged = handler.headers.get("If-Range", etag) == etag
        if asked is None or not unchanged:
            handler.send(200, data, ETag=etag)
        elif (start := int(asked[1])) >= len(data):
            handler.send(416, Content_Range=f"bytes */{len(data)}")
        else:
            span = f"bytes {start}-{len(data) - 1}/{len(data)}"
            handler.send(206, data[start:], ETag=etag, Content_Range=span)

    return answer


def broken_after(count: int, data: bytes = DATA, etag: str = '"one"') -> Answer:
    """Promises everything that is asked for, sends `count` bytes of it, hangs up."""

    def answer(handler: Handler) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        handler.send_response(206 if asked else 200)
        handler.send_header("Content-Length", str(len(data) - start))
        handler.send_header("ETag", etag)
        if asked:
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        handler.end_headers()
        handler.wfile.write(data[start : start + count])
        handler.wfile.flush()

    return answer


def without_ranges(handler: Handler) -> None:
    handler.send(200, DATA)


def busy(status: int, retry_after: str | None = None) -> Answer:
    headers = {} if retry_after is None else {"Retry_After": retry_after}
    return lambda handler: handler.send(status, **headers)


def moved(to: str) -> Answer:
    return lambda handler: handler.send(302, Location=to)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def store(tmp_path: Path, waits: list[float]) -> WeightStore:
    patience = Patience(tries=3, connect=5, read=5, longest_retry_after=60, sleep=waits.append)
    return WeightStore(tmp_path / "home", patience=patience, environ={})


def record(*urls: str, **changes: Any) -> Weight:
    known: dict[str, Any] = {"license": "MIT", "sha256": SHA, "size": len(DATA), **changes}
    return Weight("net.pt", urls, **known)


def leftovers(store: WeightStore) -> set[str]:
    folder = store.folder / "demo"
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def test_a_file_is_fetched_verified_and_put_in_its_place(store: WeightStore, server: Server) -> None:
    server.answers["/net.pt"] = [whole()]
    weight = record(f"{server.url}/net.pt")
    steps: list[tuple[int, int | None, str]] = []

    status = store.fetch("animegen-demo", weight, progress=lambda *step: steps.append(step))

    assert status.state == "verified"
    assert status.path == store.folder / "demo" / "net.pt"
    assert status.path.read_bytes() == DATA
    assert status.sha256 == SHA
    assert leftovers(store) == {"net.pt", "net.pt.note.json"}
    fetched = [done for done, total, step in steps if step == "fetch" and total == len(DATA)]
    assert fetched == sorted(fetched)
    assert fetched[-1] == len(DATA)
    assert steps[-1] == (len(DATA), len(DATA), "verify")
    note = json.loads((store.folder / "demo" / "net.pt.note.json").read_text())
    assert note["source"] == f"{server.url}/net.pt"
    assert note["license"] == "MIT"

    store.fetch("animegen-demo", weight)
    assert len(server.seen) == 1, "a verified file is not fetched again"


def test_a_broken_connection_goes_on_where_it_broke(store: WeightStore, server: Server, waits: list[float]) -> None:
    server.answers["/net.pt"] = [broken_after(45 * CHUNK), broken_after(15 * CHUNK), whole()]

    status = store.fetch("demo", record(f"{server.url}/net.pt"))

    assert status.path.read_bytes() == DATA
    assert server.ranges() == [None, f"bytes={45 * CHUNK}-", f"bytes={60 * CHUNK}-"]
    assert server.seen[1][2]["If-Range"] == '"one"'
    assert waits == [1.0, 1.0], "bytes that arrived start the count of failures again"


def test_connections_that_bring_nothing_are_given_up(store: WeightStore, server: Server, waits: list[float]) -> None:
    server.answers["/net.pt"] = [broken_after(15 * CHUNK), broken_after(0)]

    with pytest.raises(MissingError, match=r"gave up after 3 attempts.*983 kB are kept") as caught:
        store.fetch("demo", record(f"{server.url}/net.pt"))

    assert waits == [1.0, 2.0]
    assert caught.value.exit_code == 3
    assert caught.value.hints == (
        "animegen weights fetch demo",
        "from a file you have: animegen weights fetch demo/net.pt --from net.pt",
    )
    state = store.status("demo", record())
    assert (state.state, state.size) == ("partial", 15 * CHUNK)
    assert state.describe(record()) == "983 kB of 5.12 MB fetched"

    server.answers["/net.pt"] = [whole()]
    server.seen.clear()
    assert store.fetch("demo", record(f"{server.url}/net.pt")).state == "verified"
    assert server.ranges() == [f"bytes={15 * CHUNK}-"], "a second call goes on from there"


def test_a_trickle_is_given_up_in_the_end(tmp_path: Path, server: Server) -> None:
    server.answers["/net.pt"] = [broken_after(CHUNK)]
    store = WeightStore(tmp_path, patience=Patience(most=4, sleep=lambda _: None), environ={})

    with pytest.raises(MissingError, match=r"gave up after 4 attempts.*262 kB are kept"):
        store.fetch("demo", record(f"{server.url}/net.pt"))


def test_interrupted_by_the_user_it_can_be_continued(store: WeightStore, server: Server) -> None:
    server.answers["/net.pt"] = [whole()]
    weight = record(f"{server.url}/net.pt")

    def interrupt(done: int, total: int | None, step: str) -> None:
        if done >= 2_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.fetch("demo", weight, progress=interrupt)

    kept = store.status("demo", weight).size
    assert 2_000_000 <= kept < len(DATA)
    assert not (store.folder / "demo" / "net.pt").exists()
    assert store.fetch("demo", weight).path.read_bytes() == DATA
    assert server.ranges() == [None, f"bytes={kept}-"]


def test_a_file_that_changed_meanwhile_is_fetched_from_its_start(store: WeightStore, server: Server) -> None:
    old = b"x" * len(DATA)
    server.answers["/net.pt"] = [broken_after(30 * CHUNK, old, '"old"'), whole()]

    assert store.fetch("demo", record(f"{server.url}/net.pt")).path.read_bytes() == DATA
    assert server.ranges() == [None, f"bytes={30 * CHUNK}-"]


def test_a_server_without_ranges_starts_over(store: WeightStore, server: Server) -> None:
    server.answers["/net.pt"] = [broken_after(30 * CHUNK), without_ranges]

    assert store.fetch("demo", record(f"{server.url}/net.pt")).path.read_bytes() == DATA


def test_a_seam_that_does_not_fit_is_fetched_once_more(store: WeightStore, server: Server) -> None:
    # Another file under the same name and without an ETag: nothing but the digest can tell.
    server.answers["/net.pt"] = [broken_after(30 * CHUNK, b"x" * len(DATA), ""), whole(etag=""), whole(etag="")]

    assert store.fetch("demo", record(f"{server.url}/net.pt")).path.read_bytes() == DATA
    assert server.ranges() == [None, f"bytes={30 * CHUNK}-", None]


def test_wrong_bytes_that_never_come_in_one_go_are_given_up(store: WeightStore, server: Server) -> None:
    wrong = b"x" * len(DATA)
    server.answers["/net.pt"] = [broken_after(40 * CHUNK, wrong), whole(wrong)] * 10

    with pytest.raises(MissingError, match="wrong bytes, deleted"):
        store.fetch("demo", record(f"{server.url}/net.pt"))
    assert len(server.seen) == 4


def test_wrong_bytes_are_deleted_and_both_digests_are_told(store: WeightStore, server: Server) -> None:
    wrong = b"y" * len(DATA)
    server.answers["/net.pt"] = [whole(wrong)]

    with pytest.raises(MissingError) as caught:
        store.fetch("demo", record(f"{server.url}/net.pt"))

    assert f"SHA-256 expected {SHA}, got {hashlib.sha256(wrong).hexdigest()}" in caught.value.message
    assert len(server.seen) == 1, "the same wrong bytes are not fetched twice"
    assert leftovers(store) == set()
    assert store.status("demo", record()).state == "absent"


def test_md5_decides_where_it_is_all_there_is(store: WeightStore, server: Server) -> None:
    server.answers["/net.pt"] = [whole()]
    good = hashlib.md5(DATA).hexdigest()

    with pytest.raises(MissingError, match=f"MD5 expected {'0' * 32}, got {good}"):
        store.fetch("demo", record(f"{server.url}/net.pt", sha256=None, md5="0" * 32))
    status = store.fetch("demo", record(f"{server.url}/net.pt", sha256=None, md5=good.upper()))
    assert (status.state, status.sha256) == ("verified", SHA)


def test_another_size_is_refused_before_it_is_fetched(store: WeightStore, server: Server) -> None:
    server.answers["/net.pt"] = [whole(DATA[:-1])]

    with pytest.raises(MissingError, match=r"has 5,119,999 bytes where 5,120,000 are expected"):
        store.fetch("demo", record(f"{server.url}/net.pt"))


def test_what_is_not_there_is_looked_for_in_the_next_place(store: WeightStore, server: Server) -> None:
    server.answers["/second/net.pt"] = [whole()]

    status = store.fetch("demo", record(f"{server.url}/first/net.pt", f"{server.url}/second/net.pt"))

    assert status.source == f"{server.url}/second/net.pt"


def test_all_places_are_listed_when_none_has_it(store: WeightStore, server: Server, waits: list[float]) -> None:
    server.answers["/c"] = [busy(403)]
    server.answers["/d"] = [lambda handler: handler.send(200, b"<html>", Content_Type="text/html; charset=utf-8")]
    weight = record(f"{server.url}/a", f"{server.url}/b", f"{server.url}/c", f"{server.url}/d", "ftp://x/y")

    with pytest.raises(MissingError) as caught:
        store.fetch("demo", weight)

    text = caught.value.message
    assert "net.pt could not be fetched from any of 5 places" in text
    assert f"{server.url}/a (404 Not Found); {server.url}/b (404 Not Found)" in text
    assert f"{server.url}/c (403 Forbidden)" in text
    assert f"{server.url}/d (answered with a web page instead of the file)" in text
    assert "ftp://x/y (is not an address that can be fetched)" in text
    assert waits == [], "what is final is not tried again"


def test_a_busy_server_is_given_the_time_it_asks_for(store: WeightStore, server: Server, waits: list[float]) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    server.answers["/net.pt"] = [busy(429, "7"), busy(503, later), whole()]

    assert store.fetch("demo", record(f"{server.url}/net.pt")).state == "verified"
    assert waits[0] == 7.0
    assert 25 < waits[1] <= 30


def test_a_server_that_asks_for_too_long_is_left(store: WeightStore, server: Server, waits: list[float]) -> None:
    server.answers["/net.pt"] = [busy(429, "3600")]
    server.answers["/other"] = [whole()]

    status = store.fetch("demo", record(f"{server.url}/net.pt", f"{server.url}/other"))
    assert status.source.endswith("/other")
    assert waits == []
    store.remove("demo", record())

    with pytest.raises(MissingError, match=r"429 Too Many Requests; asks to come back in 3600 s"):
        store.fetch("demo", record(f"{server.url}/net.pt"))


def test_a_server_that_stays_busy_is_given_up(store: WeightStore, server: Server, waits: list[float]) -> None:
    server.answers["/net.pt"] = [busy(503)]

    with pytest.raises(MissingError, match=r"503 Service Unavailable; gave up after 3 attempts"):
        store.fetch("demo", record(f"{server.url}/net.pt"))
    assert len(server.seen) == 3


def test_redirects_are_followed_and_resumed(store: WeightStore, server: Server) -> None:
    server.answers["/net.pt"] = [moved("/elsewhere?token=secret")]
    server.answers["/elsewhere"] = [broken_after(30 * CHUNK), whole()]

    status = store.fetch("demo", record(f"{server.url}/net.pt"))

    assert status.path.read_bytes() == DATA
    assert [headers.get("Range") for _, path, headers in server.seen if "elsewhere" in path] == [
        None,
        f"bytes={30 * CHUNK}-",
    ]
    assert "secret" not in (store.folder / "demo" / "net.pt.note.json").read_text()


def test_secrets_of_an_address_are_neither_shown_nor_kept(store: WeightStore, server: Server) -> None:
    host = server.url.removeprefix("http://")
    with pytest.raises(MissingError) as caught:
        store.fetch("demo", record(f"http://me:hunter2@{host}/net.pt?token=hunter2"))
    assert "hunter2" not in caught.value.message
    assert public("https://me:pw@host:8080/a/b?x=1#y") == "https://host:8080/a/b"

    with pytest.raises(MissingError) as caught:  # nobody listens there
        store.fetch("demo", record("http://me:hunter2@127.0.0.1:9/net.pt?token=hunter2"))
    assert "no connection" in caught.value.message
    assert "hunter2" not in caught.value.message

    server.answers["/net.pt"] = [broken_after(10)]
    with pytest.raises(MissingError):
        store.fetch("demo", record(f"http://me:hunter2@{host}/net.pt?token=hunter2"))
    assert all("hunter2" not in path.read_text("latin1") for path in store.folder.rglob("*.*") if path.is_file())


def test_mirrors_come_first_and_the_rest_of_a_download_may_come_from_another_place(
    tmp_path: Path, server: Server
) -> None:
    server.answers["/mirror/demo/net.pt"] = [broken_after(45 * CHUNK), busy(404)]
    server.answers["/net.pt"] = [whole(etag='"another"')]
    store = WeightStore(
        tmp_path,
        patience=Patience(sleep=lambda _: None),
        environ={"ANIMEGEN_WEIGHTS_MIRROR": f"{server.url}/gone, {server.url}/mirror/"},
    )

    status = store.fetch("animegen-demo", record(f"{server.url}/net.pt"))

    assert status.path.read_bytes() == DATA
    assert [path for _, path, _ in server.seen] == [
        "/gone/demo/net.pt",
        "/mirror/demo/net.pt",
        "/mirror/demo/net.pt",
        "/net.pt",
    ]
    assert server.ranges()[-1] == f"bytes={45 * CHUNK}-"
    assert "If-Range" not in server.seen[-1][2], "an ETag means nothing to another server"


def test_without_a_digest_the_parts_of_two_places_are_never_joined(store: WeightStore, server: Server) -> None:
    server.answers["/a"] = [broken_after(45 * CHUNK), busy(404)]
    server.answers["/b"] = [whole()]
    weight = record(f"{server.url}/a", f"{server.url}/b", sha256=None, size=None)

    status = store.fetch("demo", weight)

    assert server.ranges()[-1] is None
    assert (status.state, status.sha256) == ("unverified", SHA)
    assert status.describe(weight) == "here, no published digest"
    assert store.path("demo", weight) == status.path


def test_a_part_longer_than_the_file_is_dropped(store: WeightStore, server: Server) -> None:
    server.answers["/net.pt"] = [whole()]
    part = store.folder / "demo" / "net.pt.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(DATA + b"more")

    assert store.fetch("demo", record(f"{server.url}/net.pt")).path.read_bytes() == DATA
    store.remove("demo", record())
    part.write_bytes(DATA + b"more")
    assert store.fetch("demo", record(f"{server.url}/net.pt", size=None)).path.read_bytes() == DATA


def test_a_whole_part_needs_no_second_transfer(store: WeightStore, server: Server) -> None:
    server.answers["/net.pt"] = [whole()]
    part = store.folder / "demo" / "net.pt.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(DATA)

    assert store.fetch("demo", record(f"{server.url}/net.pt")).state == "verified"
    assert server.seen == []
    store.remove("demo", record())
    part.write_bytes(DATA)
    assert store.fetch("demo", record(f"{server.url}/net.pt", size=None)).state == "verified"
    assert server.ranges() == [f"bytes={len(DATA)}-"], "416 with the same length means: all here"


def test_a_full_disk_is_told_before_anything_is_fetched(
    store: WeightStore, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers["/net.pt"] = [whole()]
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))

    with pytest.raises(ResourceError, match=r"net.pt needs 5.12 MB more .* has 1 kB free") as caught:
        store.fetch("demo", record(f"{server.url}/net.pt"))
    assert caught.value.exit_code == 5
    assert server.seen == []

    with pytest.raises(ResourceError, match=r"needs 5.12 MB more"):  # known only once the server answers
        store.fetch("demo", record(f"{server.url}/net.pt", size=None))
    assert store.status("demo", record()).state == "absent"


def test_a_disk_that_fills_up_keeps_what_came(
    store: WeightStore, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    import animegen.weights.fetch as module

    server.answers["/net.pt"] = [whole()]
    write = module._Sink.write

    def fill_up(sink: Any, data: bytes) -> int:
        if sink.done > 1_000_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(sink, data)

    with monkeypatch.context() as patch:
        patch.setattr(module._Sink, "write", fill_up)
        with pytest.raises(ResourceError, match="is full") as caught:
            store.fetch("demo", record(f"{server.url}/net.pt"))
    assert "ANIMEGEN_HOME" in caught.value.hints[0]
    assert store.fetch("demo", record(f"{server.url}/net.pt")).state == "verified"
    assert server.ranges() == [None, f"bytes={16 * CHUNK}-"]


def test_a_process_that_is_killed_leaves_what_it_had(store: WeightStore, server: Server) -> None:
    reached, go = threading.Event(), threading.Event()

    def stop_half_way(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(DATA)))
        handler.end_headers()
        handler.wfile.write(DATA[: 40 * CHUNK])
        handler.wfile.flush()
        reached.set()
        go.wait(20)

    server.answers["/net.pt"] = [stop_half_way, whole()]
    url = f"{server.url}/net.pt"
    code = f"""
from pathlib import Path
from animegen.stages import Weight
from animegen.weights.store import WeightStore
weight = Weight("net.pt", ({url!r},), "MIT", sha256={SHA!r}, size={len(DATA)})
WeightStore(Path({str(store.home)!r}), environ={{}}).fetch("demo", weight)
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        assert reached.wait(20)
        for _ in range(400):
            if store.status("demo", record(url)).size >= 40 * CHUNK:
                break
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait(10)
        go.set()

    assert store.fetch("demo", record(url)).path.read_bytes() == DATA
    assert server.ranges() == [None, f"bytes={40 * CHUNK}-"]


@pytest.mark.parametrize("variable", ["ANIMEGEN_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_means_offline(tmp_path: Path, server: Server, variable: str) -> None:
    store = WeightStore(tmp_path, environ={variable: "1"})

    with pytest.raises(MissingError, match=r"Nothing is fetched while offline"):
        store.fetch("demo", record(f"{server.url}/net.pt"))
    assert server.seen == []


def test_a_record_without_address_says_how_to_hand_the_file_in(store: WeightStore) -> None:
    with pytest.raises(MissingError, match=r"demo needs net.pt \(5.12 MB\), which is not here") as caught:
        store.fetch("demo", record())
    assert caught.value.hints == ("from a file you have: animegen weights fetch demo/net.pt --from net.pt",)


def test_two_at_once_fetch_once(store: WeightStore, server: Server) -> None:
    def slow(handler: Handler) -> None:
        time.sleep(0.3)
        whole()(handler)

    server.answers["/net.pt"] = [slow]
    weight = record(f"{server.url}/net.pt")
    results = []
    threads = [threading.Thread(target=lambda: results.append(store.fetch("demo", weight).state)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert results == ["verified", "verified"]
    assert len(server.seen) == 1


# The Hugging Face Hub, played by the same server


def hub_file(answer: Answer, commit: str = "a" * 40) -> Answer:
    """What the hub answers to HEAD, and `answer` to GET."""

    def with_headers(handler: Handler) -> None:
        if handler.command == "HEAD":
            handler.send(
                200, Content_Length=str(len(DATA)), ETag=f'"{SHA}"', X_Repo_Commit=commit, Accept_Ranges="bytes"
            )
        else:
            answer(handler)

    return with_headers


@pytest.fixture
def hub(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_TOKEN", "hf_hunter2")
    return server


def test_a_file_of_the_hub_is_fetched_through_its_library(store: WeightStore, hub: Server) -> None:
    hub.answers["/someone/nets/resolve/v1/sub/net.pt"] = [hub_file(whole())]
    steps: list[tuple[int, int | None, str]] = []

    status = store.fetch("demo", record("hf://someone/nets/sub/net.pt@v1"), progress=lambda *step: steps.append(step))

    assert status.state == "verified"
    assert status.path.read_bytes() == DATA
    assert status.source == "hf://someone/nets/sub/net.pt@v1"
    assert leftovers(store) == {"net.pt", "net.pt.note.json"}
    assert (len(DATA), len(DATA), "fetch") in steps
    asked = [headers for _, path, headers in hub.seen if "resolve" in path]
    assert [headers.get("Authorization") for headers in asked] == ["Bearer hf_hunter2"] * 2
    assert all("hunter2" not in path.read_text("latin1") for path in store.folder.rglob("*") if path.is_file())


def test_the_token_is_not_sent_to_where_the_hub_keeps_its_files(store: WeightStore, hub: Server) -> None:
    elsewhere = f"http://localhost:{hub.server_address[1]}/blob"
    hub.answers["/someone/nets/resolve/main/net.pt"] = [hub_file(moved(elsewhere))]
    hub.answers["/blob"] = [whole()]

    assert store.fetch("demo", record("hf://someone/nets/net.pt")).state == "verified"
    sent = {path: "hf_hunter2" in str(headers) for _, path, headers in hub.seen if "api" not in path}
    assert sent == {"/someone/nets/resolve/main/net.pt": True, "/blob": False}


def test_a_file_of_the_hub_is_resumed(store: WeightStore, hub: Server) -> None:
    head = hub_file(missing)
    broken = hub_file(broken_after(30 * CHUNK))
    hub.answers["/someone/nets/resolve/main/net.pt"] = [head, broken, head, hub_file(whole())]

    status = store.fetch("demo", record("hf://someone/nets/net.pt"))

    assert status.path.read_bytes() == DATA
    asked = [headers.get("Range") for command, _, headers in hub.seen if command == "GET"]
    assert asked == [None, f"bytes={30 * CHUNK}-"]


def test_a_file_of_the_hub_that_was_interrupted_is_resumed(store: WeightStore, hub: Server) -> None:
    hub.answers["/someone/nets/resolve/main/net.pt"] = [hub_file(whole())]
    weight = record("hf://someone/nets/net.pt")

    def interrupt(done: int, total: int | None, step: str) -> None:
        if done >= 2_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.fetch("demo", weight, progress=interrupt)
    kept = store.status("demo", weight)
    assert kept.state == "partial"
    assert kept.size > 1_000_000

    assert store.fetch("demo", weight).path.read_bytes() == DATA
    asked = [headers.get("Range") for command, _, headers in hub.seen if command == "GET"]
    assert asked == [None, f"bytes={kept.size}-"]


def test_a_branch_of_the_hub_that_moved_on_is_fetched_from_its_start(store: WeightStore, hub: Server) -> None:
    old = broken_after(30 * CHUNK, b"x" * len(DATA))
    hub.answers["/someone/nets/resolve/main/net.pt"] = [
        hub_file(missing),
        hub_file(old),
        hub_file(whole(), commit="b" * 40),
    ]

    assert store.fetch("demo", record("hf://someone/nets/net.pt")).path.read_bytes() == DATA
    assert [headers.get("Range") for command, _, headers in hub.seen if command == "GET"] == [None, None]


def test_a_busy_hub_is_given_the_time_it_asks_for(store: WeightStore, hub: Server, waits: list[float]) -> None:
    hub.answers["/someone/nets/resolve/main/net.pt"] = [busy(429, "9"), hub_file(whole())]

    assert store.fetch("demo", record("hf://someone/nets/net.pt")).state == "verified"
    assert waits == [9.0]


def test_a_hub_that_cannot_be_reached_is_told(
    store: WeightStore, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(MissingError, match="gave up after 3 attempts"):
        store.fetch("demo", record("hf://someone/nets/net.pt"))
    assert len(waits) == 2


def test_a_hub_library_that_is_set_offline_is_told(store: WeightStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.errors import OfflineModeIsEnabled

    def refuse(*_: object, **__: object) -> None:
        raise OfflineModeIsEnabled("offline")

    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", refuse)
    with pytest.raises(MissingError, match="set to be offline"):
        store.fetch("demo", record("hf://someone/nets/net.pt"))


def test_what_the_hub_does_not_have_is_told(store: WeightStore, hub: Server) -> None:
    hub.answers["/someone/gated/resolve/main/net.pt"] = [lambda handler: handler.send(403, X_Error_Code="GatedRepo")]
    hub.answers["/someone/gone/resolve/main/net.pt"] = [lambda handler: handler.send(404, X_Error_Code="EntryNotFound")]
    with pytest.raises(MissingError) as caught:
        store.fetch("demo", record("hf://someone/gated/net.pt", "hf://someone/gone/net.pt", "hf://x/y"))

    assert "hf://someone/gated/net.pt (is gated: accept its terms on its page" in caught.value.message
    assert "hf://someone/gone/net.pt (not found" in caught.value.message
    assert "hf://x/y (is not of the form hf://OWNER/NAME/PATH@REVISION)" in caught.value.message


def test_wrong_bytes_of_the_hub_are_deleted(store: WeightStore, hub: Server) -> None:
    hub.answers["/someone/nets/resolve/main/net.pt"] = [hub_file(whole(b"z" * len(DATA)))]

    with pytest.raises(MissingError, match=f"SHA-256 expected {SHA}"):
        store.fetch("demo", record("hf://someone/nets/net.pt"))
    assert leftovers(store) == set()


def test_hub_addresses() -> None:
    assert parse_hub("hf://a/b/c/d.pt@refs") == ("a/b", "c/d.pt", "refs")
    assert parse_hub("hf://a/b/c.pt") == ("a/b", "c.pt", "main")
    with pytest.raises(PlaceFailed):
        parse_hub("hf://a/b")
