"""Scores under the hash of what they are scores of, so that nothing is measured twice.

An entry is one JSON file, written beside its place and renamed; several processes may share a folder. It carries a
checksum: what a full disk or a bad sector left of an entry is told, and measured again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from animegen.atomic import write_bytes
from animegen.measuring import Measured, Missing, Value
from animegen.pipeline.hashing import text_digest

SCHEMA = 1


class ScoreCache:
    """Answers of metrics below one folder.

    Args:
        folder: Where; made on first use. None keeps nothing.
        warn: Told of a damaged entry.
    """

    def __init__(self, folder: Path | None, warn: Callable[[str], None]) -> None:
        self._folder, self._warn = folder, warn

    def get(self, key: str) -> Measured | None:
        """The answer under a key; None where there is none, or a damaged one, which is told."""
        if self._folder is None:
            return None
        path = self._path(key)
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            self._damaged(path, str(error))
            return None
        try:
            entry = json.loads(text)
            if entry["sum"] != _checksum(key, entry["scores"]):
                raise ValueError("its checksum is another")
            return {name: _loaded(value) for name, value in entry["scores"].items()}
        except (ValueError, KeyError, TypeError) as error:
            self._damaged(path, f"{type(error).__name__}: {error}")
            return None

    def put(self, key: str, scores: Measured) -> None:
        """Keep an answer. Raises ResourceError where the disk is full or read-only."""
        if self._folder is None:
            return
        plain = {name: _plain(value) for name, value in scores.items()}
        entry = {"schema": SCHEMA, "scores": plain, "sum": _checksum(key, plain)}
        write_bytes(self._path(key), json.dumps(entry).encode())

    def _path(self, key: str) -> Path:
        assert self._folder is not None
        return self._folder / key[:2] / f"{key[2:]}.json"

    def _damaged(self, path: Path, why: str) -> None:
        self._warn(f"a kept score is damaged and is measured again ({path.name}: {why})")


def _checksum(key: str, plain: Mapping[str, Any]) -> str:
    return text_digest(key, json.dumps(plain, sort_keys=True))


def _plain(value: Value | Sequence[Value]) -> Any:
    if isinstance(value, Missing):
        return {"missing": value.reason}
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return [_plain(one) for one in value]


def _loaded(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_loaded(one) for one in value)
    if isinstance(value, dict):
        return Missing(str(value["missing"]))
    number = float(value)
    if math.isnan(number):
        raise ValueError("NaN")
    return number
