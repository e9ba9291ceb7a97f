"""Finding, checking, handing in and removing weights; nothing here uses a network."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from animegen.errors import InputError, MissingError, ResourceError, StageError, UsageError
from animegen.stages import StageSpec, Weight
from animegen.weights.fetch import readable
from animegen.weights.names import choose_weights, known_weights
from animegen.weights.store import WeightStore, default_home

DATA = b"parameters" * 1000
SHA = hashlib.sha256(DATA).hexdigest()


def record(file: str = "net.pt", **changes: Any) -> Weight:
    known: dict[str, Any] = {
        "urls": ("https://example.org/net.pt",),
        "license": "MIT",
        "sha256": SHA,
        "size": len(DATA),
    }
    return Weight(file, **{**known, **changes})


@pytest.fixture
def store(tmp_path: Path) -> WeightStore:
    return WeightStore(tmp_path / "home", environ={})


def put(folder: Path, data: bytes = DATA, plugin: str = "demo", file: str = "net.pt") -> Path:
    path = folder / plugin / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_an_absent_file_says_what_to_type(store: WeightStore) -> None:
    with pytest.raises(MissingError) as caught:
        store.path("animegen-demo", record(size=10_500_000_000))

    assert caught.value.message.startswith("demo needs net.pt (10.5 GB), which is not here.")
    assert caught.value.hints == (
        "animegen weights fetch demo",
        "from a file you have: animegen weights fetch demo/net.pt --from net.pt",
    )
    assert caught.value.exit_code == 3
    assert pickle.loads(pickle.dumps(caught.value)).hints == caught.value.hints


def test_offline_only_a_file_that_is_here_helps(tmp_path: Path) -> None:
    store = WeightStore(tmp_path, environ={}, offline=True)
    with pytest.raises(MissingError, match="Nothing is fetched while offline") as caught:
        store.path("demo", record())
    assert caught.value.hints == ("from a file you have: animegen weights fetch demo/net.pt --from net.pt",)


def test_an_optional_file_is_fetched_by_its_full_name(store: WeightStore) -> None:
    with pytest.raises(MissingError) as caught:
        store.path("demo", record(required=False))
    assert caught.value.hints[0] == "animegen weights fetch demo/net.pt"


def test_a_file_is_read_once_and_again_when_it_changed(store: WeightStore, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(store.folder)
    read: list[Path] = []
    import animegen.weights.store as module

    real = module.measure_for
    monkeypatch.setattr(module, "measure_for", lambda *args: read.append(args[1]) or real(*args))

    assert store.status("demo", record()).state == "unverified"
    assert store.path("demo", record()) == path
    assert store.path("demo", record()) == path
    assert read == [path]
    status = store.status("demo", record())
    assert (status.state, status.sha256, status.size) == ("verified", SHA, len(DATA))

    os.utime(path, ns=(1, 1))
    assert store.status("demo", record()).state == "unverified"
    assert store.path("demo", record()) == path
    assert len(read) == 2


def test_a_stage_never_gets_a_file_with_another_digest(store: WeightStore) -> None:
    other = bytes(reversed(DATA))
    path = put(store.folder, other)
    digest = hashlib.sha256(other).hexdigest()

    with pytest.raises(MissingError, match=f"is damaged: SHA-256 expected {SHA}, got {digest}"):
        store.path("demo", record())
    assert store.status("demo", record()).state == "damaged"
    assert path.exists(), "it is told, not removed"
    # The same bytes are right for a record that says so.
    assert store.path("demo", record(sha256=digest)) == path


def test_a_file_of_another_size_is_damaged_without_reading_it(store: WeightStore) -> None:
    put(store.folder, DATA[:-1])

    status = store.status("demo", record())
    assert (status.state, status.problem) == ("damaged", "size expected 10,000 bytes, got 9,999")
    assert store.verify("demo", record()).state == "damaged"
    with pytest.raises(MissingError, match="damaged"):
        store.path("demo", record())


def test_verify_reads_again_what_only_seems_unchanged(store: WeightStore) -> None:
    path = put(store.folder)
    assert store.verify("demo", record()).state == "verified"
    before = path.stat()
    path.write_bytes(bytes(reversed(DATA)))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert store.status("demo", record()).state == "verified", "size and time are the same"
    assert store.verify("demo", record()).state == "damaged"
    assert store.status("demo", record()).state == "damaged"


def test_verify_of_nothing_is_an_error(store: WeightStore) -> None:
    with pytest.raises(MissingError):
        store.verify("demo", record())


def test_without_a_digest_a_file_must_stay_what_it_was(store: WeightStore) -> None:
    weight = record(sha256=None, size=None)
    path = put(store.folder)
    assert store.path("demo", weight) == path
    assert store.verify("demo", weight).state == "unverified"
    path.write_bytes(b"else")

    status = store.verify("demo", weight)
    assert status.state == "damaged"
    assert status.problem == f"SHA-256 was {SHA} when it came, now {hashlib.sha256(b'else').hexdigest()}"


def test_shared_folders_are_searched_first_and_never_written(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    path = put(second)
    store = WeightStore(tmp_path / "home", [second], environ={"ANIMEGEN_WEIGHTS": f"{first}{os.pathsep}"}, offline=True)
    put(store.folder)

    assert store.path("demo", record()) == path
    assert store.status("demo", record()).shared
    assert store.status("demo", record()).describe(record()) == "ok, verified today, shared"
    assert [entry.name for entry in path.parent.iterdir()] == ["net.pt"]

    # A damaged shared copy does not hide the good one at home.
    path.write_bytes(bytes(reversed(DATA)))
    assert store.path("demo", record()) == store.folder / "demo" / "net.pt"
    assert not store.status("demo", record()).shared


def test_a_shared_file_is_used_where_nothing_can_be_written(tmp_path: Path) -> None:
    path = put(tmp_path / "shared")
    (tmp_path / "file").write_text("not a folder")
    store = WeightStore(tmp_path / "file", [tmp_path / "shared"], environ={})

    assert store.path("demo", record()) == path
    assert store.path("demo", record()) == path


def test_a_shared_file_is_not_removed(tmp_path: Path) -> None:
    path = put(tmp_path / "shared")
    store = WeightStore(tmp_path / "home", [tmp_path / "shared"], environ={})

    with pytest.raises(UsageError, match="only read"):
        store.remove("demo", record())
    assert path.exists()


def test_remove_frees_everything_that_belongs_to_a_file(store: WeightStore) -> None:
    put(store.folder)
    store.path("demo", record())
    part = put(store.folder, b"123", file="net.pt.part")
    kept = put(store.folder, file="other.pt")

    assert store.remove("demo", record()) == len(DATA) + 3
    assert [path.name for path in part.parent.iterdir()] == [kept.name]
    assert store.remove("demo", record()) == 0


def test_a_file_the_user_has_is_taken_without_a_copy(store: WeightStore, tmp_path: Path) -> None:
    mine = tmp_path / "download (1).pt"
    mine.write_bytes(DATA)

    status = store.fetch("demo", record(), source_file=mine)

    assert status.state == "verified"
    assert status.path.samefile(mine)
    assert status.source == str(mine)
    assert mine.exists()
    assert store.remove("demo", record()) == len(DATA)
    assert mine.read_bytes() == DATA, "removing ours leaves theirs"


def test_a_file_on_another_disk_is_copied(store: WeightStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "net.pt"
    mine.write_bytes(DATA)

    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    steps: list[str] = []
    status = store.fetch("demo", record(), source_file=mine, progress=lambda *step: steps.append(step[2]))

    assert status.state == "verified"
    assert not status.path.samefile(mine)
    assert "copy" in steps


def test_another_file_is_refused_with_both_digests(store: WeightStore, tmp_path: Path) -> None:
    other = bytes(reversed(DATA))
    mine = tmp_path / "net.pt"
    mine.write_bytes(other)

    with pytest.raises(InputError) as caught:
        store.fetch("demo", record(), source_file=mine)
    assert SHA in caught.value.message
    assert hashlib.sha256(other).hexdigest() in caught.value.message
    assert caught.value.exit_code == 4
    assert store.status("demo", record()).state == "absent"
    with pytest.raises(InputError, match="cannot be read: No such file"):
        store.fetch("demo", record(), source_file=tmp_path / "nowhere.pt")
    with pytest.raises(InputError, match="cannot be read"):
        store.fetch("demo", record(), source_file=tmp_path)

    # Where nothing is published to compare with, the user's word is taken.
    assert store.fetch("demo", record(sha256=None, size=None), source_file=mine).state == "unverified"


def test_a_damaged_file_is_replaced_by_the_users(store: WeightStore, tmp_path: Path) -> None:
    put(store.folder, bytes(reversed(DATA)))
    mine = tmp_path / "net.pt"
    mine.write_bytes(DATA)

    assert store.fetch("demo", record(), source_file=mine).state == "verified"
    assert store.path("demo", record()).read_bytes() == DATA


def test_a_home_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    store = WeightStore(tmp_path / "file", environ={})

    with pytest.raises(ResourceError, match="cannot be written to"):
        store.fetch("demo", record())


@pytest.mark.parametrize("file", ["../net.pt", "a/b", "", ".", "a\\b"])
def test_a_record_cannot_leave_its_folder(store: WeightStore, file: str) -> None:
    with pytest.raises(StageError, match="not a plain name"):
        store.status("demo", record(file))


def test_home_is_where_the_user_says(tmp_path: Path) -> None:
    assert default_home({"ANIMEGEN_HOME": str(tmp_path)}) == tmp_path
    assert default_home({}).name == "animegen"
    assert WeightStore(environ={"ANIMEGEN_HOME": str(tmp_path)}).folder == tmp_path / "weights"


def test_states_as_people_read_them(store: WeightStore) -> None:
    assert store.status("demo", record()).describe(record()) == "absent"
    put(store.folder)
    assert store.status("demo", record()).describe(record()) == "here, not verified yet"
    status = store.verify("demo", record())
    now = datetime.now(UTC)
    assert status.describe(record(), now + timedelta(days=1, hours=1)) == "ok, verified yesterday"
    assert status.describe(record(), now + timedelta(days=3, hours=1)) == "ok, verified 3 days ago"


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (205_669_692, "206 MB"), (10_500_000_000, "10.5 GB")],
)
def test_sizes_as_people_read_them(size: int, text: str) -> None:
    assert readable(size) == text


def test_a_broken_note_only_means_reading_again(store: WeightStore) -> None:
    path = put(store.folder)
    note = path.with_name("net.pt.note.json")
    for text in ("", "[]", "{}", "\ufffd"):
        note.write_text(text, "utf-8")
        assert store.status("demo", record()).state == "unverified"
    assert store.path("demo", record()) == path


# Names

STAGES = [
    ("animegen-lama", StageSpec("lama", "m:c", "s", weights=(record("manga.pt"), record("b.pt", required=False)))),
    ("animegen-two", StageSpec("one", "m:c", "s", weights=(record("model.ckpt"),))),
    ("animegen-two", StageSpec("other", "m:c", "s", weights=(record("model.ckpt"), record("x.pt")))),
    ("acme-net", StageSpec("net", "m:c", "s", weights=(record("model.ckpt"),))),
    ("acme-net", StageSpec("plain", "m:c", "s")),
]


def test_every_file_is_known_once_with_the_stages_that_load_it() -> None:
    assert [(one.name, one.stages) for one in known_weights(STAGES)] == [
        ("lama/manga.pt", ("lama",)),
        ("lama/b.pt", ("lama",)),
        ("two/model.ckpt", ("one", "other")),
        ("two/x.pt", ("other",)),
        ("acme-net/model.ckpt", ("net",)),
    ]


def test_two_records_of_one_file_are_a_bug_of_the_plugin() -> None:
    stages = [*STAGES, ("animegen-two", StageSpec("third", "m:c", "s", weights=(record("x.pt", size=1),)))]
    with pytest.raises(StageError, match=r"two/x.pt has two different records \(stages other and third\)"):
        known_weights(stages)


@pytest.mark.parametrize(
    ("names", "optional", "meant"),
    [
        (["lama"], False, ["lama/manga.pt"]),
        (["animegen-lama"], True, ["lama/manga.pt", "lama/b.pt"]),
        (["lama/b.pt"], False, ["lama/b.pt"]),
        (["animegen-lama/b.pt"], False, ["lama/b.pt"]),
        (["b.pt", "lama"], False, ["lama/b.pt", "lama/manga.pt"]),
        (["two"], False, ["two/model.ckpt", "two/x.pt"]),
        (["one"], False, ["two/model.ckpt"]),
        (["other", "two"], False, ["two/model.ckpt", "two/x.pt"]),
        (["acme-net"], False, ["acme-net/model.ckpt"]),
    ],
)
def test_names_users_type(names: list[str], optional: bool, meant: list[str]) -> None:
    chosen = choose_weights(known_weights(STAGES), names, optional=optional)
    assert [one.name for one in chosen] == meant


def test_names_that_cannot_be_meant() -> None:
    known = known_weights(STAGES)
    with pytest.raises(UsageError, match="is a file of 2 plugins") as caught:
        choose_weights(known, ["model.ckpt"])
    assert caught.value.hints == ("say which: two/model.ckpt or acme-net/model.ckpt",)
    with pytest.raises(UsageError, match="no weights are named 'lamma'") as caught:
        choose_weights(known, ["lamma"])
    assert "did you mean 'lama'?" in caught.value.hints[0]


def test_importing_the_store_imports_no_network_library() -> None:
    code = "import sys, animegen.weights.store, animegen.weights.names; print(*sys.modules)"
    modules = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    heavy = {"requests", "urllib3", "pooch", "huggingface_hub", "httpx2", "httpx", "numpy", "cv2", "tqdm"}
    assert modules & heavy == set()
