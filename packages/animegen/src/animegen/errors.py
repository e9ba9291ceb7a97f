"""Errors a user can act on: what happened with the value, what was expected, and what to type next.

Anything that is not an `AnimeGenError` is a bug and keeps its traceback (in the run's log; one line on
screen). The exit code belongs to the class, so that a script can tell the cases apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class AnimeGenError(Exception):
    """Base of every error that is shown as one line.

    Args:
        message: What happened, with the value; a full sentence.
        hint: What to type or change next; several hints are shown on lines of their own.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hints: tuple[str, ...] = (hint,) if isinstance(hint, str) else tuple(hint)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:  # keeps hints when an error crosses a process boundary
        return (_rebuild, (type(self), self.message, self.hints))


def _rebuild(kind: type[AnimeGenError], message: str, hints: tuple[str, ...]) -> AnimeGenError:
    return kind(message, hint=hints)


class StageError(AnimeGenError):
    """A stage broke its contract (wrong shape, wrong type, an exception): a bug in that stage."""

    exit_code = 1


class UsageError(AnimeGenError):
    """Wrong usage: an unknown name or option, a value out of range, a malformed configuration file."""

    exit_code = 2


class MissingError(AnimeGenError):
    """Something is absent that can be fetched or installed: weights, a plugin, a library."""

    exit_code = 3


class InputError(AnimeGenError):
    """An input cannot be read, or is not what it says it is."""

    exit_code = 4


class ResourceError(AnimeGenError):
    """The device, the memory or the disk does not suffice."""

    exit_code = 5


class PartialError(AnimeGenError):
    """Some items of a batch failed; the rest are done and kept."""

    exit_code = 6


class InterruptedRun(AnimeGenError):
    """The user stopped the run; the hint holds the command that continues it."""

    exit_code = 130


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The start of a hint with the nearest known name, or an empty string: ``did you mean 'flow'? ``."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}? " if close else ""
