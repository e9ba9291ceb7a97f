"""What learns: the U-Net and the image projector, of both what the variant says, on windows of clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from animegen_tooncrafter.diffusion.objective import Variant, choose_parameters, dropped, example, loss
from animegen_tooncrafter.diffusion.resampler import Resampler
from animegen_tooncrafter.diffusion.schedule import Schedule
from animegen_tooncrafter.diffusion.unet import UNet
from animegen_tooncrafter.training.encoders import Encoders
from animegen_tooncrafter.training.options import RectificationOptions
from animegen_tooncrafter.training.samples import Stream
from animegen_torch.diffusion.autoencoder.architecture import SCALE_FACTOR

PREFIXES = {"unet": "model.diffusion_model.", "projector": "image_proj_model."}
"""What stands before the published names of the parts that can learn."""


class Rectification(nn.Module):
    """U-Net and projector with the loss of one batch as their result.

    Args:
        unet, projector: In float32. Parameters that learn are copied, so that a mapped file is never trained in place.
        variant: Which of their parameters learn.
        schedule: Of the noise.
        encoders: Make latents and tokens of frames.
        drop: Share of samples that lose their text alone; see `objective.dropped`.
        frozen_dtype: What parameters that stay as they are are kept in, but for norms and biases.
    """

    def __init__(
        self,
        unet: UNet,
        projector: Resampler,
        variant: Variant,
        schedule: Schedule,
        encoders: Encoders,
        *,
        drop: float = 0.05,
        frozen_dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.unet, self.projector = unet, projector
        self._schedule, self._drop = schedule, drop
        self._others = (encoders,)  # in a tuple: not a part of this module
        chosen = dict(choose_parameters(unet, projector, variant))
        self.published = {
            f"{part}.{name}": f"{prefix}{name}"
            for part, prefix in PREFIXES.items()
            for name, parameter in self.get_submodule(part).named_parameters()
            if parameter.requires_grad
        }
        assert set(self.published.values()) == set(chosen)
        for parameter in self.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float().clone(memory_format=torch.contiguous_format)
            elif parameter.ndim > 1:
                parameter.data = parameter.data.to(frozen_dtype)

    def forward(self, batch: Mapping[str, Any]) -> Tensor:
        """The loss of a batch of `RectificationTask.collate`."""
        encoded = self._others[0](batch["pixels"], batch["texts"], batch["keys"])
        latents, noise = self._latents(encoded.posterior, batch)
        no_text, no_picture = (one.view(-1, 1, 1) for one in dropped(batch["uniform"], self._drop))
        text = torch.where(no_text, encoded.no_text[None], encoded.text)
        patches = torch.where(no_picture, encoded.no_picture[None], encoded.patches)
        tokens = torch.cat((text.float(), self.projector(patches).float()), 1)
        keyframes = torch.zeros_like(latents)
        keyframes[:, :, 0], keyframes[:, :, -1] = latents[:, :, 0], latents[:, :, -1]
        given = example(self._schedule, latents, noise, batch["timesteps"])
        return loss(self.unet, given, keyframes, tokens, batch["fps"])

    @staticmethod
    def _latents(posterior: Any, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """Latents drawn from the posterior, and noise, both (B, 4, T, h, w); from each sample's own seed."""
        shape = posterior.mean.shape[1:]
        drawn = []
        for seed in batch["seeds"]:  # on the processor, so that every kind of device draws the same
            generator = torch.Generator().manual_seed(seed)
            drawn.append(torch.randn((2, *shape), generator=generator))
        both = torch.stack(drawn).to(posterior.mean)
        latents = SCALE_FACTOR * posterior.sample(both[:, 0])
        return latents.transpose(1, 2), both[:, 1].transpose(1, 2)


class RectificationTask:
    """An `animegen_torch.training.task.Task`."""

    def __init__(
        self, module: Rectification, stream: Stream, options: RectificationOptions, encoders: Encoders
    ) -> None:
        self.module = module
        self.names = module.published
        self._stream, self._options, self._encoders = stream, options, encoders

    def sample(self, number: int) -> dict[str, Any]:
        """A window with its random numbers; its frames are read unless what encoders made of them is kept."""
        window, draw = self._stream.window(number), self._stream.draw(number)
        width, height = self._options.width, self._options.height
        key = window.key(width, height, self.source)
        return {
            "pixels": None if self._encoders.has(key) else window.read(width, height),
            "text": window.clip.text,
            "key": key,
            "fps": window.fps,
            "timestep": draw.timestep,
            "uniform": draw.uniform,
            "seed": draw.seed,
        }

    source = ""
    """What the encoders' parameters are, as a part of the names of what is kept."""

    def collate(self, samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {
            "pixels": [one["pixels"] for one in samples],
            "texts": [one["text"] for one in samples],
            "keys": [one["key"] for one in samples],
            "seeds": [one["seed"] for one in samples],
            "fps": torch.tensor([one["fps"] for one in samples]),
            "timesteps": torch.tensor([one["timestep"] for one in samples]),
            "uniform": torch.tensor([one["uniform"] for one in samples]),
        }
