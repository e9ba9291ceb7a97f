"""Records out of the JSON that `animegen_eval.statistics.records.plain` made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def revive(kind: type[T], value: object) -> T:
    """The record of class `kind` that JSON value `value` was.

    Raises:
        KeyError: A field without a default is absent.
        TypeError, ValueError: `value` has another form.
    """
    result: T = _revive(kind, value)
    return result


def _revive(kind: Any, value: Any) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        inner = [argument for argument in arguments if argument is not NoneType]
        return None if value is None else _revive(inner[0], value) if len(inner) == 1 else value
    if kind is float:
        return float(value)  # "inf" and "-inf" as well
    if is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise TypeError(f"expected an object for {kind}, not {type(value).__name__}")
        hints = get_type_hints(kind)
        here = {
            field.name: _revive(hints[field.name], value[field.name]) for field in fields(kind) if field.name in value
        }
        return kind(**here)  # type: ignore[operator]
    if origin is tuple:
        each = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(_revive(one, item) for one, item in zip(each, value, strict=True))
    return value
