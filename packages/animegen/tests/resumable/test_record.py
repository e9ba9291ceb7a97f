"""The record of long work: what is in it, how it ends, and what must be the same for it to be gone on with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from animegen import DatasetSpec, TrainerSpec, hookimpl, option
from animegen.datasets.making import DataRecord
from animegen.datasets.options import DATA
from animegen.datasets.records import DataPlan, DataResult
from animegen.errors import InputError, InterruptedRun, ResourceError, UsageError
from animegen.pipeline.record import Status, ending_kept
from animegen.registry import Registry
from animegen.resumable.folder import alone
from animegen.resumable.record import WorkRecord, differences, identity, read_record, recorded
from animegen.resumable.settings import WorkKind, WorkSettings, resolve_work
from animegen.settings.layers import ConfigLayer
from animegen.training.options import TRAIN
from animegen.training.records import TrainingPlan, TrainingResult
from animegen.training.training import TrainingRecord

SHARED = {
    *("version", "identity", "material", "options", "weights", "facts", "outputs", "use", "status", "error"),
    *("warnings", "seconds", "argv", "created", "environment", "command", "schema_version"),
}


@dataclass(frozen=True)
class Options:
    size: int = option(3, "How large.")
    pause: float = option(0.0, "How slow.")
    start: str | None = option(None, "What to begin with.", file=True)


class Plugin:
    """A maker and a trainer with the same name, as a model's often have."""

    @staticmethod
    @hookimpl
    def animegen_datasets() -> list[DatasetSpec]:
        return [DatasetSpec("toy", "m:Maker", "Makes.", options=Options, changeable=("pause",))]

    @staticmethod
    @hookimpl
    def animegen_trainers() -> list[TrainerSpec]:
        return [TrainerSpec("toy", "m:Trainer", "Trains.", options=Options, changeable=("pause",))]


def settings_of(kind: WorkKind[Any], **tables: dict[str, object]) -> WorkSettings[Any]:
    return resolve_work(kind, Registry([("acme", Plugin())]), "toy", [ConfigLayer("test", tables)])


def record_of(kind: WorkKind[Any]) -> WorkRecord:
    settings = settings_of(kind)
    plan: TrainingPlan | DataPlan = DataPlan("s", "m") if kind is DATA else TrainingPlan("s", "m", "d")
    made = DataRecord if kind is DATA else TrainingRecord
    return made.of(settings, plan, identity(settings, {}), {}, {"seconds": 2.0})


def test_options_come_from_the_table_of_the_kind_and_from_what_was_typed_by_name() -> None:
    layers = [ConfigLayer("file", {"toy": {"size": 9}, "dataset": {"size": 4}, "data": {"jobs": 2}})]
    registry = Registry([("acme", Plugin())])
    settings = resolve_work(DATA, registry, "toy", [*layers, ConfigLayer("typed", {"toy": {"pause": 1.5}})])
    assert settings.options.values == Options(4, 1.5)  # [toy] of a file speaks of the stage of a run
    assert (settings.values.jobs, settings.own.sources["jobs"]) == (2, "file")
    with pytest.raises(UsageError, match="neither"):
        resolve_work(TRAIN, registry, "toy", [ConfigLayer("file", {"toys": {}})])


def test_devices_are_named_one_by_one() -> None:
    assert settings_of(DATA).devices == ("auto",)
    assert settings_of(TRAIN, train={"device": "cuda:0, cuda:1"}).devices == ("cuda:0", "cuda:1")


def test_a_document_has_the_words_of_its_command() -> None:
    data, train = (json.loads(record_of(kind).to_json()) for kind in (DATA, TRAIN))
    assert data.keys() == SHARED | {"dataset", "data", "summary"}
    assert train.keys() == SHARED | {"trainer", "train", "step", "loss"}
    assert (data["dataset"], data["command"], train["trainer"], train["command"]) == (
        *("acme:toy", "data"),
        *("acme:toy", "train"),
    )
    assert data["data"]["jobs"] == {"value": 1, "source": "default"} and train["step"] == 0 and train["loss"] is None


