"""Factors and levels of an ablation, and the configurations that they make.

A level is a few settings, as a layer above all others; a cell is one level of each factor. The first level of a factor
is its baseline. Cells are called by the numbers of their levels: ``000`` is all baselines, ``111`` the full pipeline.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from animegen.errors import UsageError, did_you_mean
from animegen.settings.layers import ConfigLayer
from animegen.settings.resolve import Settings
from animegen.settings.roles import ROLES
from animegen.stages import InterpolatorSpec
from animegen_eval.statistics.design import Design, Factor

SOURCE = "level"
NAMES: Mapping[str, str] = {
    "inpainter": "balloon-removal",
    "preprocessor": "preprocessing",
    "upsampler": "upsampling",
    "interpolator": "interpolation",
}
"""What a factor is called, by the role that it varies."""
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Level:
    """One setting of a factor.

    Attributes:
        name: What tables call it: ``none``, ``descreen``, ``flow x4``.
        tables: Settings where it is in force.
    """

    name: str
    tables: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class AblationFactor:
    """What is varied.

    Attributes:
        name: Its name in tables.
        key: The setting that it varies: a role, or ``TABLE.OPTION``.
        levels: At least two; the first is the baseline.
    """

    name: str
    key: str
    levels: tuple[Level, ...]

    def __post_init__(self) -> None:
        names = [level.name for level in self.levels]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UsageError(f"factor {self.key} has the level {twice} twice.", hint="name each level once")
        if len(names) < 2:
            raise UsageError(
                f"factor {self.key} has one level alone, {names[0] if names else '(none)'}; nothing would be compared.",
                hint=f"give it two or more, the baseline first: --vary {self.key}=none,...",
            )
        if len(names) > len(_DIGITS):
            raise UsageError(
                f"factor {self.key} has {len(names)} levels; at most {len(_DIGITS)}.",
                hint="share them out among several studies: --study NAME",
            )


@dataclass(frozen=True)
class Cell:
    """One configuration.

    Attributes:
        code: Number of each factor's level: ``011``.
        levels: Their names.
        layer: Their settings, the strongest layer of the configuration.
    """

    code: str
    levels: tuple[str, ...]
    layer: ConfigLayer


@dataclass(frozen=True)
class AblationDesign:
    """All configurations of a study.

    Attributes:
        factors: In the order of the digits of a cell's code.
        only: Codes of the cells that are made; empty for all of them.
    """

    factors: tuple[AblationFactor, ...]
    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        keys = [factor.key for factor in self.factors]
        if not keys:
            raise UsageError("there is nothing to vary.", hint="for example: --on preprocessor=descreen")
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            raise UsageError(f"{twice} is varied twice.", hint=f"name all its levels at once: --vary {twice}=A,B,C")
        known = [cell.code for cell in self.all_cells]
        if unknown := next((code for code in self.only if code not in known), None):
            raise UsageError(
                f"there is no configuration {unknown}.",
                hint=f"{did_you_mean(unknown, known)}they are {', '.join(known[:16])}{' …' if len(known) > 16 else ''}",
            )

    @cached_property
    def all_cells(self) -> tuple[Cell, ...]:
        """Every combination of levels, the last factor running fastest."""
        found = []
        for numbers in product(*(range(len(factor.levels)) for factor in self.factors)):
            levels = [factor.levels[number] for factor, number in zip(self.factors, numbers, strict=True)]
            tables: dict[str, dict[str, Any]] = {}
            for level in levels:
                for name, table in level.tables.items():
                    tables.setdefault(name, {}).update(table)
            code = "".join(_DIGITS[number] for number in numbers)
            found.append(Cell(code, tuple(level.name for level in levels), ConfigLayer(SOURCE, tables)))
        return tuple(found)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Those that are made."""
        return tuple(cell for cell in self.all_cells if not self.only or cell.code in self.only)

    @property
    def full(self) -> bool:
        """Whether all combinations are made, so that effects can be told apart."""
        return len(self.cells) == len(self.all_cells)

    @property
    def statistics(self) -> Design:
        """The same for `animegen_eval.statistics`."""
        return Design(tuple(Factor(f.name, tuple(level.name for level in f.levels)) for f in self.factors))

    def as_record(self) -> dict[str, Any]:
        """For study.json."""
        return {
            "factors": [
                {
                    "name": factor.name,
                    "varies": factor.key,
                    "levels": [{"name": level.name, "settings": level.tables} for level in factor.levels],
                }
                for factor in self.factors
            ],
            "cells": {cell.code: list(cell.levels) for cell in self.cells},
        }


def default_factors(settings: Settings) -> tuple[tuple[AblationFactor, ...], list[str]]:
    """Balloon removal, preprocessing and upsampling, each off and as the settings have it; and what was decided.

    Where the settings add no frames, their interpolator does, if it makes a frame at any time.

    Raises:
        UsageError: None of the three is there to be left out.
    """
    factors, notes = [], []
    for role in ("inpainter", "preprocessor", "upsampler"):
        names = [choice.stage.full_name for choice in settings.choices[role]]
        interpolator = settings.one("interpolator")
        if not names and role == "upsampler" and interpolator is not None:
            spec = interpolator.stage.spec
            if isinstance(spec, InterpolatorSpec) and spec.frames is None:
                names = [interpolator.stage.full_name]
                notes.append(
                    f"the recipe adds no frames; {spec.name} x{settings.run.values.factor} is the upsampler here"
                )
        if not names:
            notes.append(f"the recipe has no {role}, so {NAMES[role]} is no factor")
            continue
        factors.append(on(f"{role}={','.join(names)}", factor=settings.run.values.factor))
    if not factors:
        raise UsageError(
            "the recipe has neither an inpainter nor a preprocessor nor an upsampler to leave out.",
            hint="say what to vary: --on preprocessor=descreen, or --vary interpolator=flow,crossfade",
        )
    return tuple(factors), notes


