"""What a stage says before it is loaded, and what it does where nothing is loaded: plans and random parameters."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from animegen.contract.kinds import size_for
from animegen.contract.pictures import HEIGHT, WIDTH, picture
from animegen.contract.probe import Broken, Probe, Surprising
from animegen.errors import ResourceError
from animegen.pipeline.outlook import plan_problem
from animegen.stages import InterpolatorSpec

if TYPE_CHECKING:
    from animegen.pipeline.session import StageContext


def check_plan(probe: Probe, options: Any, context: StageContext) -> None:
    """A plan can be had, of small pictures and of large ones, and larger ones never need less.

    Raises:
        Stopped: It needs weights or libraries that are not here.
    """
    spec = probe.stage.spec
    if spec.plan is None:
        return
    with probe.check("plan", "sane before anything is loaded; larger pictures need no less."):
        module, _, attribute = spec.plan.partition(":")
        plan = getattr(import_module(module), attribute)
        count = (spec.frames or 8) if isinstance(spec, InterpolatorSpec) else 1
        needed = []
        for times in (1, 4):
            made_for = spec.needs.size[::-1] if spec.needs.size else None
            size = made_for or size_for(spec.needs, HEIGHT * times, WIDTH * times)
            try:
                said = plan(options, context, size=size, frames=count)
            except ResourceError as error:
                text = (
                    f"its plan stops with {error.message!r}; it should say need and have, and leave the run to judge."
                )
                raise Broken(text) from None
            if wrong := plan_problem(said):
                raise Broken(f"its plan {wrong}.")
            needed.append(sum(demand.need for demand in said.demands))
        if needed[1] < needed[0]:
            raise Surprising(f"its plan needs {needed[1]} bytes for pictures 16 times as large as with {needed[0]}.")


def check_untrained(probe: Probe, size: tuple[int, int] | None, make: Callable[[], Any]) -> None:
    """With random parameters it runs without any weight, and twice alike.

    Args:
        probe: Gathers the findings.
        size: (H, W) of the pictures; None skips the check.
        make: Makes the stage in a context that says ``untrained`` and gives no weights.

    Raises:
        Stopped: Something else is absent, or the memory does not suffice.
    """
    spec = probe.stage.spec
    if not spec.untrained:
        if size is not None:
            probe.say("error", "untrained", "a size is given to try it with random parameters; its record says no.")
        return
    if size is None:
        probe.say("skipped", "untrained", "it can run with random parameters; give a size to have that tried.")
        return
    with probe.check("untrained", "runs without weights, and from the same seed gives the same bytes."):
        results = [_small_result(probe, make(), size) for _ in range(2)]
        if not np.array_equal(*results):
            raise Broken("two stages with random parameters give other bytes; make them from a fixed seed.")


def _small_result(probe: Probe, stage: Any, size: tuple[int, int]) -> Any:
    """What a stage makes of one small input of its kind, as an array."""
    spec = probe.stage.spec
    height, width = size
    image, other = picture(height, width), picture(height, width, shift=0.15)
    try:
        match probe.stage.kind:
            case "interpolator":
                assert isinstance(spec, InterpolatorSpec)
                times = [0.5] if spec.frames is None else [step / (spec.frames - 1) for step in range(spec.frames)]
                return np.asarray(stage(image, other, times, seed=1))
            case "inpainter":
                mask = np.zeros((height, width), bool)
                mask[height // 4 : height // 2, width // 4 : width // 2] = True
                return np.asarray(stage(image, mask))
            case "preprocessor":
                return np.asarray(stage(image))
            case kind:
                raise Broken(f"a {kind} with random parameters is no use to any run; leave untrained out.")
    finally:
        if callable(closing := getattr(stage, "close", None)):
            closing()
