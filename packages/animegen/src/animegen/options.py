"""Options declared once: a dataclass field gives the flag, the TOML key, the environment variable and the schema.

A stage (and the run itself) declares its options as a frozen dataclass whose fields are made with `option`.
Values are gathered in layers, weakest first, and every value remembers the layer it came from.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from animegen.errors import UsageError, did_you_mean

_KEY = "animegen"
T = TypeVar("T")


@dataclass(frozen=True)
class _Declared:
    help: str
    min: float | None
    max: float | None
    choices: tuple[str | float, ...]
    unit: str
    file: bool


def option(
    default: Any,
    help: str,
    *,
    min: float | None = None,
    max: float | None = None,
    choices: Sequence[str | float] = (),
    unit: str = "",
    file: bool = False,
) -> Any:
    """Declare one option of a stage as a dataclass field.

    Args:
        default: Value when nobody says otherwise; it must itself be valid.
        help: One sentence: what it does and what a larger value does.
        min, max: Inclusive bounds of a number (of each number in a tuple).
        choices: The values that a text or a number may take (each of them in a tuple).
        unit: Unit of a number, e.g. ``px``.
        file: The text names a file whose bytes decide the result.

    The field's annotation is one of ``bool``, ``int``, ``float``, ``str``, ``tuple[X, ...]`` of these, or any
    of them ``| None``.
    """
    return dataclasses.field(default=default, metadata={_KEY: _Declared(help, min, max, tuple(choices), unit, file)})


@dataclass(frozen=True)
class OptionInfo:
    """One declared option, for tables, schemas and checks."""

    name: str
    type: type
    default: Any
    help: str
    min: float | None = None
    max: float | None = None
    choices: tuple[str | float, ...] = ()
    unit: str = ""
    optional: bool = False
    many: bool = False
    file: bool = False

    @property
    def type_name(self) -> str:
        """The type as people read it: ``float``, ``int list``, ``str or none``."""
        return self.type.__name__ + (" list" if self.many else "") + (" or none" if self.optional else "")

    @property
    def choice_texts(self) -> tuple[str, ...]:
        """The choices as they are typed: ``0.5``, ``2``, ``fit``."""
        return tuple(map(_choice_text, self.choices))

    @property
    def range(self) -> str:
        """What is allowed: ``0.25 .. 4``, ``>= 1``, ``fit | crop``, or an empty string."""
        if self.choices:
            return " | ".join(self.choice_texts)
        if self.min is not None and self.max is not None:
            return f"{self.min:g} .. {self.max:g}"
        if self.min is not None:
            return f">= {self.min:g}"
        return "" if self.max is None else f"<= {self.max:g}"

    def parse(self, value: Any, *, where: str = "") -> Any:
        """Turn text or a TOML/JSON value into this option's type and check it.

        Args:
            value: Text from a command line or the environment, or a value of a configuration file.
            where: Full name and source for messages, e.g. ``flow.levels (from animegen.toml)``.

        Raises:
            UsageError: The value is of another type, out of range, or not among the choices.
        """
        where = where or self.name
        if self.optional and (value is None or value == "none"):
            return None
        if not self.many:
            return self._one(value, where)
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",")] if value.strip() else []
        if not isinstance(value, (list, tuple)):
            value = [value]
        return tuple(self._one(part, where) for part in value)

    def _one(self, value: Any, where: str) -> Any:
        try:
            converted = _convert(value, self.type)
        except (ValueError, TypeError, OverflowError):
            raise UsageError(
                f"{where} is {value!r}, which is not {_ARTICLE.get(self.type, self.type.__name__)}.",
                hint=self._allowed(),
            ) from None
        if self.choices and converted not in self.choices:
            *others, last = self.choice_texts
            allowed = f"{', '.join(others)} or {last}" if others else last
            near = did_you_mean(converted, self.choice_texts) if isinstance(converted, str) else ""
            raise UsageError(f"{where} is {converted!r}; it takes {allowed}.", hint=near or ())
        low = self.min is not None and converted < self.min
        high = self.max is not None and converted > self.max
        if low or high:
            raise UsageError(f"{where} is {converted}; it takes {self.range}{f' {self.unit}'.rstrip()}.")
        return converted

    def _allowed(self) -> str:
        extra = f", {self.range}" if self.range else ""
        return f"{self.help} ({self.type_name}{extra}, default {self.default})"


def _choice_text(choice: str | float) -> str:
    return str(int(choice)) if isinstance(choice, float) and choice.is_integer() else str(choice)


_ARTICLE: dict[type, str] = {
    bool: "yes or no (true, false, on, off)",
    int: "a whole number",
    float: "a number",
    str: "text",
}
_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}


def _convert(value: Any, wanted: type) -> Any:
    if wanted is bool:
        if isinstance(value, bool):
            return value
        text = str(value).strip().lower()
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        raise ValueError
    if isinstance(value, bool):  # an int in Python, but never a number to a user
        raise TypeError
    if wanted is int:
        if isinstance(value, float) and not value.is_integer():
            raise ValueError
        return int(value)
    if wanted is float:
        number = float(value)
        if not math.isfinite(number):
            raise ValueError
        return number
    if not isinstance(value, (str, int, float)):
        raise TypeError
    return str(value)


def describe_options(cls: type[Any]) -> tuple[OptionInfo, ...]:
    """The options a dataclass declares, in order.

    Raises:
        TypeError: A field was not made with `option`, or has a type that options cannot have.
    """
    if cls not in _DESCRIBED:
        _DESCRIBED[cls] = _describe(cls)
    return _DESCRIBED[cls]


_DESCRIBED: dict[type[Any], tuple[OptionInfo, ...]] = {}


def _describe(cls: type[Any]) -> tuple[OptionInfo, ...]:
    if not dataclasses.is_dataclass(cls):
        raise TypeError(f"{cls.__name__} must be a dataclass whose fields are made with animegen.option().")
    hints = typing.get_type_hints(cls)
    found = []
    for field in dataclasses.fields(cls):
        declared = field.metadata.get(_KEY)
        if declared is None:
            raise TypeError(f"{cls.__name__}.{field.name} must be declared with animegen.option().")
        kind, optional, many = _unpack(hints[field.name])
        if kind not in _ARTICLE:
            raise TypeError(f"{cls.__name__}.{field.name} has type {hints[field.name]}, not one of an option.")
        if declared.file and (kind is not str or many):
            raise TypeError(f"{cls.__name__}.{field.name} has type {hints[field.name]}; a file is named by one text.")
        try:
            choices = tuple(_convert(choice, kind) for choice in declared.choices)
        except (ValueError, TypeError, OverflowError):
            raise TypeError(f"{cls.__name__}.{field.name}: a choice is not {_ARTICLE[kind]}.") from None
        found.append(
            OptionInfo(
                field.name,
                kind,
                field.default,
                declared.help,
                declared.min,
                declared.max,
                choices,
                declared.unit,
                optional,
                many,
                declared.file,
            )
        )
    return tuple(found)


def _unpack(hint: Any) -> tuple[Any, bool, bool]:
    optional = many = False
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        parts = [part for part in typing.get_args(hint) if part is not type(None)]
        optional, hint = len(parts) == 1, parts[0] if len(parts) == 1 else hint
    if typing.get_origin(hint) is tuple and typing.get_args(hint)[1:] == (...,):
        many, hint = True, typing.get_args(hint)[0]
    return hint, optional, many


@dataclass(frozen=True)
class Layer:
    """Values from one place, e.g. ``Layer("command line", {"scale": "0.5"})``."""

    source: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Resolved(Generic[T]):
    """Options with the place each value came from.

    Attributes:
        values: The dataclass instance.
        sources: Name of the layer for each field; ``default`` where nobody said otherwise.
    """

    values: T
    sources: Mapping[str, str]

    def as_record(self) -> dict[str, dict[str, Any]]:
        """``{"scale": {"value": 0.5, "source": "command line"}}``, ready for JSON."""
        plain = to_json(self.values)
        return {name: {"value": plain[name], "source": self.sources[name]} for name in plain}


def resolve(cls: type[T], layers: Iterable[Layer] = (), *, name: str = "") -> Resolved[T]:
    """Gather the options of `cls` from `layers`, weakest first; a later layer wins.

    Args:
        cls: Options dataclass.
        layers: Values as text or as TOML/JSON values.
        name: Name before the dot in messages, e.g. ``flow``.

    Raises:
        UsageError: An unknown option (with a near match) or a bad value; the message names the source.
    """
    infos = {info.name: info for info in describe_options(cls)}
    values: dict[str, Any] = {}
    sources = dict.fromkeys(infos, "default")
    for layer in layers:
        for key, value in layer.values.items():
            field_name = key.replace("-", "_")
            full = f"{name}.{key}" if name else key
            if field_name not in infos:
                known = ", ".join(infos) or "none"
                raise UsageError(
                    f"unknown option {full} (from {layer.source}).",
                    hint=f"{did_you_mean(field_name, infos)}options of {name or cls.__name__}: {known}",
                )
            values[field_name] = infos[field_name].parse(value, where=f"{full} (from {layer.source})")
            sources[field_name] = layer.source
    return Resolved(cls(**values), sources)


def to_json(options: Any) -> dict[str, Any]:
    """Plain JSON values of an options instance; `resolve` reads them back to an equal instance."""
    return {
        field.name: list(value) if isinstance(value := getattr(options, field.name), tuple) else value
        for field in dataclasses.fields(options)
    }


def canonical_json(value: Any) -> str:
    """The one text of a JSON value (sorted keys, no spaces), for hashing."""
    import json

    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


_JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def json_schema(cls: type) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of an options dataclass."""
    properties: dict[str, Any] = {}
    for info in describe_options(cls):
        entry: dict[str, Any] = {"type": _JSON_TYPES[info.type]}
        entry |= {
            key: value
            for key, value in (
                ("minimum", info.min),
                ("maximum", info.max),
                ("enum", list(info.choices) or None),
            )
            if value is not None
        }
        if info.many:
            entry = {"type": "array", "items": entry}
        if info.optional:
            entry = {"anyOf": [entry, {"type": "null"}]}
        default = list(info.default) if isinstance(info.default, tuple) else info.default
        properties[info.name] = {**entry, "description": info.help, "default": default}
    return {"type": "object", "properties": properties, "additionalProperties": False}
