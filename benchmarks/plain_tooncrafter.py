"""A whole clip of ToonCrafter in the most obvious way, to measure the real one against: the same maths, nothing saved.

Every picture and every prompt by itself through its tower, all frames encoded, two calls of `plain_unet` in each step
with the context projected in each, the clip decoded whole by `plain_tooncrafter_vae`. All networks stay in memory. The
loop around the U-Net and the order of random numbers are those of the real one: neither takes time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import plain_tooncrafter_vae as vae
import torch
from plain_unet import PlainUNet
from torch import Tensor

from animegen_tooncrafter.conditioning.image import ImageTower
from animegen_tooncrafter.diffusion.ddim import DDIM
from animegen_tooncrafter.diffusion.resampler import Resampler
from animegen_tooncrafter.diffusion.sampler import sample
from animegen_tooncrafter.diffusion.schedule import Schedule
from animegen_tooncrafter.diffusion.unet import UNet
from animegen_tooncrafter.first_stage.autoencoder import FirstStage
from animegen_tooncrafter.synthesis import Settings
from animegen_torch.diffusion.guidance import CONDITIONAL, UNCONDITIONAL
from animegen_torch.diffusion.noise import Noise
from animegen_torch.diffusion.sampling import Step
from animegen_torch.diffusion.text import TextTower


@dataclass
class Networks:
    """All of them, on the processor."""

    text: TextTower
    image: ImageTower
    projector: Resampler
    unet: UNet
    first_stage: FirstStage


@dataclass(frozen=True)
class Conditions:
    """Tokens of both branches, the keyframes' latents in place (1, 4, T, h, w), and their five features."""

    tokens: Mapping[str, Tensor]
    keyframes: Tensor
    features: tuple[Tensor, ...]


class PlainClip:
    """The three thirds of a clip: `condition`, `denoise`, `decode`."""

    def __init__(self, networks: Networks) -> None:
        self.networks = networks
        # The layout that a file has; ours lays the weights out anew.
        state = {name: tensor.contiguous() for name, tensor in networks.unet.state_dict().items()}
        self.unet = PlainUNet(networks.unet.configuration, state)

    @torch.no_grad()
    def condition(self, first: Tensor, last: Tensor, prompt: str, noise: Noise, settings: Settings) -> Conditions:
        n = self.networks
        tokens = {
            name: torch.cat((n.text([words]), n.projector(n.image(picture[None]))), 1)
            for name, words, picture in (
                (CONDITIONAL, prompt, first),
                (UNCONDITIONAL, settings.negative_prompt, torch.zeros_like(first)),
            )
        }
        count = settings.frames
        clip = torch.stack([first] * (count // 2) + [last] * (count - count // 2))
        height, width = (side // 8 for side in first.shape[1:])
        z, features = vae.encode(n.first_stage, clip, noise.posterior((count, 4, height, width)))
        keyframes = torch.zeros_like(z)
        keyframes[[0, -1]] = z[[0, -1]]
        return Conditions(tokens, keyframes.transpose(0, 1)[None], tuple(one[[0, -1]] for one in features))

    def denoise(
        self,
        conditions: Conditions,
        noise: Noise,
        settings: Settings,
        schedule: Schedule,
        on_step: Callable[[Step], None] | None = None,
    ) -> Tensor:
        fs = torch.tensor([settings.fps])

        def predict(x: Tensor, timestep: int, branches: Sequence[str]) -> dict[str, Tensor]:
            latents, times = torch.cat((x, conditions.keyframes), 1), torch.tensor([timestep])
            return {name: self.unet(latents, times, conditions.tokens[name], fs) for name in branches}

        tables = DDIM.of(schedule, settings.steps, settings.spacing, settings.eta)
        shape = tuple(conditions.keyframes.shape)
        return sample(predict, shape, schedule, tables, noise, settings.guidance, on_step=on_step)

    def decode(self, latents: Tensor, conditions: Conditions, settings: Settings) -> Tensor:
        clip = latents[0].transpose(0, 1)
        return vae.decode(self.networks.first_stage, clip, conditions.features, second_pass=settings.second_pass)
