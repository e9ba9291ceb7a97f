"""Cuts that somebody knows: frame numbers on the command line or in a file."""

from __future__ import annotations

import json
import re
from pathlib import Path

from animegen.errors import InputError, UsageError

_HINT = "auto, none, numbers of the frames that begin a scene (12,57), or a file with such numbers"


def given_cuts(text: str) -> tuple[int, ...] | None:
    """The frames that begin a scene, ascending; None for ``auto``, empty for ``none``.

    Args:
        text: ``auto``, ``none``, ``12,57``, or the name of a file: numbers separated by commas, spaces or lines (what
            follows a # is a remark), or a JSON list.

    Raises:
        UsageError: None of these.
        InputError: The file cannot be read.
    """
    text = text.strip()
    if text in ("auto", "none"):
        return None if text == "auto" else ()
    if not re.search(r"[^,;\s]", text):  # a file may be empty, and says that there are none; nobody types nothing
        raise UsageError("--cuts names no frame.", hint=_HINT)
    if re.fullmatch(r"[\d,;\s]+", text):
        return _numbers(text, "--cuts")
    path = Path(text)
    try:
        content = path.read_text("utf-8")
    except FileNotFoundError:
        raise UsageError(f"--cuts {text} is neither a list of frame numbers nor a file.", hint=_HINT) from None
    except OSError as error:
        raise InputError(f"{path} cannot be read as a list of cuts: {error.strerror or error}.", hint=_HINT) from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is no list of cuts: it is not text.", hint=_HINT) from None
    if content.lstrip().startswith("["):
        try:
            content = ",".join(str(number) for number in json.loads(content))
        except (ValueError, TypeError):
            raise UsageError(f"{path} is not a JSON list of frame numbers.", hint=_HINT) from None
    return _numbers(re.sub(r"#.*", "", content), str(path))


def _numbers(text: str, where: str) -> tuple[int, ...]:
    parts = [part for part in re.split(r"[,;\s]+", text) if part]
    for part in parts:
        if not part.isdecimal():
            raise UsageError(f"{where}: {part!r} is not the number of a frame.", hint=_HINT)
        if int(part) == 0:
            raise UsageError(f"{where}: frame 0 begins the film; a cut lies before a later frame.", hint=_HINT)
    return tuple(sorted({int(part) for part in parts}))
