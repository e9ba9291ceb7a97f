"""A server that breaks off, lies, is busy, moves and forgets; and a store that fetches from it without waiting."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from animegen.stages import Weight
from animegen.weights.fetch import Patience
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
    return lambda handler: handler.send(status, b"", **headers)


def moved(to: str) -> Answer:
    return lambda handler: handler.send(302, Location=to)


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


def record(*urls: str, **changes: Any) -> Weight:
    known: dict[str, Any] = {"license": "MIT", "sha256": SHA, "size": len(DATA), **changes}
    return Weight("net.pt", urls, **known)


class Server(ThreadingHTTPServer):
    """Answers per path, each used once, the last one for ever; and what tests need to say what it answers."""

    data = DATA
    chunk = CHUNK
    sha = SHA
    missing = staticmethod(missing)
    whole = staticmethod(whole)
    broken_after = staticmethod(broken_after)
    without_ranges = staticmethod(without_ranges)
    busy = staticmethod(busy)
    moved = staticmethod(moved)
    hub_file = staticmethod(hub_file)
    record = staticmethod(record)

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


@pytest.fixture
def hub(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_TOKEN", "hf_hunter2")
    return server
