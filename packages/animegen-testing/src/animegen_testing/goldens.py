"""Golden cases: inputs and outputs of an original, listed in a ``cases.json``, against which a rewrite is measured.

``cases.json`` is ``{"cases": [...]}``; each case has

| key | meaning |
| --- | --- |
| ``file`` | an ``.npz`` or ``.json`` file beside ``cases.json`` |
| ``kind`` | which runner of the test it is for |
| ``name`` | name of the case; by default the file's name without its ending |
| ``configuration`` | what the runner needs to know (sizes, version, times ...), an object |
| ``prefix`` | what stands before a parameter's name when its seeded weight is drawn: a text, or an object of texts |
| ``tolerance`` | a number, or an object from patterns of output names to numbers (the first that fits counts) |

A tolerance is the largest absolute difference; written as ``{"abs": a, "rel": r, "std": s}`` (each may be left out)
it is ``a + r × |golden value| + s × standard deviation of the golden array``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from animegen.documents import read_json
from animegen.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Runner = Callable[["GoldenCase"], Mapping[str, Any] | None]

_KEYS = {"file", "kind", "name", "configuration", "prefix", "tolerance"}


@dataclass
class GoldenCase:
    """One case; see the head of this module for what the fields mean.

    Attributes:
        compared: Names of the outputs compared so far.
    """

    name: str
    path: Path
    kind: str
    configuration: Mapping[str, Any] = field(default_factory=dict)
    prefix: Any = ""
    tolerance: Any = 0.0
    compared: list[str] = field(default_factory=list)

    @cached_property
    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """All arrays of the file by name (read-only views of what numpy loaded)."""
        import numpy as np

        with np.load(self.path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}

    @cached_property
    def document(self) -> Any:
        """The content of a ``.json`` file."""
        return read_json(self.path, "a golden document")

    def names(self, pattern: str) -> list[str]:
        """Names of the arrays that fit a pattern such as ``out_t*``, in the order of the file."""
        return [name for name in self.arrays if fnmatchcase(name, pattern)]

    def run(self, runners: Mapping[str, Runner]) -> None:
        """Run the case with the runner of its kind and compare what that returns with the golden arrays.

        A runner returns outputs by name, or calls `compare` itself. A kind without a runner fails, and so does
        a runner that compares nothing.
        """
        __tracebackhide__ = True
        if self.kind not in runners:
            pytest.fail(f"{self.name}: no runner for kind {self.kind!r}; there are {', '.join(runners)}", False)
        for name, actual in (runners[self.kind](self) or {}).items():
            self.compare(name, actual)
        if not self.compared:
            pytest.fail(f"{self.name}: the runner of {self.kind!r} compared nothing", False)

    def compare(self, name: str, actual: Any, expected: Any = None) -> None:
        """Fail unless `actual` is the golden array `name` within its tolerance (or `expected`, where given)."""
        __tracebackhide__ = True
        import numpy as np

        if expected is None:
            if name not in self.arrays:
                pytest.fail(f"{self.name}: {self.path.name} holds no {name!r}", False)
            expected = self.arrays[name]
        golden, ours = np.asarray(expected), np.asarray(actual)
        self.compared.append(name)
        if ours.shape != golden.shape:
            pytest.fail(f"{self.name}: {name} has shape {ours.shape}; the golden one has {golden.shape}", False)
        if not golden.size:
            return
        wide = np.complex128 if np.iscomplexobj(golden) or np.iscomplexobj(ours) else np.float64
        golden, ours = golden.astype(wide), ours.astype(wide)
        same = (golden == ours) | (np.isnan(golden) & np.isnan(ours))
        with np.errstate(invalid="ignore"):
            difference = np.where(same, 0.0, np.abs(ours - golden))
        difference[np.isnan(difference)] = np.inf
        allowed = self._allowed(name, golden)
        if (difference > allowed).any():
            worst = tuple(int(i) for i in np.unravel_index(int(np.argmax(difference - allowed)), difference.shape))
            limit = float(np.broadcast_to(allowed, difference.shape)[worst])
            share = float((difference > allowed).mean())
            pytest.fail(
                f"{self.name}: {name}{list(worst)} is {ours[worst]:.7g}, golden {golden[worst]:.7g}: off by "
                f"{difference[worst]:.3g}, allowed {limit:.3g} ({share:.1%} of the values are off by more)",
                False,
            )

    def _allowed(self, name: str, golden: Any) -> Any:
        import numpy as np

        rule = self.tolerance
        if isinstance(rule, Mapping) and not set(rule) <= {"abs", "rel", "std"}:
            fitting = [value for pattern, value in rule.items() if fnmatchcase(name, pattern)]
            if not fitting:
                pytest.fail(f"{self.name}: no tolerance fits {name!r}; there are {', '.join(rule)}", False)
            rule = fitting[0]
        if not isinstance(rule, Mapping):
            return float(rule)
        finite = golden[np.isfinite(golden)]
        spread = float(finite.std()) if finite.size else 0.0
        size = np.where(np.isfinite(golden), np.abs(golden), 0.0)
        return rule.get("abs", 0.0) + rule.get("rel", 0.0) * size + rule.get("std", 0.0) * spread


def load_cases(folder: Path) -> list[GoldenCase]:
    """The cases that ``folder/cases.json`` lists, at least one.

    Raises:
        InputError: The list is absent or malformed, or a file that it names is absent.
    """
    listing = folder / "cases.json"
    document = read_json(listing, "a list of golden cases")
    entries = document.get("cases") if isinstance(document, dict) else document
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{listing} lists no case; expected {{'cases': [...]}}.")
    cases = [_case(folder, listing, entry) for entry in entries]
    names = [case.name for case in cases]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{listing} has two cases named {', '.join(twice)}.")
    return cases


def _case(folder: Path, listing: Path, entry: Any) -> GoldenCase:
    if not isinstance(entry, dict) or not {"file", "kind"} <= set(entry):
        raise InputError(f"{listing}: every case has a file and a kind, not {entry!r}.")
    if unknown := set(entry) - _KEYS:
        raise InputError(f"{listing}: {entry['file']} has {', '.join(sorted(unknown))}; known: {sorted(_KEYS)}.")
    path = folder / entry["file"]
    if not path.is_file():
        raise InputError(f"{listing} names {entry['file']}, which is not beside it.")
    return GoldenCase(
        entry.get("name", path.stem),
        path,
        entry["kind"],
        entry.get("configuration", {}),
        entry.get("prefix", ""),
        entry.get("tolerance", 0.0),
    )
