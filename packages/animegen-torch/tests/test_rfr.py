"""RFR against the original on seeded weights, in both of its uses."""

# ruff: noqa: E402 - what may be absent is looked for first

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here")

from animegen_testing import seeded_weights
from animegen_torch.rfr import Rfr

GOLDEN = Path(__file__).parent / "golden" / "rfr.npz"


@pytest.fixture(scope="module")
def network() -> Rfr:
    network = Rfr().eval().requires_grad_(False)
    seeded_weights.fill(network, prefix="module.flownet.")
    return network


def golden(case: str) -> dict[str, torch.Tensor]:
    with np.load(GOLDEN) as file:
        arrays = {key.removeprefix(f"{case}_"): torch.from_numpy(file[key]) for key in file if key.startswith(case)}
    for name in ("first", "second"):
        arrays[name] = arrays[name].permute(2, 0, 1)[None].float() / 255
    return arrays


@pytest.mark.parametrize("case", ["eisai", "odd", "guess", "animeinterp"])
def test_as_the_original(network: Rfr, case: str) -> None:
    g = golden(case)
    low = -1.0 if case == "animeinterp" else 0.0
    first, second = (low + (1 - low) * g[name] for name in ("first", "second"))
    initial = g["initial"].float() if "initial" in g else None
    flow = network(first, second, initial=initial, iterations=int(g["iterations"]))
    assert flow.shape == (1, 2, *first.shape[2:])
    step = int(g["step"])
    assert (flow[:, :, ::step, ::step] - g["flow"]).abs().max() < 1e-5 * g["flow"].abs().max()


def test_both_ways_are_two_calls(network: Rfr) -> None:
    g = golden("odd")
    there, back = network.both_ways(g["first"], g["second"], iterations=2)
    assert torch.equal(there, network(g["first"], g["second"], iterations=2))
    assert torch.equal(back, network(g["second"], g["first"], iterations=2))


def test_a_batch_is_its_pairs(network: Rfr) -> None:
    g = golden("guess")
    guess = torch.cat((torch.zeros_like(g["initial"]), g["initial"]))
    pair = torch.cat((g["first"], g["second"])), torch.cat((g["second"], g["first"]))
    both = network(*pair, initial=guess, iterations=2)
    for n in range(2):
        one = network(pair[0][n : n + 1], pair[1][n : n + 1], initial=guess[n : n + 1], iterations=2)
        assert (both[n : n + 1] - one).abs().max() < 1e-4


def test_half_precision_keeps_places_in_float32(network: Rfr) -> None:
    g = golden("odd")
    exact = network(g["first"], g["second"], iterations=4)
    half = Rfr().eval().requires_grad_(False)
    half.load_state_dict(network.state_dict())
    flow = half.bfloat16()(g["first"].bfloat16(), g["second"].bfloat16(), iterations=4)
    assert flow.dtype == torch.float32
    assert (flow - exact).abs().mean() < 0.05 * exact.abs().max()


def test_gradients_reach_every_parameter_that_is_used() -> None:
    network = Rfr()
    seeded_weights.fill(network)
    g = golden("guess")
    network(g["first"], g["second"], iterations=2).abs().mean().backward()
    without = {name for name, parameter in network.named_parameters() if parameter.grad is None}
    assert without == {name for name, _ in network.named_parameters() if name.startswith("attention2.")}


def test_what_it_cannot_do_is_said(network: Rfr) -> None:
    with pytest.raises(ValueError, match="at least 64"):
        network(torch.zeros(1, 3, 63, 200), torch.zeros(1, 3, 63, 200))
    with pytest.raises(ValueError, match="cannot be compared"):
        network(torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 72))
    assert network(torch.zeros(1, 3, 64, 71), torch.zeros(1, 3, 64, 71), iterations=1).isfinite().all()
