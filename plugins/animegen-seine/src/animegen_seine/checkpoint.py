"""Published files into parts: looked into first, then each part read alone, straight to where it will run."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from animegen.errors import InputError, MissingError
from animegen_seine.model import BLUEPRINT, ModelConfiguration, Shapes, keeps_float32, unet_sizes
from animegen_torch.checkpoints import names_of
from animegen_torch.diffusion.published import (
    Made,
    autoencoder_made,
    autoencoder_sizes,
    clip_text_sizes,
    joined,
    text_made,
)
from animegen_torch.known_models import name_of_model
from animegen_torch.stored import Stored
from animegen_torch.tensor_files import TensorFile

T = TypeVar("T")
HINTS = ("animegen weights fetch seine fetches the published files", "animegen weights verify seine")
NESTED = ("ema", "state_dict", "model", "module")
"""Under which names SEINE's file has its parameters: the averaged ones are those that were published to be used."""
FREQUENCIES = r".*\.rotary_emb\.freqs$"
"""Constants that the file has once for every attention, and that nothing here reads."""
_CALLED = {"unet": "SEINE's U-Net", "first_stage": "the autoencoder", "text": "the text encoder"}
_PREFIXES = {
    "unet": ("module.",),
    "first_stage": ("first_stage_model.", "vae."),
    "text": ("cond_stage_model.transformer.", "text_encoder."),
}
"""What stands before a part's names where a file holds more than that part."""


@dataclass(frozen=True)
class PartFile:
    """One part in a file.

    Attributes:
        part: One of `model.PARTS`.
        file: Where it is.
        stored: The tensors that its network is made of, under the file's names.
        made: Which of them each tensor of the network is made of.
        shapes: Of the network's tensors.
    """

    part: str
    file: TensorFile
    stored: Mapping[str, Stored]
    made: Made
    shapes: Shapes

    def tensors(self, dtype: torch.dtype, device: torch.device) -> dict[str, Tensor]:
        """The network's tensors on a device; those that have their type already are the file itself, on the processor.

        Raises:
            InputError: The file has changed, or its numbers do not fit the type.
        """
        # What a stored tensor becomes part of decides its type.
        wanted = {theirs: self._type(ours, dtype) for ours, several in self.made.items() for theirs in several}
        found = self.file.brought(self.stored, device=device, dtype=lambda name, _: wanted[name])
        return {name: joined(found, several, self.shapes[name]) for name, several in self.made.items()}

    def _type(self, name: str, dtype: torch.dtype) -> torch.dtype:
        return torch.float32 if keeps_float32(self.part, name) else dtype


@dataclass(frozen=True)
class Checkpoint:
    """A whole model: where each part is, and the sizes of all."""

    parts: Mapping[str, PartFile]
    model: ModelConfiguration


def inspect(unet: Path, first_stage: Path, text: Path) -> Checkpoint:
    """Look into the files of a model; nothing is loaded.

    Raises:
        InputError: A file is something else, or not whole, or two do not belong together; the message says what it is.
        MissingError: There is no such file.
    """
    for path in (unet, first_stage, text):
        if not path.is_file():
            raise MissingError(f"{path} is not there.", hint=HINTS[0])
    files = {path: TensorFile.open(path, hints=HINTS) for path in dict.fromkeys((unet, first_stage, text))}
    states = {
        "unet": _state("unet", files[unet]),
        "first_stage": _state("first_stage", files[first_stage]),
        "text": _state("text", files[text]),
    }
    shapes = {part: {name: one.shape for name, one in state.items()} for part, state in states.items()}
    _refuse_others(shapes["unet"], unet)
    model = ModelConfiguration(
        unet=_sizes(unet_sizes, shapes["unet"], unet, "unet"),
        first_stage=_sizes(autoencoder_sizes, shapes["first_stage"], first_stage, "first_stage"),
        text=_sizes(clip_text_sizes, shapes["text"], text, "text"),
    )
    paths = {"unet": unet, "first_stage": first_stage, "text": text}
    parts = {part: _matched(part, files[paths[part]], states[part], model) for part in states}
    if model.text.width != model.unet.context:
        raise InputError(
            f"{text} and {unet} do not belong together: the text encoder gives tokens of {model.text.width} channels, "
            f"the U-Net reads {model.unet.context}.",
            hint="SEINE reads CLIP ViT-L/14, as Stable Diffusion 1.x does",
        )
    if model.first_stage.embed_dim * 2 + 1 != model.unet.in_channels:
        raise InputError(
            f"{first_stage} and {unet} do not belong together: latents have {model.first_stage.embed_dim} channels, "
            f"and the U-Net reads {model.unet.in_channels} in all.",
            hint=HINTS,
        )
    return Checkpoint(parts, model)


def _state(part: str, file: TensorFile) -> dict[str, Stored]:
    """The tensors of a part by its own names; of the whole file where nothing marks them."""
    state = file.state(NESTED)
    for prefix in _PREFIXES[part]:
        its = {name.removeprefix(prefix): one for name, one in state.items() if name.startswith(prefix)}
        if its:
            return its
    return state


def _refuse_others(shapes: Shapes, path: Path) -> None:
    known = name_of_model(shapes)
    if known != "SEINE":
        what = known or f"nothing of SEINE, but {names_of(shapes)}"
        raise InputError(f"{path} holds {what}{', not SEINE' if known else ''}.", hint=HINTS)


def _sizes(see: Callable[[Shapes], T], shapes: Shapes, path: Path, part: str) -> T:
    try:
        return see(shapes)
    except (KeyError, ValueError, IndexError, ZeroDivisionError):
        known = name_of_model(shapes)
        what = f"it holds {known}" if known else f"it holds {names_of(shapes)}"
        raise InputError(f"{path} does not hold {_CALLED[part]}: {what}.", hint=HINTS) from None


def _matched(part: str, file: TensorFile, state: Mapping[str, Stored], model: ModelConfiguration) -> PartFile:
    """The tensors that the part's network wants, all there and as large as they have to be."""
    shapes = {name: tuple(tensor.shape) for name, tensor in BLUEPRINT.empty(part, model).state_dict().items()}
    made: Made
    if part == "unet":
        made = {name: (name,) for name in shapes}
    else:
        made = (autoencoder_made if part == "first_stage" else text_made)(shapes, state)
    used = [theirs for several in made.values() for theirs in several]
    missing = [name for name in used if name not in state]
    wrong = [
        name
        for name, several in made.items()
        if all(one in state for one in several)
        and sum(state[one].elements for one in several) != math.prod(shapes[name])
    ]
    # Besides autoencoder and text encoder a file may hold what they were trained with.
    strict = part == "unet"
    unknown = [name for name in state if strict and name not in shapes and not re.match(FREQUENCIES, name)]
    told = [
        f"{len(names)} {what} ({names[0]} first)"
        for names, what in ((missing, "are missing"), (wrong, "have another shape"), (unknown, "are unknown"))
        if names
    ]
    if told:
        raise InputError(
            f"{file.path} does not fit {_CALLED[part]}: of {len(shapes)} tensors {'; '.join(told)}.", hint=HINTS
        )
    return PartFile(part, file, {name: state[name] for name in used}, made, shapes)
