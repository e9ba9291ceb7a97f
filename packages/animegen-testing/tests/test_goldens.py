"""Golden cases: how a list is read, and that every way of being wrong fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animegen.errors import InputError
from animegen_testing.goldens import GoldenCase, load_cases

Failed = pytest.fail.Exception


def case(tmp_path: Path, tolerance: Any = 0.0, **arrays: Any) -> GoldenCase:
    np.savez(tmp_path / "a.npz", **arrays)
    (tmp_path / "cases.json").write_text(
        json.dumps({"cases": [{"file": "a.npz", "kind": "warp", "tolerance": tolerance}]})
    )
    (one,) = load_cases(tmp_path)
    return one


def test_a_case_has_what_the_list_says(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", img_0=np.zeros(2), out_0=np.ones(2), out_1=np.ones(3))
    (tmp_path / "t.json").write_text('{"3": [0, 1]}')
    entry = {"file": "a.npz", "kind": "warp", "configuration": {"t": 0.5}, "prefix": "module.", "tolerance": 1e-5}
    (tmp_path / "cases.json").write_text(json.dumps([entry, {"file": "t.json", "kind": "order", "name": "timeline"}]))
    first, second = load_cases(tmp_path)
    assert (first.name, first.kind, first.configuration, first.prefix) == ("a", "warp", {"t": 0.5}, "module.")
    assert first.names("out_*") == ["out_0", "out_1"]
    assert second.name == "timeline"
    assert second.document == {"3": [0, 1]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        ("{", "is not a list of golden cases: not JSON at line 1, column 2"),
        ("[]", "lists no case"),
        ('{"cases": {}}', "lists no case"),
        ('[{"kind": "warp"}]', "a file and a kind"),
        ('[{"file": "gone.npz", "kind": "warp"}]', "names gone.npz, which is not beside it"),
        ('[{"file": "cases.json", "kind": "warp", "tolerence": 1}]', "has tolerence"),
        ('[{"file": "cases.json", "kind": "a"}, {"file": "cases.json", "kind": "b"}]', "two cases named cases"),
    ],
)
def test_a_list_that_could_hide_a_case_is_refused(tmp_path: Path, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / "cases.json").write_text(text)
    with pytest.raises(InputError, match=words):
        load_cases(tmp_path)


def test_equal_arrays_pass_and_are_counted(tmp_path: Path) -> None:
    golden = case(tmp_path, out=np.array([1.0, np.nan, np.inf]), mask=np.array([True, False]), none=np.zeros((0, 3)))
    golden.run({"warp": lambda one: {name: one.arrays[name].copy() for name in one.names("*")}})
    assert golden.compared == ["out", "mask", "none"]


@pytest.mark.parametrize(
    ("tolerance", "off", "fine"),
    [
        (1e-3, 9e-4, True),
        (1e-3, 2e-3, False),
        ({"flow*": 1.0, "*": 1e-3}, 2e-3, False),
        ({"out": 1e-2, "*": 1e-3}, 2e-3, True),
        ({"abs": 0.0, "rel": 1e-3}, 4e-3, False),
        ({"rel": 1e-2}, 2e-2, True),
        ({"std": 1e-3}, 2e-2, False),
        ({"std": 0.1}, 2e-2, True),
        (1e-3, np.nan, False),
        (1e30, np.nan, False),
        ({"rel": 1.0}, np.inf, False),
    ],
)
def test_the_tolerance_decides(tmp_path: Path, tolerance: Any, off: float, fine: bool) -> None:
    values = np.array([[1.0, 3.0], [4.0, 5.0]])
    golden = case(tmp_path, tolerance, out=values)
    ours = values.copy()
    ours[0, 1] += off
    if fine:
        golden.compare("out", ours)
    else:
        with pytest.raises(Failed, match=r"a: out\[0, 1\] is .*, golden 3: off by"):
            golden.compare("out", ours)


def test_what_cannot_be_compared_fails(tmp_path: Path) -> None:
    golden = case(tmp_path, {"flow": 1.0}, out=np.zeros((2, 3)))
    with pytest.raises(Failed, match=r"out has shape \(3, 2\); the golden one has \(2, 3\)"):
        golden.compare("out", np.zeros((3, 2)))
    with pytest.raises(Failed, match="holds no 'image'"):
        golden.compare("image", np.zeros(2))
    with pytest.raises(Failed, match="no tolerance fits 'out'"):
        golden.compare("out", np.zeros((2, 3)))


def test_a_case_nobody_runs_fails(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="no runner for kind 'warp'; there are full, half"):
        case(tmp_path, out=np.zeros(1)).run({"full": dict, "half": dict})
    with pytest.raises(Failed, match="compared nothing"):
        case(tmp_path, out=np.zeros(1)).run({"warp": lambda one: None})


PARITY = """
def test_parity(golden_case):
    golden_case.run({"double": lambda case: {"out": 2 * case.arrays["x"]}})
"""


def goldens(folder: Path, *values: float) -> Path:
    folder.mkdir()
    for index, value in enumerate(values):
        np.savez(folder / f"v{index}.npz", x=np.array([1.0]), out=np.array([value]))
    entries = [{"file": f"v{index}.npz", "kind": "double"} for index in range(len(values))]
    (folder / "cases.json").write_text(json.dumps({"cases": entries}))
    return folder


def test_every_case_listed_runs_also_those_of_another_folder(tmp_path: Path) -> None:
    (tmp_path / "test_parity.py").write_text(PARITY)
    goldens(tmp_path / "golden", 2.0, 2.0)
    other = goldens(tmp_path / "other", 2.0, 2.5, 2.0)

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_parity.py", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        return done.stdout + done.stderr

    assert "2 passed" in run()
    answer = run("--goldens", str(other))
    assert "1 failed, 2 passed" in answer
    assert "v1: out[0] is 2, golden 2.5: off by 0.5, allowed 0" in answer
    assert "cases.json cannot be read" in run("--goldens", str(tmp_path / "nowhere"))
