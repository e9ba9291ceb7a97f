"""Fixtures for every test of the workspace."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest


def pytest_configure() -> None:
    """Let Ctrl-C reach the processes of tests also where the suite runs in a shell's background, which ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real pages, panels and clips (``ANIMEGEN_DATA``, else ``../shared/data`` beside the checkout)."""
    folder = Path(os.environ.get("ANIMEGEN_DATA", Path(__file__).parent.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real material at {folder}; set ANIMEGEN_DATA to a folder laid out as its DATA.md says")
    return folder
