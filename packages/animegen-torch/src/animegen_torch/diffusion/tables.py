"""What follows from the betas of a noise schedule (Ho et al., "Denoising Diffusion Probabilistic Models", 2020)."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

Table: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]

SMALLEST_VARIANCE = 1e-20


def tables_of(betas: Table) -> dict[str, Table]:
    """The tables over timesteps by their usual names, each (timesteps,) float64.

    Where nothing is left of the signal, what divides by it is infinite.
    """
    alphas = 1 - betas
    cumprod = np.cumprod(alphas)
    before = np.append(1.0, cumprod[:-1])
    variance = betas * (1 - before) / (1 - cumprod)
    with np.errstate(divide="ignore"):
        inverse = 1 / cumprod
    return {
        "betas": betas,
        "alphas_cumprod": cumprod,
        "alphas_cumprod_prev": before,
        "sqrt_alphas_cumprod": np.sqrt(cumprod),
        "sqrt_one_minus_alphas_cumprod": np.sqrt(1 - cumprod),
        "log_one_minus_alphas_cumprod": np.log(1 - cumprod),
        "sqrt_recip_alphas_cumprod": np.sqrt(inverse),
        "sqrt_recipm1_alphas_cumprod": np.sqrt(inverse - 1),
        "posterior_variance": variance,
        "posterior_log_variance_clipped": np.log(np.maximum(variance, SMALLEST_VARIANCE)),
        "posterior_mean_coef1": betas * np.sqrt(before) / (1 - cumprod),
        "posterior_mean_coef2": (1 - before) * np.sqrt(alphas) / (1 - cumprod),
    }
