"""What learns: the synthesiser but for its features, and the distance-transform module, on frames half way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from animegen_eisai.refinement import DistanceTransformModule
from animegen_eisai.synthesis import SoftsplatLite
from animegen_eisai.training.material import Triplet, as_float
from animegen_eisai.training.objective import Losses, Objective
from animegen_eisai.training.options import EisaiTrainingOptions
from animegen_eisai.training.samples import Stream, collate
from animegen_torch.rfr import Rfr
from animegen_torch.training.task import to_device

HALF = 0.5
FROZEN = "ssl.feature_extractor."


class Learning(nn.Module):
    """Both networks, with the loss of a batch as their result.

    Args:
        ssl, dtm: In float32. The features of `ssl` do not learn, but their batch norms take the statistics of each
            batch while training, as in the original.
        flow: RFR, for batches without flows; it stays as it is.
        objective: The loss.
        statistics: Whether batch norms take the statistics of each batch; else all keep those they have.
        checkpointing: Whether activations of the synthesiser are computed twice.
    """

    def __init__(
        self,
        ssl: SoftsplatLite,
        dtm: DistanceTransformModule,
        flow: Rfr | None,
        objective: Objective,
        *,
        iterations: int = 12,
        statistics: bool = True,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.ssl, self.dtm = ssl, dtm
        let_learn(ssl, dtm, tail=objective.sees_frames)
        self._others = (flow, objective)  # in a tuple: not parts of this module
        self._iterations, self._statistics = iterations, statistics
        if checkpointing:
            # Part by part: what is computed again is needed all at once.
            grid, refined = self.ssl.gridnet, (self.dtm.net_nedt, self.dtm.net_tail)
            for part in (*grid.encoders, *grid.decoders, *self.ssl.synthesizer.net, *refined):
                part.forward = _twice(part)

    def train(self, mode: bool = True) -> Learning:
        super().train(mode)
        if not self._statistics:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The loss of a batch of `EisaiTask.collate`."""
        return self.losses(batch).total

    def losses(self, batch: Mapping[str, Tensor]) -> Losses:
        """All that there is to say of a batch."""
        first, truth, last = as_float(batch["images"]).unbind(1)
        flow, objective = self._others
        if "flows" in batch:
            to_first, to_last = batch["flows"].unbind(1)
        else:
            assert flow is not None, "flows are in the batch, or RFR is here to find them"
            with torch.no_grad(), torch.autocast(first.device.type, enabled=False):
                to_last, to_first = flow.both_ways(first, last, iterations=self._iterations)
        drawn = self.ssl(first, last, to_first, to_last, HALF)
        image, thought = self.dtm(drawn.image, drawn.warp)
        return objective(image, thought, truth)


def let_learn(ssl: SoftsplatLite, dtm: DistanceTransformModule, *, tail: bool) -> None:
    """Mark what learns: all but the features, and the `tail` that draws the frame only where the loss sees that."""
    ssl.requires_grad_(True).feature_extractor.requires_grad_(False)
    dtm.requires_grad_(True).net_tail.requires_grad_(tail)


class EisaiTask:
    """An `animegen_torch.training.validation.Validated` task.

    Args:
        module: What learns.
        stream: Samples to learn from.
        validated: Triplets to validate on.
        options: `height` and `width`.
        device: Of the validation.
    """

    watched = "lpips"

    def __init__(
        self,
        module: Learning,
        stream: Stream,
        validated: Sequence[Triplet],
        options: EisaiTrainingOptions,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.module = module
        self._stream, self._validated, self._options = stream, validated, options
        self._device, self._dtype = device, dtype
        if not options.perceptual:
            self.watched = "loss"
        learns = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
        moves = [name for name, _ in module.named_buffers()] if options.statistics else []
        self.names = {name: name for name in (*learns, *moves)}

    def sample(self, number: int) -> dict[str, Tensor | None]:
        """The triplet of that number."""
        return self._stream.draw(number).read(self._options.height, self._options.width)

    def collate(self, samples: Sequence[dict[str, Tensor | None]]) -> dict[str, Any]:
        return collate(samples)

    def validate(self) -> Mapping[str, float]:
        """Means over the triplets to validate on, neither mirrored nor backwards, one at a time."""
        total = torch.zeros(3, dtype=torch.float64)
        mode = self.module.training
        self.module.eval()
        half = torch.autocast(self._device.type, self._dtype) if self._dtype != torch.float32 else nullcontext()
        with torch.no_grad(), half:
            for triplet in self._validated:
                batch = collate([triplet.read(self._options.height, self._options.width)])
                found = self.module.losses(to_device(batch, self._device))
                total += torch.stack((found.total, found.lpips, found.distances)).double().cpu()
        self.module.train(mode)
        loss, lpips, distances = (total / len(self._validated)).tolist()
        scores = {"loss": loss, "lpips": lpips, "distances": distances}
        return scores if self._options.perceptual else {"loss": loss, "distances": distances}


def _twice(module: nn.Module) -> Any:
    """The forward of a module, whose activations are computed once more on the way back, its statistics left alone."""
    plain = module.forward

    @contextmanager
    def again() -> Iterator[None]:
        norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d) and part.training]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 0.0  # it then takes nothing of the batch into what it keeps
        try:
            yield
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum
                if norm.num_batches_tracked is not None:
                    norm.num_batches_tracked -= 1

    def forward(*args: Any) -> Any:
        if not torch.is_grad_enabled():
            return plain(*args)
        return checkpoint(plain, *args, use_reentrant=False, context_fn=lambda: (nullcontext(), again()))

    return forward
