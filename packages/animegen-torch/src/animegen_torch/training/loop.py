"""The loop: samples in, steps of AdamW, saves now and then, stopped and taken up again without a trace.

Everything a step does follows from its number and the seed: which samples it sees (`Task.sample` by number), the
random numbers of the network (set anew before each batch), the rate. So a training that was killed gives the
parameters of one that was not, and two processes give what one gives that adds up two batches.
"""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from animegen.errors import AnimeGenError, InterruptedRun
from animegen.training.records import Order, TrainingStep
from animegen_torch.memory import is_out_of_memory, out_of_memory
from animegen_torch.training import saves
from animegen_torch.training.average import Average
from animegen_torch.training.machine import make_accelerator
from animegen_torch.training.options import LoopOptions, ValidatedOptions
from animegen_torch.training.rates import factor
from animegen_torch.training.statistics import SharedStatistics
from animegen_torch.training.task import Task, moving, to_device, trained
from animegen_torch.training.validation import BEST, Validated, Validation


class LossError(AnimeGenError):
    """The loss or its gradient is no number any more."""


@dataclass(frozen=True)
class Learnt:
    """What a training ended with.

    Attributes:
        step: Steps done.
        trained: The trained parameters by their names in files, float32 on the processor.
        average: Their average, where one is kept.
        buffers: What else moved.
        best: The state that was validated best, where there was a validation.
        loss: Mean over the last steps of this run (up to 100); None where none was made.
        main: Whether this process is the one to write files.
    """

    step: int
    trained: dict[str, Tensor]
    average: dict[str, Tensor]
    loss: float | None
    main: bool
    buffers: dict[str, Tensor] = field(default_factory=dict)
    best: saves.Save | None = None


def train(
    task: Task,
    options: LoopOptions,
    order: Order,
    out: Path,
    tell: Callable[[TrainingStep], None],
    *,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    name: str = "training",
) -> Learnt:
    """Train until ``order.steps`` are done.

    Args:
        task: What is trained, and on what.
        options: How.
        order: How long, from which seed, and whether to go on from the last save in `out`.
        out: Folder for saves.
        tell: Called after each step, in every process.
        device: Of this process.
        dtype: What is computed in; the trained parameters stay as they are, which should be float32.
        name: Of what is trained, for messages.

    Raises:
        InterruptedRun: Ctrl-C (or SIGTERM) came; the state after the last step is saved.
        LossError: The loss or gradient of a step is not finite; the last save is kept.
        ResourceError: Out of memory, or a save cannot be written.
    """
    accelerator = make_accelerator(options, device, dtype, out)
    task.module.to(device).train()
    parameters = trained(task)
    names = {id(parameter): each for each, parameter in parameters.items()}
    optimizer = torch.optim.AdamW(
        list(parameters.values()), lr=options.learning_rate, weight_decay=options.weight_decay
    )
    average, buffers = Average(parameters, options.ema) if options.ema else None, moving(task)
    done, validated = 0, None
    if order.resume and (save := saves.last(out)):
        done = save.step
        saves.restore_parameters(parameters, save.trained)
        saves.restore_optimizer(optimizer, save.optimizer, names)
        saves.restore_parameters(buffers, save.buffers)
        validated = save.extra.get("validation")
        if average:
            average.load({each: tensor.to(device) for each, tensor in save.average.items()})
        if accelerator.scaler and "scaler" in save.extra:
            accelerator.scaler.load_state_dict(save.extra["scaler"])
    elif accelerator.is_main_process:
        saves.clear(out)
        saves.clear(out / BEST)
    validation = None
    if isinstance(options, ValidatedOptions) and isinstance(task, Validated):
        validation = Validation(task, options, out, validated)
    module, stepper = accelerator.prepare(task.module, optimizer)
    if options.tensorboard:
        accelerator.init_trackers("tensorboard", init_kwargs={"tensorboard": {"purge_step": done + 1}})
    recent: deque[float] = deque(maxlen=100)
    began = time.monotonic()

    def save_now(step: int) -> None:
        if accelerator.is_main_process:
            extra = {"scaler": accelerator.scaler.state_dict()} if accelerator.scaler else {}
            extra |= {"validation": validation.state()} if validation else {}
            kept = average.tensors if average else {}
            state = saves.optimizer_state(optimizer, names)
            saves.write(out, saves.Save(step, parameters, kept, state, buffers, extra), keep=options.keep)
        accelerator.wait_for_everyone()

    statistics = SharedStatistics(task, accelerator)
    run = _Run(accelerator, module, stepper, optimizer, list(parameters.values()), statistics, options, order, name)
    saved = done
    first, world = accelerator.process_index, accelerator.num_processes
    with _stop_signal() as stop, _Ahead(task, options, (done * options.accumulate * world), first, world) as batches:
        for step in range(done + 1, order.steps + 1):
            try:
                loss, stopped = run.step(step, batches, stop, validation.factor if validation else 1.0)
            except BaseException as error:
                if is_out_of_memory(error):
                    raise out_of_memory(
                        device,
                        name,
                        doing=f"step {step}",
                        hints="a smaller size or batch, or checkpointing, needs less",
                    ) from error
                raise
            if average:
                average.update(parameters, step)
            recent.append(loss)
            each = (time.monotonic() - began) / (step - done)
            rate, scores = optimizer.param_groups[0]["lr"], {}
            if validation and validation.due(step, order.steps):
                scores = validation.take(step, rate, parameters, buffers)
            if options.tensorboard:
                told = {f"validation/{name}": value for name, value in scores.items()}
                accelerator.log({"loss": loss, "learning_rate": rate, **told}, step=step)
            if step % options.save_every == 0 or step == order.steps or stopped:
                save_now(step)
                saved = step
            tell(TrainingStep(step, order.steps, loss, rate, each * (order.steps - step), scores))
            if stopped and step < order.steps:
                raise InterruptedRun(f"stopped after step {saved:,} of {order.steps:,}, which is saved.")
    if options.tensorboard:
        accelerator.end_training()
    return Learnt(
        max(done, order.steps),
        {each: tensor.detach().float().cpu().clone() for each, tensor in parameters.items()},
        {each: tensor.cpu().clone() for each, tensor in average.tensors.items()} if average else {},
        sum(recent) / len(recent) if recent else None,
        accelerator.is_main_process,
        {each: tensor.detach().cpu().clone() for each, tensor in buffers.items()},
        validation.best_state() if validation else None,
    )


