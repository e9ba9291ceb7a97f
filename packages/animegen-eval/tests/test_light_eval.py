"""What importing the package costs."""

from __future__ import annotations

import subprocess
import sys


def loaded(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_the_package_imports_nothing_heavy():
    heavy = {"numpy", "scipy", "statsmodels", "pandas", "pyarrow", "matplotlib", "cv2", "av", "torch"}
    assert not heavy & loaded("import animegen_eval, animegen_eval.statistics")


def test_a_comparison_does_without_pandas_and_matplotlib():
    heavy = {"statsmodels", "pandas", "pyarrow", "matplotlib", "cv2", "torch"}
    assert not heavy & loaded("import animegen_eval.statistics.comparison, animegen_eval.statistics.factorial")