def on(text: str, *, factor: int) -> AblationFactor:
    """A factor of ``KIND=STAGE``: without the stage, and with it. Several preprocessors, joined by commas, are a chain.

    Args:
        text: As ``--on`` takes it.
        factor: Of upsampling, for the level's name.

    Raises:
        UsageError: Another form, or a role that cannot be empty.
    """
    role, equals, names = text.partition("=")
    role, stages = role.strip(), [name.strip() for name in names.split(",") if name.strip()]
    if not equals or not stages:
        raise UsageError(f"--on {text} is not KIND=STAGE.", hint="for example: --on preprocessor=descreen")
    if role == "interpolator":
        raise UsageError(
            "there is no clip without an interpolator, so it cannot be on and off.",
            hint=f"compare it with another: --vary interpolator=crossfade,{stages[0]}",
        )
    if role not in ("inpainter", "preprocessor", "upsampler"):
        known = ("inpainter", "preprocessor", "upsampler")
        raise UsageError(
            f"--on {text}: {role!r} is not varied so.", hint=f"{did_you_mean(role, known)}{', '.join(known)}"
        )
    if len(stages) > 1 and role != "preprocessor":
        raise UsageError(f"--on {text}: only preprocessors are chained.", hint=f"--vary {role}=none,{','.join(stages)}")
    return AblationFactor(
        NAMES[role], role, (_role_level(role, "none", factor), _role_level(role, "+".join(stages), factor))
    )


def vary(text: str, *, factor: int) -> AblationFactor:
    """A factor of ``KEY=A,B,...``: KEY is a role or ``TABLE.OPTION``, and A the baseline.

    A chain of preprocessors is joined by ``+``: ``preprocessor=none,descreen,descreen+lab``.

    Raises:
        UsageError: Another form, or an unknown role.
    """
    key, equals, values = text.partition("=")
    key, levels = key.strip(), [value.strip() for value in values.split(",") if value.strip()]
    if not equals or not key or not levels:
        raise UsageError(f"--vary {text} is not KEY=A,B,...", hint="for example: --vary lab.clahe_clip=1,2,4")
    table, dot, option = key.rpartition(".")
    if dot and table and option:
        return AblationFactor(key, key, tuple(Level(value, {table: {option: value}}) for value in levels))
    if key not in ROLES:
        raise UsageError(
            f"--vary {text}: {key!r} is neither a role nor TABLE.OPTION.",
            hint=f"{did_you_mean(key, ROLES)}roles are {', '.join(ROLES)}; an option is named as in lab.clahe_clip",
        )
    return AblationFactor(NAMES.get(key, key), key, tuple(_role_level(key, value, factor) for value in levels))


def _role_level(role: str, value: str, factor: int) -> Level:
    stages = [] if value == "none" else value.split("+")
    shown = "+".join(name.rpartition(":")[2] for name in stages) or "none"
    if role == "upsampler" and stages:
        shown = f"{shown} x{factor}"
    return Level(shown, {"run": {role: stages if role == "preprocessor" else value}})


def refuse_clashes(factors: Iterable[AblationFactor], typed: ConfigLayer) -> None:
    """Refuse a setting that the command line fixes and a factor varies. Raises UsageError."""
    for factor in factors:
        table, _, option = factor.key.rpartition(".")
        table = table or "run"
        if option in typed.tables.get(table, {}):
            raise UsageError(
                f"{factor.key} is varied, and set to {typed.tables[table][option]!r} as well.",
                hint="leave one of the two out",
            )


def refuse_idle(factors: Sequence[AblationFactor], cells: Sequence[Cell], marks: Sequence[str]) -> list[str]:
    """Refuse a factor whose levels change nothing, and say which configurations are equal.

    Args:
        factors: All factors.
        cells: All cells.
        marks: For each cell, something that two of them share exactly when they are equal.

    Raises:
        UsageError: No level of some factor changes anything in any configuration.
    """
    by_code = dict(zip((cell.code for cell in cells), marks, strict=True))
    for place, factor in enumerate(factors):
        groups: dict[str, set[str]] = {}
        for code, mark in by_code.items():
            groups.setdefault(code[:place] + code[place + 1 :], set()).add(mark)
        if len(by_code) > 1 and all(len(group) == 1 for group in groups.values()) and len(groups) < len(by_code):
            raise UsageError(
                f"{factor.key} changes nothing: {', '.join(level.name for level in factor.levels)} give equal clips.",
                hint="is the stage that it is for in use? animegen plugins list",
            )
    seen: dict[str, str] = {}
    notes = []
    for code, mark in by_code.items():
        if mark in seen:
            notes.append(f"configuration {code} is {seen[mark]} again: what tells them apart has no part in either")
        else:
            seen[mark] = code
    return notes
