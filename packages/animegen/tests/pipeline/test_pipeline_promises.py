"""Checks at every boundary: a stage that breaks its promise is named."""

from __future__ import annotations

import pytest

from animegen.errors import MissingError, ResourceError, StageError
from animegen.pipeline.record import read_record


@pytest.mark.parametrize(
    ("mode", "error", "message"),
    [
        ("shape", StageError, r"toys:broken returned \(3, 16, 20, 3\) float32; expected \(3, 16, 20, 3\) uint8 RGB"),
        ("type", StageError, "toys:broken returned NoneType"),
        ("raise", StageError, r"toys:broken \(interpolator\) raised RuntimeError: boom boom"),
        ("memory", ResourceError, r"out of memory in interpolator \(toys:broken\)"),
        ("import", MissingError, "toys:broken could not be imported: No module named 'ncnn'"),
        ("write", StageError, "toys:broken changed its input"),
    ],
)
def test_a_stage_that_breaks_its_promise_is_named(tmp_path, mode, error, message, pipeline, pair, toys):
    toys.Broken.mode = mode
    with pytest.raises(error, match=message) as caught, pipeline(tmp_path, interpolator="broken") as made:
        made.run(pair())
    assert caught.value.hints
    (folder,) = [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    assert read_record(folder)["status"] == "failed"
    assert "Traceback" not in str(caught.value)


def test_an_inpainter_must_leave_the_rest_alone(pipeline, pair, toys):
    toys.Broken.mode = "outside"
    with pytest.raises(StageError, match=r"toys:broken-fill changed 296 pixels outside the mask"):
        pipeline(inpainter="broken-fill").run(pair())


def test_an_absent_class_is_the_stage_s_fault(pipeline, pair):
    with pytest.raises(StageError, match="toys:absent"):
        pipeline(interpolator="absent").run(pair())
