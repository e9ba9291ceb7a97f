"""The first stage as a whole: keyframes to latents and features, latents to frames."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from animegen_tooncrafter.first_stage.decoder import Decoder
from animegen_tooncrafter.first_stage.reference import References
from animegen_tooncrafter.first_stage.sweeps import WHOLE, Chunking, Sweeps, Watch
from animegen_torch.diffusion.autoencoder.architecture import SCALE_FACTOR, FirstStageConfiguration
from animegen_torch.diffusion.autoencoder.coder import Coder
from animegen_torch.diffusion.autoencoder.encoder import Posterior
from animegen_torch.diffusion.finite import is_finite


@dataclass(frozen=True)
class EncodedKeyframes:
    """What the encoder makes of the first and the last keyframe.

    Attributes:
        latents: (2, 4, H/8, W/8) float32, scaled for the diffusion.
        features: Five maps for the decoder to refer to, each (2, C, h, w) in the parameters' type.
    """

    latents: Tensor
    features: tuple[Tensor, ...]

    def to(self, device: torch.device) -> EncodedKeyframes:
        """The same on another device."""
        return EncodedKeyframes(self.latents.to(device), tuple(one.to(device) for one in self.features))


class FirstStage(Coder):
    """Encoder and decoder under the names of ``first_stage_model``.

    ``post_quant_conv`` is in the published file, but the published pipeline never runs it, and neither does this.
    """

    decoder: Decoder

    def __init__(self, configuration: FirstStageConfiguration | None = None) -> None:
        super().__init__(configuration, Decoder)

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> tuple[Posterior, tuple[Tensor, ...]]:
        """Pictures one after the other: (N, 3, H, W) in [-1, 1] -> their posterior, and five features (N, C, h, w).

        Raises:
            NotFiniteError: There are values that are not numbers.
        """
        moments, features = [], []
        for one, maps in self.encoded(pictures):
            moments.append(one)
            features.append([each.to(self.dtype) for each in maps])
        posterior = Posterior.of(torch.cat(moments))
        result = tuple(torch.cat(maps) for maps in zip(*features, strict=True))
        names = ("conv_in", *(f"down.{i}" for i in range(len(result) - 1)), "mid")
        for name, values in zip(names, (result[-1], *result[:-1], posterior.mean), strict=True):
            if not is_finite(values):
                raise self.not_finite("the encoder", f"; the first come from {name}")
        return posterior, result

    def encode_keyframes(self, first: Tensor, last: Tensor, noise: Tensor) -> EncodedKeyframes:
        """Encode the two keyframes of a clip.

        The published pipeline encodes a clip of the first keyframe repeated and then the last one repeated, and uses
        frame 0 and the last. Only those are encoded here; their noise is the same.

        Args:
            first, last: (3, H, W) in [-1, 1].
            noise: Normal draws for all T frames, (T, 4, H/8, W/8), of which the first and the last are used.
        """
        posterior, features = self.encode(torch.stack((first, last)))
        latents = SCALE_FACTOR * posterior.sample(torch.stack((noise[0], noise[-1])))
        return EncodedKeyframes(latents, features)

    def references(self, features: tuple[Tensor, ...]) -> References:
        """What the decoder makes of the keyframes' features; once per clip, for all calls of `decode`."""
        return References(tuple(self.decoder.attn_refinement), tuple(one.to(self.device) for one in features))

    def decode(
        self,
        latents: Tensor,
        references: References | None,
        *,
        chunking: Chunking = WHOLE,
        second_pass: bool = True,
        watch: Watch | None = None,
    ) -> Tensor:
        """Decode a clip: (T, 4, h, w), as the diffusion gives it, to (T, 3, 8h, 8w) float32, about -1 to 1, not cut.

        Args:
            latents: Scaled latents.
            references: From `references`; None decodes without the keyframes.
            chunking: Frames at once, and where the rest waits. Does not change the result.
            second_pass: Decode once more without latents 1 and T - 2 and take the two frames in the middle from that,
                as published. Without it decoding takes about half the time and the two frames differ a little.
            watch: Called with what each layer of the first pass gives.
        """
        unscaled = self.unscaled(latents)
        frames = Sweeps(self.decoder, references, chunking, watch).run(unscaled)
        count = len(unscaled)
        if second_pass and count >= 6:
            rest = torch.cat((unscaled[:1], unscaled[2:-2], unscaled[-1:]))
            middle = count // 2
            frames[middle - 1 : middle + 1] = Sweeps(self.decoder, references, chunking).run(
                rest, only=(middle - 2, middle)
            )
        return frames
