"""``animegen train eisai``: from a folder of triplets to a file that ``-o eisai.ssl_file=`` and ``dtm_file=`` load."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor

from animegen.atomic import replacing
from animegen.errors import MissingError, UsageError
from animegen.pipeline.hashing import file_digest
from animegen.registry import is_installed
from animegen.stages import Demand
from animegen.training.records import Order, TrainingPlan, TrainingResult, TrainingStep
from animegen_eisai.checkpoint import read_flow, read_refinement, read_synthesis
from animegen_eisai.network import LEAST_SIDE
from animegen_eisai.refinement import DistanceTransformModule
from animegen_eisai.synthesis import SoftsplatLite
from animegen_eisai.training.learning import EisaiTask, Learning, let_learn
from animegen_eisai.training.material import Triplet, find_triplets, material_digest
from animegen_eisai.training.memory import needed
from animegen_eisai.training.objective import Objective
from animegen_eisai.training.options import EisaiTrainingOptions
from animegen_eisai.training.samples import Stream, hold_out
from animegen_eisai.weights import DTM, RFR, SSL
from animegen_torch.devices import free_memory
from animegen_torch.published import ALEX
from animegen_torch.training.loop import train
from animegen_torch.training.machine import training_device, training_dtype

if TYPE_CHECKING:
    from animegen.stages import Context, Weight

M = TypeVar("M", bound=torch.nn.Module)
STAGE = "eisai"
BEST, LAST = "model.safetensors", "last.safetensors"
"""What a training leaves: the state that was validated best, and that of the last step."""


class EisaiTrainer:
    """Trains the synthesiser and the distance-transform module.

    Raises:
        ResourceError, UsageError: A device or number format cannot be used.
        MissingError: The lpips package is not installed, and the loss asks for it.
    """

    def __init__(self, options: EisaiTrainingOptions, context: Context) -> None:
        self.options, self.context = options, context
        self.device = training_device(context.devices, stage=STAGE)
        self.dtype = training_dtype(context.dtype, self.device, stage=STAGE)
        if options.perceptual and not is_installed("lpips"):
            raise MissingError(
                "the loss of eisai asks for the lpips package, which is not installed here.",
                hint=("python -m pip install 'animegen-eisai[train]'", "or leave it out: -o trainer.perceptual=0"),
            )
        self._triplets: tuple[Path, list[Triplet], list[str]] | None = None

    def plan(self, material: Path, order: Order) -> TrainingPlan:
        """See `animegen.stages.Trainer`."""
        options = self.options
        triplets, odd = self._found(material)
        learns, held = hold_out(triplets, options.held_out, order.seed)
        flow = self._flow_file(triplets)
        found = material_digest(triplets) + (file_digest(flow) if flow else "")
        with torch.device("meta"):
            networks = SoftsplatLite(), DistanceTransformModule()
        let_learn(*networks, tail=options.perceptual > 0)
        parameters = [parameter for one in networks for parameter in one.parameters()]
        everything = sum(one.numel() for one in parameters)
        learn = sum(one.numel() for one in parameters if one.requires_grad)
        batch = f"{options.batch} × {options.accumulate}" if options.accumulate > 1 else str(options.batch)
        kind = str(self.dtype).removeprefix("torch.")
        stored = sum(one.flows is not None for one in triplets)
        validation = f"validated on {min(len(held), options.validated)}" if options.validate_every else "no validation"
        if options.validate_every and not options.held_out:
            validation += " of them"
        return TrainingPlan(
            summary=f"{options.begin}: {learn / 1e6:.2f} M of {everything / 1e6:.2f} M parameters learn",
            material=f"{len(triplets)} triplets, {stored} with flows",
            digest=found,
            demands=(Demand(str(self.device), needed(options, self.dtype), free_memory(self.device), "this process"),),
            hint=self._smaller(),
            lines=(("how", f"{options.width}x{options.height}, batch {batch}; {kind} on {self.device}; {validation}"),),
            warnings=tuple(odd),
            facts={
                "parameters": {"learn": learn, "stay": everything - learn},
                "triplets": {"learnt from": len(learns), "validated on": min(len(held), options.validated)},
                "flows": {"stored": stored, "found on the way": len(triplets) - stored},
            },
        )

    def __call__(self, material: Path, out: Path, order: Order, tell: Callable[[TrainingStep], None]) -> TrainingResult:
        """See `animegen.stages.Trainer`."""
        options = self.options
        triplets, _ = self._found(material)
        learns, held = hold_out(triplets, options.held_out, order.seed)
        module = self._module(triplets, order)
        stream = Stream(learns, options, order.seed)
        task = EisaiTask(module, stream, held[: options.validated], options, self.device, self.dtype)
        learnt = train(task, options, order, out, tell, device=self.device, dtype=self.dtype, name=STAGE)
        paths = (out / BEST, out / LAST)
        facts = {}
        if learnt.main:
            state = {name: tensor.detach().cpu() for name, tensor in module.state_dict().items()}
            last = {**state, **(learnt.average or learnt.trained), **learnt.buffers}
            best = last if learnt.best is None else {**state, **learnt.best.trained, **learnt.best.buffers}
            facts = {"best step": learnt.step if learnt.best is None else learnt.best.step}
            self._write(paths[0], best, facts["best step"])
            self._write(paths[1], last, learnt.step)
        use = f"--interpolator {STAGE} -o eisai.ssl_file={paths[0]} -o eisai.dtm_file={paths[0]}"
        return TrainingResult(paths, learnt.step, learnt.loss, use=use, facts=facts)

    def _module(self, triplets: list[Triplet], order: Order) -> Learning:
        options = self.options
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(order.seed)
            ssl, dtm = SoftsplatLite(), DistanceTransformModule()
        published = read_synthesis(self._file(options.ssl_file, SSL))
        if options.begin == "published" or options.ssl_file:
            ssl = published
        else:
            ssl.feature_extractor = published.feature_extractor
        if options.begin == "published" or options.dtm_file:
            dtm = read_refinement(self._file(options.dtm_file, DTM))
        path = self._flow_file(triplets)
        flow = read_flow(path).to(self.device) if path else None
        lpips = None
        if options.perceptual:
            from animegen_torch.perceptual import Perceptual  # imports the package, which need not be here

            lpips = Perceptual("alex", self.context.weight(ALEX.file), self.device, told="Nothing was trained.")
        return Learning(
            _own(ssl),
            _own(dtm),
            flow,
            Objective(lpips, options.perceptual, options.distance),
            iterations=options.iterations,
            statistics=options.statistics,
            checkpointing=options.checkpointing,
        )

    def _write(self, path: Path, state: dict[str, Tensor], step: int) -> None:
        facts = {"trained": json.dumps({"steps": step, "begin": self.options.begin})}
        with replacing(path) as beside:
            save_file({name: tensor.contiguous() for name, tensor in state.items()}, str(beside), metadata=facts)

    def _file(self, own: str | None, weight: Weight) -> Path:
        return Path(own).expanduser() if own else self.context.weight(weight.file)

    def _flow_file(self, triplets: list[Triplet]) -> Path | None:
        """RFR, where there are triplets whose flows are yet to be found."""
        lacking = [one for one in triplets if one.flows is None]
        if not lacking:
            return None
        options = self.options
        if min(options.height, options.width) < LEAST_SIDE:
            raise UsageError(
                f"{len(lacking)} triplets have no flows, which RFR finds in frames of {LEAST_SIDE} pixels or more; "
                f"these are {options.width}x{options.height}.",
                hint=f"-o trainer.height={LEAST_SIDE} or more; or material with flows: animegen data rrld",
            )
        try:
            return self._file(options.flow_file, RFR)
        except MissingError as error:
            raise MissingError(
                f"{len(lacking)} triplets have no flows, and RFR is not here to find them: {error.message}",
                hint=error.hints,
            ) from error

    def _found(self, material: Path) -> tuple[list[Triplet], list[str]]:
        if self._triplets is None or self._triplets[0] != material:
            self._triplets = (material, *find_triplets(material))
        return self._triplets[1], self._triplets[2]

    def _smaller(self) -> str:
        options = self.options
        if options.batch > 1:
            smaller = replace(options, batch=options.batch // 2)
            return f"-o trainer.batch={smaller.batch} -o trainer.accumulate={options.accumulate * 2}"
        if not options.checkpointing:
            return "-o trainer.checkpointing=yes"
        return "-o trainer.width=640 -o trainer.height=360"


def _own(network: M) -> M:
    """With memory of its own: what was read may be a file mapped into memory, which is never trained in place."""
    for parameter in network.parameters():
        parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)
    for part in network.modules():
        for name, buffer in part.named_buffers(recurse=False):
            setattr(part, name, buffer.clone())
    return network
