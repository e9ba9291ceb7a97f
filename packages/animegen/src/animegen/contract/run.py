"""Running one stage under the contract: absent weights, loading, what its kind promises, closing."""

from __future__ import annotations

import logging
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from animegen.contract import Finding, Level
from animegen.errors import AnimeGenError, MissingError, ResourceError
from animegen.options import Layer, resolve
from animegen.pipeline.progress import Reporter
from animegen.pipeline.session import StageContext
from animegen.registry import Stage, check_libraries, import_target
from animegen.weights.store import WeightStore

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
            self.say("skipped", name, _with_hints(absent))
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


def run_checks(
    stage: Stage, weights: WeightStore, options: Mapping[str, Any], devices: tuple[str, ...]
) -> list[Finding]:
    """Import, make, call and close a stage whose record is in order."""
    from animegen.contract.kinds import CHECKS

    values: Any = resolve(stage.spec.options, [Layer("check", options)], name=stage.name).values

    def make(store: WeightStore = weights) -> Any:
        return import_target(stage)(values, StageContext(stage, devices, "auto", store, Reporter()))

    probe = Probe(stage)
    try:
        check_libraries(stage)
    except MissingError as absent:  # no fault of the plugin
        return [Finding("skipped", "import", _with_hints(absent), stage.full_name)]
    try:
        import_target(stage)
    except AnimeGenError as error:
        return [Finding("error", "import", error.message, stage.full_name)]
    probe.say("ok", "import", f"{stage.spec.target} can be imported.")
    loaded = stage.spec.weights_for(values)
    if loaded:
        _check_without_weights(probe, make)
    try:
        for weight in loaded:
            weights.path(stage.plugin.name, weight)
    except AnimeGenError as error:
        probe.say("skipped", "run", _with_hints(error))
        return probe.findings
    made = None
    with suppress(Stopped):
        with probe.check("make", "made from its options and a context."):
            made = make()
            if not callable(made):
                raise Broken(f"{stage.spec.target} made a {type(made).__name__}, which cannot be called.")
        if callable(made):
            CHECKS[stage.kind](probe, made)
    with suppress(Stopped):
        _check_close(probe, made)
    return probe.findings


def describe_error(error: BaseException, stage: Stage) -> str:
    """``raised ValueError: text (package/file.py:12)``, the place being the last line of the stage's own package."""
    package = stage.spec.target.partition(":")[0].partition(".")[0]
    below = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not Path(frame.filename).name.startswith("contract_")
    ]
    own = [frame for frame in below if package in Path(frame.filename).with_suffix("").parts]
    place = ""
    for frame in (own or below[-1:])[-1:]:
        path = Path(frame.filename)
        place = f" ({path.parent.name}/{path.name}:{frame.lineno})"
    log.debug("%s raised", stage.full_name, exc_info=error)
    return f"raised {type(error).__name__}{f': {_line(error)}' if str(error) else ''}{place}"


def _check_without_weights(probe: Probe, make: Callable[[WeightStore], Any]) -> None:
    """With an empty cache a stage must stop with the command that fills it, not run on untrained parameters."""
    from animegen.contract.kinds import smallest_call

    check = "absent weights"
    with tempfile.TemporaryDirectory(prefix="animegen-contract-") as folder:
        try:
            smallest_call(probe.stage, make(WeightStore(Path(folder), environ={})))
        except MissingError as missing:
            if any("animegen weights fetch" in hint for hint in missing.hints):
                probe.say("ok", check, f"it stops with: {missing.message}")
            else:
                probe.say("error", check, f"it stops with {missing.message!r}, without the command that helps.")
        except Exception as error:
            text = "without its weights it should let the MissingError of context.weight(FILE) through; it"
            probe.say("error", check, f"{text} {describe_error(error, probe.stage)}")
        else:
            probe.say("error", check, "without its required weights it ran all the same; it must never do that.")


def _check_close(probe: Probe, stage: Any) -> None:
    closing = getattr(stage, "close", None)
    if closing is None:
        return
    with probe.check("close", "close() may be called twice."):
        closing()
        closing()


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]


def _with_hints(error: AnimeGenError) -> str:
    return " ".join((error.message, *(f"({hint})" for hint in error.hints)))
