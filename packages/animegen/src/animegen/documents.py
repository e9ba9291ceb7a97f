"""JSON documents that users hand in or that we left, read with one clear error that says where they go wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from animegen.errors import InputError


def read_json(path: Path, what: str) -> Any:
    """The value in a JSON file (UTF-8, with or without a byte order mark).

    Args:
        path: The file.
        what: What it should be, for messages: ``a run.json``, ``a list of text boxes``.

    Raises:
        InputError: Absent, unreadable, not UTF-8 or not JSON; the message has line and column.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read as {what}: {error.strerror or type(error).__name__}.") from None
    try:
        return json.loads(data.decode("utf-8-sig"), parse_constant=_refuse)
    except UnicodeDecodeError as error:
        line, column = _place(error.object[: error.start])
        reason = f"byte 0x{error.object[error.start]:02x} at line {line}, column {column} is not UTF-8"
    except json.JSONDecodeError as error:
        reason = f"not JSON at line {error.lineno}, column {error.colno} ({error.msg})"
    except RecursionError:
        reason = "its JSON is nested too deep"
    except ValueError as error:  # what `json` takes beyond JSON, and numbers too long for Python
        reason = f"not JSON ({error})"
    raise InputError(f"{path} is not {what}: {reason}.")


def read_document(path: Path, what: str, schema: int, hint: str | Sequence[str] = ()) -> dict[str, Any]:
    """A document of ours, which says of which schema it is.

    Args:
        path: The file.
        what: As for `read_json`.
        schema: The version that is known here.
        hint: What to do about another one.

    Raises:
        InputError: As `read_json`, or it is of another schema.
    """
    document = read_json(path, what)
    version = document.get("schema_version") if isinstance(document, Mapping) else None
    if version != schema:
        raise InputError(f"{path} has schema version {version}; this animegen reads {schema}.", hint=hint)
    return dict(document)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _place(before: bytes) -> tuple[int, int]:
    """Line and column, from 1, of what comes after these bytes; columns count characters, as those of `json` do."""
    start = before.rfind(b"\n") + 1
    return before.count(b"\n") + 1, len(before[start:].decode()) + 1
