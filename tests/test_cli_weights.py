"""``animegen weights``, over a server and a plugin made for the test."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]
DATA = bytes(range(256)) * 400

PLUGIN = """
    from animegen import StageSpec, Weight, hookimpl

    @hookimpl
    def animegen_inpainters():
        model = Weight("model.bin", ("{base}/model.bin",), "CC-BY-4.0", sha256="{sha}", size={size})
        extra = Weight("extra.bin", ("{base}/extra.bin",), "MIT", required=False)
        return [StageSpec("heavy", "animegen_heavy:Heavy", "Needs a file.", weights=(model, extra))]
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def env(tmp_path: Path, install: Call) -> Iterator[dict[str, str]]:
    """A plugin whose weights lie on a server of this machine."""
    served = tmp_path / "served"
    served.mkdir()
    (served / "model.bin").write_bytes(DATA)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(served)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_address[1]}"
    source = PLUGIN.format(base=base, sha=hashlib.sha256(DATA).hexdigest(), size=len(DATA))
    yield {"PYTHONPATH": str(install("animegen-heavy", source)), "no_proxy": "127.0.0.1"}
    server.shutdown()
    server.server_close()


def states(finish: Call, env: dict[str, str]) -> dict[str, str]:
    rows = json.loads(finish("weights", "list", "--json", env=env).out)
    return {row["file"]: row["state"] for row in rows}


def test_fetch_verify_path_remove(finish: Call, env: dict[str, str]) -> None:
    assert states(finish, env) == {"model.bin": "absent", "extra.bin": "absent"}
    fetched = finish("weights", "fetch", "heavy", "--yes", env=env)
    assert fetched.code == 0, fetched.err
    assert "CC-BY-4.0" in fetched.err
    assert states(finish, env) == {"model.bin": "verified", "extra.bin": "absent"}
    listed = finish("weights", "list", env=env).out
    assert "heavy/model.bin" in listed
    assert "102 kB" in listed
    path = Path(finish("weights", "path", "model.bin", env=env).out.strip())
    assert path.read_bytes() == DATA
    again = finish("weights", "fetch", "heavy", "--yes", env=env)
    assert (again.code, "here" in again.err) == (0, True)
    path.write_bytes(DATA[:-1] + b"!")
    verified = finish("weights", "verify", env=env)
    assert (verified.code, len(verified.errors)) == (3, 1), verified.err
    assert "animegen weights fetch heavy/model.bin" in verified.err
    removed = finish("weights", "remove", "heavy", "--yes", env=env)
    assert removed.code == 0, removed.err
    assert not path.exists()


def test_a_file_from_the_users_own_hand(finish: Call, env: dict[str, str], place: Path) -> None:
    (place / "mine.bin").write_bytes(DATA)
    (place / "wrong.bin").write_bytes(b"wrong")
    wrong = finish("weights", "fetch", "heavy", "--from", "wrong.bin", env=env)
    assert (wrong.code, len(wrong.errors)) == (4, 1)
    assert finish("weights", "fetch", "heavy", "--from", "mine.bin", env=env).code == 0
    assert states(finish, env)["model.bin"] == "verified"


def test_nobody_is_taken_to_agree(finish: Call, env: dict[str, str]) -> None:
    result = finish("weights", "fetch", "heavy", env=env)
    assert (result.code, len(result.errors)) == (2, 1)
    assert "--yes" in result.err
    assert states(finish, env)["model.bin"] == "absent"


def test_offline_fetches_nothing(finish: Call, env: dict[str, str]) -> None:
    for args in (("--offline", "weights", "fetch", "heavy"), ("weights", "fetch", "heavy", "--offline")):
        result = finish(*args, env=env)
        assert (result.code, len(result.errors)) == (3, 1)
        assert "--from" in result.err


def test_a_place_that_does_not_have_it(finish: Call, env: dict[str, str]) -> None:
    result = finish("weights", "fetch", "heavy/extra.bin", "--yes", env=env)
    assert (result.code, len(result.errors)) == (3, 1), result.err
    assert "404" in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("fetch",), "no weights were named"),
        (("fetch", "havy", "--yes"), "did you mean 'heavy'"),
        (("fetch", "--all", "--optional", "--from", "x", "--yes"), "--from is one file"),
        (("path", "havy"), "did you mean"),
        (("remove",), "NAME"),
    ],
)
def test_wrong_usage(finish: Call, env: dict[str, str], args: tuple[str, ...], words: str) -> None:
    result = finish("weights", *args, env=env)
    assert (result.code, len(result.errors)) == (2, 1), result.err
    assert words in result.err


def test_path_and_verify_of_what_is_not_here(finish: Call, env: dict[str, str]) -> None:
    result = finish("weights", "path", "heavy", env=env)
    assert (result.code, len(result.errors), result.out) == (3, 1, "")
    assert "animegen weights fetch heavy" in result.err
    assert finish("weights", "verify", env=env).code == 0
    assert finish("weights", "verify", "heavy", env=env).code == 3
