"""What importing a plugin's light module brings along, seen in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

HEAVY = ("numpy", "cv2", "torch", "av", "PIL", "scipy", "skimage", "tensorflow", "jax", "onnxruntime", "transformers")
"""Libraries that a light module must not import: a help page would pay for them."""

_MARK = "animegen-contract:"
_TIMEOUT = 120

_CHILD = """
import json, sys
module, heavy, path = json.loads(sys.argv[1])
sys.path[:] = path
found = {}

class Watch:
    # Sees every attempt, so that an import that fails here (no torch) counts as on a machine where it works.
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root in heavy and root not in found:
            frame = sys._getframe(1)
            importing = False
            while frame is not None and "importlib" in frame.f_code.co_filename:
                importing = importing or frame.f_code.co_name == "_find_and_load"
                frame = frame.f_back
            if importing:
                place = frame.f_code.co_filename.replace("\\\\", "/") if frame else "?"
                found[root] = "/".join(place.split("/")[-2:]) + (":%d" % frame.f_lineno if frame else "")
        return None

sys.meta_path.insert(0, Watch())
before = set(sys.modules)
error, absent = "", False
try:
    __import__(module)
except BaseException as reason:
    absent = isinstance(reason, ModuleNotFoundError) and (module + ".").startswith(str(reason.name) + ".")
    error = type(reason).__name__ + ": " + " ".join(str(reason).split())
before_heavy = [name for name in heavy if name in before]
found = {name: place for name, place in found.items() if name not in before_heavy}
print()
print("MARK" + json.dumps({"heavy": found, "error": error, "absent": absent}))
""".replace("MARK", _MARK)


@dataclass(frozen=True)
class StartImports:
    """What came along.

    Attributes:
        heavy: Name of a heavy library and the line that imports it, ``package/file.py:3``.
        error: Why the import failed, or empty.
        absent: Whether there is no module of that name at all.
        printed: What it printed, the first 200 characters.
    """

    heavy: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    absent: bool = False
    printed: str = ""


def imported_at_start(module: str) -> StartImports:
    """Import `module` in a fresh process (with this one's path) and see which of `HEAVY` it asks for."""
    question = json.dumps([module, HEAVY, sys.path])
    try:
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, question], capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return StartImports(error=f"it took more than {_TIMEOUT} seconds")
    printed, mark, answer = done.stdout.rpartition(_MARK)
    if not mark:
        return StartImports(error=f"the process ended with code {done.returncode}: {done.stderr.strip()[-200:]}")
    return StartImports(**json.loads(answer), printed=" ".join(printed.split())[:200])
