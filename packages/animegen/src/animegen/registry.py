"""Discovery: which plugins are installed, which stages they offer, and which one a name means.

Light: finding every stage imports only the plugins' light modules. A plugin that cannot be imported is a row
with its reason, never a crash of a command that does not need it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from animegen import hooks
from animegen.errors import MissingError, StageError, UsageError, did_you_mean
from animegen.options import describe_options
from animegen.stages import API, KINDS, OFFERED, RECORDS, Kind, StageSpec

GROUP = "animegen"
"""Entry-point group of plugins; the value is a light module."""

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TARGET = re.compile(r"[\w.]+:[\w.]+")
_RESERVED = {"run", "plugins", "recipe", "none", "auto", "upsample", "upsampler", "train", "data", *OFFERED}
"""Names with a meaning of their own in settings: tables, roles, and the words for no stage and any stage."""


@dataclass(frozen=True)
class Plugin:
    """One row of ``animegen plugins list``.

    Attributes:
        name: Name of the distribution it comes from; it stands before the colon of a full stage name.
        module: Name of the light module.
        version: Version of the distribution.
        state: ``ok``, ``failed`` (see `reason`) or ``off`` (turned off by the user).
        reason: Why it failed, one line.
    """

    name: str
    module: str
    version: str
    state: str = "ok"
    reason: str = ""

    @property
    def short_name(self) -> str:
        """The name without the customary ``animegen-`` in front."""
        return self.name.removeprefix("animegen-")


@dataclass(frozen=True)
class Stage:
    """A stage somebody can ask for: its record and the plugin it comes from."""

    kind: Kind
    spec: StageSpec
    plugin: Plugin

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def full_name(self) -> str:
        """``PLUGIN:STAGE``, unambiguous whatever is installed."""
        return f"{self.plugin.name}:{self.spec.name}"


class Registry:
    """The plugins of this environment, or just those given (so that a test sees nothing else).

    Args:
        plugins: Light modules, with the name each is to have; None discovers what is installed.
        off: Names of plugins to leave out; joined with ``ANIMEGEN_PLUGINS_OFF`` (comma separated).
    """

    def __init__(
        self, plugins: Iterable[tuple[str, ModuleType | object]] | None = None, *, off: Iterable[str] = ()
    ) -> None:
        self._manager = pluggy.PluginManager(hooks.PROJECT)
        self._manager.add_hookspecs(hooks)
        self._plugins: dict[str, Plugin] = {}
        self._stages: list[Stage] = []
        environment = os.environ.get("ANIMEGEN_PLUGINS_OFF", "")
        self._off = {*off, *(part.strip() for part in environment.split(",") if part.strip())}
        if plugins is None:
            for entry in sorted(metadata.entry_points(group=GROUP), key=_entry_order):
                self._add_entry_point(entry)
        else:
            for name, module in plugins:
                self._add(Plugin(name, getattr(module, "__name__", name), "0"), module)

    @property
    def plugins(self) -> Sequence[Plugin]:
        """Every plugin found, working or not, the built-in one first."""
        return tuple(self._plugins.values())

    def stages(self, kind: Kind | None = None) -> Iterator[Stage]:
        """Every stage of the working plugins, of one kind or all. Trainers and datasets are none: name their kind."""
        kinds = KINDS if kind is None else (kind,)
        return (stage for stage in self._stages if stage.kind in kinds)

    def find(self, kind: Kind, name: str) -> Stage:
        """The stage that `name` (``rife`` or ``PLUGIN:rife``) means.

        Raises:
            UsageError: No such stage (with a near match), or several plugins offer that name.
            MissingError: The plugin named before the colon is there but did not load.
        """
        plugin, _, short = name.rpartition(":")
        found = [
            stage
            for stage in self.stages(kind)
            if stage.name == short and plugin in ("", stage.plugin.name, stage.plugin.short_name)
        ]
        if not plugin:
            replaced = {stage.spec.overrides for stage in found}
            found = [stage for stage in found if stage.plugin.name not in replaced] or found
        if len(found) == 1:
            return found[0]
        if found:
            names = " or ".join(stage.full_name for stage in found)
            raise UsageError(f"{short!r} is in {len(found)} plugins.", hint=f"say which: {names}")
        for row in self._plugins.values():
            named = plugin in (row.name, row.short_name) if plugin else short in (row.name, row.short_name)
            if named and row.state != "ok":
                raise _unusable(row)
        known = sorted({stage.name for stage in self.stages(kind)})
        near = did_you_mean(short, known)
        raise UsageError(
            f"no {kind} is named {name!r}.",
            hint=f"{near}Installed: {', '.join(known) or 'none'}.{'' if near else ' Others come with plugins.'}",
        )

    def plugin(self, name: str) -> Plugin:
        """The row of a plugin by its full or short name. Raises UsageError with a near match."""
        for row in self._plugins.values():
            if name in (row.name, row.short_name):
                return row
        known = [row.short_name for row in self._plugins.values()]
        near = did_you_mean(name.removeprefix("animegen-"), known)
        raise UsageError(f"no plugin is named {name!r}.", hint=f"{near}Installed: {', '.join(known)}.")

    def _add_entry_point(self, entry: metadata.EntryPoint) -> None:
        name, version = (entry.dist.name, entry.dist.version) if entry.dist else (entry.name, "0")
        if name in self._plugins:  # a second entry point of one distribution keeps its own row
            name = f"{name}.{entry.name}"
        row = Plugin(name, entry.module, version)
        if {row.name, row.short_name} & self._off:
            self._plugins[name] = Plugin(name, entry.module, version, "off", "turned off")
            return
        try:
            module = entry.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may raise anything at import, SystemExit included
            self._fail(row, f"{_describe(error)}{_where(error)}")
        else:
            self._add(row, module)

    def _add(self, row: Plugin, module: object) -> None:
        if {row.name, row.short_name} & self._off:
            self._plugins[row.name] = Plugin(row.name, row.module, row.version, "off", "turned off")
            return
        try:
            self._manager.register(module, row.name)
            stages = [Stage(kind, spec, row) for kind in OFFERED for spec in self._offered(kind, module)]
        except Exception as error:  # guarded: one bad record turns off one plugin
            if self._manager.has_plugin(row.name):  # pluggy may have refused it before taking it in
                self._manager.unregister(name=row.name)
            self._fail(row, _describe(error))
        else:
            self._plugins[row.name] = row
            self._stages += stages

    def _offered(self, kind: Kind, module: object) -> list[StageSpec]:
        caller = getattr(self._manager.hook, f"animegen_{kind}s")
        found: list[StageSpec] = []
        for implementation in caller.get_hookimpls():
            if implementation.plugin is module:
                found += implementation.function()
        for spec in found:
            _check_record(kind, spec)
        names = [spec.name for spec in found]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{twice[0]} is offered twice")
        return found

    def _fail(self, row: Plugin, reason: str) -> None:
        self._plugins[row.name] = Plugin(row.name, row.module, row.version, "failed", reason)


def _check_record(kind: Kind, spec: object) -> None:
    wanted = RECORDS[kind]
    if not isinstance(spec, wanted):
        raise TypeError(f"animegen_{kind}s returned {type(spec).__name__}; expected {wanted.__name__}")
    if not _NAME.fullmatch(spec.name):
        raise ValueError(f"{spec.name!r} is no stage name: lower case letters, digits and single hyphens")
    if spec.name in _RESERVED:
        raise ValueError(f"{spec.name!r} is a reserved word, so no stage can have that name")
    if not _TARGET.fullmatch(spec.target):
        raise ValueError(f"the target of {spec.name} is {spec.target!r}; expected 'module:attribute'")
    if spec.plan is not None and not _TARGET.fullmatch(spec.plan):
        raise ValueError(f"the plan of {spec.name} is {spec.plan!r}; expected 'module:function'")
    if spec.api > API:
        raise ValueError(f"{spec.name} needs a newer animegen (stage contract {spec.api}; this one has {API})")
    describe_options(spec.options)


def _unusable(row: Plugin) -> MissingError:
    if row.state == "off":
        return MissingError(
            f"plugin {row.name!r} is turned off.", hint="remove it from ANIMEGEN_PLUGINS_OFF or [plugins] off"
        )
    return MissingError(
        f"plugin {row.name!r} did not load: {row.reason}.",
        hint=f"animegen plugins check {row.short_name}   to turn it off: [plugins] off = [{row.name!r}]",
    )


def _entry_order(entry: metadata.EntryPoint) -> tuple[bool, str, str]:
    name = entry.dist.name if entry.dist else ""
    return name != "animegen", name, entry.name


def _describe(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _where(error: BaseException) -> str:
    """``(module/file.py:3)`` of the innermost frame outside the import machinery."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if "importlib" not in code.co_filename:
            path = Path(code.co_filename)
            place = f" ({path.parent.name}/{path.name}:{trace.tb_lineno})"
        trace = trace.tb_next
    return "" if "animegen/registry.py" in place else place