def test_what_decides_the_result_is_its_identity(tmp_path: Path) -> None:
    (tmp_path / "start").write_text("a")
    tables = {"toy": {"start": str(tmp_path / "start"), "pause": 2.0}}
    data, train = settings_of(DATA, **tables), settings_of(TRAIN, **tables)
    assert list(identity(data, {"w": "1"})) == ["dataset", "option size", "files", "dtype", "weights"]
    now = identity(train, {"w": "1"}, {"material": "x"})
    assert list(now) == ["trainer", "option size", "files", "seed", "dtype", "material", "weights"]
    assert differences(now, now) == ""
    (tmp_path / "start").write_text("b")
    other = identity(settings_of(TRAIN, train={"seed": 5}, **tables), {"w": "1"}, {"material": "y"})
    assert differences(now, other) == "the files changed; seed was 123 and is 5; the material changed"


def test_the_end_is_kept(tmp_path: Path) -> None:
    record = record_of(DATA)
    with recorded(record, tmp_path, "stopped."):
        begun = read_record(DATA, tmp_path)
        record.finish(DataResult((tmp_path / "deep" / "a.txt",), "1 line", use="it"), tmp_path, ["odd", "odd"])
    document = read_record(DATA, tmp_path)
    assert begun and document and (begun["status"], document["status"]) == ("running", "done")
    assert document["outputs"] == ["deep/a.txt"] and document["use"] == "it" and document["seconds"] >= 2.0
    assert read_record(TRAIN, tmp_path) is None


def test_only_the_first_of_several_processes_writes(tmp_path: Path) -> None:
    record = record_of(TRAIN)
    with recorded(record, tmp_path, "stopped.", written=False):
        record.finish(TrainingResult((), 3), tmp_path, [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("raised", "hint", "status", "error", "said", "hints"),
    [
        (KeyboardInterrupt(), "", "interrupted", "stopped by the user", "stopped.", ()),
        (KeyboardInterrupt(), "again", "interrupted", "stopped by the user", "stopped.", ("again",)),
        (InterruptedRun("after 3", hint="go on"), "", "interrupted", "after 3", "after 3", ("go on",)),
        (ResourceError("full", hint="rm"), "again", "failed", "full", "full", ("rm",)),
    ],
)
def test_whatever_ends_it_is_recorded(
    raised: BaseException, hint: str, status: Status, error: str, said: str, hints: tuple[str, ...], tmp_path: Path
) -> None:
    record = record_of(DATA)
    with (
        pytest.raises((InterruptedRun, ResourceError), match=said) as found,
        recorded(record, tmp_path, "stopped.", hint),
    ):
        raise raised
    assert found.value.hints == hints
    document = read_record(DATA, tmp_path)
    assert document and (document["status"], document["error"]) == (status, error)


def test_a_record_that_cannot_be_written_hides_no_error() -> None:
    def save() -> None:
        raise ResourceError("the disk is full")

    with pytest.raises(InputError, match="broken"), ending_kept(record_of(DATA), save, "stopped."):
        raise InputError("broken")


def test_a_document_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text('{"schema_version": 7}')
    with pytest.raises(InputError, match="has schema version 7; this animegen reads 1"):
        read_record(TRAIN, tmp_path)
    (tmp_path / "train.json").write_text("[]")
    with pytest.raises(InputError, match="schema version None"):
        read_record(TRAIN, tmp_path)


def test_one_works_on_a_folder_at_a_time(tmp_path: Path) -> None:
    folder, busy = tmp_path / "deep" / "made", UsageError("busy")
    with alone(folder, busy), pytest.raises(UsageError, match="busy"), alone(folder, busy):
        pass
    with alone(folder, busy, lock=tmp_path / "beside.lock"), alone(folder, busy):
        assert folder.is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot be written"), alone(tmp_path / "file" / "x", busy):
        pass
