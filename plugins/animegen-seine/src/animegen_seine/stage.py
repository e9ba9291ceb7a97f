"""SEINE behind the interpolator's contract: two pictures and a prompt in, a clip of sixteen frames out."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor

from animegen.errors import StageError
from animegen.weights.store import default_home
from animegen_seine.identity import digest_of
from animegen_seine.placement.demands import Clip
from animegen_seine.placement.plan import Choice, choose, next_smaller, sizes_of
from animegen_seine.placement.source import source_of
from animegen_seine.synthesis import (
    FRAMES,
    STAGE,
    Parts,
    Settings,
    check_size,
    decode,
    denoise,
    encode,
    read,
)
from animegen_torch.diffusion.finite import NotFiniteError
from animegen_torch.diffusion.guidance import Guidance
from animegen_torch.diffusion.kept import Kept
from animegen_torch.diffusion.noise import Noise
from animegen_torch.diffusion.sampling import Step
from animegen_torch.memory import is_out_of_memory, out_of_memory, release
from animegen_torch.pictures import to_pictures, to_tensor
from animegen_torch.placement.machine import machine_of
from animegen_torch.placement.residence import Residence

if TYPE_CHECKING:
    from animegen.media import Frames, Image
    from animegen.stages import Context
    from animegen_seine.plugin import SeineOptions

T = TypeVar("T")
TRAINED_AT = 320 * 512
"""Pixels of the smallest pictures but one that the model was published for."""


class Seine:
    """Draws a transition between two pictures with SEINE (Chen et al., ICLR 2024).

    Files are looked into at once, and read part by part when a part first runs. Where parts are is decided at the first
    clip, from what is free then (`placement.plan.choose`), and stays so.

    When memory runs out, what can be done without another result is done by itself: the calls of guidance run apart,
    the decoder takes one frame at a time. What was sampled is kept on disk until it is decoded.

    Raises:
        InputError: A file is damaged, or holds something else.
        MissingError: A published file is not here.
        ResourceError: None of the devices can be used.
        UsageError: The number format is none it computes in.
    """

    def __init__(self, options: SeineOptions, context: Context) -> None:
        self.options = options
        self.context = context
        self._machine = machine_of(context, STAGE, warn=context.warn)
        self._source = source_of(options, context)
        self._residence: Residence | None = None
        self._choice: Choice | None = None
        self._kept = Kept(default_home() / "latents")

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
        _check(first, last)
        height, width = first.shape[:2]
        frames = len(times)
        check_size(height, width, frames)
        self._say_what_is_odd(height, width, frames, prompt)
        residence, choice = self._settled(Clip(height, width, frames, self.options.branches))
        settings = self._settings(frames, choice)
        parts = Parts(residence.lend("text"), residence.lend("unet"), residence.lend("first_stage"))
        key = digest_of(first, last, prompt, seed, settings, self.options.noise, residence, self._source)
        latents = self._kept.get(key)
        if latents is None:
            latents = self._sampled(first, last, prompt, seed, residence, parts, settings)
            self._kept.put(key, latents)
        else:
            self.context.warn("What an earlier try had sampled is used; only decoding was left to do.")
        sampled = latents
        clip = self._in_float32_else(parts, lambda parts: self._decoded(sampled, parts, settings))
        drawn = to_pictures(clip / 2 + 0.5)
        self._kept.drop(key)
        if self.options.keyframes == "copied":
            drawn[0], drawn[-1] = first, last
        return drawn

    def close(self) -> None:
        """Let go of all parts; the next call reads them again."""
        if self._residence is not None:
            self._residence.close()
        self._residence = self._choice = None

    def _settled(self, clip: Clip) -> tuple[Residence, Choice]:
        """Where parts are; decided once, for the first clip."""
        if self._residence is None or self._choice is None:
            self._choice = choose(self.options, self._machine, sizes_of(self._source.model), clip)
            self._residence = Residence(self._source, self._choice.placement, self._machine.dtypes)
        return self._residence, self._choice

    def _settings(self, frames: int, choice: Choice) -> Settings:
        options = self.options
        low, high = options.guidance_interval
        return Settings(
            sampler=options.sampler,
            steps=options.steps,
            eta=options.eta,
            guidance=Guidance(options.guidance_scale, 0.0, None, (low, high)),
            frames=frames,
            suffix=options.prompt_suffix,
            negative_prompt=options.negative_prompt,
            posterior=options.posterior,
            together=choice.working.together,
            decoder_frames=choice.working.frames,
        )

    def _sampled(
        self, first: Image, last: Image, prompt: str, seed: int, residence: Residence, parts: Parts, settings: Settings
    ) -> Tensor:
        noise = Noise(seed, residence.device_of("unet") if self.options.noise == "device" else "cpu")
        pair = to_tensor(np.stack((first, last))) * 2 - 1
        # Drawn here, so that doing it again in float32 takes the same numbers and leaves those that follow alone.
        draws = _Once(noise)
        given = self._in_float32_else(
            parts,
            lambda parts: self._try(
                "encoding", "first_stage", lambda: encode(pair[0], pair[1], parts, draws, settings)
            ),
        )
        tokens = self._try("reading the prompt", "text", lambda: read(prompt, parts, settings))
        return self._try(
            "sampling",
            "unet",
            lambda: denoise(tokens, given, parts, noise, settings, on_step=self._show, on_less=self.context.warn),
        )

    def _show(self, step: Step) -> None:
        self.context.progress(step.number, step.total, "steps")

    def _try(self, doing: str, part: str, work: Callable[[], T]) -> T:
        """`work`, with what to type next where its memory does not suffice."""
        try:
            return work()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            assert self._choice is not None
            device = torch.device(self._choice.placement.devices[part])
            hints = next_smaller(self.options, self._machine, self._choice)
            raise out_of_memory(device, STAGE, doing=doing, hints=hints) from error

    def _decoded(self, latents: Tensor, parts: Parts, settings: Settings) -> Tensor:
        """The clip, frame by frame where memory does not suffice for more."""
        assert self._choice is not None
        if settings.decoder_frames > 1:
            try:
                return decode(latents, parts, settings)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                traceback.clear_frames(error.__traceback__)  # they hold what has to go
            device = torch.device(self._choice.placement.devices["first_stage"])
            release(device)
            self.context.warn(f"Out of memory on {device} while decoding; it goes on frame by frame.")
            self._choice = replace(self._choice, working=replace(self._choice.working, frames=1))
        return self._try("decoding", "first_stage", lambda: decode(latents, parts, replace(settings, decoder_frames=1)))

    def _in_float32_else(self, parts: Parts, work: Callable[[Parts], T]) -> T:
        """`work`, once more with an autoencoder in float32 where half precision gave numbers that are not finite."""
        assert self._residence is not None
        try:
            return work(parts)
        except NotFiniteError as error:
            if self._residence.dtype_of("first_stage") == torch.float32:
                raise
            self.context.warn(f"{error.message} That part is done again in float32.")
        return work(replace(parts, first_stage=self._residence.lend("first_stage", dtype=torch.float32)))

    def _say_what_is_odd(self, height: int, width: int, frames: int, prompt: str) -> None:
        warn = self.context.warn
        if frames != FRAMES:
            warn(f"{frames} frames: SEINE was trained for {FRAMES}, and others look worse.")
        if height * width < 0.6 * TRAINED_AT:
            warn(f"{width}×{height} is much smaller than what SEINE was made for, 512×320; drawings suffer.")
        if not prompt.strip():
            warn("SEINE is told nothing of what is seen: --prompt with a sentence gives a better transition.")


class _Once:
    """Draws for the encoder once, and gives the same draws again."""

    def __init__(self, noise: Noise) -> None:
        self._noise = noise
        self._drawn: Tensor | None = None

    def posterior(self, shape: tuple[int, ...]) -> Tensor:
        """See `NoiseSource`."""
        if self._drawn is None:
            self._drawn = self._noise.posterior(shape)
        return self._drawn

    def start(self, shape: tuple[int, ...]) -> Tensor:
        """See `NoiseSource`."""
        return self._noise.start(shape)

    def step(self, shape: tuple[int, ...]) -> Tensor:
        """See `NoiseSource`."""
        return self._noise.step(shape)


def _check(first: Image, last: Image) -> None:
    for image in (first, last):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise StageError(f"{STAGE} takes (H, W, 3) uint8, not {image.shape} {image.dtype}.")
    if first.shape != last.shape:
        raise StageError(f"{STAGE} takes two images of one size, not {first.shape} and {last.shape}.")
