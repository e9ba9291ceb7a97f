"""What stages say before a run: plans, memory by device, refusal; and what runs with random parameters."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animegen import Demand, InterpolatorSpec, Panel, PanelPair, StagePlan, StageSpec, Weight, hookimpl
from animegen.errors import InputError, MissingError, ResourceError, StageError, UsageError
from animegen.memory import in_words, memory
from animegen.pipeline.outlook import Planned, needs, plan_problem, refuse_too_much
from animegen.pipeline.pipeline import Pipeline
from animegen.pipeline.progress import Reporter
from animegen.pipeline.record import read_record
from animegen.registry import Registry
from animegen.weights.store import WeightStore

HERE = __name__
GIB = 2**30
calls: list[str] = []
answer: Any = StagePlan()


def plan(options: Any, context: Any, *, size: tuple[int, int], frames: int) -> Any:
    calls.append(f"plan {size} {frames} {context.devices[0]} {'untrained' if context.untrained else 'trained'}")
    if isinstance(answer, Exception):
        raise answer
    return answer


def filler_plan(options: Any, context: Any, *, size: tuple[int, int], frames: int) -> StagePlan:
    calls.append(f"filler plan {size} {frames}")
    return StagePlan("", (Demand("toy:0", 2 * GIB, 8 * GIB),), "smaller")


class Model:
    """Adds what its parameters say: 3 where they are random, the file's byte where they are not."""

    def __init__(self, options: Any, context: Any) -> None:
        self.shift = 3 if context.untrained else context.weight("model.bin").read_bytes()[0]
        self.context = context
        calls.append(f"open {type(self).__name__}")

    def close(self) -> None:
        calls.append(f"close {type(self).__name__}")


class Between(Model):
    def __call__(self, first: Any, last: Any, times: Any, *, prompt: str = "", seed: int = 0) -> Any:
        calls.append("between")
        return np.stack([first + np.uint8(self.shift)] * len(times))


class Greedy(Model):
    """Asks for a weight although it runs untrained."""

    def __call__(self, first: Any, last: Any, times: Any, *, prompt: str = "", seed: int = 0) -> Any:
        self.context.weight("model.bin")


class Filler(Model):
    def __init__(self, options: Any, context: Any) -> None:
        calls.append("open Filler")

    def __call__(self, image: Any) -> Any:
        calls.append("fill")
        return image


FILE = Weight("model.bin", ("https://weights.invalid/model.bin",), "MIT", size=1)


class Toys:
    @hookimpl
    def animegen_preprocessors(self) -> list[StageSpec]:
        return [
            StageSpec("filler", f"{HERE}:Filler", "Does nothing.", plan=f"{HERE}:filler_plan"),
            StageSpec("needy", f"{HERE}:Model", "Needs its file.", weights=(FILE,)),
        ]

    @hookimpl
    def animegen_interpolators(self) -> list[InterpolatorSpec]:
        both: dict[str, Any] = {"frames": 5, "weights": (FILE,), "untrained": True, "plan": f"{HERE}:plan"}
        return [
            InterpolatorSpec("between", f"{HERE}:Between", "Draws.", **both),
            InterpolatorSpec("greedy", f"{HERE}:Greedy", "Asks.", **both),
            InterpolatorSpec("trained", f"{HERE}:Between", "Draws.", frames=5, weights=(FILE,)),
        ]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, HERE, sys.modules.get(HERE, sys.modules[__name__]))
    say(StagePlan())
    calls.clear()
    yield


def say(what: Any) -> None:
    global answer
    answer = what


def pair(level: int = 10) -> PanelPair:
    return PanelPair(*(Panel(np.full((12, 16, 3), value, np.uint8), (), str(value)) for value in (level, 90)))


@pytest.fixture
def weights(tmp_path: Path) -> WeightStore:
    return WeightStore(tmp_path / "weights", environ={})


def pipeline(weights: WeightStore, out: Path | None = None, reporter: Reporter | None = None, **run: Any) -> Pipeline:
    run = {"interpolator": "between", "inpainter": "none", "preprocessor": [], "fps": "5", "untrained": True, **run}
    return Pipeline(
        recipe="quick", settings={"run": run}, out=out, registry=Registry([("toys", Toys())]), config=False,
        weights=weights, reporter=reporter,
    )  # fmt: skip


