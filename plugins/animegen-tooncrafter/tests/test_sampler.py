"""Steps, guidance, random stream, and what the sampler does where the published one fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from animegen.errors import UsageError
from animegen_testing.seeded_weights import fill
from animegen_tooncrafter.diffusion.architecture import UNetConfiguration
from animegen_tooncrafter.diffusion.ddim import DDIM, timesteps_of
from animegen_tooncrafter.diffusion.denoiser import Denoiser
from animegen_tooncrafter.diffusion.sampler import sample
from animegen_tooncrafter.diffusion.schedule import Schedule
from animegen_tooncrafter.diffusion.unet import UNet
from animegen_torch.diffusion.finite import NotFiniteError
from animegen_torch.diffusion.guidance import CONDITIONAL, IMAGE_ONLY, UNCONDITIONAL, Guidance, rescaled
from animegen_torch.diffusion.noise import Noise
from animegen_torch.diffusion.sampling import Step

TINY = UNetConfiguration(
    model_channels=32,
    num_res_blocks=1,
    attention_resolutions=(2, 1),
    channel_mult=(1, 2),
    num_head_channels=16,
    context_dim=64,
)
SHAPE = (1, 4, 2, 8, 8)
SCHEDULE = Schedule.compute()
NAN_STEPS = (7, 11, 14, 15, 20, 25, 33, 34, 35, 37, 38, 39, 61, 62, 63, 64)
"""Where the published sampler gives NaN at eta 1 (of 1 to 200)."""


class Still:
    """Predicts the same whatever it is asked, and keeps the questions."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, tuple[str, ...]]] = []

    def __call__(self, x: Tensor, timestep: int, branches: Sequence[str]) -> Mapping[str, Tensor]:
        self.asked.append((timestep, tuple(branches)))
        generator = torch.Generator().manual_seed(5)
        return {name: torch.randn(x.shape, generator=generator) for name in branches}


def tiny() -> UNet:
    unet = UNet(TINY)
    fill(unet, "model.diffusion_model.")
    return unet.for_inference()


def clip(unet: UNet, *names: str, together: bool = True, samples: int = 1) -> Denoiser:
    generator = torch.Generator().manual_seed(1)
    tokens = {name: torch.randn(samples, 77 + 32, 64, generator=generator) for name in names}
    keyframes = torch.randn(samples, *SHAPE[1:], generator=generator)
    return Denoiser(unet, tokens, keyframes, 10, together=together)


@pytest.mark.parametrize(("steps", "spacing"), [(s, "uniform_trailing") for s in (61, 103, 121, 122)])
def test_a_timestep_before_the_first_is_left_out(steps: int, spacing: str) -> None:
    published = np.flip(np.round(np.arange(1000, 0, -1000 / steps))) - 1
    assert published[0] == -1 and len(published) == steps + 1
    ours = timesteps_of(steps, spacing)
    assert len(ours) == steps and ours[0] >= 0 and ours[-1] == 999
    assert np.array_equal(ours, published[1:])