def check_libraries(stage: Stage) -> None:
    """Look for the libraries a stage says it needs, without importing them.

    Raises:
        MissingError: One is not installed.
    """
    absent = [library for library in stage.spec.needs.libraries if not is_installed(library)]
    if absent:
        raise MissingError(
            f"{stage.full_name} needs {' and '.join(absent)}, not installed here.",
            hint=f"python -m pip install {stage.plugin.name}",
        )


def is_installed(library: str) -> bool:
    """Whether a library could be imported, as far as that is known without importing it."""
    from importlib.util import find_spec

    try:
        return find_spec(library) is not None
    except (ImportError, ValueError):  # a dotted name whose parent is absent; a module without a spec
        return False


def import_target(stage: Stage) -> Any:
    """Import the class behind a stage's record.

    Raises:
        MissingError: A library it needs is not installed, or an import of its module fails.
        StageError: Its module raises something else, or has no such class.
    """
    from importlib import import_module

    check_libraries(stage)
    module_name, _, attribute = stage.spec.target.partition(":")
    hint = f"animegen plugins check {stage.plugin.short_name}"
    try:
        target: Any = import_module(module_name)
    except ImportError as error:
        text = f"{stage.full_name} could not be imported: {_describe(error)}{_where(error)}."
        raise MissingError(text, hint=hint) from error
    except Exception as error:  # a module may raise anything
        text = f"{stage.full_name} could not be imported: {_describe(error)}{_where(error)}."
        raise StageError(text, hint=hint) from error
    for part in attribute.split("."):
        try:
            target = getattr(target, part)
        except AttributeError:
            raise StageError(f"{stage.full_name}: {module_name} has no {attribute!r}.", hint=hint) from None
    return target
