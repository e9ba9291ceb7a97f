"""What the contract says of a stage that cannot be opened, loaded, fetched for or set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from animegen import Needs, option
from animegen.contract import Finding, check_stage, failed
from animegen.errors import ResourceError
from animegen.registry import Stage

Make = Callable[..., Stage]
Read = Callable[[list[Finding]], dict[str, str]]


def test_closing_twice_is_tried_and_told(stage_of: Make, sequence: Any, errors: Read) -> None:
    class Once(sequence):
        def close(self) -> None:
            del self.context

        def __init__(self, options: Any, context: Any) -> None:
            self.context = context

    assert "AttributeError" in errors(check_stage(stage_of("interpolator", made=Once)))["close"]


def test_a_stage_that_cannot_be_made_or_called_is_told(stage_of: Make, errors: Read) -> None:
    class Fails:
        def __init__(self, options: Any, context: Any) -> None:
            raise KeyError("model")

    assert errors(check_stage(stage_of("inpainter", made=Fails)))["make"].startswith("raised KeyError: 'model'")

    class Silent:
        def __init__(self, options: Any, context: Any) -> None: ...

    assert "cannot be called" in errors(check_stage(stage_of("inpainter", made=Silent)))["make"]
    of_sets = stage_of("metric", made=Silent, over="set", whole=True)
    assert "no features and distance" in errors(check_stage(of_sets))["make"]


def test_too_little_memory_and_absent_libraries_are_skipped_with_the_reason(stage_of: Make, levels: Read) -> None:
    def exhausted(image: Any) -> Any:
        raise ResourceError("out of memory on cuda:0.", hint="try a smaller --size")

    findings = check_stage(stage_of("preprocessor", exhausted))
    assert levels(findings)["shape"] == "skipped"
    assert not failed(findings)
    findings = check_stage(stage_of("preprocessor", exhausted, needs=Needs(libraries=("no_such_library",))))
    assert levels(findings)["import"] == "skipped"
    assert "needs no_such_library" in findings[-1].message


def test_defaults_nobody_could_type_are_told(stage_of: Make, errors: Read) -> None:
    @dataclass(frozen=True)
    class Bad:
        scale: float = option(9.0, "Scale.", max=4.0)

    @dataclass
    class Thawed:
        scale: float = option(1.0, "Scale.")

    @dataclass(frozen=True)
    class Loose:
        scale: float = option(1, "Scale.")

    @dataclass(frozen=True)
    class Mute:
        scale: float = option(1.0, " ")

    for options, words in ((Bad, "<= 4"), (Thawed, "frozen"), (Loose, "come back from JSON"), (Mute, "no help")):
        assert words in errors(check_stage(stage_of("inpainter", options=options)))["options"]
