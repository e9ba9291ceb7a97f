"""Several processes that share one training. Light."""

from __future__ import annotations

import os

_RANK = "RANK"
"""Set by whatever started them: which of them this is."""


def shared() -> bool:
    """Whether this process is one of several."""
    return _RANK in os.environ


def primary() -> bool:
    """Whether this process is the one that writes and speaks."""
    return os.environ.get(_RANK, "0") == "0"