@pytest.mark.parametrize("steps", [3, 9, 27, 36, 37, *range(101, 112)])
def test_a_timestep_after_the_last_is_left_out(steps: int) -> None:
    ours = timesteps_of(steps, "uniform")
    assert (ours[0], ours[-1] + 1000 // steps) == (1, 1000)


def test_every_count_of_steps_can_be_sampled() -> None:
    for steps in range(1, 1001):
        trailing, uniform = timesteps_of(steps), timesteps_of(steps, "uniform")
        assert len(trailing) == steps and trailing[-1] == 999
        for made in (trailing, uniform):
            assert made[0] >= 0 and made[-1] <= 999 and (np.diff(made) > 0).all()
        assert len(uniform) >= min(steps, 999)


@pytest.mark.parametrize("steps", [0, -3, 1001])
def test_impossible_settings_are_refused(steps: int) -> None:
    with pytest.raises(UsageError, match=f"{steps} steps"):
        timesteps_of(steps)
    with pytest.raises(UsageError, match="no spacing") as caught:
        timesteps_of(5, "uniform_trailling")
    assert "did you mean 'uniform_trailing'" in caught.value.hints[0]
    with pytest.raises(UsageError, match=r"eta is 1\.5"):
        DDIM.of(SCHEDULE, 5, eta=1.5)
    with pytest.raises(UsageError, match=r"interval is 0\.8 to 0\.2"):
        Guidance(interval=(0.8, 0.2))
    with pytest.raises(UsageError, match="rescale is 2"):
        Guidance(rescale=2)


def test_the_float_trap_is_where_it_was_found_and_nobody_falls_into_it() -> None:
    trapped = []
    for steps in range(1, 201):
        tables = DDIM.of(SCHEDULE, steps)
        sigma = np.float32(tables.sigmas[-1])
        if np.float32(1) - np.float32(tables.alphas_prev[-1]) - sigma * sigma < 0:
            trapped.append(steps)
        assert all(tables.direction(index) >= 0 for index in range(steps))
    assert tuple(trapped) == NAN_STEPS
    assert DDIM.of(SCHEDULE, 50).direction(49) == pytest.approx(2.4414e-4, rel=1e-4)  # rounding kept where it works


@pytest.mark.parametrize("steps", [7, 20, 25])
def test_steps_that_gave_nan_give_a_clip(steps: int) -> None:
    out = sample(Still(), SHAPE, SCHEDULE, DDIM.of(SCHEDULE, steps), Noise(0))
    assert torch.isfinite(out).all()


def test_a_seed_gives_the_stream_of_one_global_seed() -> None:
    torch.manual_seed(123)
    expected = [torch.randn(16, 4, 8, 8), torch.randn(SHAPE), *(torch.randn(SHAPE) for _ in range(3))]
    noise = Noise(123)
    drawn = [noise.posterior((16, 4, 8, 8)), noise.start(SHAPE), *(noise.step(SHAPE) for _ in range(3))]
    assert all(torch.equal(a, b) for a, b in zip(expected, drawn, strict=True))


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_noise_is_drawn_in_every_step_and_used_only_with_eta(eta: float) -> None:
    class Counted(Noise):
        count = 0

        def step(self, shape: tuple[int, ...]) -> Tensor:
            self.count += 1
            return super().step(shape) + self.offset

    results = []
    for offset in (0.0, 1.0):
        noise = Counted(3)
        noise.offset = offset
        results.append(sample(Still(), SHAPE, SCHEDULE, DDIM.of(SCHEDULE, 4, eta=eta), noise))
        assert noise.count == 4
    assert torch.equal(*results) is (eta == 0)


def test_each_step_is_told_with_the_clip_as_it_would_be() -> None:
    seen: list[Step] = []
    out = sample(Still(), SHAPE, SCHEDULE, DDIM.of(SCHEDULE, 5, eta=0), Noise(0), on_step=seen.append)
    assert [(step.number, step.total, step.timestep) for step in seen] == [
        (n + 1, 5, t) for n, t in enumerate((999, 799, 599, 399, 199))
    ]
    assert torch.equal(seen[-1].latents, out)
    assert (seen[-1].x0 - out).abs().max() < (seen[0].x0 - out).abs().max()

    def stop(step: Step) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sample(Still(), SHAPE, SCHEDULE, DDIM.of(SCHEDULE, 5), Noise(0), on_step=stop)


def test_guidance_outside_its_interval_costs_one_call() -> None:
    still = Still()
    guidance = Guidance(interval=(0.3, 0.7))
    assert not guidance.is_exact and Guidance().is_exact
    sample(still, SHAPE, SCHEDULE, DDIM.of(SCHEDULE, 5), Noise(0), guidance)
    assert {timestep: len(branches) for timestep, branches in still.asked} == {999: 1, 799: 1, 599: 2, 399: 2, 199: 1}


def test_guidance_of_one_and_three_branches() -> None:
    assert Guidance(1.0).branches() == (CONDITIONAL,)
    assert Guidance(7.5, image_scale=2).branches() == (CONDITIONAL, UNCONDITIONAL, IMAGE_ONLY)
    v = {name: torch.randn(2, 4, 3) for name in (CONDITIONAL, UNCONDITIONAL, IMAGE_ONLY)}
    alone = {CONDITIONAL: v[CONDITIONAL]}
    assert Guidance(1.0).combine(alone) is v[CONDITIONAL]
    three = Guidance(3.0, 0.0, image_scale=3.0).combine(v)  # equal scales: the image branch falls out
    two = Guidance(3.0, 0.0).combine({name: v[name] for name in (CONDITIONAL, UNCONDITIONAL)})
    torch.testing.assert_close(three, two, atol=1e-5, rtol=1e-5)
    matched = rescaled(two, v[CONDITIONAL], 1.0)
    torch.testing.assert_close(matched.std((1, 2)), v[CONDITIONAL].std((1, 2)))


@pytest.mark.parametrize("names", [(CONDITIONAL, UNCONDITIONAL), (CONDITIONAL, UNCONDITIONAL, IMAGE_ONLY)])
@pytest.mark.parametrize("samples", [1, 2])
def test_branches_in_one_call_or_each_in_its_own_are_the_same(names: tuple[str, ...], samples: int) -> None:
    unet = tiny()
    calls: list[int] = []
    unet.register_forward_hook(lambda _, __, made: calls.append(made.shape[0]))
    x = torch.randn(samples, *SHAPE[1:], generator=torch.Generator().manual_seed(9))
    together = clip(unet, *names, samples=samples)(x, 601, names)
    apart = clip(unet, *names, samples=samples, together=False)(x, 601, names)
    assert calls == [len(names) * samples, *[samples] * len(names)]
    for name in names:
        torch.testing.assert_close(together[name], apart[name], atol=5e-5, rtol=5e-5)
    assert (together[CONDITIONAL] - together[UNCONDITIONAL]).abs().max() > 1e-2
    torch.testing.assert_close(clip(unet, *names, samples=samples)(x, 601, (names[-1],))[names[-1]], apart[names[-1]])


def test_a_branch_without_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="no tokens were given for image"):
        clip(tiny(), CONDITIONAL, UNCONDITIONAL)(torch.zeros(SHAPE), 601, (CONDITIONAL, IMAGE_ONLY))


