"""Options: one declaration, and every way in which a value comes in or goes out gives the same value."""

from __future__ import annotations

import dataclasses
import json
import keyword
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from animegen.contract import option_text
from animegen.errors import UsageError
from animegen.options import Layer, describe_options, json_schema, option, resolve, to_json


@dataclass(frozen=True)
class Example:
    scale: float = option(1.0, "Resolution of the flow.", min=0.25, max=4.0)
    steps: int | None = option(None, "Steps.", min=1)
    mode: str = option("fast", "How.", choices=("fast", "good"))
    fine: bool = option(False, "Look again.")
    sizes: tuple[int, ...] = option((1, 2), "Sizes.", min=1)


relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no failure."""

_NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: not keyword.iskeyword(name))
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_VALUES = {
    bool: st.booleans(),
    int: st.integers(-(10**12), 10**12),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: _TEXT,
}


@st.composite
def _field(draw: Any) -> tuple[Any, Any, Any]:
    """An annotation, the option behind it, and another valid value."""
    base = draw(st.sampled_from(list(_VALUES)))
    one = _VALUES[base]
    limits: dict[str, Any] = {"unit": draw(st.sampled_from(["", "px"]))}
    if base in (int, float) and draw(st.booleans()):
        limits |= {"min": -100, "max": 100}
        one = st.integers(-100, 100) if base is int else st.floats(-100, 100)
    if base is not bool and draw(st.booleans()):
        limits["choices"] = tuple(draw(st.lists(one.filter(bool), min_size=1, max_size=4, unique=True)))
        one = st.sampled_from(limits["choices"])
    hint: Any = base
    if draw(st.booleans()):
        hint, one = tuple[base, ...], st.lists(one, max_size=4).map(tuple)  # type: ignore[valid-type]
    if draw(st.booleans()):
        hint, one = hint | None, st.none() | one
    return hint, option(draw(one), "What it does.", **limits), draw(one)


@st.composite
def _classes(draw: Any) -> tuple[type, dict[str, Any]]:
    """An options dataclass and values for all of its fields."""
    names = draw(st.lists(_NAMES, min_size=0, max_size=5, unique=True))
    fields = [(name, *draw(_field())) for name in names]
    cls = dataclasses.make_dataclass("Made", [entry[:3] for entry in fields], frozen=True)
    return cls, {entry[0]: entry[3] for entry in fields}


@relaxed
@given(_classes())
def test_options_come_back_from_json_as_they_were(made: tuple[type, dict[str, Any]]) -> None:
    cls, values = made
    for options in (cls(), cls(**values)):
        document = json.loads(json.dumps(to_json(options), allow_nan=False))
        back = resolve(cls, [Layer("run.json", document)]).values
        assert back == options
        assert [type(getattr(back, name)) for name in values] == [type(getattr(options, name)) for name in values]


@relaxed
@given(_classes())
def test_every_value_that_can_be_typed_is_read_as_it_was(made: tuple[type, dict[str, Any]]) -> None:
    cls, values = made
    for info in describe_options(cls):
        try:
            text = option_text(info, values[info.name])
        except ValueError:
            continue
        assert info.parse(text) == values[info.name]


@relaxed
@given(_classes())
def test_the_schema_is_json_and_names_every_option(made: tuple[type, dict[str, Any]]) -> None:
    cls, values = made
    schema = json.loads(json.dumps(json_schema(cls), allow_nan=False))
    assert list(schema["properties"]) == list(values)
    assert schema["additionalProperties"] is False


@relaxed
@given(st.one_of(_TEXT, st.integers(), st.floats(), st.booleans(), st.none(), st.lists(_TEXT, max_size=3)))
def test_whatever_is_given_is_valid_or_a_usage_error(value: Any) -> None:
    for info in describe_options(Example):
        try:
            parsed = info.parse(value)
        except UsageError:
            continue
        assert info.parse(parsed) == parsed


def test_a_later_layer_wins_and_every_value_knows_its_source() -> None:
    layers = [Layer("animegen.toml", {"scale": 2, "mode": "good"}), Layer("command line", {"scale": "0.5"})]
    resolved = resolve(Example, layers, name="flow")
    assert resolved.values == Example(scale=0.5, mode="good")
    assert resolved.as_record()["scale"] == {"value": 0.5, "source": "command line"}
    assert resolved.as_record()["mode"] == {"value": "good", "source": "animegen.toml"}
    assert resolved.as_record()["sizes"] == {"value": [1, 2], "source": "default"}


def test_hyphens_and_underscores_name_the_same_option() -> None:
    @dataclass(frozen=True)
    class Long:
        min_score: float = option(0.5, "How sure.")

    assert resolve(Long, [Layer("command line", {"min-score": "0.9"})]).values.min_score == 0.9


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("scale", "8", ["flow.scale (from command line)", "8.0", "0.25 .. 4"]),
        ("scale", "wide", ["'wide'", "not a number"]),
        ("scale", "nan", ["not a number"]),
        ("steps", "1.5", ["not a whole number"]),
        ("steps", "0", [">= 1"]),
        ("mode", "god", ["'god'", "fast or good"]),
        ("fine", "perhaps", ["not yes or no"]),
        ("sizes", "1,x", ["'x'", "not a whole number"]),
    ],
)
def test_a_bad_value_is_told_with_its_source_and_what_is_allowed(key: str, value: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(Example, [Layer("command line", {key: value})], name="flow")
    assert all(word in caught.value.message for word in words), caught.value.message


def test_an_unknown_option_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match=r"unknown option flow\.scal \(from command line\)") as caught:
        resolve(Example, [Layer("command line", {"scal": "2"})], name="flow")
    assert "did you mean 'scale'?" in caught.value.hints[0]


def test_a_bad_choice_hints_at_the_nearest_one() -> None:
    with pytest.raises(UsageError) as caught:
        resolve(Example, [Layer("command line", {"mode": "god"})])
    assert "did you mean 'good'?" in caught.value.hints[0]


@dataclass(frozen=True)
class Numbers:
    scale: float = option(1.0, "Resolution of the flow.", choices=(0.25, 0.5, 1, 2))
    sides: tuple[int, ...] = option((32,), "Multiples.", choices=(32, 64, 128))


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("scale", "0.50", 0.5),
        ("scale", 1, 1.0),
        ("scale", "2", 2.0),
        ("sides", "64, 128", (64, 128)),
        ("sides", 64.0, (64,)),
    ],
)
def test_choices_of_numbers_are_compared_as_numbers(key: str, value: Any, expected: Any) -> None:
    found = getattr(resolve(Numbers, [Layer("x", {key: value})]).values, key)
    assert (found, type(found)) == (expected, type(expected))


def test_choices_of_numbers_are_told_as_they_are_typed() -> None:
    with pytest.raises(UsageError, match=r"scale \(from x\) is 0.3; it takes 0.25, 0.5, 1 or 2\.") as caught:
        resolve(Numbers, [Layer("x", {"scale": "0.3"})])
    assert caught.value.hints == ()
    with pytest.raises(UsageError, match="is 'wide', which is not a number"):
        resolve(Numbers, [Layer("x", {"scale": "wide"})])
    scale, sides = describe_options(Numbers)
    assert (scale.range, sides.range) == ("0.25 | 0.5 | 1 | 2", "32 | 64 | 128")
    properties = json_schema(Numbers)["properties"]
    assert properties["scale"]["enum"] == [0.25, 0.5, 1.0, 2.0]
    assert properties["sides"]["items"] == {"type": "integer", "enum": [32, 64, 128]}


@pytest.mark.parametrize(
    ("annotation", "limits"),
    [
        (float, {"choices": ("wide",)}),
        (int, {"choices": (0.5,)}),
        (int, {"file": True}),
        (tuple[str, ...], {"file": True}),
    ],
)
def test_a_declaration_that_means_nothing_is_refused(annotation: Any, limits: dict[str, Any]) -> None:
    cls = dataclasses.make_dataclass("Bad", [("size", annotation, option(1, "What.", **limits))], frozen=True)
    with pytest.raises(TypeError, match=r"Bad\.size"):
        describe_options(cls)


def test_no_default_is_silently_shared_or_changed() -> None:
    assert resolve(Example).values == Example()
    assert set(resolve(Example).sources.values()) == {"default"}


@pytest.mark.parametrize(
    ("annotation", "default"),
    [(dict, None), (list[int], None), (int | str, 1), (tuple[int, int], (1, 2)), (bytes, b"")],
)
def test_a_type_no_option_can_have_is_refused_when_declared(annotation: Any, default: Any) -> None:
    cls = dataclasses.make_dataclass("Bad", [("size", annotation, option(default, "What."))], frozen=True)
    with pytest.raises(TypeError, match="size"):
        describe_options(cls)


def test_a_field_without_option_is_refused() -> None:
    cls = dataclasses.make_dataclass("Bare", [("size", int, dataclasses.field(default=1))], frozen=True)
    with pytest.raises(TypeError, match=r"Bare\.size must be declared with animegen\.option"):
        describe_options(cls)
    with pytest.raises(TypeError, match="must be a dataclass"):
        describe_options(int)


def test_the_schema_says_what_the_declaration_says() -> None:
    properties = json_schema(Example)["properties"]
    assert properties["scale"] == {
        "type": "number", "minimum": 0.25, "maximum": 4.0, "description": "Resolution of the flow.", "default": 1.0,
    }  # fmt: skip
    assert properties["steps"]["anyOf"] == [{"type": "integer", "minimum": 1}, {"type": "null"}]
    assert properties["mode"]["enum"] == ["fast", "good"]
    assert properties["sizes"]["items"] == {"type": "integer", "minimum": 1}
    assert properties["sizes"]["default"] == [1, 2]
