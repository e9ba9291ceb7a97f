"""Options that every trainer has. Light: imported where records are made."""

from __future__ import annotations

from dataclasses import dataclass

from animegen.options import option

SCHEDULES = ("constant", "linear", "cosine")
PLATEAU = "plateau"
CHANGEABLE = ("save_every", "keep", "tensorboard", "workers", "checkpointing")
"""Options that do not change what is learnt, for `animegen.stages.TrainerSpec.changeable`."""


@dataclass(frozen=True)
class LoopOptions:
    """How the loop goes. A trainer's own options inherit from this, with defaults of their own."""

    batch: int = option(1, "Samples at once on each device; more needs more memory.", min=1, max=4096)
    accumulate: int = option(1, "Batches whose gradients are added up before a step.", min=1, max=4096)
    learning_rate: float = option(1e-5, "Of AdamW, at its highest.", min=0, max=1)
    schedule: str = option("constant", "How the rate goes from its highest to the end.", choices=SCHEDULES)
    warmup: int = option(0, "Steps in which the rate rises from nothing.", min=0, max=1_000_000)
    weight_decay: float = option(0.01, "Of AdamW.", min=0, max=1)
    clip: float = option(0.5, "Longest gradient (its norm over everything trained); 0 for any.", min=0)
    ema: float = option(
        0.0, "Share of an average that stays at each step, e.g. 0.9999; 0 keeps none.", min=0, max=0.999999
    )
    checkpointing: bool = option(True, "Compute activations twice in place of keeping them: less memory, slower.")
    save_every: int = option(250, "Steps between two saves from which --resume can go on.", min=1, max=1_000_000)
    keep: int = option(2, "Saves to keep.", min=1, max=1000)
    workers: int = option(1, "Threads that read material ahead; 0 reads between steps.", min=0, max=64)
    tensorboard: bool = option(False, "Write loss and rate for TensorBoard (pip install 'animegen-torch[train]').")


@dataclass(frozen=True)
class ValidatedOptions(LoopOptions):
    """`LoopOptions` of a training that is validated now and then; see `animegen_torch.training.validation`."""

    schedule: str = option(
        PLATEAU,
        "How the rate goes from its highest to the end; plateau lowers it when validation gets no better.",
        choices=(*SCHEDULES, PLATEAU),
    )
    validate_every: int = option(250, "Steps between two validations; 0 makes none.", min=0, max=1_000_000)
    patience: int = option(10, "Validations no better than the best before plateau lowers the rate.", min=0, max=10_000)
    lower: float = option(0.5, "What plateau multiplies the rate by.", min=0.01, max=1)
