"""``animegen train eisai`` on a few small triplets: what moves, what does not, that it learns, and that it goes on."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

pytest.importorskip("lpips")
pytest.importorskip("torchvision")

from animegen.errors import InputError, InterruptedRun, MissingError, UsageError
from animegen.imageio import write_image
from animegen.training.records import Order, TrainingResult, TrainingStep
from animegen_eisai import features
from animegen_eisai.checkpoint import read_flow
from animegen_eisai.data.manifest import TripletRow, write_manifest
from animegen_eisai.lines import nedt
from animegen_eisai.plugin import EisaiOptions
from animegen_eisai.stage import Eisai
from animegen_eisai.training import trainer as training
from animegen_eisai.training.learning import EisaiTask, Learning
from animegen_eisai.training.material import Triplet, find_triplets, material_digest
from animegen_eisai.training.memory import needed
from animegen_eisai.training.objective import Objective, halved, pyramid_difference
from animegen_eisai.training.options import EisaiTrainingOptions
from animegen_eisai.training.samples import Draw, Stream, hold_out
from animegen_eisai.training.trainer import BEST, LAST, EisaiTrainer
from animegen_testing.context import FakeContext
from animegen_torch.training.loop import derived_seed

Drawing = Callable[..., np.ndarray]
H, W = 128, 160
"""Of the triplets of `material`."""
OPTIONS = EisaiTrainingOptions(
    width=W,
    height=H,
    batch=2,
    accumulate=1,
    begin="scratch",
    workers=0,
    save_every=2,
    validate_every=2,
    held_out=0.25,
    learning_rate=3e-3,
)


@pytest.fixture(autouse=True)
def _small_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features see frames at a quarter of their usual size, so that a step takes a fraction of a second."""
    monkeypatch.setattr(features, "SHORT_SIDE", 64)


