"""The golden case from keyframes and prompt to frames, with all draws given."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from animegen_testing import seeded_weights
from animegen_testing.goldens import GoldenCase
from animegen_tooncrafter.conditioning.image import ImageTower
from animegen_tooncrafter.conditioning.towers import ImageConfiguration
from animegen_tooncrafter.diffusion.architecture import UNetConfiguration
from animegen_tooncrafter.diffusion.resampler import Resampler, ResamplerConfiguration
from animegen_tooncrafter.diffusion.schedule import Schedule
from animegen_tooncrafter.diffusion.unet import UNet
from animegen_tooncrafter.first_stage.autoencoder import FirstStage
from animegen_tooncrafter.first_stage.sweeps import Chunking
from animegen_tooncrafter.synthesis import Parts, Settings, condition, decode, denoise
from animegen_torch.diffusion.autoencoder.architecture import SCALE_FACTOR, FirstStageConfiguration
from animegen_torch.diffusion.guidance import CONDITIONAL, UNCONDITIONAL, Guidance
from animegen_torch.diffusion.text import TextConfiguration, TextTower, tokenize
from animegen_torch.placement.lending import lend


class GivenNoise:
    """The draws of the file, in order."""

    def __init__(self, case: GoldenCase) -> None:
        self._draws = iter([torch.from_numpy(case.arrays[f"noise.{i}"]) for i in range(len(case.names("noise.*")))])

    def _next(self, shape: tuple[int, ...]) -> Tensor:
        draw = next(self._draws)
        assert tuple(draw.shape) == tuple(shape)
        return draw

    posterior = start = step = _next


def parts_of(case: GoldenCase) -> tuple[Parts, dict[str, nn.Module]]:
    settings = case.configuration
    params = settings["config"]["params"]

    def of(name: str) -> dict[str, Any]:
        return params[name]["params"]

    stage = of("first_stage_config")
    resampler = {
        k: v for k, v in of("image_proj_stage_config").items() if k in ResamplerConfiguration.__dataclass_fields__
    }
    networks: dict[str, Any] = {
        "cond_stage_model.": TextTower(TextConfiguration.of(settings["text_cfg"])),
        "embedder.": ImageTower(ImageConfiguration.of(settings["vision_cfg"])),
        "image_proj_model.": Resampler(ResamplerConfiguration(**resampler)),
        "model.diffusion_model.": UNet(UNetConfiguration.of(of("unet_config"))),
        "first_stage_model.": FirstStage(FirstStageConfiguration.of(stage["ddconfig"], stage["embed_dim"])),
    }
    for prefix, network in networks.items():
        seeded_weights.fill(network.eval(), case.prefix + prefix)
    networks["model.diffusion_model."].for_inference()
    return Parts(*map(lend, networks.values()), Schedule.compute()), networks  # type: ignore[arg-type]


@torch.no_grad()
def synthesis(case: GoldenCase) -> None:
    """Every intermediate result in the file, and the clip: decoded at once and three frames at a time."""
    parts, networks = parts_of(case)
    call = case.configuration["call"]
    first, last = (torch.from_numpy(case.arrays[name]) for name in ("img1", "img2"))
    noise, frames = GivenNoise(case), call["t"]
    settings = Settings(
        steps=call["S"],
        eta=call["eta"],
        guidance=Guidance(call["cfg_scale"], call["guidance_rescale"]),
        fps=call["fs"],
        frames=frames,
    )
    case.compare("tokens", tokenize([call["prompt"], ""]))
    case.compare("clip_cond_tokens", networks["embedder."](first[None]))
    conditions = condition(first, last, call["prompt"], parts, noise, settings)
    for ours, theirs in ((CONDITIONAL, "cond"), (UNCONDITIONAL, "uncond")):
        case.compare(f"txt_{theirs}", conditions.tokens[ours][:, :77])
        case.compare(f"img_emb_{theirs}", conditions.tokens[ours][:, 77:])
    # The original encodes all frames; here are two, whose posteriors stand for both halves of the clip.
    stage: Any = networks["first_stage_model."]
    posterior, _ = stage.encode(torch.stack((first, last)))
    half = torch.arange(frames) // (frames // 2)
    every = SCALE_FACTOR * (posterior.mean[half] + posterior.std[half] * torch.from_numpy(case.arrays["noise.0"]))
    case.compare("z", every.transpose(0, 1)[None])
    ends = torch.from_numpy(case.arrays["z"])[0, :, [0, -1]].transpose(0, 1)
    case.compare("z", conditions.keyframes.latents, ends)
    latent = denoise(conditions, parts, noise, settings)
    case.compare("latent", latent)
    for chunking in (Chunking(), Chunking(frames=3, recompute=True)):
        clip = decode(latent, conditions, parts, Settings(frames=frames, chunking=chunking))
        case.compare("video", clip.transpose(0, 1)[None])
    once = decode(latent, conditions, parts, Settings(frames=frames, second_pass=False))
    case.compare("video_first_decode_frames_mid", once[frames // 2 - 1 : frames // 2 + 1].transpose(0, 1)[None])


RUNNERS = {"synthesis": synthesis}
