"""The package's public names: all there, and none of them heavy until it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import animegen_manga


def test_every_public_name_is_there():
    for name in animegen_manga.__all__:
        assert getattr(animegen_manga, name) is not None
    assert sorted(animegen_manga._LAZY) == sorted(animegen_manga.__all__)
    with pytest.raises(AttributeError, match="no_such"):
        _ = animegen_manga.no_such


@pytest.mark.parametrize("module", ["animegen_manga", "animegen_manga.panels", "animegen_manga.plugin"])
def test_importing_is_free(module):
    code = f"import sys, {module}; print(sorted({{'numpy', 'cv2', 'torch'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
