"""Files that options name, and weights: part of what a run is, and looked for before it begins."""

from __future__ import annotations

import pytest

from animegen import InterpolatorSpec, StageSpec, Weight, hookimpl
from animegen.errors import InputError, MissingError
from animegen.pipeline.pipeline import Pipeline
from animegen.pipeline.session import named_files
from animegen.registry import Registry
from animegen.weights.store import WeightStore


def test_a_file_named_by_an_option_counts_by_its_bytes(tmp_path, toys):
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("same", "utf-8")
    other.write_text("same", "utf-8")
    assert named_files(toys.FileOptions(str(one))) == named_files(toys.FileOptions(str(other)))
    before = named_files(toys.FileOptions(str(one)))
    one.write_text("changed", "utf-8")
    assert named_files(toys.FileOptions(str(one))) != before
    assert named_files(toys.FileOptions()) == {}


def test_only_the_weights_that_options_choose_are_asked_for(tmp_path, toys):
    light, heavy = Weight("light.pt", (), "MIT", sha256="0" * 64), Weight("heavy.pt", (), "MIT", required=False)

    class Choosy:
        @hookimpl
        def animegen_preprocessors(self):
            return [
                StageSpec(
                    "choosy",
                    f"{toys.HERE}:Add",
                    "Chooses.",
                    toys.ToyOptions,
                    weights=(light, heavy),
                    chosen=lambda options: ("heavy.pt",) if options.shift > 5 else (),
                )
            ]

    registry = Registry([("toys", toys.Toys()), ("choosy", Choosy())])
    weights = WeightStore(tmp_path)
    run = {"run": {"inpainter": "fill", "interpolator": "mix", "preprocessor": ["choosy"]}}
    for shift, outcome in ((1, None), (6, "heavy.pt")):
        tables = {**run, "choosy": {"shift": shift}}
        made = Pipeline(recipe="quick", settings=tables, registry=registry, config=False, weights=weights)
        if outcome is None:
            made.check()
        else:
            with pytest.raises(MissingError, match=outcome):
                made.check()


def test_a_file_s_bytes_and_the_formats_belong_to_what_a_run_is(tmp_path, pair, toys):
    class Filed:
        @hookimpl
        def animegen_preprocessors(self):
            return [StageSpec("filed", f"{toys.HERE}:Add", "Has a file.", toys.FileOptions)]

    registry = Registry([("toys", toys.Toys()), ("filed", Filed())])
    path = tmp_path / "table"

    def run_id(text, **run):
        path.write_text(text, "utf-8")
        tables = {
            "run": {"inpainter": "fill", "interpolator": "mix", "preprocessor": ["filed"], **run},
            "filed": {"file": str(path)},
        }
        return Pipeline(recipe="quick", settings=tables, registry=registry, config=False).run_id(pair())

    assert run_id("one") == run_id("one")
    assert run_id("one") != run_id("other")
    assert run_id("one") != run_id("one", format=["gif"])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "is not here"),
        (lambda path: path.mkdir(), "is not a file"),
        (lambda path: path.write_text("table", "utf-8"), None),
    ],
)
def test_a_file_named_by_an_option_must_be_here_before_a_run_begins(
    tmp_path, monkeypatch, make, words, pair, toys, said
):
    class Filed:
        @hookimpl
        def animegen_interpolators(self):
            return [InterpolatorSpec("filed", f"{toys.HERE}:Mix", "Has a file.", toys.FileOptions)]

    monkeypatch.chdir(tmp_path)
    make(tmp_path / "table")
    registry = Registry([("toys", toys.Toys()), ("filed", Filed())])
    settings = {
        "run": {"inpainter": "fill", "interpolator": "mix", "upsampler": "filed", "preprocessor": [], "factor": 2},
        "filed": {"file": "table"},
    }
    said.clear()
    with Pipeline(recipe="quick", settings=settings, registry=registry, config=False, out=tmp_path / "runs") as made:
        if words is None:
            assert made.run(pair()).path.is_file()
            return
        with pytest.raises(
            InputError, match=rf"filed\.file of the upsampler is table \(from .+\), which {words}"
        ) as caught:
            made.run(pair())
    assert caught.value.hints == (f"it was looked for in {tmp_path}",)
    assert not said and not (tmp_path / "runs").exists()
