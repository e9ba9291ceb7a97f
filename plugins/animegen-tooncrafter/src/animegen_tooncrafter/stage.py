"""ToonCrafter behind the interpolator's contract: two pictures in, a clip of sixteen out."""

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
from animegen_tooncrafter.conditioning.keyframes import keyframe
from animegen_tooncrafter.conditioning.output import match_tone, to_frames
from animegen_tooncrafter.first_stage.sweeps import Chunking
from animegen_tooncrafter.identity import digest_of
from animegen_tooncrafter.placement.activations import Clip
from animegen_tooncrafter.placement.choose import Choice, next_smaller
from animegen_tooncrafter.placement.demands import LADDER, Working
from animegen_tooncrafter.placement.plan import chosen, sizes_of_source
from animegen_tooncrafter.placement.residence import Residence
from animegen_tooncrafter.placement.source import source_of
from animegen_tooncrafter.sketch.guide import Sketches
from animegen_tooncrafter.synthesis import (
    FRAMES,
    STAGE,
    Conditions,
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
from animegen_torch.placement.lending import Lend
from animegen_torch.placement.machine import machine_of

if TYPE_CHECKING:
    from animegen.media import Frames, Image
    from animegen.stages import Context
    from animegen_tooncrafter.diffusion.sketch_encoder import SketchGuide
    from animegen_tooncrafter.plugin import ToonCrafterOptions

T = TypeVar("T")
TRAINED_AT = 320 * 512
"""Pixels of the pictures that the model was trained on."""


class ToonCrafter:
    """Draws the frames between two keyframes with ToonCrafter (Xing et al., 2024).

    Files are looked into at once, and read part by part when a part first runs. Where parts are is decided at the first
    clip, from what is free then (`placement.choose`), and stays so.

    When memory runs out, what can be done without another result is done by itself: the calls of guidance run apart,
    the decoder takes fewer frames at once. What was sampled is kept on disk until it is decoded, so that another try
    after a failed one only decodes.

    Raises:
        InputError: A file is damaged, or holds something else.
        MissingError: A published file is not here.
        ResourceError: None of the devices can be used.
        UsageError: The number format is none it computes in.
    """

    def __init__(self, options: ToonCrafterOptions, context: Context) -> None:
        self.options = options
        self.context = context
        self._machine = machine_of(context, STAGE, warn=context.warn)
        self._source = source_of(options, context)
        self._residence: Residence | None = None
        self._choice: Choice | None = None
        self._sketches = Sketches(options, context.warn) if options.sketch is not None else None
        self._kept = Kept(default_home() / "latents")

    def __call__(self, first: Image, last: Image, times: Sequence[float], *, prompt: str = "", seed: int = 0) -> Frames:
        """The clip between two keyframes.

        Args:
            first, last: (H, W, 3) uint8 RGB of one size, sides multiples of 64.
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
        self._say_what_is_odd(height, width, frames)
        if self._sketches is not None:
            self._sketches.hints(first, frames, seed)  # what is wrong with drawings is said before anything is loaded
        residence, choice = self._settled(Clip(height, width, frames, self.options.branches))
        settings = self._settings(frames, choice.working)
        key = digest_of(first, last, prompt, seed, settings, self.options, residence, self._source)
        ends = keyframe(first), keyframe(last)
        parts = residence.parts()
        # The stream of random numbers is the original's: for the encoder first, then for the start, then step by step.
        device = residence.device_of("unet")
        noise = Noise(seed, device if self.options.noise == "device" else "cpu")
        encoded = self._in_float32_else(
            parts, lambda parts: self._try("encoding", lambda: encode(*ends, parts, noise, settings))
        )
        latents = self._kept.get(key)
        if latents is None:
            tokens = self._try("reading the prompt", lambda: read(ends[0], prompt, parts, settings))
            sketch = self._guides(residence, first, frames, seed)
            latents = self._try(
                "sampling",
                lambda: denoise(
                    Conditions(tokens, encoded),
                    parts,
                    noise,
                    settings,
                    sketch=sketch[0],
                    twin_sketch=sketch[-1],
                    on_step=self._show,
                    on_less=self.context.warn,
                ),
            )
            self._kept.put(key, latents)
        else:
            self.context.warn("What an earlier try had sampled is used; only decoding was left to do.")
        conditions = Conditions({}, encoded)
        clip = self._in_float32_else(parts, lambda parts: self._decoded(latents, conditions, parts, settings))
        if self.options.tone == "match":
            clip = match_tone(clip, *(end.to(clip.device) for end in ends))
        drawn = to_frames(clip)
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
            source = self._source
            self._choice = chosen(self.options, self._machine, sizes_of_source(source), clip)
            self._residence = Residence(source, self._choice.placement, self._machine.dtypes)
            if self._residence.other_tables:
                self.context.warn(
                    "The noise schedule in the file is not the published one "
                    f"({', '.join(self._residence.other_tables)} differ); the file's is used."
                )
        return self._residence, self._choice

    def _settings(self, frames: int, working: Working) -> Settings:
        options = self.options
        low, high = options.guidance_interval
        return Settings(
            steps=options.steps,
            eta=options.eta,
            spacing=options.spacing,
            guidance=Guidance(
                options.guidance_scale, options.guidance_rescale, options.image_guidance_scale, (low, high)
            ),
            fps=options.motion_fps,
            frames=frames,
            negative_prompt=options.negative_prompt,
            together=working.together,
            chunking=_chunking(working),
            second_pass=options.second_pass,
        )

    def _guides(self, residence: Residence, first: Image, frames: int, seed: int) -> Sequence[Lend[SketchGuide] | None]:
        """The sketches, for the U-Net and for its twin."""
        if self._sketches is None:
            return [None]
        placement = residence.placement
        devices = [placement.devices["unet"], *([placement.twin] if placement.twin else [])]
        return [self._sketches.guide(residence.lend("sketch", one), first, frames, seed) for one in devices]

    def _show(self, step: Step) -> None:
        self.context.progress(step.number, step.total, "steps")

    def _try(self, doing: str, work: Callable[[], T]) -> T:
        """`work`, with what to type next where its memory does not suffice."""
        try:
            return work()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            assert self._choice is not None
            device = torch.device(self._choice.placement.devices["first_stage" if doing == "encoding" else "unet"])
            hints = next_smaller(self.options, self._machine, self._choice)
            raise out_of_memory(device, STAGE, doing=doing, hints=hints) from error

    def _decoded(self, latents: Tensor, conditions: Conditions, parts: Parts, settings: Settings) -> Tensor:
        """The clip, by the first way of the ladder that the memory suffices for."""
        assert self._choice is not None
        device = torch.device(self._choice.placement.devices["first_stage"])
        now = self._choice.working
        smaller = [
            way
            for way in LADDER
            if way.frames < now.frames or (way.recompute, way.offload) > (now.recompute, now.offload)
        ]
        for way in (now, *smaller):
            try:
                clip = decode(latents, conditions, parts, replace(settings, chunking=_chunking(way)))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                traceback.clear_frames(error.__traceback__)  # they hold what has to go
                last = error
            else:
                if way is not now:  # the next clip need not find out again
                    self._choice = replace(self._choice, working=replace(way, together=now.together))
                return clip
            release(device)
            self.context.warn(f"Out of memory on {device} while decoding; it goes on in smaller pieces.")
        kept = "what was sampled is kept: the same command again only decodes"
        hints = (kept, *next_smaller(self.options, self._machine, self._choice))
        raise out_of_memory(device, STAGE, doing="decoding", hints=hints) from last

    def _in_float32_else(self, parts: Parts, work: Callable[[Parts], T]) -> T:
        """`work`, once more with an autoencoder in float32 where half precision gave numbers that are not finite."""
        assert self._residence is not None
        try:
            return work(parts)
        except NotFiniteError as error:
            dtype = self._residence.dtype_of("first_stage")
            if dtype == torch.float32:
                raise
            self.context.warn(f"{error.message} That part is done again in float32.")
        return work(replace(parts, first_stage=self._residence.lend("first_stage", dtype=torch.float32)))

    def _say_what_is_odd(self, height: int, width: int, frames: int) -> None:
        options, warn = self.options, self.context.warn
        if frames != FRAMES:
            warn(
                f"{frames} frames: ToonCrafter was trained for {FRAMES}, and others look worse, fewer above all. "
                f"Better draw {FRAMES} and leave some out."
            )
        if not 5 <= options.motion_fps <= 30:
            warn(f"motion_fps is {options.motion_fps}; ToonCrafter was trained with 5 to 30.")
        if height * width < 0.6 * TRAINED_AT:
            warn(f"{width}×{height} is much smaller than what ToonCrafter was trained on, 512×320; drawings suffer.")


def _chunking(way: Working) -> Chunking:
    return Chunking(way.frames, offload=way.offload, recompute=way.recompute)


def _check(first: Image, last: Image) -> None:
    for image in (first, last):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise StageError(f"{STAGE} takes (H, W, 3) uint8, not {image.shape} {image.dtype}.")
    if first.shape != last.shape:
        raise StageError(f"{STAGE} takes two images of one size, not {first.shape} and {last.shape}.")
