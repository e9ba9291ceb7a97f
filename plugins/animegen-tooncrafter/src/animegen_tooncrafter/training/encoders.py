"""What the frozen parts make of a window of frames: latents, tokens of its text, patches of its first frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from animegen.atomic import replacing
from animegen_tooncrafter.conditioning.image import ImageTower
from animegen_tooncrafter.first_stage.autoencoder import FirstStage
from animegen_torch.diffusion.autoencoder.encoder import Posterior
from animegen_torch.diffusion.text import TextTower

Load = Callable[[str, torch.dtype, torch.device], nn.Module]
"""Gives a part in a type on a device; see `placement.source.Source.part`."""


@dataclass(frozen=True)
class Encoded:
    """A batch of windows as the diffusion sees them.

    Attributes:
        posterior: Of the latents of all frames, mean and logvar (B, T, 4, h, w) float32.
        text: Tokens of the captions, (B, 77, W).
        patches: Of the first frames, (B, P, C).
        no_text: Tokens of an empty caption, (77, W).
        no_picture: Patches of mid grey, (P, C).
    """

    posterior: Posterior
    text: Tensor
    patches: Tensor
    no_text: Tensor
    no_picture: Tensor


class Encoders:
    """The frozen parts, loaded when the first window is encoded that is not kept on disk.

    They are no part of the module that learns: nothing of them is trained, shared between processes or saved.

    Args:
        load: Gives a part.
        device: Where they run.
        dtype: Of the towers; the autoencoder runs in float32.
        folder: Keeps what was encoded, where windows come again; None keeps nothing.
    """

    def __init__(self, load: Load, device: torch.device, dtype: torch.dtype, folder: Path | None) -> None:
        self._load, self._device, self._dtype, self._folder = load, device, dtype, folder
        self._parts: tuple[TextTower, ImageTower, FirstStage] | None = None
        self._nothing: tuple[Tensor, Tensor] | None = None

    def has(self, key: str) -> bool:
        """Whether a window is kept, so that its frames need not be read."""
        return self._folder is not None and self._file(key).is_file()

    def nothing(self) -> tuple[Tensor, Tensor]:
        """What stands for a text and for a picture that were dropped."""
        if self._nothing is None:
            kept = self._kept("nothing")
            if kept is None:
                text, image, _ = self._all()
                size = image.configuration.image_size
                kept = {"text": text([""])[0], "patches": image(torch.zeros(1, 3, size, size))[0]}
                self._keep("nothing", kept)
            self._nothing = kept["text"].to(self._device), kept["patches"].to(self._device)
        return self._nothing

    @torch.no_grad()
    def __call__(self, pixels: Sequence[Tensor | None], texts: Sequence[str], keys: Sequence[str]) -> Encoded:
        """Encode windows, or take what is kept of them.

        Args:
            pixels: Of each, (T, 3, H, W) uint8, or None where `has` said so.
            texts: Their captions.
            keys: Their `Window.key`.
        """
        # What the encoders see does not depend on what the loop computes in.
        with torch.autocast(self._device.type, enabled=False):
            no_text, no_picture = self.nothing()
            windows = [self._one(*each) for each in zip(pixels, texts, keys, strict=True)]
        gathered = {name: torch.stack([one[name].to(self._device) for one in windows]) for name in windows[0]}
        posterior = Posterior(gathered["mean"], gathered["logvar"])
        return Encoded(posterior, gathered["text"], gathered["patches"], no_text, no_picture)

    def _one(self, pixels: Tensor | None, text: str, key: str) -> dict[str, Tensor]:
        if kept := self._kept(key):
            return kept
        assert pixels is not None, "frames are left out only of what is kept"
        texts, images, first_stage = self._all()
        frames = pixels.to(self._device).float().div_(255).mul_(2).sub_(1)
        # Without the features that `FirstStage.encode` gathers for a decoder.
        posterior = Posterior.of(torch.cat([one for one, _ in first_stage.encoded(frames)]))
        made = {
            "mean": posterior.mean,
            "logvar": posterior.logvar,
            "text": texts([text])[0],
            "patches": images(frames[:1])[0],
        }
        self._keep(key, made)
        return made

    def _all(self) -> tuple[TextTower, ImageTower, FirstStage]:
        if self._parts is None:
            text = self._load("text", self._dtype, self._device)
            image = self._load("image", self._dtype, self._device)
            first_stage = self._load("first_stage", torch.float32, torch.device("cpu"))
            assert isinstance(text, TextTower) and isinstance(image, ImageTower) and isinstance(first_stage, FirstStage)
            del first_stage.decoder  # nothing is decoded here
            self._parts = text, image, first_stage.to(self._device)
        return self._parts

    def _file(self, key: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{key}.safetensors"

    def _kept(self, key: str) -> dict[str, Tensor] | None:
        if self._folder is None:
            return None
        try:
            return dict(load_file(str(self._file(key))))
        except (OSError, SafetensorError):  # absent, or damaged: made again
            return None

    def _keep(self, key: str, tensors: dict[str, Tensor]) -> None:
        if self._folder is not None:
            plain: dict[str, Any] = {name: one.detach().cpu().contiguous() for name, one in tensors.items()}
            with replacing(self._file(key)) as beside:
                save_file(plain, str(beside))
