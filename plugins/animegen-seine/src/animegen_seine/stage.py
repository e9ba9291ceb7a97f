"""SEINE behind the interpolator's contract: two pictures and a prompt in, a clip of sixteen frames out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from animegen_seine.model import PARTS, ModelConfiguration
from animegen_seine.placement.choose import choose, next_smaller
from animegen_seine.placement.source import source_of
from animegen_seine.plugin import SEINE
from animegen_seine.synthesis import Parts, Settings, decode, denoise, encode, read
from animegen_torch.diffusion.clip import Clip
from animegen_torch.diffusion.guidance import Guidance
from animegen_torch.diffusion.kept import key_of
from animegen_torch.diffusion.noise import Noise
from animegen_torch.diffusion.runner import Runner
from animegen_torch.pictures import to_pictures, to_tensor
from animegen_torch.placement.source import Source

if TYPE_CHECKING:
    from animegen.media import Frames, Image
    from animegen.stages import Context
    from animegen_seine.plugin import SeineOptions

VERSION = 1
"""To be raised when the sampler gives something else for the same settings."""


class Seine:
    """Draws a transition between two pictures with SEINE (Chen et al., ICLR 2024).

    Files are looked into at once, and read part by part when a part first runs. What is done where memory does not
    suffice is told in `animegen_torch.diffusion.runner`; the decoder takes one frame at a time then.

    Raises:
        InputError: A file is damaged, or holds something else.
        MissingError: A published file is not here.
        ResourceError: None of the devices can be used.
        UsageError: The number format is none it computes in.
    """

    def __init__(self, options: SeineOptions, context: Context) -> None:
        self.options = options
        self.context = context
        self._runner: Runner[Source[ModelConfiguration], int] = Runner(
            SEINE,
            context,
            partial(source_of, options, context),
            partial(choose, options),
            partial(next_smaller, options),
        )

    def __call__(self, first: Image, last: Image, times: Sequence[float], *, prompt: str = "", seed: int = 0) -> Frames:
        """The clip between two pictures.

        Args:
            first, last: (H, W, 3) uint8 RGB of one size, sides multiples of 8.
            times: Evenly spaced, from 0 to 1; how many decides the number of frames, 16 is what the model knows.
            prompt: What is seen, in English.
            seed: Of all random numbers.

        Returns:
            (len(times), H, W, 3) uint8; the ends are decoded too, unless ``keyframes`` is ``copied``.

        Raises:
            InputError, MissingError: A file is damaged, of something else, or not here.
            NotFiniteError: A network gave numbers that are not finite; the message says which part of it did.
            ResourceError: The memory does not suffice, in the smallest way of working.
            UsageError: The size or the number of frames cannot be drawn.
        """
        SEINE.check_pair(first, last)
        height, width = first.shape[:2]
        clip = Clip(height, width, len(times), self.options.branches)
        SEINE.check_size(height, width, clip.frames)
        self._say_what_is_odd(clip, prompt)
        runner = self._runner
        runner.settle(clip)
        settings = self._settings(clip)
        parts = Parts.of(runner.residence)
        noise = runner.noise(seed, self.options.noise)
        key = key_of(first, last, (VERSION, first.shape, prompt, seed, *self._facts(settings, noise)))
        latents = runner.sampled(key, lambda: self._sampled(first, last, prompt, noise, parts, settings))
        frames = runner.decode(
            () if runner.choice.decoding == 1 else (1,),
            lambda coder, at_once: decode(
                latents, replace(parts, first_stage=coder), replace(settings, decoder_frames=at_once)
            ),
            onward="frame by frame",
        )
        drawn = to_pictures(frames / 2 + 0.5)
        runner.kept.drop(key)
        if self.options.keyframes == "copied":
            drawn[0], drawn[-1] = first, last
        return drawn

    def close(self) -> None:
        """Let go of all parts; the next call reads them again."""
        self._runner.close()

    def _settings(self, clip: Clip) -> Settings:
        options = self.options
        low, high = options.guidance_interval
        return Settings(
            sampler=options.sampler,
            steps=options.steps,
            eta=options.eta,
            guidance=Guidance(options.guidance_scale, 0.0, None, (low, high)),
            frames=clip.frames,
            suffix=options.prompt_suffix,
            negative_prompt=options.negative_prompt,
            posterior=options.posterior,
            together=self._runner.choice.together,
        )

    def _facts(self, settings: Settings, noise: Noise) -> tuple[object, ...]:
        """What decides a latent besides pictures, prompt and seed."""
        source, residence = self._runner.source, self._runner.residence
        return (
            replace(settings, together=True),
            source.identity,
            source.model,
            [residence.dtype_of(part) for part in PARTS],
            noise.device.type,
        )

    def _sampled(
        self, first: Image, last: Image, prompt: str, noise: Noise, parts: Parts, settings: Settings
    ) -> Tensor:
        runner = self._runner
        pair = to_tensor(np.stack((first, last))) * 2 - 1
        ends = pair[0], pair[1]
        given = runner.encode(lambda coder: encode(*ends, replace(parts, first_stage=coder), noise, settings))
        tokens = runner.attempt("reading the prompt", "text", lambda: read(prompt, parts, settings))
        return runner.attempt(
            "sampling",
            "unet",
            lambda: denoise(tokens, given, parts, noise, settings, on_step=runner.show, on_less=self.context.warn),
        )

    def _say_what_is_odd(self, clip: Clip, prompt: str) -> None:
        warn = self.context.warn
        if clip.frames != SEINE.frames:
            warn(f"{clip.frames} frames: SEINE was trained for {SEINE.frames}, and others look worse.")
        if SEINE.is_small(clip):
            warn(f"{clip.width}×{clip.height} is much smaller than what SEINE was made for, 512×320; drawings suffer.")
        if not prompt.strip():
            warn("SEINE is told nothing of what is seen: --prompt with a sentence gives a better transition.")
