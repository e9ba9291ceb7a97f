"""The store: whole results or none, whatever kills the writer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animegen.errors import InputError, ResourceError
from animegen.pipeline.hashing import array_digest, code_digest, json_digest, text_digest
from animegen.pipeline.store import DiskStore, MemoryStore

KEY = "ab" + "0" * 62


def picture(seed, shape=(5, 7, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture(params=["memory", "disk"])
def store(request, tmp_path):
    return MemoryStore() if request.param == "memory" else DiskStore(tmp_path)


def test_what_is_put_comes_back(store):
    images = [picture(0), picture(1), picture(2, (4, 4)) > 127]
    assert store.get(KEY) is None
    with store.write(KEY) as writer:
        for index, image in enumerate(images):
            writer.put(index, image)
        made = writer.finish({"note": "é"})
    entry = store.get(KEY)
    assert len(entry) == 3
    assert entry.info["note"] == "é"
    assert entry.digest == made.digest
    for index, image in enumerate(images):
        loaded = entry.load_mask(index) if image.dtype == bool else entry.load(index)
        assert loaded.dtype == image.dtype
        np.testing.assert_array_equal(loaded, image)


def test_memory_and_disk_agree_on_digests(tmp_path):
    digests = set()
    for store in (MemoryStore(), DiskStore(tmp_path)):
        with store.write(KEY) as writer:
            writer.put(0, picture(0))
            writer.put(1, picture(1))
            digests.add(writer.finish({}).digest)
    assert len(digests) == 1


def test_facts_alone_are_a_result(store):
    with store.write(KEY) as writer:
        writer.finish({"regions": []})
    assert (len(store.get(KEY)), store.get(KEY).info["regions"]) == (0, [])


def test_an_unfinished_result_is_none_and_is_continued(tmp_path):
    store = DiskStore(tmp_path)
    with pytest.raises(RuntimeError), store.write(KEY) as writer:
        writer.put(0, picture(0))
        raise RuntimeError("killed here")
    assert store.get(KEY) is None
    with store.write(KEY) as writer:
        assert (writer.has(0), writer.has(1)) == (True, False)
        writer.put(1, picture(1))
        continued = writer.finish({})
    other = DiskStore(tmp_path / "unbroken")
    with other.write(KEY) as writer:
        writer.put(0, picture(0))
        writer.put(1, picture(1))
        assert writer.finish({}).digest == continued.digest


def test_kill_minus_nine_leaves_whole_images_only(tmp_path):
    program = """
        import sys, numpy as np
        from animegen.pipeline.store import DiskStore
        with DiskStore(__import__("pathlib").Path(sys.argv[1])).write("ab" + "0" * 62) as writer:
            for index in range(10_000):
                writer.put(index, np.random.default_rng(index).integers(0, 256, (64, 64, 3), dtype=np.uint8))
                print(index, flush=True)
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    for _ in range(12):
        child.stdout.readline()
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    store = DiskStore(tmp_path)
    assert store.get(KEY) is None
    with store.write(KEY) as writer:
        there = [index for index in range(10_000) if writer.has(index)]
        for index in set(range(max(there))) - set(there):  # two threads write: the last but one may be missing
            writer.put(index, picture(index, (64, 64, 3)))
        entry = writer.finish({})
    assert len(there) >= 6
    for index in range(len(entry)):
        np.testing.assert_array_equal(entry.load(index), picture(index, (64, 64, 3)))


def test_a_damaged_result_is_made_again(tmp_path):
    store = DiskStore(tmp_path)
    with store.write(KEY) as writer:
        writer.put(0, picture(0))
        entry = writer.finish({})
    path = entry.path(0)
    path.write_bytes(path.read_bytes()[:-9])
    assert store.get(KEY) is None
    with store.write(KEY) as writer:
        writer.put(0, picture(3))
        writer.finish({})
    np.testing.assert_array_equal(store.get(KEY).load(0), picture(3))


