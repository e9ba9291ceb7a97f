"""``animegen train tooncrafter``: from a folder of clips to a checkpoint that ``-o tooncrafter.file=`` loads."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from animegen.errors import InputError, MissingError, UsageError
from animegen.stages import Demand
from animegen.training.records import Order, TrainingPlan, TrainingResult, TrainingStep
from animegen.weights.store import default_home
from animegen_tooncrafter.checkpoint import Checkpoint, inspect, part_of
from animegen_tooncrafter.diffusion.objective import variant_named
from animegen_tooncrafter.diffusion.resampler import Resampler
from animegen_tooncrafter.diffusion.unet import UNet
from animegen_tooncrafter.training.clips import Clip, find_clips, material_digest
from animegen_tooncrafter.training.encoders import Encoders
from animegen_tooncrafter.training.memory import account
from animegen_tooncrafter.training.options import RectificationOptions
from animegen_tooncrafter.training.rectification import PREFIXES, Rectification, RectificationTask
from animegen_tooncrafter.training.samples import Stream
from animegen_tooncrafter.weights import OPEN_CLIP, weights_for
from animegen_torch.conversion import convert
from animegen_torch.devices import free_memory
from animegen_torch.training.loop import Learnt, train
from animegen_torch.training.machine import training_device, training_dtype

if TYPE_CHECKING:
    from animegen.stages import Context

STAGE = "tooncrafter"
MODEL = "model.safetensors"
"""What a training leaves: the checkpoint it began with, and what was learnt in it."""
LONG = 3000
"""Frames from which on decoding a clip from its beginning for each sample is worth a word."""


class ToonCrafterTrainer:
    """Tunes the image projector and the layers of the U-Net that the variant names, by the loss of the original.

    Raises:
        ResourceError, UsageError: A device or number format cannot be used.
    """

    def __init__(self, options: RectificationOptions, context: Context) -> None:
        self.options, self.context = options, context
        self.device = training_device(context.devices, stage=STAGE)
        self.dtype = training_dtype(context.dtype, self.device, stage=STAGE)
        self._checkpoint: Checkpoint | None = None
        self._clips: tuple[Path, list[Clip], list[str]] | None = None

    def plan(self, material: Path, order: Order) -> TrainingPlan:
        """See `animegen.stages.Trainer`."""
        options, model = self.options, self._looked_into().model
        if options.variant_name == "none":
            raise UsageError(
                "the variant none (the paper's I) is the model as it is: there is nothing to train.",
                hint="-o trainer.variant=rectify (IV), all (II), bypass (III) or projector (V)",
            )
        usable, odd = self._found(material)
        need = account(model, variant_named(options.variant_name), options, self.dtype)
        everything = (need.trained + need.frozen) / 1e6
        frames = sum(clip.frames for clip in usable)
        shots = sum(len(clip.shots) for clip in usable)
        spoken = sum(bool(clip.text) for clip in usable)
        batch = f"{options.batch} × {options.accumulate}" if options.accumulate > 1 else str(options.batch)
        kind = str(self.dtype).removeprefix("torch.")
        return TrainingPlan(
            summary=(
                f"{options.variant_name}: {need.trained / 1e6:.1f} M of {everything:.1f} M parameters learn "
                f"({4 * need.trained / 1e9:.2f} GB)"
            ),
            material=f"{len(usable)} clips, {frames:,} frames, {shots} shots, {spoken} with a caption",
            digest=material_digest(usable),
            demands=(Demand(str(self.device), need.total, free_memory(self.device), "this process"),),
            hint=self._smaller(),
            lines=(
                (
                    "how",
                    f"{self._frames()} frames of {options.width}x{options.height}, stride {options.least_stride} to "
                    f"{options.most_stride}; batch {batch}; {kind} on {self.device}",
                ),
            ),
            warnings=tuple(odd),
            facts={
                "variant": options.variant_name,
                "parameters": {"learn": need.trained, "stay": need.frozen},
                "bytes": {
                    "learning": need.learning,
                    "still": need.still,
                    "activations": need.activations,
                    "total": need.total,
                },
                "clips": [clip.name for clip in usable],
                "base": [str(path) for path in self._looked_into().paths],
            },
        )

    def __call__(self, material: Path, out: Path, order: Order, tell: Callable[[TrainingStep], None]) -> TrainingResult:
        """See `animegen.stages.Trainer`."""
        checkpoint, options = self._looked_into(), self.options
        usable, _ = self._found(material)
        task = self._task(checkpoint, usable, order, out)
        learnt = train(task, options, order, out, tell, device=self.device, dtype=self.dtype, name=STAGE)
        path = out / MODEL
        if learnt.main:
            self._write(checkpoint, learnt, path)
        towers = f" -o tooncrafter.towers={options.towers}" if options.towers else ""
        use = f"--interpolator {STAGE} -o tooncrafter.file={path}{towers}"
        return TrainingResult((path,), learnt.step, learnt.loss, use=use)

    def _task(self, checkpoint: Checkpoint, clips: list[Clip], order: Order, out: Path) -> RectificationTask:
        options = self.options
        schedule, other = checkpoint.schedule()
        if other:
            self.context.warn(
                f"The noise schedule in the file is not the published one; the file's {other[0]} is used."
            )

        def load(part: str, dtype: torch.dtype, device: torch.device) -> nn.Module:
            return part_of(checkpoint, part, dtype=dtype, device=device)

        encoders = Encoders(load, self.device, self.dtype, out / "encoded" if options.windows else None)
        unet, projector = (load(part, torch.float32, self.device) for part in ("unet", "projector"))
        assert isinstance(unet, UNet) and isinstance(projector, Resampler)
        unet.gradient_checkpointing = options.checkpointing
        half = self.dtype if options.frozen_half else torch.float32
        variant = variant_named(options.variant_name)
        module = Rectification(unet, projector, variant, schedule, encoders, drop=options.drop, frozen_dtype=half)
        stream = Stream(clips, options, self._frames(), order.seed, len(schedule.tables["betas"]))
        task = RectificationTask(module, stream, options, encoders)
        task.source = " ".join(f"{path.name}:{path.stat().st_size}" for path in checkpoint.paths)
        return task

    def _write(self, checkpoint: Checkpoint, learnt: Learnt, path: Path) -> None:
        """The file it began with, tensor by tensor, with what was learnt in the place of what was there."""
        options = self.options
        facts = {
            "trained": json.dumps(
                {"variant": options.variant_name, "steps": learnt.step, "average": bool(learnt.average)}
            )
        }
        convert(checkpoint.paths[0], path, instead=learnt.average or learnt.trained, facts=facts, force=True)

    def _looked_into(self) -> Checkpoint:
        """The files to begin with; nothing is loaded."""
        if self._checkpoint is None:
            options = self.options
            if options.file:
                paths = [
                    Path(options.file).expanduser(),
                    *([Path(options.towers).expanduser()] if options.towers else []),
                ]
            else:
                paths = [self.context.weight(weight.file) for weight in weights_for(options.model)]
            found = inspect(paths[0], *paths[1:])
            if found.missing and set(found.missing) <= {"text", "image"}:
                found = inspect(*paths, self.context.weight(OPEN_CLIP.file))
            found = found.require()
            for part in PREFIXES:  # what is learnt is written into the first file
                if found.parts[part].file.path != paths[0]:
                    raise MissingError(
                        f"{paths[0]} has no {part}, which is to be trained.", hint="-o trainer.file=FILE"
                    )
            self._checkpoint = found
        return self._checkpoint

    def _frames(self) -> int:
        """T: what the projector makes tokens for."""
        return self._looked_into().model.resampler.video_length

    def _found(self, material: Path) -> tuple[list[Clip], list[str]]:
        """Clips that are long enough, and what is odd about the others."""
        if self._clips is None or self._clips[0] != material:
            options, frames = self.options, self._frames()
            clips, odd = find_clips(
                material,
                threshold=options.cut_threshold,
                folder_fps=options.folder_fps,
                index=default_home() / "clips",
            )
            usable = [clip for clip in clips if clip.longest_stride(frames) >= options.least_stride]
            if short := [clip.name for clip in clips if clip not in usable]:
                need = (frames - 1) * options.least_stride + 1
                more = f" and {len(short) - 3} more" if len(short) > 3 else ""
                odd.append(f"no shot of {', '.join(short[:3])}{more} has {need} frames: left out")
            if not usable:
                raise InputError(
                    f"no clip in {material} has a shot of {(frames - 1) * options.least_stride + 1} frames.",
                    hint=odd[:3],
                )
            if long := [clip.name for clip in usable if clip.frames > LONG]:
                odd.append(f"{long[0]} is long, and is decoded from its beginning for each sample: cut it into shots")
            self._clips = (material, usable, odd)
        return self._clips[1], self._clips[2]

    def _smaller(self) -> str:
        """What to set for less memory than now."""
        options = self.options
        if not options.checkpointing:
            return "-o trainer.checkpointing=yes"
        if options.batch > 1:
            smaller = replace(options, batch=options.batch // 2)
            return f"-o trainer.batch={smaller.batch} -o trainer.accumulate={options.accumulate * 2}"
        if self.dtype == torch.float32 and self.device.type == "cuda":
            return "--dtype bfloat16, or float16"
        if options.variant_name != "projector":
            return "-o trainer.variant=projector trains 49 M parameters, in 8 GiB at 512 × 320"
        return "-o trainer.width=320 -o trainer.height=192"