def test_a_run_without_weights_says_so_everywhere(weights: WeightStore, tmp_path: Path) -> None:
    told: list[str] = []

    class Listener(Reporter):
        def warned(self, message: str) -> None:
            told.append(message)

    with pipeline(weights, tmp_path / "runs", Listener(), format=["mp4", "gif"]) as made:
        lines = made.plan(pair())
        clip = made.run(pair())
    assert lines[0][1].startswith("between (untrained)   5 frames")
    assert told == list(clip.warnings)
    assert "random parameters" in told[0]
    assert {path.name for path in clip.path.parent.glob("clip*")} == {"clip-untrained.mp4", "clip-untrained.gif"}
    record = read_record(clip.path.parent)
    assert record["untrained"] == ["toys:between"]
    assert record["steps"][0]["weights"] == {}
    assert int(clip[0][0, 0, 0]) == 13
    assert clip.sheet().shape[0] > clip.sheet(caption="").shape[0]
    saved = clip.save(tmp_path / "again.gif").path
    assert b"(untrained)" in saved.read_bytes()


def test_what_was_made_untrained_is_never_taken_for_more(weights: WeightStore, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    with pipeline(weights, out) as made:
        first = made.run(pair())
        without = made.run_id(pair())
    with pipeline(weights, untrained=False) as made:
        assert made.run_id(pair()) != without
        with pytest.raises(MissingError, match=r"model\.bin"):
            made.run(pair())
    file = weights.place("toys", FILE)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"\x09")
    with pipeline(weights, out, untrained=False) as made:
        second = made.run(pair())
    assert (int(first[0][0, 0, 0]), int(second[0][0, 0, 0])) == (13, 19)
    assert (second.path.name, second.record["untrained"]) == ("clip.mp4", [])


def test_a_stage_that_cannot_run_untrained_keeps_needing_its_weights(weights: WeightStore) -> None:
    with pytest.raises(MissingError, match=r"model\.bin"):
        pipeline(weights, preprocessor=["needy"]).run(pair())


def test_untrained_without_a_stage_that_can(weights: WeightStore) -> None:
    with pytest.raises(UsageError, match="none of trained can run untrained") as caught:
        pipeline(weights, interpolator="trained")
    assert caught.value.hints == ("these can: between, greedy",)


def test_a_stage_that_runs_untrained_may_not_ask_for_weights(weights: WeightStore) -> None:
    with pytest.raises(StageError, match="it runs untrained, without weights"):
        pipeline(weights, interpolator="greedy", untrained=True).run(pair())


def test_a_stage_is_asked_before_anything_is_loaded(weights: WeightStore, tmp_path: Path) -> None:
    say(StagePlan("5 steps, split", (Demand("toy:0", 3 * GIB, 8 * GIB, "the net"), Demand("toy:1", GIB)), "less"))
    with pipeline(weights, tmp_path, preprocessor=["filler"], device="toy:0") as made:
        lines = dict(made.plan(pair()))
        assert calls == ["filler plan (12, 16) 1", "plan (12, 16) 5 toy:0 untrained"]
        assert lines["how"] == "between: 5 steps, split"
        assert lines["plan"].endswith("   toy:0 + toy:1, auto")
        assert "3.0 GiB on toy:0 (8.0 GiB free), 1.0 GiB on toy:1" in lines["need"]
        assert "on cpu" in lines["need"]
        clip = made.run(pair())
        assert [call for call in calls if "plan" in call] == calls[:2]  # asked once
    said = {one["stage"]: one for one in read_record(clip.path.parent)["plan"]}
    assert said["toys:between"]["demands"][0] == {
        "device": "toy:0",
        "need": 3 * GIB,
        "have": 8 * GIB,
        "what": "the net",
    }
    assert set(said) == {"the program", "toys:filler", "toys:between"}


@pytest.mark.parametrize("out", [True, False])
def test_more_than_there_is_stops_a_run_before_anything_is_loaded(
    weights: WeightStore, tmp_path: Path, out: bool
) -> None:
    say(StagePlan("", (Demand("toy:0", 9 * GIB, 8 * GIB, "the net"),), "add --device toy:0,toy:1"))
    made = pipeline(weights, tmp_path / "runs" if out else None)
    made.plan(pair())  # which says it, and does not stop
    for act in (made.check, made.run):
        with pytest.raises(
            ResourceError, match=r"toys:between needs 9\.0 GiB on toy:0 \(the net\); 8\.0 GiB"
        ) as caught:
            act(pair())
        assert caught.value.hints == ("add --device toy:0,toy:1",)
    assert not any(call.startswith("open") for call in calls)
    assert not (tmp_path / "runs").exists()


def test_a_finished_run_needs_no_memory(weights: WeightStore, tmp_path: Path) -> None:
    with pipeline(weights, tmp_path) as made:
        clip = made.run(pair())
    say(StagePlan("", (Demand("toy:0", 9 * GIB, GIB),)))
    with pipeline(weights, tmp_path) as made:
        assert made.run(pair(), resume=True).path == clip.path


