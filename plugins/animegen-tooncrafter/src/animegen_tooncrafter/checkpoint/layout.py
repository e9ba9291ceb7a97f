"""The kinds of file that parts of ToonCrafter are published in, brought to the names of our networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from animegen_tooncrafter.checkpoint.parts import PREFIXES
from animegen_tooncrafter.diffusion.schedule import Schedule
from animegen_torch.stored import Stored
from animegen_torch.tensor_files import TensorFile

FETCH = {
    "model": "animegen weights fetch tooncrafter",
    "towers": "animegen weights fetch tooncrafter/open_clip_model.safetensors",
    "sketch": "animegen weights fetch tooncrafter/sketch_encoder.ckpt",
}
HINTS = ("animegen weights fetch tooncrafter fetches the published file", "animegen weights verify tooncrafter")
TABLES = frozenset(Schedule.compute().tables)
"""Names of the tables of the noise schedule."""
SKETCH, OPEN_CLIP = "a sketch encoder of ToonCrafter", "OpenCLIP"
_DEEPSPEED = 16
"""So many characters stand before each name in what DeepSpeed wrote: ``_forward_module.``."""


@dataclass(frozen=True)
class Layout:
    """A file with its tensors sorted.

    Attributes:
        file: The file.
        kind: What it is, in words.
        parts: Tensors by part, under the names of our networks, leftovers included.
        tables: Tables of the noise schedule.
        others: Names of tensors that belong to no part.
        state: All tensors under the names they have in the file, once wrappings are off.
    """

    file: TensorFile
    kind: str
    state: Mapping[str, Stored]
    parts: Mapping[str, Mapping[str, Stored]] = field(default_factory=dict)
    tables: Mapping[str, Stored] = field(default_factory=dict)
    others: tuple[str, ...] = ()


def layout_of(file: TensorFile) -> Layout:
    """Sort the tensors of a file; one that holds nothing of ToonCrafter has no parts."""
    state, deepspeed = _state(file)
    if "input_hint_block.0.weight" in state:
        return Layout(file, SKETCH, state, {"sketch": state})
    if "visual.conv1.weight" in state:
        return Layout(file, OPEN_CLIP, state, _open_clip(state))
    parts: dict[str, dict[str, Stored]] = {}
    tables: dict[str, Stored] = {}
    others: list[str] = []
    for name, one in state.items():
        part = next((part for part, prefix in PREFIXES.items() if name.startswith(prefix)), None)
        if part is not None:
            parts.setdefault(part, {})[_renamed(name.removeprefix(PREFIXES[part]))] = one
        elif name in TABLES:
            tables[name] = one
        else:
            others.append(name)
    pruned = "unet" in parts and not parts.keys() & {"text", "image"}
    kind = (
        ("a pruned " if pruned else "a ") + ("DeepSpeed checkpoint" if deepspeed else "checkpoint") + " of ToonCrafter"
    )
    return Layout(file, kind, state, parts, tables, tuple(others))


def _state(file: TensorFile) -> tuple[dict[str, Stored], bool]:
    """Tensors by their published names, and whether DeepSpeed wrote the file."""
    content = file.content
    if isinstance(content, Mapping) and "state_dict" not in content and isinstance(content.get("module"), Mapping):
        state = file.state(nested=("module",))
        if len({name[:_DEEPSPEED] for name in state}) == 1:
            state = {name[_DEEPSPEED:]: one for name, one in state.items()}
        return state, True
    state = file.state()
    for prefix in ("_forward_module.", "module."):
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): one for name, one in state.items()}
    for prefix in (PREFIXES["sketch"], "sketch_encoder.", "controlnet."):
        if f"{prefix}input_hint_block.0.weight" in state and all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): one for name, one in state.items()}
    return state, False


def _renamed(name: str) -> str:
    """The oldest files call the layers that embed fps otherwise."""
    return name.replace("framestride_embed.", "fps_embedding.")


def _open_clip(state: Mapping[str, Stored]) -> dict[str, dict[str, Stored]]:
    """Both towers of OpenCLIP's own file, under the names they have within ToonCrafter's."""
    plain = {name.removeprefix("text."): one for name, one in state.items()}
    image = {f"model.{name}": one for name, one in plain.items() if name.startswith("visual.")}
    text = {f"model.{name}": one for name, one in plain.items() if not name.startswith("visual.")}
    return {"text": text, "image": image}