def test_a_damage_that_keeps_the_length_is_told_and_not_taken_again(tmp_path):
    store = DiskStore(tmp_path)
    with store.write(KEY) as writer:
        writer.put(0, picture(0, (64, 64, 3)))
        entry = writer.finish({})
    path = entry.path(0)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    path.write_bytes(data)
    assert not store.damaged(KEY)  # its length is right: only decoding shows it
    with pytest.raises(InputError, match="a kept result was damaged") as caught:
        store.get(KEY).load(0)
    assert "makes it again" in caught.value.hints[0]
    assert store.get(KEY) is None


def test_what_is_damaged_is_not_what_was_never_there(tmp_path):
    store = DiskStore(tmp_path)
    assert not store.damaged(KEY)
    with store.write(KEY) as writer:
        writer.put(0, picture(0))
        entry = writer.finish({})
    assert not store.damaged(KEY)
    entry.path(0).write_bytes(b"")
    assert store.damaged(KEY)
    assert not DiskStore(tmp_path, fresh=True).damaged(KEY)


def test_garbage_in_place_of_done(tmp_path):
    store = DiskStore(tmp_path)
    with store.write(KEY) as writer:
        entry = writer.finish({})
    (entry.folder / "done.json").write_text("{", "utf-8")
    assert store.get(KEY) is None
    (entry.folder / "done.json").write_text(json.dumps({"schema": 99}), "utf-8")
    assert store.get(KEY) is None


def test_fresh_ignores_what_was_there_once(tmp_path):
    with DiskStore(tmp_path).write(KEY) as writer:
        writer.put(0, picture(0))
        writer.finish({})
    fresh = DiskStore(tmp_path, fresh=True)
    assert fresh.get(KEY) is None
    with fresh.write(KEY) as writer:
        assert not writer.has(0)
        writer.put(0, picture(1))
        writer.finish({})
    np.testing.assert_array_equal(fresh.get(KEY).load(0), picture(1))
    np.testing.assert_array_equal(DiskStore(tmp_path).get(KEY).load(0), picture(1))


def test_two_writers_of_one_key_take_turns(tmp_path):
    def work(seed):
        store = DiskStore(tmp_path)
        with store.write(KEY) as writer:
            if (entry := store.get(KEY)) is None:
                for index in range(20):
                    writer.put(index, picture(index))
                entry = writer.finish({"by": seed})
            return entry.info["by"], len(entry)

    with ThreadPoolExecutor(4) as pool:
        results = set(pool.map(work, range(4)))
    assert len(results) == 1
    assert results.pop()[1] == 20


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(ResourceError, match="cannot be written") as caught, DiskStore(tmp_path / "file").write(KEY):
        pass
    assert "--out" in caught.value.hints[0]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, json_values)
@settings(max_examples=200)
def test_json_keys_are_equal_exactly_when_values_are(one, other):
    assert json_digest(one) == json_digest(json.loads(json.dumps(one)))
    if json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True):
        assert json_digest(one) != json_digest(other)


@given(st.dictionaries(st.text(), st.integers(), min_size=2), st.randoms())
def test_keys_do_not_depend_on_order(values, random):
    items = list(values.items())
    random.shuffle(items)
    assert json_digest(values) == json_digest(dict(items))


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_texts_are_kept_apart(one, other):
    assert (text_digest(*one) == text_digest(*other)) == (one == other)


def test_array_digest_knows_shape_and_type():
    flat = np.zeros(12, np.uint8)
    assert len({array_digest(flat), array_digest(flat.reshape(3, 4)), array_digest(flat.astype(bool))}) == 3
    assert array_digest(picture(0)[:, ::-1]) == array_digest(np.ascontiguousarray(picture(0)[:, ::-1]))


def test_code_digest_follows_the_sources(tmp_path, monkeypatch):
    (tmp_path / "toy_module.py").write_text("a = 1\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    before = code_digest("toy_module")
    code_digest.cache_clear()
    (tmp_path / "toy_module.py").write_text("a = 2\n", "utf-8")
    assert before
    assert code_digest("toy_module") != before
    assert code_digest("no_such_module_anywhere") == ""
    assert "toy_module" not in sys.modules