@pytest.mark.parametrize(("have", "closes"), [(9, False), (4, True)])
def test_stages_that_do_not_fit_together_are_let_go_of_one_by_one(
    weights: WeightStore, have: int, closes: bool
) -> None:
    say(StagePlan("", (Demand("toy:0", 3 * GIB, have * GIB),)))
    with pipeline(weights, preprocessor=["filler"]) as made:
        made.run(pair())
        assert ("close Filler" in calls[: calls.index("open Between")]) is closes
        made.run(pair(20))  # and opened again for the next
        assert calls.count("open Filler") == 1 + closes


def test_open_stages_are_not_held_against_a_later_pair(weights: WeightStore) -> None:
    with pipeline(weights) as made:
        made.run(pair())
        say(StagePlan("", (Demand("toy:0", 9 * GIB, GIB),)))  # what is free while the model is loaded
        larger = Panel(np.zeros((24, 32, 3), np.uint8), ())
        assert len(made.run(PanelPair(larger, larger))) == 5


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (None, "is NoneType; expected a StagePlan"),
        (StagePlan("two\nlines"), "summary that is no single line"),
        (StagePlan("", [Demand("cpu", 1)]), "no tuple of Demand"),  # type: ignore[arg-type]
        (StagePlan("", (("cpu", 1),)), "no tuple of Demand"),  # type: ignore[arg-type]
        (StagePlan("", (Demand("", 1),)), "no name"),
        (StagePlan("", (Demand("cpu", 1.5),)), r"need 1\.5 of cpu"),  # type: ignore[arg-type]
        (StagePlan("", (Demand("cpu", 1, -1),)), "have -1 of cpu"),
    ],
)
def test_a_plan_that_is_none(weights: WeightStore, said: Any, words: str) -> None:
    say(said)
    with pytest.raises(StageError, match=f"the plan of toys:between .*{words}"):
        pipeline(weights).plan(pair())
    assert plan_problem(StagePlan("", (Demand("cpu", 0, None),))) == ""


@pytest.mark.parametrize("error", [UsageError("odd"), InputError("torn")])
def test_what_a_plan_refuses_is_refused(weights: WeightStore, error: Exception) -> None:
    say(error)
    with pytest.raises(type(error), match=str(error)):
        pipeline(weights).plan(pair())


def test_a_plan_that_misses_its_weights_leaves_it_to_the_check(weights: WeightStore) -> None:
    say(MissingError("no file"))
    made = pipeline(weights, untrained=False)
    assert made.plan(pair())[0][0] == "plan"
    with pytest.raises(MissingError, match=r"model\.bin"):
        made.check(pair())


def test_needs_add_up_within_a_stage_and_over_the_program() -> None:
    own = Planned(None, "the program", StagePlan("", (Demand("cpu", 10, 100),)))
    one = Planned("inpainter", "one", StagePlan("", (Demand("cpu", 20, 90), Demand("cpu", 5, 95), Demand("x", 7))))
    two = Planned("interpolator", "two", StagePlan("", (Demand("cpu", 15),), "hint"))
    cpu, x = needs([own, one, two])
    assert (cpu.need, cpu.have, cpu.worst, cpu.fits) == (35, 90, one, True)
    assert (x.need, x.have, x.fits) == (7, None, True)
    assert needs([own, one, two], together=True)[0].need == 50
    assert needs([own])[0].worst is own
    refuse_too_much([cpu, x])
    with pytest.raises(ResourceError, match="the program needs"):
        refuse_too_much(needs([Planned(None, "the program", StagePlan("", (Demand("cpu", 10, 9),)))]))


def test_built_in_stages_account_for_themselves() -> None:
    made = Pipeline(recipe="quick", config=False, registry=Registry(), settings={"run": {"interpolator": "flow"}})
    (small,) = made.needs(pair())
    picture = Panel(np.zeros((1000, 1000, 3), np.uint8), ())
    (large,) = made.needs(PanelPair(picture, picture))
    assert small.device == "cpu"
    assert small.have is None or small.have > 0
    assert 150e6 < large.need - small.need < 250e6  # some 200 bytes a pixel
    huge = made.needs(PanelPair(picture, Panel(np.broadcast_to(np.uint8(0), (10**6, 10**6, 3)), ())))
    if memory().free is not None:
        with pytest.raises(ResourceError) as caught:
            refuse_too_much(huge)
        assert "--size" in caught.value.hints[0]


def test_bytes_in_words() -> None:
    assert [in_words(size) for size in (0, 5000, 380 * 2**20, int(10.6 * GIB))] == [
        "0 KiB", "5 KiB", "380 MiB", "10.6 GiB",
    ]  # fmt: skip
