"""Fetching weights onto a disk that is full, or fills up."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any

import pytest

from animegen.errors import ResourceError
from animegen.weights.store import WeightStore


def test_a_full_disk_is_told_before_anything_is_fetched(
    store: WeightStore, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers["/net.pt"] = [server.whole()]
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))

    with pytest.raises(ResourceError, match=r"net.pt needs 5.12 MB more .* has 1 kB free") as caught:
        store.fetch("demo", server.record(f"{server.url}/net.pt"))
    assert caught.value.exit_code == 5
    assert server.seen == []

    with pytest.raises(ResourceError, match=r"needs 5.12 MB more"):  # known only once the server answers
        store.fetch("demo", server.record(f"{server.url}/net.pt", size=None))
    assert store.status("demo", server.record()).state == "absent"


def test_a_disk_that_fills_up_keeps_what_came(store: WeightStore, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import animegen.weights.fetch as module

    server.answers["/net.pt"] = [server.whole()]
    write = module._Sink.write

    def fill_up(sink: Any, data: bytes) -> int:
        if sink.done > 1_000_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(sink, data)

    with monkeypatch.context() as patch:
        patch.setattr(module._Sink, "write", fill_up)
        with pytest.raises(ResourceError, match="is full") as caught:
            store.fetch("demo", server.record(f"{server.url}/net.pt"))
    assert "ANIMEGEN_HOME" in caught.value.hints[0]
    assert store.fetch("demo", server.record(f"{server.url}/net.pt")).state == "verified"
    assert server.ranges() == [None, f"bytes={16 * server.chunk}-"]
