"""ToonCrafter behind the interpolator's contract: two pictures in, a clip of sixteen out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from torch import Tensor

from animegen_tooncrafter.conditioning.keyframes import keyframe
from animegen_tooncrafter.conditioning.output import match_tone, to_frames
from animegen_tooncrafter.diffusion.schedule import Schedule
from animegen_tooncrafter.first_stage.sweeps import Chunking
from animegen_tooncrafter.placement.choose import choose, next_smaller
from animegen_tooncrafter.placement.demands import smaller_than
from animegen_tooncrafter.placement.source import Source, source_of
from animegen_tooncrafter.plugin import TOONCRAFTER
from animegen_tooncrafter.sketch.guide import Sketches
from animegen_tooncrafter.synthesis import Conditions, Parts, Settings, decode, denoise, encode, read
from animegen_torch.diffusion.clip import Clip
from animegen_torch.diffusion.guidance import Guidance
from animegen_torch.diffusion.kept import key_of
from animegen_torch.diffusion.noise import Noise
from animegen_torch.diffusion.runner import Runner
from animegen_torch.placement.lending import Lend

if TYPE_CHECKING:
    from animegen.media import Frames, Image
    from animegen.stages import Context
    from animegen_tooncrafter.diffusion.sketch_encoder import SketchGuide
    from animegen_tooncrafter.plugin import ToonCrafterOptions

VERSION = 1
"""To be raised when the sampler gives something else for the same settings."""


class ToonCrafter:
    """Draws the frames between two keyframes with ToonCrafter (Xing et al., 2024).

    Files are looked into at once, and read part by part when a part first runs. What is done where memory does not
    suffice is told in `animegen_torch.diffusion.runner`; the decoder goes down a ladder then (`placement.demands`).

    Raises:
        InputError: A file is damaged, or holds something else.
        MissingError: A published file is not here.
        ResourceError: None of the devices can be used.
        UsageError: The number format is none it computes in.
    """

    def __init__(self, options: ToonCrafterOptions, context: Context) -> None:
        self.options = options
        self.context = context
        self._runner: Runner[Source, Chunking] = Runner(
            TOONCRAFTER,
            context,
            partial(source_of, options, context),
            partial(choose, options),
            partial(next_smaller, options),
        )
        self._sketches = Sketches(options, context.warn) if options.sketch is not None else None

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
        TOONCRAFTER.check_pair(first, last)
        height, width = first.shape[:2]
        clip = Clip(height, width, len(times), self.options.branches)
        TOONCRAFTER.check_size(height, width, clip.frames)
        self._say_what_is_odd(clip)
        if self._sketches is not None:
            # What is wrong with drawings is said before anything is loaded.
            self._sketches.hints(first, clip.frames, seed)
        runner = self._runner
        runner.settle(clip)
        settings = self._settings(clip)
        parts = Parts.of(runner.residence, self._schedule)
        # The stream of random numbers is the original's: for the encoder first, then for the start, then step by step.
        noise = runner.noise(seed, self.options.noise)
        ends = keyframe(first), keyframe(last)
        keyframes = runner.encode(lambda coder: encode(*ends, replace(parts, first_stage=coder), noise, settings))

        def sample() -> Tensor:
            tokens = runner.attempt("reading the prompt", "text", lambda: read(ends[0], prompt, parts, settings))
            sketches = self._guides(first, clip.frames, seed)
            return runner.attempt(
                "sampling",
                "unet",
                lambda: denoise(
                    Conditions(tokens, keyframes),
                    parts,
                    noise,
                    settings,
                    sketch=sketches[0],
                    twin_sketch=sketches[-1],
                    on_step=runner.show,
                    on_less=self.context.warn,
                ),
            )

        key = key_of(first, last, (VERSION, first.shape, prompt, seed, *self._facts(settings, noise)))
        latents = runner.sampled(key, sample)
        frames = runner.decode(
            smaller_than(runner.choice.decoding),
            lambda coder, chunking: decode(
                latents,
                Conditions({}, keyframes),
                replace(parts, first_stage=coder),
                replace(settings, chunking=chunking),
            ),
            onward="in smaller pieces",
        )
        if self.options.tone == "match":
            frames = match_tone(frames, *(end.to(frames.device) for end in ends))
        drawn = to_frames(frames)
        runner.kept.drop(key)
        if self.options.keyframes == "copied":
            drawn[0], drawn[-1] = first, last
        return drawn

    def close(self) -> None:
        """Let go of all parts; the next call reads them again."""
        self._runner.close()

    @cached_property
    def _schedule(self) -> Schedule:
        """The noise schedule of the file, which need not be the published one."""
        schedule, others = self._runner.source.schedule()
        if others:
            self.context.warn(
                f"The noise schedule in the file is not the published one ({', '.join(others)} differ); "
                "the file's is used."
            )
        return schedule

    def _settings(self, clip: Clip) -> Settings:
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
            frames=clip.frames,
            negative_prompt=options.negative_prompt,
            together=self._runner.choice.together,
            second_pass=options.second_pass,
        )

    def _facts(self, settings: Settings, noise: Noise) -> tuple[object, ...]:
        """What decides a latent besides keyframes, prompt and seed."""
        source, residence = self._runner.source, self._runner.residence
        return (
            replace(settings, together=True, second_pass=True),
            {name: value for name, value in vars(self.options).items() if name.startswith("sketch")},
            source.identity,
            source.model,
            residence.dtype_of("unet"),
            residence.dtype_of("first_stage"),
            noise.device.type,
        )

    def _guides(self, first: Image, frames: int, seed: int) -> Sequence[Lend[SketchGuide] | None]:
        """The sketches, for the U-Net and for its twin."""
        if self._sketches is None:
            return [None]
        residence = self._runner.residence
        placement = residence.placement
        devices = [placement.devices["unet"], *([placement.twin] if placement.twin else [])]
        return [self._sketches.guide(residence.lend("sketch", one), first, frames, seed) for one in devices]

    def _say_what_is_odd(self, clip: Clip) -> None:
        options, warn = self.options, self.context.warn
        if clip.frames != TOONCRAFTER.frames:
            warn(
                f"{clip.frames} frames: ToonCrafter was trained for {TOONCRAFTER.frames}, and others look worse, fewer "
                f"above all. Better draw {TOONCRAFTER.frames} and leave some out."
            )
        if not 5 <= options.motion_fps <= 30:
            warn(f"motion_fps is {options.motion_fps}; ToonCrafter was trained with 5 to 30.")
        if TOONCRAFTER.is_small(clip):
            size = f"{clip.width}×{clip.height}"
            warn(f"{size} is much smaller than what ToonCrafter was trained on, 512×320; drawings suffer.")
