"""Golden cases of the schedule, of the sampler's tables and of the formulas around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from animegen_testing.goldens import GoldenCase
from animegen_tooncrafter.diffusion.ddim import DDIM
from animegen_tooncrafter.diffusion.schedule import Schedule, ScheduleConfiguration
from animegen_torch.diffusion.embedding import sinusoids
from animegen_torch.diffusion.guidance import rescaled

TABLES = {
    "ddim_timesteps": "timesteps",
    "ddim_alphas": "alphas",
    "ddim_alphas_prev": "alphas_prev",
    "ddim_sigmas": "sigmas",
    "ddim_scale_arr": "scale",
    "ddim_scale_arr_prev": "scale_prev",
}
FIELDS = ScheduleConfiguration.__dataclass_fields__


def schedule(case: GoldenCase) -> Mapping[str, Any]:
    """``buf.<table>`` and ``ddim.<spacing>.<steps>.eta<eta>.<table>``."""
    given = case.configuration.get("config", {})
    made = Schedule.compute(ScheduleConfiguration(**{name: given[name] for name in given if name in FIELDS}))
    outputs: dict[str, Any] = {name: made.tables[name.removeprefix("buf.")] for name in case.names("buf.*")}
    for name in case.names("ddim.*"):
        spacing, steps, rest = name.removeprefix("ddim.").split(".", 2)
        eta, table = rest.removeprefix("eta").rsplit(".", 1)
        tables = DDIM.of(made, int(steps), spacing, float(eta))
        if table == "ddim_sqrt_one_minus_alphas":  # not kept: v-prediction does not need it
            outputs[name] = (1 - tables.alphas) ** 0.5
        else:
            outputs[name] = getattr(tables, TABLES[table])
    return outputs


def math(case: GoldenCase) -> Mapping[str, Any]:
    """Sinusoids, guidance rescale and the identities of v-prediction."""
    arrays = {name: torch.from_numpy(array) for name, array in case.arrays.items()}
    outputs: dict[str, Any] = {
        name: sinusoids(arrays["emb.t"], int(name.removeprefix("emb.dim"))) for name in case.names("emb.dim*")
    }
    for name in case.names("rescaled.*"):
        outputs[name] = rescaled(arrays["cfg"], arrays["pos"], float(name.removeprefix("rescaled.")))
    if "v.x" in arrays:
        made, x, noise, t = Schedule.compute(), arrays["v.x"], arrays["v.noise"], arrays["v.t"]
        outputs |= {
            "v.q_sample": made.noisy(x, noise, t),
            "v.get_v": made.v(x, noise, t),
            "v.predict_start": made.x0(x, noise, t),
            "v.predict_eps": made.noise(x, noise, t),
        }
    return outputs


RUNNERS = {"schedule": schedule, "math": math}
