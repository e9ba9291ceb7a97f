"""Every way a command can end early, as lines for people and an exit code for scripts."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from animegen.errors import AnimeGenError, InterruptedRun, did_you_mean
from animegen_cli.console import Console, ReaderGone

BUG = 1
USAGE = 2
BROKEN_PIPE = 141
"""128 + SIGPIPE, as a shell reports a program whose reader went away."""


def guarded(console: Console, args: Sequence[str], work: Callable[[], Any]) -> int:
    """Do `work` and give the exit code; nothing but a result and its own lines ever reaches the user."""
    console.connect_log()
    try:
        result = work()
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, click.exceptions.Abort, InterruptedRun) as error:
        return _interrupted(console, args, error)
    except click.ClickException as error:
        return _show(console, *_usage(error), USAGE if isinstance(error, click.UsageError) else error.exit_code)
    except AnimeGenError as error:
        return _show(console, error.message, error.hints, error.exit_code)
    except (ReaderGone, BrokenPipeError):
        return _reader_gone()
    except MemoryError:
        return _show(
            console, "out of memory.", ("try smaller pictures, or --size WIDTHxHEIGHT with a smaller size",), 5
        )
    except Exception as error:
        return _bug(console, args, error)
    return result if isinstance(result, int) else 0


def resume_command(args: Sequence[str]) -> str:
    """The command line that goes on where this one stopped."""
    kept = [arg for arg in args if arg != "--force"]
    if "--resume" not in kept:
        kept.append("--resume")
    return shlex.join(["animegen", *kept])


def _interrupted(console: Console, args: Sequence[str], error: BaseException) -> int:
    if isinstance(error, InterruptedRun):
        return _show(console, error.message, error.hints or (resume_command(args),), error.exit_code)
    return _show(console, "stopped.", (), InterruptedRun.exit_code)


def _usage(error: click.ClickException) -> tuple[str, tuple[str, ...]]:
    """click's message in our form, with the nearest option and the page that lists them."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "animegen"
    hints = [f"{path} --help"]
    message = error.format_message()
    if isinstance(error, click.NoSuchOption):
        known = [name for param in context.command.params for name in param.opts] if context else []
        message = f"{path} has no option {error.option_name}."
        hints[0] = f"{did_you_mean(error.option_name, known)}{hints[0]} lists all"
    return message, tuple(hints)


def _show(console: Console, message: str, hints: Sequence[str], code: int) -> int:
    try:
        console.error(message, hints)
        if console.json and not console.answered:
            console.document(
                {"status": "stopped" if code == 130 else "failed", "error": message, "hints": hints, "exit_code": code}
            )
    except ReaderGone:
        return _reader_gone()
    return code


def _reader_gone() -> int:
    """``animegen ... | head``: the rest has no reader, and the interpreter must not complain of it at its end."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            os.dup2(devnull, stream.fileno())
        except (OSError, ValueError):
            continue
    return BROKEN_PIPE


def _bug(console: Console, args: Sequence[str], error: Exception) -> int:
    """A traceback is for us, not for the user: it goes into a file that can be sent along."""
    import tempfile
    import traceback

    text = "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile("w", prefix="animegen-bug-", suffix=".txt", delete=False) as file:
            file.write(f"{shlex.join(['animegen', *args])}\n\n{text}")
        hint = f"the details are in {file.name}; please report them"
    except OSError:
        hint = text if console.verbose else "-v shows the details"
    return _show(console, f"a bug: {type(error).__name__}: {error}", (hint,), BUG)