@dataclass
class _Run:
    """What stays the same from step to step."""

    accelerator: Any
    module: nn.Module
    stepper: Any
    optimizer: torch.optim.Optimizer
    parameters: list[nn.Parameter]
    statistics: SharedStatistics
    options: LoopOptions
    order: Order
    name: str

    def step(self, step: int, batches: _Ahead, stop: threading.Event, lowered: float) -> tuple[float, bool]:
        """One step of the optimiser; gives the loss over all processes, and whether one of them is to stop.

        Args:
            step: Its number.
            batches: Where its samples come from.
            stop: Set when the user wants an end.
            lowered: What the rate is multiplied by, beside the schedule's factor.
        """
        accelerator, options = self.accelerator, self.options
        for group in self.optimizer.param_groups:
            group["lr"] = options.learning_rate * factor(options, step - 1, self.order.steps) * lowered
        total = torch.zeros((), device=accelerator.device)
        for _ in range(options.accumulate):
            block, batch = batches.next()
            torch.manual_seed(derived_seed(self.order.seed, block))
            with accelerator.accumulate(self.module):
                loss: Tensor = self.module(to_device(batch, accelerator.device))
                accelerator.backward(loss)
                self.statistics.share()
                total += loss.detach() / options.accumulate
                if accelerator.sync_gradients:
                    self._check_and_clip(step)
                self.stepper.step()
                self.stepper.zero_grad()
        told = torch.stack((total.float(), torch.tensor(float(stop.is_set()), device=total.device)))
        mean, stopped = accelerator.reduce(told, "mean").tolist()
        if not np.isfinite(mean):
            raise self._lost(step, "loss")
        return mean, stopped > 0

    def _check_and_clip(self, step: int) -> None:
        norm = self.accelerator.clip_grad_norm_(self.parameters, self.options.clip or float("inf"))
        # Under a scaler of float16 an infinite gradient is usual: that step is left out and the scale made smaller.
        if self.accelerator.scaler is None and not bool(torch.isfinite(norm)):
            raise self._lost(step, "gradient")

    def _lost(self, step: int, what: str) -> LossError:
        return LossError(
            f"the {what} of step {step} of {self.name} is no finite number.",
            hint=(
                "a lower rate may help: -o trainer.learning_rate=..., with another --out",
                "or another number format: --dtype bfloat16, or float32",
            ),
        )


class _Ahead:
    """Batches in order, read by threads a little ahead of their use.

    Args:
        task: Gives samples.
        options: `batch` and `workers`.
        block: Number of the first batch, over all processes.
        mine: Number of this process.
        processes: How many there are; each takes every so many batches.
    """

    def __init__(self, task: Task, options: LoopOptions, block: int, mine: int, processes: int) -> None:
        self._task, self._size, self._every = task, options.batch, processes
        self._ahead = options.batch + options.workers if options.workers else 0
        self._pool = ThreadPoolExecutor(options.workers, "animegen-samples") if options.workers else None
        self._block = block + mine
        self._numbers = self._all(self._block)
        self._waiting: deque[Future[Any]] = deque()

    def next(self) -> tuple[int, Any]:
        """The next batch and its number."""
        samples = [self._sample() for _ in range(self._size)]
        block, self._block = self._block, self._block + self._every
        return block, self._task.collate(samples)

    def _sample(self) -> Any:
        if self._pool is None:
            return self._task.sample(next(self._numbers))
        while len(self._waiting) < self._ahead:
            self._waiting.append(self._pool.submit(self._task.sample, next(self._numbers)))
        return self._waiting.popleft().result()

    def _all(self, block: int) -> Iterator[int]:
        while True:
            yield from range(block * self._size, (block + 1) * self._size)
            block += self._every

    def __enter__(self) -> _Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)


def derived_seed(*numbers: int) -> int:
    """One seed from several numbers, as unlike those of their neighbours as can be; at most 63 bits."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


@contextmanager
def _stop_signal() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set, so that a step is never left half done. A second Ctrl-C ends it at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
