"""A small study: stages that say when they work, three pairs of two titles, eight configurations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from animegen.imageio import write_image

Call = Callable[..., Any]

COUNTED = """
    import os
    from animegen import Box, DetectorSpec, InterpolatorSpec, Region, StageSpec, hookimpl
    from animegen.measuring import Quantity
    from animegen.stages import MetricSpec

    def note(what):
        with open(os.environ["COUNTED"], "a") as file:
            file.write(what + "\\n")

    @hookimpl
    def animegen_detectors():
        return [DetectorSpec("corner", "animegen_counted:Corner", "A balloon in the corner of bright pictures.")]

    @hookimpl
    def animegen_inpainters():
        return [StageSpec("black", "animegen_counted:Black", "Fills with black.")]

    @hookimpl
    def animegen_preprocessors():
        return [StageSpec("brighter", "animegen_counted:Brighter", "One level up.")]

    @hookimpl
    def animegen_interpolators():
        return [
            InterpolatorSpec("counted", "animegen_counted:Counted", "A dissolve of four frames.", frames=4),
            InterpolatorSpec("slow", "animegen_counted:Slow", "A dissolve that takes its time.", frames=4),
        ]

    @hookimpl
    def animegen_metrics():
        quantity = Quantity("fragile", "clip", "lower")
        return [MetricSpec("fragile", "animegen_counted:Fragile", "Breaks on one pair.", quantities=(quantity,))]

    class Stage:
        def __init__(self, options, context):
            note(f"open {type(self).__name__}")

    class Corner(Stage):
        def __call__(self, image, text_boxes=()):
            note("detect")
            return [Region("balloon", Box(2, 2, 12, 12))] if image[:, :, 0].max() > 250 else []

    class Black(Stage):
        def __call__(self, image, mask):
            note("inpaint")
            filled = image.copy()
            filled[mask] = 0
            return filled

    class Brighter(Stage):
        def __call__(self, image):
            note("preprocess")
            return image + (image < 255).astype(image.dtype)

    class Counted(Stage):
        wait = 0.0

        def __call__(self, first, last, times, *, prompt="", seed=0):
            import time
            import numpy as np
            if os.environ.get("GARBAGE") and first[0, 0, 0] == int(os.environ["GARBAGE"]):
                return np.full((len(times), *first.shape), np.nan)
            if os.environ.get("CTRL_C") and os.path.exists(os.environ["CTRL_C"]):
                os.unlink(os.environ["CTRL_C"])
                raise KeyboardInterrupt
            while os.path.exists(os.environ.get("HELD") or "/nowhere/at/all"):
                time.sleep(0.02)
            time.sleep(self.wait)
            note("sample")
            return np.stack([first * (1 - t) + last * t for t in times]).round().astype(np.uint8)

    class Slow(Counted):
        wait = 0.15

    class Fragile(Stage):
        def __call__(self, sample):
            if sample.frames[0, 0, 0, 0] in (20, 21):
                raise ValueError("too much for it")
            return {"fragile": float(sample.frames.mean())}
"""
ON = ("--on", "inpainter=black", "--on", "preprocessor=brighter", "--on", "upsampler=crossfade")
STAGES = ("--detector", "corner", "--interpolator", "counted", "--fps", "8")


@pytest.fixture
def stages() -> tuple[str, ...]:
    """Options that name the stages above."""
    return STAGES


@pytest.fixture
def eight() -> tuple[str, ...]:
    """Options of a study of eight configurations; the last one keeps it from measuring."""
    return (*ON, *STAGES, "--frames", "4", "--factor", "2", "--no-scores")


@pytest.fixture
def frames_of() -> Callable[[Path], dict[str, bytes]]:
    """``frames_of(study)``: every frame of every clip of a study."""

    def read(study: Path) -> dict[str, bytes]:
        return {str(path.relative_to(study)): path.read_bytes() for path in study.glob("clips/*/*/frames/*.png")}

    return read


@pytest.fixture
def counts(install: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Counter[str]]:
    """``counts()``: what the counting stages have done so far, in whatever process."""
    folder, log = install("animegen-counted", COUNTED), tmp_path / "counted.txt"
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("COUNTED", str(log))

    def count() -> Counter[str]:
        return Counter(log.read_text().split("\n")[:-1]) if log.exists() else Counter()

    return count


@pytest.fixture
def table(place: Path, picture: Any) -> Path:
    """Three pairs of two titles; the panels of the second have a balloon in their corner."""
    rows = ["id\tfirst\tlast\ttitle"]
    for number, (name, title) in enumerate((("one", "A"), ("two", "B"), ("three", "A"))):
        for side, shift in (("a", 3 * number), ("b", 3 * number + 5)):
            image = picture(48, 40, shift)
            image[4:8, 4:8] = 255 if name == "two" else 30
            image[0, 0] = 10 * number
            write_image(place / f"{name}_{side}.png", image)
        rows.append(f"{name}\t{name}_a.png\t{name}_b.png\t{title}")
    path = place / "pairs.tsv"
    path.write_text("\n".join(rows) + "\n")
    return path
