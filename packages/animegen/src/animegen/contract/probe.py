"""Gathering what is found about a stage, whatever the stage raises."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from animegen.contract.findings import Finding, Level
from animegen.errors import AnimeGenError, MissingError, ResourceError
from animegen.registry import Stage

log = logging.getLogger("animegen")


class Broken(Exception):
    """A promise of the contract that was not kept; the text is the finding."""


class Surprising(Exception):
    """Something allowed that will surprise somebody; the text is the finding."""


class Stopped(Exception):
    """The rest of a stage's checks cannot be made here."""


class Probe:
    """Gathers what is found about one stage; nothing a stage raises gets past it.

    Attributes:
        stage: The stage's registry entry.
        findings: What was found so far.
    """

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.findings: list[Finding] = []

    @property
    def name(self) -> str:
        return self.stage.full_name

    def say(self, level: Level, check: str, message: str) -> None:
        self.findings.append(Finding(level, check, message, self.name))

    @contextmanager
    def check(self, name: str, promise: str) -> Iterator[None]:
        """One check: the body raises when the promise is not kept.

        Raises:
            Stopped: Something is absent or the memory does not suffice, so no further check makes sense.
        """
        try:
            yield
        except Surprising as surprise:
            self.say("warning", name, str(surprise))
        except Broken as broken:
            self.say("error", name, str(broken))
        except (MissingError, ResourceError) as absent:
            self.say("skipped", name, with_hints(absent))
            raise Stopped from absent
        except AnimeGenError as error:
            self.say("error", name, error.message)
        except Exception as error:  # a stage may raise anything
            if type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError):
                self.say("skipped", name, f"out of memory: {_line(error)}")
                raise Stopped from error
            self.say("error", name, describe_error(error, self.stage))
        else:
            self.say("ok", name, promise)


def describe_error(error: BaseException, stage: Stage) -> str:
    """``raised ValueError: text (package/file.py:12)``, the place being the last line of the stage's own package."""
    package = stage.spec.target.partition(":")[0].partition(".")[0]
    below = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).parent != Path(__file__).parent
    ]
    own = [frame for frame in below if package in Path(frame.filename).with_suffix("").parts]
    place = ""
    for frame in (own or below[-1:])[-1:]:
        path = Path(frame.filename)
        place = f" ({path.parent.name}/{path.name}:{frame.lineno})"
    log.debug("%s raised", stage.full_name, exc_info=error)
    return f"raised {type(error).__name__}{f': {_line(error)}' if str(error) else ''}{place}"


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]


def with_hints(error: AnimeGenError) -> str:
    return " ".join((error.message, *(f"({hint})" for hint in error.hints)))
