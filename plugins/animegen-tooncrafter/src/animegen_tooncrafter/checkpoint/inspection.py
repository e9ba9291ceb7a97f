"""What files hold: which parts of a model, how large, in which type, and of which sizes. Nothing is loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from animegen.errors import InputError, MissingError
from animegen_tooncrafter.checkpoint.configuration import ModelConfiguration, configuration_of
from animegen_tooncrafter.checkpoint.foreign import wrong_file
from animegen_tooncrafter.checkpoint.layout import FETCH, HINTS, Layout, layout_of
from animegen_tooncrafter.checkpoint.parts import BLUEPRINT, OPTIONAL, PARTS, is_leftover, keeps_float32
from animegen_tooncrafter.diffusion.schedule import Schedule
from animegen_torch.stored import Stored
from animegen_torch.tensor_files import TensorFile


@dataclass(frozen=True)
class PartFile:
    """One part in a file.

    Attributes:
        part: One of `PARTS`.
        file: Where it is.
        tensors: Those that the network needs, under its names.
        leftovers: Tensors that the file has beside them, and that are never read.
    """

    part: str
    file: TensorFile
    tensors: Mapping[str, Stored]
    leftovers: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        """Numbers that the network has."""
        return sum(one.elements for one in self.tensors.values())

    @property
    def bytes(self) -> int:
        """Bytes of the network as the file has it."""
        return sum(one.bytes for one in self.tensors.values())

    @property
    def dtype(self) -> torch.dtype:
        """The type of most of its numbers."""
        counts: Counter[torch.dtype] = Counter()
        for one in self.tensors.values():
            counts[one.dtype] += one.elements
        return counts.most_common(1)[0][0]

    def bytes_in(self, dtype: torch.dtype) -> int:
        """Bytes that `part_of` takes with this type."""
        return sum(
            one.elements * (torch.float32 if keeps_float32(self.part, name) else dtype).itemsize
            for name, one in self.tensors.items()
        )


@dataclass(frozen=True)
class Checkpoint:
    """What one file or several hold together.

    Attributes:
        layout: What kind of file the first one is, in words: ``a ToonCrafter checkpoint``.
        parts: Where each part is, in the order of `PARTS`; those that no file has are not there.
        model: The sizes of all parts.
        tables: The tables of the noise schedule.
        paths: The files.
        others: Names of tensors that belong to no part.
    """

    layout: str
    parts: Mapping[str, PartFile]
    model: ModelConfiguration
    tables: tuple[TensorFile, Mapping[str, Stored]] | None
    paths: tuple[Path, ...]
    others: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Parts that a clip needs and no file has."""
        return tuple(part for part in PARTS if part not in self.parts and part not in OPTIONAL)

    def require(self, *parts: str) -> Checkpoint:
        """Itself, with these parts; all that a clip needs where none are named.

        Raises:
            InputError: The file is for something else.
            MissingError: A part is in none of the files; the hints hold the command that brings one.
        """
        lacking = [part for part in parts or PARTS if part not in self.parts and (parts or part not in OPTIONAL)]
        if not lacking:
            return self
        files, hint = " and ".join(map(str, self.paths)), FETCH["model"]
        if set(lacking) <= {"text", "image"}:
            raise MissingError(f"{files} has no OpenCLIP towers: it is {self.layout}.", hint=FETCH["towers"])
        if lacking == ["sketch"]:
            hint = FETCH["sketch"]
        if "unet" in lacking or "sketch" in lacking:
            wanted = "a sketch encoder" if "sketch" in lacking else "ToonCrafter's model"
            raise InputError(f"{files} is {self.layout}, not {wanted}.", hint=hint)
        names = ", ".join(part.replace("_", " ") for part in lacking)
        raise MissingError(f"{files} lacks {names}: it is {self.layout}.", hint=hint)

    def schedule(self) -> tuple[Schedule, list[str]]:
        """The noise schedule, and names of its tables that differ from the computed ones; see `Schedule`."""
        if self.tables is None:
            return Schedule.compute(self.model.schedule), []
        file, tables = self.tables
        return Schedule.of_checkpoint(dict(file.read(tables)), self.model.schedule)


