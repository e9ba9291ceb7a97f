"""Fine-tuning: what moves in each variant, and the loss."""

from __future__ import annotations

import pytest
import torch

from animegen.errors import UsageError
from animegen_testing.seeded_weights import fill
from animegen_tooncrafter.diffusion import objective
from animegen_tooncrafter.diffusion.architecture import UNetConfiguration
from animegen_tooncrafter.diffusion.resampler import Resampler, ResamplerConfiguration
from animegen_tooncrafter.diffusion.schedule import Schedule
from animegen_tooncrafter.diffusion.unet import UNet

TINY = UNetConfiguration(
    model_channels=32,
    num_res_blocks=1,
    attention_resolutions=(2, 1),
    channel_mult=(1, 2),
    num_head_channels=16,
    context_dim=64,
    dropout=0.0,
)
PROJECTOR = ResamplerConfiguration(
    dim=64, depth=1, dim_head=16, heads=2, embedding_dim=48, output_dim=64, video_length=3
)
SCHEDULE = Schedule.compute()


def networks() -> tuple[UNet, Resampler]:
    unet, projector = UNet(TINY), Resampler(PROJECTOR)
    fill(unet, "model.diffusion_model.")
    fill(projector, "image_proj_model.")
    return unet, projector


def test_toon_rectification_at_the_real_size_moves_what_the_paper_says() -> None:
    with torch.device("meta"):
        unet, projector = UNet(), Resampler()
    counts = {}
    for name, variant in objective.VARIANTS.items():
        chosen = dict(objective.choose_parameters(unet, projector, variant))
        counts[name] = sum(parameter.numel() for parameter in chosen.values())
        assert all(parameter.requires_grad for parameter in chosen.values())
        assert unet.temporal is (name != "bypass")
    assert counts["none"] == 0
    assert counts["projector"] == 48_787_456
    assert counts["all"] == 1_438_854_980 + 48_787_456
    assert counts["rectify"] == counts["bypass"]
    assert counts["rectify"] / 1e6 == pytest.approx(893.5 + 48.8, abs=0.1)


@pytest.mark.parametrize("name", [name for name in objective.VARIANTS if name != "none"])
def test_a_training_step_moves_the_chosen_parameters_and_no_other(name: str) -> None:
    unet, projector = networks()
    chosen = dict(objective.choose_parameters(unet, projector, objective.variant_named(name)))
    everything = {f"model.diffusion_model.{key}": value for key, value in unet.named_parameters()}
    everything |= {f"image_proj_model.{key}": value for key, value in projector.named_parameters()}
    before = {key: value.detach().clone() for key, value in everything.items()}
    generator = torch.Generator().manual_seed(0)
    latents, noise, keyframes = torch.randn(3, 2, 4, 3, 8, 8, generator=generator)
    image = projector(torch.randn(2, 9, 48, generator=generator))
    tokens = torch.cat((torch.randn(2, 77, 64, generator=generator), image), 1)
    given = objective.example(SCHEDULE, latents, noise, torch.tensor([20, 900]))
    optimizer = torch.optim.SGD(chosen.values(), lr=0.1)
    objective.loss(unet, given, keyframes, tokens, torch.tensor([8, 24])).backward()
    optimizer.step()
    moved = {key for key, value in everything.items() if not torch.equal(value, before[key])}
    assert moved <= set(chosen)
    assert {key for key, value in everything.items() if value.grad is not None and key not in chosen} == set()
    still = set(chosen) - moved
    # A bias before a norm whose groups are one channel wide (here, not at the real size) has no effect to learn from.
    assert not {key for key in still if everything[key].ndim > 1}


def test_the_loss_of_a_perfect_prediction_is_zero_and_the_target_leads_back() -> None:
    latents, noise = torch.randn(2, 3, 4, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    times = torch.tensor([0, 500, 999])
    given = objective.example(SCHEDULE, latents, noise, times)
    torch.testing.assert_close(SCHEDULE.x0(given.noisy, given.target, times), given.x0, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(SCHEDULE.noise(given.noisy, given.target, times), noise, atol=1e-5, rtol=1e-5)
    assert torch.equal(given.noisy[2], noise[2])  # the last timestep is noise and nothing else

    class Perfect(UNet):
        def forward(self, *args, **kwargs):  # type: ignore[no-untyped-def]
            return given.target

    assert objective.loss(Perfect(TINY), given, latents, torch.zeros(3, 100, 64)) == 0


def test_five_percent_lose_the_text_as_many_both_as_many_the_image() -> None:
    uniform = (torch.arange(1000) + 0.5) / 1000
    text, image = objective.dropped(uniform)
    counts = [int(x.sum()) for x in (text & ~image, text & image, ~text & image, ~text & ~image)]
    assert counts == [50, 50, 50, 850]


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(UsageError, match="no variant 'rectfy'") as caught:
        objective.variant_named("rectfy")
    assert "did you mean 'rectify'" in caught.value.hints[0]
