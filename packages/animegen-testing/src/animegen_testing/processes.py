"""Code in a process of its own: for what must not see what other tests left behind, memory above all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

_GIVEN = "import json, sys\ngiven = json.loads(sys.argv[1])\n"

# Otherwise the C library keeps what was freed, in pieces nobody can use, and a test of memory would measure that.
_EAGER = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


def run_alone(code: str, **given: Any) -> str:
    """Run Python code in a fresh process, which gives memory back to the system as soon as it is freed.

    Args:
        code: What is run, as a module; finds what it is given in the mapping `given`.
        **given: What JSON can hold.

    Returns:
        What it prints.

    Raises:
        AssertionError: It fails; with what it says.
    """
    command = [sys.executable, "-c", _GIVEN + code, json.dumps(given)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, **_EAGER})
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stderr}"
    return done.stdout
