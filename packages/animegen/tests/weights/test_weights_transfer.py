"""Fetching weights over connections that break off, trickle, or are stopped: what has arrived is kept and continued."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from animegen.errors import MissingError
from animegen.weights.fetch import Patience
from animegen.weights.store import WeightStore


def leftovers(store: WeightStore) -> set[str]:
    folder = store.folder / "demo"
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def test_a_file_is_fetched_verified_and_put_in_its_place(store: WeightStore, server: Any) -> None:
    server.answers["/net.pt"] = [server.whole()]
    weight = server.record(f"{server.url}/net.pt")
    steps: list[tuple[int, int | None, str]] = []

    status = store.fetch("animegen-demo", weight, progress=lambda *step: steps.append(step))

    assert status.state == "verified"
    assert status.path == store.folder / "demo" / "net.pt"
    assert status.path.read_bytes() == server.data
    assert status.sha256 == server.sha
    assert leftovers(store) == {"net.pt", "net.pt.note.json"}
    fetched = [done for done, total, step in steps if step == "fetch" and total == len(server.data)]
    assert fetched == sorted(fetched)
    assert fetched[-1] == len(server.data)
    assert steps[-1] == (len(server.data), len(server.data), "verify")
    note = json.loads((store.folder / "demo" / "net.pt.note.json").read_text())
    assert note["source"] == f"{server.url}/net.pt"
    assert note["license"] == "MIT"

    store.fetch("animegen-demo", weight)
    assert len(server.seen) == 1, "a verified file is not fetched again"


def test_a_broken_connection_goes_on_where_it_broke(store: WeightStore, server: Any, waits: list[float]) -> None:
    server.answers["/net.pt"] = [
        server.broken_after(45 * server.chunk),
        server.broken_after(15 * server.chunk),
        server.whole(),
    ]

    status = store.fetch("demo", server.record(f"{server.url}/net.pt"))

    assert status.path.read_bytes() == server.data
    assert server.ranges() == [None, f"bytes={45 * server.chunk}-", f"bytes={60 * server.chunk}-"]
    assert server.seen[1][2]["If-Range"] == '"one"'
    assert waits == [1.0, 1.0], "bytes that arrived start the count of failures again"


def test_connections_that_bring_nothing_are_given_up(store: WeightStore, server: Any, waits: list[float]) -> None:
    server.answers["/net.pt"] = [server.broken_after(15 * server.chunk), server.broken_after(0)]

    with pytest.raises(MissingError, match=r"gave up after 3 attempts.*983 kB are kept") as caught:
        store.fetch("demo", server.record(f"{server.url}/net.pt"))

    assert waits == [1.0, 2.0]
    assert caught.value.exit_code == 3
    assert caught.value.hints == (
        "animegen weights fetch demo",
        "from a file you have: animegen weights fetch demo/net.pt --from net.pt",
    )
    state = store.status("demo", server.record())
    assert (state.state, state.size) == ("partial", 15 * server.chunk)
    assert state.describe(server.record()) == "983 kB of 5.12 MB fetched"

    server.answers["/net.pt"] = [server.whole()]
    server.seen.clear()
    assert store.fetch("demo", server.record(f"{server.url}/net.pt")).state == "verified"
    assert server.ranges() == [f"bytes={15 * server.chunk}-"], "a second call goes on from there"


def test_a_trickle_is_given_up_in_the_end(tmp_path: Path, server: Any) -> None:
    server.answers["/net.pt"] = [server.broken_after(server.chunk)]
    store = WeightStore(tmp_path, patience=Patience(most=4, sleep=lambda _: None), environ={})

    with pytest.raises(MissingError, match=r"gave up after 4 attempts.*262 kB are kept"):
        store.fetch("demo", server.record(f"{server.url}/net.pt"))


def test_interrupted_by_the_user_it_can_be_continued(store: WeightStore, server: Any) -> None:
    server.answers["/net.pt"] = [server.whole()]
    weight = server.record(f"{server.url}/net.pt")

    def interrupt(done: int, total: int | None, step: str) -> None:
        if done >= 2_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.fetch("demo", weight, progress=interrupt)

    kept = store.status("demo", weight).size
    assert 2_000_000 <= kept < len(server.data)
    assert not (store.folder / "demo" / "net.pt").exists()
    assert store.fetch("demo", weight).path.read_bytes() == server.data
    assert server.ranges() == [None, f"bytes={kept}-"]


def test_a_server_without_ranges_starts_over(store: WeightStore, server: Any) -> None:
    server.answers["/net.pt"] = [server.broken_after(30 * server.chunk), server.without_ranges]

    assert store.fetch("demo", server.record(f"{server.url}/net.pt")).path.read_bytes() == server.data


def test_a_part_longer_than_the_file_is_dropped(store: WeightStore, server: Any) -> None:
    server.answers["/net.pt"] = [server.whole()]
    part = store.folder / "demo" / "net.pt.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(server.data + b"more")

    assert store.fetch("demo", server.record(f"{server.url}/net.pt")).path.read_bytes() == server.data
    store.remove("demo", server.record())
    part.write_bytes(server.data + b"more")
    assert store.fetch("demo", server.record(f"{server.url}/net.pt", size=None)).path.read_bytes() == server.data


def test_a_whole_part_needs_no_second_transfer(store: WeightStore, server: Any) -> None:
    server.answers["/net.pt"] = [server.whole()]
    part = store.folder / "demo" / "net.pt.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(server.data)

    assert store.fetch("demo", server.record(f"{server.url}/net.pt")).state == "verified"
    assert server.seen == []
    store.remove("demo", server.record())
    part.write_bytes(server.data)
    assert store.fetch("demo", server.record(f"{server.url}/net.pt", size=None)).state == "verified"
    assert server.ranges() == [f"bytes={len(server.data)}-"], "416 with the same length means: all here"


def test_a_process_that_is_killed_leaves_what_it_had(store: WeightStore, server: Any) -> None:
    reached, go = threading.Event(), threading.Event()

    def stop_half_way(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(server.data)))
        handler.end_headers()
        handler.wfile.write(server.data[: 40 * server.chunk])
        handler.wfile.flush()
        reached.set()
        go.wait(20)

    server.answers["/net.pt"] = [stop_half_way, server.whole()]
    url = f"{server.url}/net.pt"
    code = f"""
from pathlib import Path
from animegen.stages import Weight
from animegen.weights.store import WeightStore
weight = Weight("net.pt", ({url!r},), "MIT", sha256={server.sha!r}, size={len(server.data)})
WeightStore(Path({str(store.home)!r}), environ={{}}).fetch("demo", weight)
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        assert reached.wait(20)
        for _ in range(400):
            if store.status("demo", server.record(url)).size >= 40 * server.chunk:
                break
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait(10)
        go.set()

    assert store.fetch("demo", server.record(url)).path.read_bytes() == server.data
    assert server.ranges() == [None, f"bytes={40 * server.chunk}-"]


def test_two_at_once_fetch_once(store: WeightStore, server: Any) -> None:
    def slow(handler: Any) -> None:
        time.sleep(0.3)
        server.whole()(handler)

    server.answers["/net.pt"] = [slow]
    weight = server.record(f"{server.url}/net.pt")
    results = []
    threads = [threading.Thread(target=lambda: results.append(store.fetch("demo", weight).state)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert results == ["verified", "verified"]
    assert len(server.seen) == 1