def test_the_same_seed_gives_the_same_clip_and_another_one_another() -> None:
    predict = clip(tiny(), CONDITIONAL, UNCONDITIONAL)
    made = [sample(predict, SHAPE, SCHEDULE, DDIM.of(SCHEDULE, 2), Noise(seed)) for seed in (1, 1, 2)]
    assert torch.equal(made[0], made[1])
    assert not torch.allclose(made[0], made[2], atol=0.1)


def test_what_is_not_finite_names_the_part_it_comes_from() -> None:
    unet = tiny()
    predict = clip(unet, CONDITIONAL)
    unet.output_blocks[1][0].in_layers[2].bias[3] = float("nan")
    with pytest.raises(
        NotFiniteError, match=r"timestep 601, gave .* from output_blocks\.1\.0\.in_layers\.2 \(Conv3x3\)"
    ):
        predict(torch.zeros(SHAPE), 601, (CONDITIONAL,))
    with pytest.raises(NotFiniteError, match="was given numbers"):
        predict(torch.full(SHAPE, torch.inf), 601, (CONDITIONAL,))


def test_an_overflow_of_float16_says_what_to_type() -> None:
    unet = tiny()
    unet.middle_block[1].transformer_blocks[0].ff.net[0].proj.weight *= 1e5
    fine = clip(unet, CONDITIONAL)(torch.zeros(SHAPE), 601, (CONDITIONAL,))
    assert torch.isfinite(fine[CONDITIONAL]).all()
    unet.middle_block[1].transformer_blocks[0].ff.net[0].proj.weight /= 10
    half = clip(unet.compute_in(torch.float16), CONDITIONAL)
    with pytest.raises(NotFiniteError, match=r"in float16; .* middle_block\.1\.transformer_blocks\.0\.ff") as caught:
        half(torch.zeros(SHAPE), 601, (CONDITIONAL,))
    assert caught.value.hints == ("use --dtype bfloat16, or float32",)


def test_a_checkpoints_own_tables_count_and_differences_are_told() -> None:
    tables = dict(SCHEDULE.tables)
    same, different = Schedule.of_checkpoint(tables)
    assert not different and torch.equal(same.alphas_cumprod, SCHEDULE.alphas_cumprod)
    tables["scale_arr"] = tables["scale_arr"] * 0.9
    other, different = Schedule.of_checkpoint(tables)
    assert different == ["scale_arr"] and torch.equal(other.scale_arr, tables["scale_arr"])
    pruned = {name: table.half() for name, table in SCHEDULE.tables.items() if name != "betas"}
    computed, different = Schedule.of_checkpoint(pruned)
    assert not different and all(torch.equal(computed.tables[name], SCHEDULE.tables[name]) for name in SCHEDULE.tables)


def test_tables_do_not_change_with_what_is_done_to_a_copy() -> None:
    tables = DDIM.of(SCHEDULE, 5)
    assert replace(tables, sigmas=tables.sigmas * 0).sigmas.sum() == 0 < tables.sigmas.sum()
    assert len(tables) == 5 and len(SCHEDULE) == 1000
