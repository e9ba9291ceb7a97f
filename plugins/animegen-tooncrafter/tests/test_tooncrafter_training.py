"""Toon rectification on a tiny model: what moves, what does not, that it learns, and that its file is used."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from animegen.errors import InputError, InterruptedRun, UsageError
from animegen.training.records import Order, TrainingResult, TrainingStep
from animegen.video import write_video
from animegen_testing.context import FakeContext
from animegen_tooncrafter.checkpoint import inspect, part_of
from animegen_tooncrafter.diffusion import objective
from animegen_tooncrafter.training import options as declared
from animegen_tooncrafter.training.encoders import Encoders
from animegen_tooncrafter.training.memory import account
from animegen_tooncrafter.training.options import RectificationOptions
from animegen_tooncrafter.training.rectification import Rectification, RectificationTask
from animegen_tooncrafter.training.trainer import MODEL, ToonCrafterTrainer

UNET, PROJECTOR = "model.diffusion_model.", "image_proj_model."
TEMPORAL = ("temopral_conv", "init_attn", ".2.norm", ".2.proj", ".2.transformer")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips of a bright square over noise, with captions."""
    folder = tmp_path_factory.mktemp("material")
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 90, (16, 20, 3))
        paper = np.kron(noise, np.ones((5, 5, 1))).astype(np.uint8)
        frames = []
        for index in range(24):
            frame = paper.copy()
            frame[30:50, 2 * index : 2 * index + 20] = (255, 220 - 60 * number, 80 * number)
            frames.append(frame)
        write_video(folder / f"{number}.mkv", iter(frames), fps=Fraction(24))
        (folder / f"{number}.txt").write_text(f"square {number}", "utf-8")
    return folder


@pytest.fixture
def options(tiny_file: Path) -> RectificationOptions:
    return RectificationOptions(
        file=str(tiny_file),
        width=64,
        height=64,
        learning_rate=1e-3,
        most_stride=1,
        save_every=2,
        workers=0,
        clip=1.0,
        checkpointing=False,
    )


def trainer(options: RectificationOptions, dtype: str = "float32") -> ToonCrafterTrainer:
    return ToonCrafterTrainer(options, FakeContext(dtype=dtype))


def run(
    options: RectificationOptions, material: Path, out: Path, steps: int, *, resume: bool = False, tell: Any = None
) -> TrainingResult:
    out.mkdir(parents=True, exist_ok=True)
    return trainer(options)(material, out, Order(steps, 5, resume), tell or (lambda step: None))


def is_temporal(name: str) -> bool:
    return name.startswith(UNET) and any(part in name for part in TEMPORAL)


