"""Pieces of work in processes, which end with their starter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from animegen.errors import ResourceError
from animegen.resumable.workers import WorkerKilled, Workers, each

WORKER = """
    import os, sys, time
    from pathlib import Path
    from animegen.errors import ResourceError
    class Work:
        def __init__(self, folder, fail, job, jobs):
            self.folder, self.fail, self.job = Path(folder), fail, job
        def __call__(self, piece):
            (self.folder / f"{piece}.begun").write_text(str(os.getpid()))
            if piece == self.fail:
                os.kill(os.getpid(), 9)
            if self.fail == "error":
                raise ResourceError("no room", hint="make some")
            time.sleep(60 if self.fail in ("wait", f"wait at {piece}") else 0.02)
            (self.folder / f"{piece}.done").write_text("")
            return piece * 10, self.job
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module ``pieces_of_work`` that other processes can import."""
    lines = [line[4:] for line in WORKER.splitlines()]
    (tmp_path / "pieces_of_work.py").write_text("\n".join(lines), "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_one_job_works_in_this_process(tmp_path: Path) -> None:
    def make(base: int, job: int, jobs: int) -> object:
        return lambda piece: (base + piece, job, jobs, os.getpid())

    found = dict(each([1, 2], make, (100,), 1))  # type: ignore[arg-type]
    assert found == {1: (101, 0, 1, os.getpid()), 2: (102, 0, 1, os.getpid())}
    assert list(each([], make, (100,), 4)) == []  # type: ignore[arg-type]


def test_several_jobs_share_the_pieces(work: Path) -> None:
    import pieces_of_work  # type: ignore[import-not-found]

    found = dict(each(list(range(6)), pieces_of_work.Work, (str(work), None), 2))
    assert {piece: value for piece, (value, _) in found.items()} == {piece: piece * 10 for piece in range(6)}
    assert {job for _, job in found.values()} <= {0, 1}
    begun = {path.read_text() for path in work.glob("*.begun")}
    assert str(os.getpid()) not in begun and 1 <= len(begun) <= 2


def test_processes_do_one_lot_after_the_other_with_what_each_was_lent(work: Path) -> None:
    import pieces_of_work

    shares = [("cuda:0", 2), ("cuda:1", 2)]
    with Workers(pieces_of_work.Work, (str(work), None), shares) as workers:
        lots = [dict(workers.do(range(first, first + 3))) for first in (0, 3)]
    assert [sorted(lot) for lot in lots] == [[0, 1, 2], [3, 4, 5]]
    lent = {int((work / f"{piece}.begun").read_text()): device for lot in lots for piece, (_, device) in lot.items()}
    assert len(lent) <= 2 and len(set(lent.values())) == len(lent)  # a process keeps what it was lent
    assert set(lent.values()) <= {"cuda:0", "cuda:1"}


def test_what_is_ended_early_is_not_waited_for(work: Path) -> None:
    import pieces_of_work

    began = time.monotonic()
    for piece, _ in each([0, 1], pieces_of_work.Work, (str(work), "wait at 1"), 2):
        assert piece == 0
        break  # the other one would take a minute
    assert time.monotonic() - began < 40
    assert not (work / "1.done").exists()


def test_an_error_of_a_piece_is_raised_as_it_is(work: Path) -> None:
    import pieces_of_work

    with pytest.raises(ResourceError, match="no room") as found:
        list(each([0, 1, 2], pieces_of_work.Work, (str(work), "error"), 2))
    assert found.value.hints == ("make some",)


def test_a_killed_worker_is_told(work: Path) -> None:
    import pieces_of_work

    with pytest.raises(WorkerKilled, match="a process was killed") as found:
        list(each([0, 1, 2], pieces_of_work.Work, (str(work), 1), 2))
    assert "with fewer --jobs" in found.value.hints[0]


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_workers_end_with_a_killed_starter(work: Path) -> None:
    code = (
        "import pieces_of_work, sys; from animegen.resumable.workers import each\n"
        "if __name__ == '__main__': list(each([0, 1], pieces_of_work.Work, (sys.argv[1], 'wait'), 2))"
    )
    (work / "starter.py").write_text(code, "utf-8")
    process = subprocess.Popen([sys.executable, str(work / "starter.py"), str(work)])
    deadline = time.monotonic() + 60
    while len(begun := list(work.glob("*.begun"))) < 2 or not all(path.read_text() for path in begun):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    workers = [int(path.read_text()) for path in begun]
    process.send_signal(signal.SIGKILL)
    process.wait()
    while any(Path(f"/proc/{worker}").exists() for worker in workers) and Path("/proc").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
