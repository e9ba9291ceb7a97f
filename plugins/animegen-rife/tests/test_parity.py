"""The networks against outputs of the originals on seeded weights; ``--goldens DIR`` runs the cases of a folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch

from animegen_rife.architecture import VERSIONS
from animegen_rife.network import IFNet, Trace
from animegen_testing import seeded_weights
from animegen_testing.goldens import GoldenCase
from animegen_torch.padding import Padding


@cache
def seeded(version: str, prefix: str) -> IFNet:
    network = IFNet(VERSIONS[version]).eval()
    seeded_weights.fill(network, prefix=prefix)
    return network


def planes(image: np.ndarray[Any, Any]) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


@torch.inference_mode()
def network(case: GoldenCase) -> Mapping[str, Any]:
    """Every output is named by what it was made with: ``out_t<t>[_scale<s>][_ensemble][_pad<multiple>]``."""
    version = case.configuration.get("version") or case.path.stem.split("_")[0].removeprefix("v")
    net = seeded(version, case.prefix or "module.")
    first, last = planes(case.arrays["img0"]), planes(case.arrays["img1"])
    # 4.0 doubles its scales and needs twice as much then, which the original does not give it.
    least = case.configuration.get("multiple", 4 * max(net.architecture.scales))
    results: dict[str, Any] = {}
    for name in case.names("out_*"):
        options = re.fullmatch(r"out_t(?P<t>[\d.]+)(_scale(?P<s>[\d.]+))?(?P<e>_ensemble)?(_pad(?P<p>\d+))?", name)
        assert options is not None, name
        scale, multiple = float(options["s"] or 1), int(options["p"] or least)
        padding = Padding.to_multiple(first.shape, max(multiple, int(multiple / scale)))
        frames = net.encode(padding.pad(first)), net.encode(padding.pad(last))
        traced = case.configuration.get("trace_time") == float(options["t"]) and case.names("trace_*")
        trace: Trace | None = {} if traced else None
        out = net(*frames, torch.tensor([float(options["t"])]), scale=scale, ensemble=bool(options["e"]), trace=trace)
        results[name] = padding.crop(out)
        if trace is not None:
            for index, frame in enumerate(frames):
                trace[f"encode{index}"] = frame.planes[:, : frame.features]
            results |= {wanted: trace[wanted.removeprefix("trace_")] for wanted in case.names("trace_*")}
    return results


def test_parity(golden_case: GoldenCase) -> None:
    golden_case.run({"network": network})