def inspect(path: Path, *more: Path, heads: Mapping[str, int] | None = None) -> Checkpoint:
    """Look into a model's file, and into others that hold what it lacks.

    Args:
        path: A file of ToonCrafter in any published form, a sketch encoder's, or one of OpenCLIP ViT-H-14.
        more: Files for the parts that those before them lack: OpenCLIP's for a pruned model, a sketch encoder's.
        heads: Width of an attention head by part, where the rules of `configuration.head_widths` are wrong.

    Raises:
        InputError: A file is not one of these, or not whole, or two of them do not belong together; the message says
            what it is instead.
    """
    layouts = [_looked_into(one) for one in (path, *more)]
    of_part: dict[str, Layout] = {}
    for layout in layouts:
        for part in layout.parts:
            of_part.setdefault(part, layout)
    parts = {part: of_part[part] for part in PARTS if part in of_part}
    shapes = {part: {name: one.shape for name, one in layout.parts[part].items()} for part, layout in parts.items()}
    try:
        model = configuration_of(shapes, heads)
    except (KeyError, ValueError, IndexError, ZeroDivisionError) as error:
        raise InputError(
            f"{path} has the names of ToonCrafter, but not its shapes ({type(error).__name__}: {error}).", hint=HINTS
        ) from None
    found = {part: _matched(part, layout, model) for part, layout in parts.items()}
    _check_widths(model, found, path)
    tables = next(((layout.file, layout.tables) for layout in layouts if layout.tables), None)
    others = tuple(name for layout in layouts for name in layout.others)
    return Checkpoint(layouts[0].kind, found, model, tables, (path, *more), others)


def _looked_into(path: Path) -> Layout:
    file = TensorFile.open(path, hints=HINTS)
    layout = layout_of(file)
    if wrong := wrong_file(layout):
        raise InputError(f"{path} {wrong}.", hint=HINTS)
    return layout


def _matched(part: str, layout: Layout, model: ModelConfiguration) -> PartFile:
    """The tensors that the part's network wants, all there and of the right shape."""
    path = layout.file.path
    wanted = {name: tuple(tensor.shape) for name, tensor in BLUEPRINT.empty(part, model).state_dict().items()}
    tensors = layout.parts[part]
    missing = [name for name in wanted if name not in tensors]
    wrong = [name for name, shape in wanted.items() if name in tensors and tensors[name].shape != shape]
    beside = [name for name in tensors if name not in wanted]
    unknown = [name for name in beside if not is_leftover(part, name, model)]
    told = [
        f"{len(names)} {what} ({names[0]} first)"
        for names, what in ((missing, "are missing"), (wrong, "have another shape"), (unknown, "are unknown"))
        if names
    ]
    if told:
        raise InputError(
            f"{path} does not fit ToonCrafter's {part.replace('_', ' ')}: of {len(wanted)} tensors {'; '.join(told)}.",
            hint=HINTS,
        )
    return PartFile(part, layout.file, {name: tensors[name] for name in wanted}, tuple(beside))


def _check_widths(model: ModelConfiguration, found: Mapping[str, PartFile], path: Path) -> None:
    """Parts that hand something to one another agree on its width."""
    claims: Sequence[tuple[str, int, str, int, str]] = (
        ("text", model.text.width, "unet", model.unet.context_dim, "text tokens"),
        ("projector", model.resampler.output_dim, "unet", model.unet.context_dim, "image tokens"),
        ("image", model.image.width, "projector", model.resampler.embedding_dim, "patches"),
        ("sketch", model.sketch.context_dim, "unet", model.unet.context_dim, "tokens"),
        ("sketch", model.sketch.model_channels, "unet", model.unet.model_channels, "features"),
        ("first_stage", model.first_stage.embed_dim * 2, "unet", model.unet.in_channels, "two latents"),
    )
    for one, its, other, others, what in claims:
        if one in found and other in found and its != others:
            raise InputError(
                f"{found[one].file.path} and {found[other].file.path} do not belong together: the {one} has {what} of "
                f"{its} channels, the {other} of {others}."
                if found[one].file.path != found[other].file.path
                else f"{path} has {what} of {its} channels in its {one}, and of {others} in its {other}.",
                hint="a pruned model needs OpenCLIP ViT-H-14 (laion2b_s32b_b79k)",
            )
