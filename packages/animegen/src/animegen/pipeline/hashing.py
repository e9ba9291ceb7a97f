"""Digests of what a result depends on: pixels, settings, and the code of a stage."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animegen.options import canonical_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def array_digest(array: NDArray[np.generic]) -> str:
    """SHA-256 of an array's dtype, shape and bytes, as hex."""
    import numpy as np

    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def text_digest(*parts: str) -> str:
    """SHA-256 of texts, each kept apart from the next."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()


def json_digest(value: Any) -> str:
    """SHA-256 of a JSON value's canonical text."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Hex digest of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


@cache
def code_digest(module: str) -> str:
    """Digest of the sources of the top-level package that holds `module`.

    Part of every cache key, so that a changed stage never returns what an older one made, whether or not
    its version number moved. Reads files; imports nothing but the parents of `module`.
    """
    try:
        spec = find_spec(module.partition(".")[0])
    except ValueError:  # a module that was put together by hand has no origin
        spec = None
    if spec is None or spec.origin is None:
        return ""
    if spec.submodule_search_locations:
        root = Path(next(iter(spec.submodule_search_locations)))
        files = sorted(root.rglob("*.py"))
    else:
        files = [Path(spec.origin)]
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
