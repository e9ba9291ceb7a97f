"""The folder of one run: where it lies, how it is found again, and what ends up in it.

runs/2026-11-21_a-b_7f3c21e0/
  clip.mp4       plays everywhere; the run's id is in its comment tag (clip-untrained.mp4 where stages ran untrained)
  sheet.png      the frames at a glance, the two panels at its ends
  balloons.png   what was found and is removed, numbered
  frames/        the clip's frames, lossless
  stages/        what each stage returned
  run.json       how to make it again
  log.txt        everything, at debug level
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from pathlib import Path

from animegen.atomic import write_bytes
from animegen.pipeline.record import FILE_NAME, RunRecord, ending_kept
from animegen.pipeline.store import Entry, disk_error

CLIP, SHEET, BALLOONS, FRAMES, STAGES, LOG = (
    "clip",
    "sheet.png",
    "balloons.png",
    "frames",
    "stages",
    "log.txt",
)
CACHE = ".cache"
"""Where results lie below the folder of all runs."""

_ID_SHOWN = 8


class RunFolder:
    """One run's folder.

    Args:
        path: The folder; made if absent.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, path) from error

    @classmethod
    def create(cls, out: Path, record: RunRecord, label: str) -> RunFolder:
        """A new folder for a run, named by day, panels and the start of its id; no other process gets the same one."""
        stem = f"{date.today().isoformat()}_{_slug(label)}_{record.id[:_ID_SHOWN]}"
        path, number = out / stem, 2
        while True:
            try:
                path.mkdir(parents=True)
            except FileExistsError as error:
                if not out.is_dir():  # a file in the folder's place
                    raise disk_error(error, out) from error
                path, number = out / f"{stem}-{number}", number + 1
            except OSError as error:
                raise disk_error(error, path) from error
            else:
                return cls(path)

    @classmethod
    def find(cls, out: Path, run_id: str) -> tuple[RunFolder, str] | None:
        """The newest folder of a run with this id, and its status; None where there is none."""
        found = []
        for path in out.glob(f"*_{run_id[:_ID_SHOWN]}*"):
            try:
                document = json.loads((path / FILE_NAME).read_text("utf-8"))
                if document["id"] == run_id:
                    found.append((document["created"], path, document["status"]))
            except (OSError, ValueError, KeyError, TypeError):
                continue
        if not found:
            return None
        _, path, status = max(found)
        return cls(path), status

    @classmethod
    def at(cls, path: Path, run_id: str) -> tuple[RunFolder, str] | None:
        """The folder of a run that was given its place, and its status; None where it holds no run with this id."""
        try:
            document = json.loads((path / FILE_NAME).read_text("utf-8"))
            return (cls(path), document["status"]) if document["id"] == run_id else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, record: RunRecord) -> None:
        """Write run.json whole."""
        write_bytes(self.path / FILE_NAME, record.to_json().encode())

    def keep(self, name: str, entries: Sequence[Entry]) -> None:
        """Show a step's results below ``stages/NAME/``; hard links, so they cost no space."""
        folder = self.path / STAGES / name
        shutil.rmtree(folder, ignore_errors=True)
        number = 0
        for entry in entries:
            for index in range(len(entry)):
                if path := entry.path(index):
                    link(path, folder / f"{number:06d}.png")
                    number += 1

    @contextmanager
    def logging(self) -> Iterator[None]:
        """Send everything the package logs to log.txt as long as the block runs."""
        handler = logging.FileHandler(self.path / LOG, encoding="utf-8", delay=True)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger = logging.getLogger("animegen")
        level, logger.propagate = logger.level, False
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)
            handler.close()


def recorded(record: RunRecord, folder: RunFolder | None) -> AbstractContextManager[None]:
    """Whatever ends a run early is written into its record, in the run's folder where there is one.

    Raises:
        InterruptedRun: For Ctrl-C.
    """

    def save() -> None:
        if folder:
            folder.save(record)

    return ending_kept(record, save, "stopped; every finished frame is kept.")


def link(source: Path, target: Path) -> None:
    """A second name for a file, or a copy where the file system has no hard links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            raise disk_error(error, target) from error


def _slug(label: str) -> str:
    """A name that every file system takes: letters and digits of any script, joined by single hyphens."""
    return re.sub(r"[\W_]+", "-", label).strip("-")[:48].strip("-") or "run"
