"""What goes where: results to standard output, everything said to people to standard error."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

PROGRESS = ("auto", "bar", "plain", "json", "none")
_LABEL = 6
_LEAST_COLUMN = 32
"""Fewest characters in a line of a column of sentences."""


class ReaderGone(Exception):
    """``animegen ... | head``: a pipe was closed at its other end."""


def write(stream: TextIO, text: str) -> None:
    """Print a line now; a name that the terminal's encoding lacks is shown with escapes, not refused.

    Raises:
        ReaderGone: Nobody reads any more. (A BrokenPipeError would be answered by click, with exit code 1.)
    """
    try:
        try:
            print(text, file=stream, flush=True)
        except UnicodeEncodeError:
            encoding = stream.encoding or "ascii"
            print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except BrokenPipeError:
        raise ReaderGone from None


@dataclass
class Console:
    """How the user wants to be told things.

    Attributes:
        json: Standard output carries one JSON document.
        quiet: Only errors and the result.
        verbose: The log as well.
        progress: One of `PROGRESS`.
        answered: Whether the one JSON document has been printed.
    """

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    progress: str = "auto"
    answered: bool = False

    @property
    def progress_style(self) -> str:
        """``bar``, ``plain``, ``json`` or ``none``."""
        if self.progress != "auto":
            return self.progress
        if self.quiet:
            return "none"
        return "bar" if sys.stderr.isatty() and not self.verbose else "plain"

    def say(self, label: str, text: str) -> None:
        """A line for people: ``done   runs/x/clip.mp4``."""
        if self.progress == "json":
            self.event(label, text=text)
        elif not self.quiet:
            self.line(f"{paint(label, '1')}{' ' * (_LABEL - len(label))} {text}")

    def line(self, text: str) -> None:
        """A bare line on standard error."""
        write(sys.stderr, text)

    def event(self, name: str, **facts: Any) -> None:
        """A JSON line on standard error, for ``--progress json``."""
        import json

        self.line(json.dumps({"event": name, **facts}, ensure_ascii=False))

    def error(self, message: str, hints: Sequence[str] = ()) -> None:
        """One ``error:`` line, and a line for each hint."""
        message, hints = one_line(message), [one_line(hint) for hint in hints]
        if self.progress == "json":
            self.event("error", text=message, hints=hints)
            return
        self.line(f"{paint('error:', '1;31')} {message}")
        for hint in hints:
            self.line(f"  {paint('hint:', '1')} {hint}")

    def document(self, value: Any) -> None:
        """The one JSON document of a command."""
        import json

        self.answered = True
        write(sys.stdout, json.dumps(value, indent=2, ensure_ascii=False, default=str))

    def text(self, text: str) -> None:
        """A line of the result, on standard output."""
        write(sys.stdout, text)

    def path(self, path: str) -> None:
        """The path of a result, on standard output; not where a person has just read it on the same terminal."""
        if self.quiet or not (sys.stdout.isatty() and sys.stderr.isatty()):
            self.text(path)

    def table(self, header: Sequence[str], rows: Iterable[Sequence[str]], *, wrap: bool = False) -> None:
        """Columns on standard output, the last one as long as it likes.

        Args:
            header: Names of the columns.
            rows: Their cells.
            wrap: The last column holds sentences: broken within what is left of the line, and put below the row
                where too little is left.
        """
        lines = [list(header), *map(list, rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
        before = sum(widths[:-1]) + 2 * len(widths[:-1])
        below = wrap and columns() - before < min(widths[-1], _LEAST_COLUMN)
        for number, line in enumerate(lines):
            row = "  ".join(cell.ljust(width) for cell, width in zip(line[:-1], widths[:-1], strict=True))
            if below:
                self.text(row.rstrip())
                if number and line[-1]:
                    self.sentences(line[-1], indent=4)
            elif wrap and len(line[-1]) > columns() - before:
                self.sentences(line[-1], start=row, indent=before)
            else:
                self.text(f"{row}  {line[-1]}".rstrip())

    def sentences(self, text: str, *, start: str = "", indent: int = 0) -> None:
        """Text on standard output, broken at the width of the terminal.

        Args:
            text: The text.
            start: What stands before it in the first line.
            indent: Column at which every line of the text begins (the first one later where `start` is longer).
        """
        import textwrap

        lines = textwrap.wrap(
            text,
            max(columns(), indent + _LEAST_COLUMN),
            initial_indent=start.ljust(indent),
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in lines or [start]:
            self.text(line.rstrip())

    def be_verbose(self) -> None:
        """Send the package's log to standard error."""
        self.verbose = True
        logging.getLogger("animegen").setLevel(logging.DEBUG)

    def connect_log(self) -> None:
        """Show what libraries have to say: warnings as notes, the whole log with ``--verbose``."""
        logger = logging.getLogger("animegen")
        for earlier in [handler for handler in logger.handlers if isinstance(handler, _LogToConsole)]:
            logger.removeHandler(earlier)
        logger.addHandler(_LogToConsole(self))

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, UserWarning) or self.verbose:
                self.say("note", one_line(str(message)))

        warnings.showwarning = show


class _LogToConsole(logging.Handler):
    """Warnings always; with ``--verbose`` everything. Tracebacks stay in the log file."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        if self._console.verbose or record.levelno == logging.WARNING:
            self._console.say("note" if record.levelno == logging.WARNING else "log", one_line(record.getMessage()))


def columns() -> int:
    """Characters in a line: of the terminal, of ``COLUMNS``, or 100 where the output goes elsewhere."""
    import shutil

    return shutil.get_terminal_size((100, 24)).columns


def one_line(text: str) -> str:
    """The text without line breaks, so that one message is one line."""
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def paint(text: str, code: str) -> str:
    """Text in bold or colour on a terminal that wants it (https://no-color.org)."""
    wanted = text and sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\x1b[{code}m{text}\x1b[0m" if wanted else text


def duration(seconds: float) -> str:
    """``0.2 s``, ``3 min 41 s``, ``2 h 05 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def size(count: float) -> str:
    """Bytes as people read them: ``206 MB``."""
    for unit in ("B", "kB", "MB"):
        if count < 999.5:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