@pytest.fixture(scope="session")
def weights(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The published files with drawn parameters, AlexNet's among them (its convolutions alone)."""
    from torchvision.models import alexnet

    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = {name: one for name, one in alexnet().state_dict().items() if name.startswith("features.")}
    path = tmp_path_factory.mktemp("alexnet") / "alexnet-owt-7be5be79.pth"
    torch.save(state, path)
    return {**files, path.name: path}


def trainer(weights: Mapping[str, Path], options: EisaiTrainingOptions = OPTIONS) -> EisaiTrainer:
    return EisaiTrainer(options, FakeContext(weights=weights, dtype="float32"))


def run(
    made: EisaiTrainer, material: Path, out: Path, steps: int, *, resume: bool = False, tell: Any = None
) -> TrainingResult:
    out.mkdir(parents=True, exist_ok=True)
    return made(material, out, Order(steps, 5, resume), tell or (lambda step: None))


def task_of(made: EisaiTrainer, material: Path, seed: int = 5) -> EisaiTask:
    triplets, _ = find_triplets(material)
    order = Order(1, seed)
    module = made._module(triplets, order)
    return EisaiTask(module, Stream(triplets, made.options, seed), triplets, made.options, torch.device("cpu"))


def same(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_it_learns_and_what_is_frozen_stays_bit_for_bit(
    material: Path, weights: dict[str, Path], tmp_path: Path
) -> None:
    options = replace(OPTIONS, held_out=0.0, batch=1, validate_every=0, learning_rate=1.2e-2)
    before = task_of(trainer(weights, options), material)
    started = {name: one.clone() for name, one in before.module.state_dict().items()}
    result = run(trainer(weights, options), material, tmp_path, 8)
    assert result.files == (tmp_path / BEST, tmp_path / LAST)
    assert result.use == f"--interpolator eisai -o eisai.ssl_file={tmp_path / BEST} -o eisai.dtm_file={tmp_path / BEST}"
    after = load_file(str(tmp_path / LAST))
    assert started.keys() == after.keys()
    moved = {name for name in started if not torch.equal(started[name], after[name])}
    learns = {name for name, one in before.module.named_parameters() if one.requires_grad}
    statistics = {name for name, _ in before.module.named_buffers()}
    assert moved <= learns | statistics
    assert not {name for name in learns if started[name].ndim > 1} - moved
    frozen = {name for name in started if name.startswith("ssl.feature_extractor.")} - statistics
    assert len(frozen) > 60 and not frozen & moved
    assert {name for name in statistics if "feature_extractor" in name and "mean" in name} <= moved
    assert learns and all(not name.startswith("ssl.feature_extractor.") for name in learns)
    # The same frames without a mirror, before and after, in one mode of the batch norms.
    found = []
    batch = before.collate([one.read(H, W) for one in find_triplets(material)[0][:2]])
    for state in (started, after):
        before.module.load_state_dict(state)
        with torch.no_grad():
            found.append(before.module.train().losses(batch))
    assert float(found[1].total) < 0.8 * float(found[0].total)
    assert float(found[1].distances) < 0.8 * float(found[0].distances)
    assert float(found[1].lpips) < 0.8 * float(found[0].lpips)


def test_rfr_and_the_loss_do_not_move(
    drawing: Drawing, material: Path, weights: dict[str, Path], tmp_path: Path
) -> None:
    """RFR finds flows where there are none, and gives the loss that its flows, stored, would have given."""
    lean = tmp_path / "lean"
    rows = [replace(TripletRow("", (1, 2, 3), 0.0, 0, f"{n}", None, 0.1, 0.1), images=f"{n}") for n in range(2)]
    for row in rows:
        for k, slot in enumerate(row.frames):
            write_image(lean / row.images / f"{slot:06d}.png", drawing(30 + 8 * k, int(row.images)))
    write_manifest(lean, rows)
    options = replace(OPTIONS, iterations=1, validate_every=0, learning_rate=0.01)
    task = task_of(trainer(weights, options), lean)
    flow, objective = task.module._others
    assert flow is not None
    known = {name: one.clone() for name, one in flow.state_dict().items()}
    net = {name: one.clone() for name, one in objective._lpips._network.state_dict().items()}
    assert not any("fnet" in name or "lins" in name for name, _ in task.module.named_parameters())
    batch = task.collate([one.read(H, W) for one in find_triplets(lean)[0]])
    assert "flows" not in batch
    optimizer = torch.optim.SGD([one for one in task.module.parameters() if one.requires_grad], 0.01)
    task.module.train()
    loss = task.module(batch)
    loss.backward()
    optimizer.step()
    assert same(flow.state_dict(), known) and same(objective._lpips._network.state_dict(), net)
    assert all(one.grad is None for one in flow.parameters())
    # Stored as released, they are the same flows.
    network = read_flow(weights["eisai_anime_interp_full.ckpt"])
    for row in rows:
        images = Triplet("", tuple(lean / row.images / f"{k:06d}.png" for k in (1, 2, 3))).read(H, W)["images"] / 255
        to_last, to_first = network.both_ways(images[:1], images[2:], iterations=1)
        torch.save(torch.stack((to_first[0], to_last[0])).flip(1), lean / f"{row.images}.pt")
    write_manifest(lean, [replace(row, flows=f"{row.images}.pt") for row in rows])
    again = task_of(trainer(weights, options), lean)
    again.module.train()
    stored = again.collate([one.read(H, W) for one in find_triplets(lean)[0]])
    torch.testing.assert_close(again.module(stored), loss.detach(), atol=1e-4, rtol=1e-4)


def test_stopped_and_taken_up_gives_the_same_files(material: Path, weights: dict[str, Path], tmp_path: Path) -> None:
    options = replace(OPTIONS, batch=1, validate_every=1, patience=0, perceptual=0.5)
    whole = run(trainer(weights, options), material, tmp_path / "whole", 4)

    def stop(step: TrainingStep) -> None:
        if step.step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(InterruptedRun):
        run(trainer(weights, options), material, tmp_path / "cut", 4, tell=stop)
    again = run(trainer(weights, options), material, tmp_path / "cut", 4, resume=True)
    for one, other in zip(whole.files, again.files, strict=True):
        assert one.read_bytes() == other.read_bytes()
    table = (tmp_path / "whole" / "validation.csv").read_text()
    assert table == (tmp_path / "cut" / "validation.csv").read_text()
    assert table.startswith("step,loss,lpips,distances,learning_rate") and table.count("\n") == 5
    best = min((float(line.split(",")[2]), int(line.split(",")[0])) for line in table.splitlines()[1:])[1]
    assert whole.facts == {"best step": best} == again.facts


@pytest.mark.slow
def test_what_was_learnt_is_what_the_stage_draws_with(
    drawing: Drawing, material: Path, weights: dict[str, Path], tmp_path: Path, files: dict[str, Path]
) -> None:
    options = replace(OPTIONS, begin="published", ssl_file=str(files["eisai_ssl.pt"]), validate_every=0, perceptual=0.0)
    result = run(trainer(weights, options), material, tmp_path, 1)
    path = str(result.files[0])
    frames = []
    for ssl, dtm in ((None, None), (path, path)):
        stage = Eisai(
            EisaiOptions(size="own", iterations=1, ssl_file=ssl, dtm_file=dtm),
            FakeContext(weights=files, dtype="float32"),
        )
        frames.append(stage(drawing(30, 0), drawing(46, 0), [0.5]))
    assert frames[0].shape == frames[1].shape == (1, H, W, 3)
    assert not np.array_equal(frames[0], frames[1])
    with torch.no_grad():
        state = load_file(path)
    assert json.loads(_metadata(path)["trained"]) == {"steps": 1, "begin": "published"}
    assert {name.partition(".")[0] for name in state} == {"ssl", "dtm"}


def _metadata(path: str) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return dict(file.metadata())


def test_statistics_stay_where_that_is_wanted(material: Path, weights: dict[str, Path]) -> None:
    task = task_of(trainer(weights, replace(OPTIONS, statistics=False, perceptual=0.0)), material)
    before = {name: one.clone() for name, one in task.module.named_buffers()}
    task.module.train()
    task.module(task.collate([task.sample(0)])).backward()
    assert same(before, dict(task.module.named_buffers()))
    assert not set(before) & set(task.names)


def test_checkpointing_changes_neither_gradients_nor_statistics(material: Path, weights: dict[str, Path]) -> None:
    found = []
    for checkpointing in (False, True):
        options = replace(OPTIONS, checkpointing=checkpointing, perceptual=0.0)
        task = task_of(trainer(weights, options), material)
        task.module.train()
        loss = task.module(task.collate([task.sample(0), task.sample(1)]))
        loss.backward()
        gradients = {name: one.grad for name, one in task.module.named_parameters() if one.grad is not None}
        found.append((loss.detach(), gradients, {name: one.clone() for name, one in task.module.named_buffers()}))
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][1].keys() == found[1][1].keys() and len(found[0][1]) > 100
    for name, gradient in found[0][1].items():
        torch.testing.assert_close(found[1][1][name], gradient, msg=name)
    assert same(found[0][2], found[1][2])
    assert needed(replace(OPTIONS, checkpointing=True), torch.float32) < needed(OPTIONS, torch.float32)


def test_a_mirror_and_time_backwards_keep_pictures_and_flows_together(material: Path) -> None:
    triplet = find_triplets(material)[0][0]
    plain = Draw(triplet, False, False).read(H, W)
    assert plain["images"].shape == (3, 3, H, W) and plain["flows"].shape == (2, 2, H, W)
    # (dx, dy), to the first frame and to the last: the box moves to the right.
    assert plain["flows"][0, 0].min() == -16 and plain["flows"][1, 0].max() == 16 and not plain["flows"][:, 1].any()
    mirrored = Draw(triplet, True, False).read(H, W)
    assert torch.equal(mirrored["images"], plain["images"].flip(3))
    assert mirrored["flows"][1, 0].min() == -16  # now to the left
    back = Draw(triplet, False, True).read(H, W)
    assert torch.equal(back["images"], plain["images"].flip(0))
    assert torch.equal(back["flows"][0], plain["flows"][1])
    for one in (plain, mirrored, back, Draw(triplet, True, True).read(H, W)):
        assert _lands(one["images"][0], one["images"][2], one["flows"][1])
        assert _lands(one["images"][2], one["images"][0], one["flows"][0])


def _lands(source: Tensor, target: Tensor, flow: Tensor) -> bool:
    """Whether moving pixels lead to the colour that they have."""
    y, x = torch.nonzero(flow[0] != 0, as_tuple=True)
    there = target[:, y + flow[1, y, x].long(), x + flow[0, y, x].long()]
    return bool(len(y)) and torch.equal(source[:, y, x], there)


def test_flows_are_brought_to_another_size(material: Path) -> None:
    half = find_triplets(material)[0][0].read(H // 2, W // 4)
    assert half["images"].shape == (3, 3, H // 2, W // 4) and half["flows"].shape == (2, 2, H // 2, W // 4)
    assert half["flows"][1, 0].max() == 4


def test_every_triplet_comes_once_a_round_and_half_of_them_mirrored() -> None:
    triplets = [Triplet(str(n), (Path(), Path(), Path())) for n in range(10)]
    stream = Stream(triplets, OPTIONS, 1)
    draws = [stream.draw(number) for number in range(400)]
    for start in range(0, 400, 10):
        assert {one.triplet.name for one in draws[start : start + 10]} == {str(n) for n in range(10)}
    assert draws == [Stream(triplets, OPTIONS, 1).draw(number) for number in range(400)]
    assert [one.triplet for one in draws[:10]] != [one.triplet for one in draws[10:20]]
    assert 150 < sum(one.mirrored for one in draws) < 250 and 150 < sum(one.reversed for one in draws) < 250
    assert 60 < sum(one.mirrored and one.reversed for one in draws) < 140
    none = Stream(triplets, replace(OPTIONS, mirror=0.0, reverse=1.0), 1)
    assert not any(none.draw(n).mirrored for n in range(50)) and all(none.draw(n).reversed for n in range(50))
    learns, held = hold_out(triplets, 0.25, 1)
    assert len(held) == 2 and len(learns) == 8 and not set(learns) & set(held)
    assert hold_out(triplets, 0.0, 1) == (triplets, triplets) and hold_out(triplets[:1], 0.5, 1)[0] == triplets[:1]
    assert derived_seed(1, 3) != derived_seed(2, 3)


def test_the_pyramid_is_what_its_formula_says() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand((2, 1, 24, 32), generator=generator), torch.rand((2, 1, 24, 32), generator=generator)
    kernel = np.outer(*[np.array((1, 4, 6, 4, 1)) / 16] * 2)

    def down(image: np.ndarray) -> np.ndarray:
        wide = np.pad(image, 2, mode="reflect")
        height, width = image.shape
        blurred = sum(kernel[i, j] * wide[i : i + height, j : j + width] for i in range(5) for j in range(5))
        return np.asarray(blurred).reshape(height // 2, 2, width // 2, 2).mean((1, 3))

    for index in range(2):
        one, other, levels = a[index, 0].double().numpy(), b[index, 0].double().numpy(), []
        for level in range(3):
            if level:
                one, other = down(one), down(other)
            levels.append(np.abs(one - other).mean())
        assert float(pyramid_difference(a, b)[index]) == pytest.approx(np.mean(levels), rel=1e-5)
    assert halved(torch.ones(1, 1, 16, 24)).shape == (1, 1, 8, 12)


def test_the_loss_is_weighted_as_it_is_told(drawing: Drawing) -> None:
    class Fixed:
        def features(self, pictures: Tensor) -> list[Tensor]:
            assert float(pictures.min()) >= 0 and float(pictures.max()) <= 1  # as they are, not in [-1, 1]
            return [pictures]

        def distance(self, one: list[Tensor], other: list[Tensor]) -> Tensor:
            return (one[0] - other[0]).abs().mean((1, 2, 3))

    truth = torch.from_numpy(drawing(40, 0)).permute(2, 0, 1)[None] / 255
    drawn = (truth * 0.9).clone()
    found = Objective(Fixed(), 30.0, 5.0)(drawn, nedt(truth) * 0 + 0.5, truth)  # type: ignore[arg-type]
    assert float(found.lpips) == pytest.approx(float(truth.mean()) * 0.1, rel=1e-4)
    wanted = pyramid_difference(torch.full_like(nedt(truth), 0.5), nedt(truth)).mean()
    assert float(found.distances) == pytest.approx(float(wanted))
    assert float(found.total) == pytest.approx(30 * float(found.lpips) + 5 * float(found.distances), rel=1e-6)
    assert float(nedt(truth).min()) == 0.0  # there are lines
    assert float(Objective(None, 0.0, 5.0)(drawn, nedt(truth), truth).total) == 0.0


@pytest.mark.parametrize("root", ["train_10k", "."])
def test_the_layout_of_atd_12k(drawing: Drawing, root: str, tmp_path: Path) -> None:
    for name, suffix in (("Disney_one", "jpg"), ("Japan_two", "png")):
        for k in range(3):
            write_image(tmp_path / root / name / f"frame{k + 1}.{suffix}", drawing(30 + 8 * k, k))
    (tmp_path / root / "Disney_broken").mkdir()
    found, odd = find_triplets(tmp_path)
    assert [one.name for one in found] == ["Disney_one", "Japan_two"] and found[0].flows is None
    assert [path.name for path in found[1].images] == ["frame1.png", "frame2.png", "frame3.png"]
    assert odd == ["1 folders are left out, which lack frame1, frame2 or frame3"]


def test_the_released_layout_takes_what_has_both(drawing: Drawing, tmp_path: Path, material: Path) -> None:
    find = find_triplets(material / "clip")
    assert len(find[0]) == 4 and find[0][0].flows is not None and not find[1]
    for name in ("000001-000002-000003", "odd"):
        write_image(tmp_path / "images" / name / "000001.png", drawing(0, 0))
    with pytest.raises(InputError, match="has all its files"):
        find_triplets(tmp_path)


def test_material_that_cannot_be_used_is_told(tmp_path: Path, material: Path, weights: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="is no folder of triplets"):
        find_triplets(tmp_path / "absent")
    with pytest.raises(InputError, match="holds no triplets") as raised:
        find_triplets(tmp_path)
    assert any("animegen data rrld" in hint for hint in raised.value.hints)
    (tmp_path / "triplets.jsonl").write_text('{"frames": [1, 2]}\n')
    with pytest.raises(InputError, match="line 1 of"):
        find_triplets(tmp_path)
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"no tensor")
    with pytest.raises(InputError, match="holds no flows"):
        replace(find_triplets(material)[0][0], flows=broken).read(H, W)
    torch.save(torch.zeros(3), broken)
    with pytest.raises(InputError, match=r"holds no flows: it is \(3,\)"):
        replace(find_triplets(material)[0][0], flows=broken).read(H, W)
    digest = material_digest(find_triplets(material)[0])
    assert digest == material_digest(find_triplets(material)[0]) != material_digest(find_triplets(material)[0][:3])


def test_the_plan_says_what_would_be_done(
    drawing: Drawing, material: Path, weights: dict[str, Path], tmp_path: Path
) -> None:
    plan = trainer(weights).plan(material, Order(10, 5))
    assert plan.summary == "scratch: 1.28 M of 2.72 M parameters learn"
    assert plan.material == "4 triplets, 4 with flows" and len(plan.digest) == 64
    assert plan.lines == (("how", "160x128, batch 2; float32 on cpu; validated on 1"),)
    assert plan.facts["triplets"] == {"learnt from": 3, "validated on": 1}
    usual = trainer(weights, EisaiTrainingOptions()).plan(material, Order(10, 5))
    assert 11 * 2**30 < usual.demands[0].need < 13 * 2**30
    assert usual.hint == "-o trainer.batch=2 -o trainer.accumulate=16"
    for k in range(3):
        write_image(tmp_path / "one" / f"frame{k + 1}.png", drawing(30, 0))
    lean = {name: path for name, path in weights.items() if "anime_interp" not in name}
    with pytest.raises(MissingError, match="1 triplets have no flows, and RFR is not here"):
        trainer(lean).plan(tmp_path, Order(10, 5))
    assert trainer(weights).plan(tmp_path, Order(10, 5)).facts["flows"] == {"stored": 0, "found on the way": 1}
    with pytest.raises(UsageError, match="which RFR finds in frames of 128 pixels or more"):
        trainer(weights, replace(OPTIONS, height=64)).plan(tmp_path, Order(10, 5))


def test_without_the_lpips_package_it_says_what_to_type(
    weights: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "is_installed", lambda name: name != "lpips")
    with pytest.raises(MissingError, match="lpips package") as raised:
        trainer(weights)
    assert raised.value.hints[0] == "python -m pip install 'animegen-eisai[train]'"
    trainer(weights, replace(OPTIONS, perceptual=0.0))
    with pytest.raises(UsageError, match="nothing to learn"):
        replace(OPTIONS, perceptual=0.0, distance=0.0)


@pytest.mark.slow
def test_half_precision_gives_nearly_the_same_loss(material: Path, weights: dict[str, Path]) -> None:
    task = task_of(trainer(weights), material)
    task.module.train()
    batch = task.collate([task.sample(0), task.sample(1)])
    with torch.no_grad():
        full = task.module(batch)
        with torch.autocast("cpu", torch.bfloat16):
            half = task.module(batch)
    assert torch.isfinite(half) and float(half) == pytest.approx(float(full), rel=0.05)


def test_module_is_a_learning(material: Path, weights: dict[str, Path]) -> None:
    module = task_of(trainer(weights), material).module
    assert isinstance(module, Learning)
    assert sum(one.numel() for one in module.parameters() if one.requires_grad) == 85_472 + 1_056_128 + 124_723 + 10_567
