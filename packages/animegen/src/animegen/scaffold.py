"""A plugin to start from: ``animegen plugins new NAME`` fills in the files of the package's ``template`` folder.

The template lies in the wheel and nowhere else, because who writes a plugin has no checkout of AnimeGen. Its files
end in ``.in``, so that no tool takes them for code; ``${name}`` and its like are filled in.
"""

from __future__ import annotations

import re
import tempfile
from importlib import resources
from pathlib import Path
from string import Template

from animegen.errors import ResourceError, UsageError, did_you_mean
from animegen.stages import KINDS

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_OURS = ("cli", "eval", "manga", "testing", "torch")
_TAKEN = {"Box", "Context", "False", "Frames", "Image", "Mask", "None", "Region", "Sequence", "True"}
"""Class names that the template's files use themselves, or Python does."""

_SHARED = {
    "pyproject.toml.in": "pyproject.toml",
    "README.md.in": "README.md",
    "gitignore.in": ".gitignore",
    "init.py.in": "src/${package}/__init__.py",
    "py.typed.in": "src/${package}/py.typed",
}
_PER_KIND = {
    "plugin.py.in": "src/${package}/plugin.py",
    "stage.py.in": "src/${package}/stage.py",
    "test_contract.py.in": "tests/test_contract.py",
}


def new_plugin(name: str, kind: str, folder: Path) -> list[Path]:
    """Write a plugin with one working stage into a new folder ``animegen-NAME``.

    Args:
        name: Name of the stage; the distribution is called ``animegen-NAME``.
        kind: What the stage does, one of `animegen.stages.KINDS`.
        folder: Where the new folder is made.

    Returns:
        The files, in the order in which to read them.

    Raises:
        UsageError: A name no package can have, an unknown kind, or there is such a folder already.
        ResourceError: The folder cannot be written.
    """
    name = name.removeprefix("animegen-")
    words = _words(name, kind)
    target = folder / words["distribution"]
    if target.exists():
        raise UsageError(f"{target} is there already.", hint="choose another name, or move it out of the way")
    source = resources.files("animegen") / "template"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=folder) as beside:
            whole, written = Path(beside) / target.name, []
            for place, files in ((source, _SHARED), (source / kind, _PER_KIND)):
                for file, pattern in files.items():
                    path = Path(Template(pattern).substitute(words))
                    (whole / path).parent.mkdir(parents=True, exist_ok=True)
                    text = (place / file).read_text("utf-8")
                    (whole / path).write_text(Template(text).substitute(words), "utf-8")
                    written.append(target / path)
            whole.rename(target)
    except OSError as error:
        raise ResourceError(f"{target} cannot be written: {error.strerror}.") from None
    return written


def _words(name: str, kind: str) -> dict[str, str]:
    """What stands for each ``${word}`` of the template."""
    if kind not in KINDS:
        raise UsageError(f"no kind of stage is named {kind!r}.", hint=f"{did_you_mean(kind, KINDS)}{', '.join(KINDS)}")
    if not _NAME.fullmatch(name):
        fitting = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")
        raise UsageError(
            f"{name!r} is no name of a plugin: it takes lower-case letters, digits and single hyphens.",
            hint=f"for example: {fitting}" if _NAME.fullmatch(fitting) else "for example: film-grain",
        )
    class_name = "".join(part.capitalize() for part in name.split("-"))
    if class_name in _TAKEN:
        class_name += kind.capitalize()
    if name in _OURS:
        raise UsageError(f"animegen-{name} is a part of AnimeGen itself.", hint=f"for example: {name}-{kind}")
    return {
        "name": name,
        "kind": kind,
        "distribution": f"animegen-{name}",
        "package": f"animegen_{name.replace('-', '_')}",
        "class_name": class_name,
        "options": f"{class_name}Options",
    }