def same(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("variant", ["rectify", "II", "bypass", "projector"])
def test_what_is_frozen_stays_bit_for_bit_and_what_learns_moves(
    variant: str, options: RectificationOptions, material: Path, tmp_path: Path, tiny_file: Path
) -> None:
    result = run(replace(options, variant=variant), material, tmp_path, 2)
    before, after = load_file(str(tiny_file)), load_file(str(result.files[0]))
    assert before.keys() == after.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    spatial = {name for name in before if name.startswith(UNET) and not is_temporal(name)}
    learns = {
        "rectify": lambda name: name in spatial or name.startswith(PROJECTOR),
        "II": lambda name: name.startswith((UNET, PROJECTOR)),
        "bypass": lambda name: name in spatial or name.startswith(PROJECTOR),
        "projector": lambda name: name.startswith(PROJECTOR),
    }[variant]
    wanted = {name for name in before if learns(name)}
    assert moved <= wanted
    # One frame after the other and norms over one channel each: a bias before such a norm has no effect at this size.
    assert not {name for name in wanted - moved if before[name].ndim > 1}
    assert moved & {name for name in wanted if name.startswith(PROJECTOR)}


@pytest.mark.slow
def test_the_file_is_loaded_and_draws_another_clip(
    options: RectificationOptions, material: Path, tmp_path: Path, tiny_file: Path
) -> None:
    from animegen_tooncrafter.plugin import ToonCrafterOptions
    from animegen_tooncrafter.stage import ToonCrafter

    result = run(replace(options, ema=0.5), material, tmp_path, 3)
    assert result.use == f"--interpolator tooncrafter -o tooncrafter.file={result.files[0]}"
    assert inspect(result.files[0]).missing == ()
    trained = json.loads(inspect(result.files[0]).parts["unet"].file.metadata["trained"])
    assert trained == {"variant": "rectify", "steps": 3, "average": True}
    first, last = np.zeros((2, 64, 64, 3), np.uint8)
    last[16:48, 16:48] = 255
    clips = []
    for file in (tiny_file, result.files[0]):
        stage = ToonCrafter(ToonCrafterOptions(file=str(file), steps=2), FakeContext(dtype="float32"))
        clips.append(stage(first, last, [index / 15 for index in range(16)], prompt="square", seed=1))
    assert clips[0].shape == clips[1].shape == (16, 64, 64, 3)
    assert not np.array_equal(clips[0], clips[1])


@pytest.mark.slow
def test_the_average_is_what_is_written(options: RectificationOptions, material: Path, tmp_path: Path) -> None:
    plain = run(options, material, tmp_path / "plain", 3)
    averaged = run(replace(options, ema=0.9), material, tmp_path / "averaged", 3)
    name = f"{PROJECTOR}proj_in.weight"
    kept = load_file(str(tmp_path / "averaged" / "saves" / "00000003" / "average.safetensors"))
    trained = load_file(str(tmp_path / "averaged" / "saves" / "00000003" / "trained.safetensors"))
    assert torch.equal(load_file(str(averaged.files[0]))[name], kept[name])
    assert torch.equal(load_file(str(plain.files[0]))[name], trained[name])
    assert not torch.equal(kept[name], trained[name])


def test_the_loss_on_a_small_set_falls(options: RectificationOptions, material: Path, tmp_path: Path) -> None:
    """The loss of a step depends on its timestep, so the same samples are measured before and after."""
    options = replace(options, drop=0.0, learning_rate=3e-3, windows=1)
    result = run(options, material, tmp_path, 24)
    before = mean_loss(options, material, tmp_path / "a")
    after = mean_loss(replace(options, file=str(result.files[0])), material, tmp_path / "b")
    assert after < 0.8 * before


@torch.no_grad()
def mean_loss(options: RectificationOptions, material: Path, out: Path, samples: int = 8) -> float:
    task = task_of(options, material, out)
    task.module.eval()
    numbers = range(1000, 1000 + samples)  # noise and timesteps that no step of the training saw
    return sum(float(task.module(task.collate([task.sample(number)]))) for number in numbers) / samples


def task_of(options: RectificationOptions, material: Path, out: Path) -> RectificationTask:
    made = trainer(options)
    clips, _ = made._found(material)
    return made._task(made._looked_into(), clips, Order(1, 5), out)


@pytest.mark.data
@pytest.mark.slow
def test_the_loss_on_real_clips_falls(options: RectificationOptions, real_data: Path, tmp_path: Path) -> None:
    material = tmp_path / "clips"
    material.mkdir()
    for path in sorted((real_data / "clips").glob("*.mp4")):
        (material / path.name).symlink_to(path)
    (material / "synfig_eye_look").symlink_to(real_data / "clips" / "synfig_eye_look")
    options = replace(options, drop=0.0, learning_rate=3e-3, windows=1, most_stride=3)
    plan = trainer(options).plan(material, Order(40, 5))
    assert plan.material.startswith("5 clips, ")  # one of the six is too short
    result = run(options, material, tmp_path / "out", 60)
    before = mean_loss(options, material, tmp_path / "a")
    after = mean_loss(replace(options, file=str(result.files[0])), material, tmp_path / "b")
    assert after < 0.9 * before


def test_stopped_and_taken_up_gives_the_same_file(
    options: RectificationOptions, material: Path, tmp_path: Path
) -> None:
    """Dropout, condition dropout, noise, windows and moments of the optimiser: all as if nothing had happened."""
    whole = run(options, material, tmp_path / "whole", 5)

    def stop(step: TrainingStep) -> None:
        if step.step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(InterruptedRun, match="after step 3 of 5"):
        run(options, material, tmp_path / "cut", 5, tell=stop)
    again = run(options, material, tmp_path / "cut", 5, resume=True)
    assert whole.files[0].read_bytes() == again.files[0].read_bytes()
    assert again.step == 5


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from animegen.training.records import Order
from animegen_testing.context import FakeContext
from animegen_tooncrafter.training.options import RectificationOptions
from animegen_tooncrafter.training.trainer import ToonCrafterTrainer
file, material, out = sys.argv[1:]
options = RectificationOptions(
    file=file, width=64, height=64, learning_rate=1e-3, most_stride=1, save_every=2, workers=0, clip=1.0
)
def tell(step):
    if step.step == 3:
        os.kill(os.getpid(), signal.SIGKILL)
Path(out).mkdir()
ToonCrafterTrainer(options, FakeContext(dtype="float32"))(Path(material), Path(out), Order(5, 5), tell)
"""


@pytest.mark.slow
def test_killed_and_taken_up_gives_the_same_file(
    options: RectificationOptions, material: Path, tmp_path: Path, tiny_file: Path
) -> None:
    command = [sys.executable, "-c", KILLED, str(tiny_file), str(material), str(tmp_path / "cut")]
    killed = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    told: list[TrainingStep] = []
    again = run(options, material, tmp_path / "cut", 5, resume=True, tell=told.append)
    assert told[0].step == 3
    whole = run(options, material, tmp_path / "whole", 5)
    assert whole.files[0].read_bytes() == again.files[0].read_bytes()


def gradients(options: RectificationOptions, material: Path, out: Path) -> dict[str, Tensor]:
    task = task_of(options, material, out)
    task.module.train()
    torch.manual_seed(0)  # dropout: checkpointing draws it again as it was
    task.module(task.collate([task.sample(0), task.sample(1)])).backward()
    return {name: one.grad for name, one in task.module.named_parameters() if one.grad is not None}


def test_checkpointing_gives_equal_gradients(options: RectificationOptions, material: Path, tmp_path: Path) -> None:
    plain = gradients(replace(options, checkpointing=False), material, tmp_path)
    saving = gradients(replace(options, checkpointing=True), material, tmp_path)
    assert same(plain, saving) and len(plain) > 100
    assert not [name for name in plain if is_temporal(name.replace("unet.", UNET))]


def test_two_batches_added_up_equal_one_of_both(options: RectificationOptions, material: Path, tmp_path: Path) -> None:
    """Without dropout within the network; what samples lose and their noise are their own."""
    results = []
    for batch, accumulate in ((2, 1), (1, 2)):
        each = replace(options, batch=batch, accumulate=accumulate)
        task = task_of(each, material, tmp_path / f"{batch}")
        for module in task.module.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        task.module.train()
        for number in range(0, 2, batch):
            part = task.collate([task.sample(index) for index in range(number, number + batch)])
            (task.module(part) / accumulate).backward()
        results.append({name: one.grad for name, one in task.module.named_parameters() if one.grad is not None})
    for name, gradient in results[0].items():
        torch.testing.assert_close(results[1][name], gradient, atol=2e-6, rtol=1e-3)


def test_the_loss_is_that_of_the_objective(options: RectificationOptions, material: Path, tmp_path: Path) -> None:
    """By hand from the parts: whole-clip encoding, concatenation, both towers, the projector."""
    task = task_of(replace(options, drop=0.0), material, tmp_path)
    task.module.eval()
    one = task.sample(4)
    with torch.no_grad():
        given = float(task.module(task.collate([one])))
    checkpoint = inspect(Path(str(options.file)))
    parts: dict[str, Any] = {
        part: part_of(checkpoint, part) for part in ("text", "image", "first_stage", "projector", "unet")
    }
    frames = one["pixels"].float() / 255 * 2 - 1
    draws = torch.randn((2, 16, 4, 8, 8), generator=torch.Generator().manual_seed(one["seed"]))
    with torch.no_grad():
        posterior, _ = parts["first_stage"].encode(frames)
        latents = (0.18215 * posterior.sample(draws[0])).transpose(0, 1)[None]
        tokens = torch.cat((parts["text"]([one["text"]]), parts["projector"](parts["image"](frames[:1]))), 1)
        ends = torch.zeros_like(latents)
        ends[:, :, [0, -1]] = latents[:, :, [0, -1]]
        times = torch.tensor([one["timestep"]])
        noise = draws[1].transpose(0, 1)[None]
        batch = objective.example(checkpoint.schedule()[0], latents, noise, times)
        expected = objective.loss(parts["unet"], batch, ends, tokens, torch.tensor([one["fps"]]))
    assert given == pytest.approx(float(expected), rel=1e-4)


def test_what_a_sample_loses(options: RectificationOptions, material: Path, tmp_path: Path) -> None:
    task = task_of(replace(options, drop=0.05), material, tmp_path)
    task.module.eval()
    sample = task.sample(4)

    def loss(uniform: float, **changed: Any) -> float:
        return float(task.module(task.collate([{**sample, **changed, "uniform": uniform}])))

    with torch.no_grad():
        assert loss(0.5) == loss(0.99) != loss(0.01) != loss(0.12) != loss(0.07)
        assert loss(0.01) == loss(0.5, text="")  # the text alone
        grey = torch.full_like(sample["pixels"], 0)
        assert loss(0.12) != loss(0.5, pixels=grey)  # only what the tower sees is dropped, never the keyframes


@pytest.mark.slow
def test_windows_are_encoded_once(
    options: RectificationOptions, material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(options, windows=2)
    drawn = run(replace(options, windows=2), material, tmp_path / "a", 7)
    files = sorted((tmp_path / "a" / "encoded").iterdir())
    assert len(files) == 7  # two windows of three clips, and what stands for nothing
    task = task_of(options, material, tmp_path / "a")
    assert task.sample(11)["pixels"] is None

    def never(*_: object) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr(Encoders, "_all", never)
    again = run(options, material, tmp_path / "a", 7)
    assert drawn.files[0].read_bytes() == again.files[0].read_bytes()


@pytest.mark.slow
def test_half_precision_keeps_what_learns_in_float32(
    options: RectificationOptions, material: Path, tmp_path: Path
) -> None:
    made = trainer(options, "bfloat16")
    clips, _ = made._found(material)
    task = made._task(made._looked_into(), clips, Order(1, 5), tmp_path)
    types = {(parameter.requires_grad, parameter.ndim > 1): parameter.dtype for parameter in task.module.parameters()}
    assert types == {
        (True, True): torch.float32,
        (True, False): torch.float32,
        (False, True): torch.bfloat16,
        (False, False): torch.float32,
    }
    told: list[TrainingStep] = []
    result = made(material, tmp_path, Order(2, 5), told.append)
    full: list[TrainingStep] = []
    run(options, material, tmp_path / "full", 2, tell=full.append)
    assert [step.loss for step in told] == pytest.approx([step.loss for step in full], rel=0.03)
    assert told[0].loss != full[0].loss
    assert load_file(str(result.files[0]))[f"{PROJECTOR}proj_in.weight"].dtype == torch.float32


def test_the_plan_counts_what_learns_and_says_what_is_odd(
    options: RectificationOptions, material: Path, tmp_path: Path
) -> None:
    short = tmp_path / "material"
    short.mkdir()
    for path in material.iterdir():
        (short / path.name).symlink_to(path)
    write_video(short / "short.mkv", iter(np.zeros((9, 80, 80, 3), np.uint8)), fps=Fraction(24))
    plan = trainer(options).plan(short, Order(10, 5))
    assert plan.material == "3 clips, 72 frames, 3 shots, 3 with a caption"
    task = task_of(options, material, tmp_path / "out")
    learn = sum(parameter.numel() for parameter in task.module.parameters() if parameter.requires_grad)
    assert plan.facts["parameters"]["learn"] == learn
    assert f"{learn / 1e6:.1f} M of" in plan.summary
    assert plan.warnings == ("no shot of short.mkv has 16 frames: left out",)
    assert plan.demands[0].need == plan.facts["bytes"]["total"] > 0
    with pytest.raises(InputError, match="has a shot of 46 frames"):
        trainer(replace(options, least_stride=3, most_stride=3)).plan(material, Order(1))
    with pytest.raises(UsageError, match="nothing to train"):
        trainer(replace(options, variant="I")).plan(material, Order(1))


def test_every_variant_has_its_number_in_the_paper() -> None:
    assert set(declared.VARIANTS) == set(objective.VARIANTS)
    names = [RectificationOptions(variant=number).variant_name for number in ("I", "II", "III", "IV", "V")]
    assert names == list(objective.VARIANTS)


@pytest.mark.slow
def test_memory_at_the_real_size() -> None:
    from animegen_tooncrafter.checkpoint import ModelConfiguration

    variant = objective.variant_named("rectify")
    usual = account(ModelConfiguration(), variant, RectificationOptions(), torch.bfloat16)
    assert usual.trained / 1e6 == pytest.approx(942.3, abs=0.1)
    assert usual.frozen / 1e6 == pytest.approx(545.3, abs=0.1)
    assert usual.learning == 16 * usual.trained
    assert 20 < usual.total / 2**30 < 23  # the table in docs/training.md
    plain = account(ModelConfiguration(), variant, RectificationOptions(checkpointing=False), torch.bfloat16)
    assert plain.activations > 6 * usual.activations


def test_activations_are_what_torch_keeps(options: RectificationOptions, tiny_file: Path) -> None:
    """The count against a real pass through the U-Net, whose kept tensors are added up."""
    from torch.autograd.graph import saved_tensors_hooks

    checkpoint = inspect(tiny_file)
    variant = objective.variant_named("rectify")
    counted = account(checkpoint.model, variant, replace(options, checkpointing=False), torch.float32).activations
    unet: Any = part_of(checkpoint, "unet")
    projector: Any = part_of(checkpoint, "projector")
    list(objective.choose_parameters(unet, projector, variant))
    own = {one.untyped_storage().data_ptr() for one in unet.parameters()}
    kept: dict[int, int] = {}
    held = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
            held.append(tensor)
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        times = torch.zeros(1, dtype=torch.long)
        tokens = torch.zeros(1, 333, 64, requires_grad=True)
        out = unet(torch.zeros(1, 8, 16, 8, 8), times, tokens, times)
    assert out.requires_grad
    assert 0.99 < counted / sum(kept.values()) < 1.08


def test_a_module_that_learns_is_never_the_mapped_file(
    options: RectificationOptions, material: Path, tmp_path: Path, tiny_file: Path
) -> None:
    before = tiny_file.read_bytes()
    run(options, material, tmp_path, 1)
    assert tiny_file.read_bytes() == before
    module = task_of(options, material, tmp_path).module
    assert isinstance(module, Rectification)
    assert not [name for name, _ in module.named_parameters() if name.startswith("_others")]
    assert (tmp_path / MODEL).is_file()
