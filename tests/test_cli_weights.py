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
    from dataclasses import dataclass
    from animegen import StageSpec, Weight, hookimpl, option

    @dataclass(frozen=True)
    class HeavyOptions:
        model: str = option("model", "Which.", choices=("model", "extra", *(f"model-{{i}}" for i in range(20))))
        file: str | None = option(None, "Taken as it is.", file=True)

    def chosen(options):
        return () if options.file else (options.model + ".bin",)

    @hookimpl
    def animegen_inpainters():
        more = "Another " + "and another " * 9
        model = Weight("model.bin", ("{base}/model.bin",), "CC-BY-4.0", "{sha}", size={size}, purpose="The best.")
        extra = Weight("extra.bin", ("{base}/extra.bin",), "MIT", required=False, purpose=more)
        files = {{"weights": (model, extra), "chosen": chosen}}
        return [StageSpec("heavy", "animegen_heavy:Heavy", "Needs a file.", HeavyOptions, **files)]
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
    rows = json.loads(finish("weights", "list", "heavy", "--json", env=env).out)
    return {row["file"]: row["state"] for row in rows}


def test_fetch_verify_path_remove(finish: Call, env: dict[str, str]) -> None:
    assert states(finish, env) == {"model.bin": "absent", "extra.bin": "absent"}
    fetched = finish("weights", "fetch", "heavy", "--yes", env=env)
    assert fetched.code == 0, fetched.err
    assert "CC-BY-4.0" in fetched.err
    assert states(finish, env) == {"model.bin": "verified", "extra.bin": "absent"}
    listed = finish("weights", "list", "heavy", env=env).out
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


def lines(result: Any) -> list[str]:
    assert result.code == 0, result.err
    return [line for line in result.out.splitlines() if line]


def test_what_is_neither_loaded_nor_here_is_one_line(finish: Call, env: dict[str, str], place: Path) -> None:
    env = {**env, "COLUMNS": "120"}
    head, model, more = lines(finish("weights", "list", "heavy", env=env))
    assert head.split()[:5] == ["file", "for", "size", "licence", "state"]
    assert model.startswith("heavy/model.bin") and model.endswith("absent  The best.")
    assert more == "heavy  1 more file, not here: animegen weights list heavy --all"
    assert "absent (optional)" in finish("weights", "list", "heavy", "--all", env=env).out
    assert [line.split()[0] for line in lines(finish("weights", "list", "extra.bin", env=env))[1:2]] == [
        "heavy/extra.bin"
    ]
    rows = json.loads(finish("weights", "list", "heavy", "--json", env=env).out)
    assert [(row["file"], row["loaded"], row["purpose"][:7]) for row in rows] == [
        ("model.bin", True, "The bes"),
        ("extra.bin", False, "Another"),
    ]
    assert rows[0]["sha256"] == hashlib.sha256(DATA).hexdigest()
    folder = Path(rows[1]["path"]).parent
    folder.mkdir(parents=True)
    (folder / "extra.bin.part").write_bytes(b"some")  # what is here is always listed, whole or not
    assert "heavy/extra.bin" in finish("weights", "list", "heavy", env=env).out


def test_settings_decide_what_is_loaded(finish: Call, env: dict[str, str], place: Path) -> None:
    (place / "animegen.toml").write_text('[heavy]\nmodel = "extra"\n')
    _, row, *_, more = lines(finish("weights", "list", "heavy", env={**env, "COLUMNS": "300"}))
    assert row.startswith("heavy/extra.bin") and "(optional)" not in row
    assert more.startswith("heavy  1 more file")
    chosen = {**env, "ANIMEGEN_HEAVY_MODEL": "model", "COLUMNS": "300"}
    assert lines(finish("weights", "list", "heavy", env=chosen))[1].startswith("heavy/model.bin")
    (place / "animegen.toml").write_text("[heavy]\nmodle = 3\n")
    wrong = finish("weights", "list", "heavy", env=env)
    assert "settings of heavy are left out here: unknown option heavy.modle" in wrong.err
    assert lines(wrong)[1].startswith("heavy/model.bin")


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_lists_keep_within_the_terminal(finish: Call, env: dict[str, str], width: int) -> None:
    env = {**env, "COLUMNS": str(width)}
    for args in (("weights", "list", "heavy", "--all"), ("plugins", "show", "heavy"), ("plugins", "show", "flow")):
        shown = finish(*args, env=env).out
        assert shown and max(map(len, shown.splitlines())) <= width, shown
    assert "another and" in " ".join(finish("weights", "list", "heavy", "--all", env=env).out.split())


def test_show_lists_long_choices_below_the_table(finish: Call, env: dict[str, str]) -> None:
    shown = finish("plugins", "show", "heavy", env=env).out
    assert "22 choices, below" in shown
    (at,) = [
        index for index, line in enumerate(shown.splitlines()) if line.startswith("heavy.model: model, extra, model-0")
    ]
    assert "model-19" in "".join(shown.splitlines()[at:])
    assert "model.bin, 102 kB, CC-BY-4.0 - The best." in shown
    assert "extra.bin" not in shown
    assert "1 more for other options: animegen weights list heavy --all" in shown


def test_a_file_from_the_users_own_hand(finish: Call, env: dict[str, str], place: Path) -> None:
    (place / "mine.bin").write_bytes(DATA)
    (place / "wrong.bin").write_bytes(b"wrong")
    wrong = finish("weights", "fetch", "heavy", "--from", "wrong.bin", env=env)
    assert (wrong.code, len(wrong.errors)) == (4, 1)
    assert "-o heavy.file=wrong.bin   (Taken as it is.)" in wrong.err
    gone = finish("weights", "fetch", "heavy", "--from", "gone.bin", env=env)
    assert (gone.code, len(gone.errors), "heavy.file" in gone.err) == (4, 1, False)
    assert finish("weights", "fetch", "heavy", "--from", "mine.bin", env=env).code == 0
    assert states(finish, env)["model.bin"] == "verified"


def test_nobody_is_taken_to_agree(finish: Call, env: dict[str, str]) -> None:
    result = finish("weights", "fetch", "heavy", env=env)
    assert (result.code, len(result.errors)) == (2, 1)
    assert "--yes" in result.err
    assert states(finish, env)["model.bin"] == "absent"


def test_what_another_plugin_has_is_not_fetched_again(finish: Call, env: dict[str, str], install: Call) -> None:
    source = Path(env["PYTHONPATH"], "animegen_heavy.py").read_text("utf-8")
    install("animegen-other", source.replace('"heavy"', '"other"').replace("animegen_heavy", "animegen_other"))
    assert finish("weights", "fetch", "heavy", "--yes", env=env).code == 0

    result = finish("weights", "fetch", "other", "--yes", env=env)

    assert result.code == 0, result.err
    assert "other/model.bin   102 kB, here for another plugin, licence: CC-BY-4.0" in result.err
    one, two = (Path(finish("weights", "path", name, env=env).out.strip()) for name in ("heavy/model.bin", "other"))
    assert one != two and one.samefile(two)


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
