"""The balloon detector's record is light and its options are declared."""

from __future__ import annotations

import subprocess
import sys

from animegen.options import describe_options
from animegen_manga.plugin import BalloonOptions, animegen_detectors


def test_plugin_and_package_import_neither_numpy_nor_cv2():
    code = (
        "import sys, animegen_manga.plugin, animegen_manga.balloons\n"
        "heavy = {'numpy', 'cv2', 'torch'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_record_names_the_stage():
    record = next(spec for spec in animegen_detectors() if spec.name == "balloons")
    assert record.finds == "balloon"
    assert record.options is BalloonOptions


def test_every_option_is_declared():
    names = {info.name for info in describe_options(BalloonOptions)}
    assert names == {"grow", "outline", "drawn_text", "min_score"}
