"""The checks of ``animegen doctor``: each gives a `Check`, and none raises."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from animegen.errors import AnimeGenError
from animegen.memory import memory
from animegen_cli import system
from animegen_cli.console import one_line, size

if TYPE_CHECKING:
    from animegen.registry import Registry

State = Literal["ok", "warning", "error"]

ENCODERS = {"libx264": "mp4", "libwebp_anim": "webp", "ffv1": "mkv"}
"""Encoders of FFmpeg and the format each is for; only the first must be there."""

_LIBRARIES = ("animegen", "animegen-cli", "animegen-manga", "numpy", "opencv-python", "opencv-python-headless", "av")
_LITTLE_DISK = 2 * 10**9


@dataclass(frozen=True)
class Check:
    """What was found: ``error`` where no run would work, ``warning`` where part of the program would not."""

    name: str
    state: State
    text: str
    hint: str = ""

    def facts(self) -> dict[str, str]:
        return asdict(self)


def all_checks(out: Path, *, devices: bool) -> Iterator[Check]:
    """Every check, the cheap ones first."""
    yield Check("system", "ok", f"Python {platform.python_version()}, {platform.platform()}, {system.cores()} cores")
    yield Check("versions", "ok", ", ".join(f"{name} {version}" for name, version in versions().items()))
    yield _memory()
    yield from _disks(out)
    yield _opencv()
    yield _ffmpeg()
    yield _torch()
    yield _cards()
    if devices:
        yield _devices()
    try:
        from animegen_cli.environment import installed

        registry = installed()
    except AnimeGenError as error:
        yield Check("settings", "error", error.message, " ".join(error.hints))
        return
    yield _plugins(registry)
    yield _weights(registry)
    yield _next_run(registry)


def versions() -> dict[str, str]:
    """Versions of what a run depends on, as far as it is installed."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _memory() -> Check:
    here = memory()
    if here.total is None:
        return Check("memory", "warning", "this system does not say how much there is")
    free = "" if here.free is None else f", {size(here.free)} free"
    return Check("memory", "ok", f"{size(here.total)}{free}")


def _disks(out: Path) -> Iterator[Check]:
    from animegen.weights.store import WeightStore

    places = {"results": out, "cache": WeightStore().folder}
    for name, folder in places.items():
        free = system.disk_free(folder)
        if not system.writable(folder):
            hint = "set ANIMEGEN_HOME to a folder of your own" if name == "cache" else "name another with --out"
            yield Check(name, "error" if name == "results" else "warning", f"{folder} may not be written to", hint)
        elif free is not None and free < _LITTLE_DISK:
            yield Check(name, "warning", f"{folder}: only {size(free)} free", "models take up to 11 GB")
        else:
            yield Check(name, "ok", f"{folder}{'' if free is None else f', {size(free)} free'}")


def _opencv() -> Check:
    try:
        from animegen._cv2 import cv2
    except AnimeGenError as error:
        return Check("opencv", "error", error.message, " ".join(error.hints))
    except Exception as error:
        hint = "python -m pip install --force-reinstall opencv-python-headless"
        return Check("opencv", "error", f"does not load: {one_line(str(error))}", hint)
    return Check("opencv", "ok", f"{cv2.__version__}, {cv2.getNumThreads()} threads")


def _ffmpeg() -> Check:
    try:
        av: Any = import_module("av")
    except Exception as error:
        text = f"PyAV does not load: {one_line(str(error))}"
        return Check("ffmpeg", "error", text, "python -m pip install --force-reinstall av")
    absent = [name for name in ENCODERS if not _can_encode(av, name)]
    text = ", ".join(f"{kind} ({name})" for name, kind in ENCODERS.items() if name not in absent)
    if not absent:
        return Check("ffmpeg", "ok", f"PyAV {av.__version__} writes {text}")
    missing = " and ".join(f"{ENCODERS[name]} ({name})" for name in absent)
    state: State = "error" if "libx264" in absent else "warning"
    hint = "the wheels of PyAV bring them all: python -m pip install --force-reinstall --only-binary av av"
    return Check("ffmpeg", state, f"PyAV {av.__version__} writes {text or 'nothing'}, but not {missing}", hint)


def _can_encode(av: Any, name: str) -> bool:
    try:
        av.Codec(name, "w")
    except Exception:  # PyAV has had several classes for an unknown codec
        return False
    return True


def _torch() -> Check:
    if find_spec("torch") is None:
        return Check("torch", "ok", "not installed; only plugins with models need it")
    try:
        version = metadata.version("torch")
    except metadata.PackageNotFoundError:
        return Check("torch", "warning", "there is a folder of that name, but no installed version")
    if version.endswith("+cpu") and system.nvidia_cards():
        hint = "install the CUDA build of torch"
        return Check("torch", "warning", f"{version}, built without CUDA although a card is here", hint)
    return Check("torch", "ok", version)


def _cards() -> Check:
    cards = system.nvidia_cards()
    if not cards:
        return Check("cards", "ok", "no NVIDIA card is seen; models run on the CPU, slowly")
    return Check("cards", "ok", "; ".join(f"cuda:{number} {card}" for number, card in enumerate(cards)))


def _devices() -> Check:
    """What torch itself can use; the only check that imports it."""
    try:
        torch: Any = import_module("torch")
    except ImportError:
        return Check("devices", "ok", "cpu (torch is not installed)")
    except Exception as error:
        return Check("devices", "error", f"torch does not load: {one_line(str(error))}", "install torch again")
    found = ["cpu"]
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(number)
            name = torch.cuda.get_device_name(number)
            found.append(f"cuda:{number} {name}, {size(free)} of {size(total)} free")
    elif system.nvidia_cards():
        return Check("devices", "warning", "cpu; torch cannot use the NVIDIA card", "install the CUDA build of torch")
    return Check("devices", "ok", "; ".join(found))


def _plugins(registry: Registry) -> Check:
    good = [row.short_name for row in registry.plugins if row.state == "ok"]
    bad = [row for row in registry.plugins if row.state == "failed"]
    off = [row.short_name for row in registry.plugins if row.state == "off"]
    text = f"{', '.join(good)} ok" + (f"; turned off: {', '.join(off)}" if off else "")
    if not bad:
        return Check("plugins", "ok", text)
    failed = "; ".join(f"{row.short_name} failed: {row.reason}" for row in bad)
    return Check("plugins", "warning", f"{text}; {failed}", f"animegen plugins check {bad[0].short_name}")


def _weights(registry: Registry) -> Check:
    from animegen.weights.store import WeightStore
    from animegen_cli.environment import known

    store, files = WeightStore(), [file for file in known(registry) if file.weight.required]
    if not files:
        return Check("weights", "ok", "no installed stage needs any")
    absent = [file for file in files if not store.status(file.plugin, file.weight).usable(file.weight)]
    text = f"{len(files) - len(absent)} of {len(files)} files here"
    if not absent:
        return Check("weights", "ok", text)
    names = " ".join(dict.fromkeys(file.name.partition("/")[0] for file in absent))
    return Check("weights", "warning", f"{text}; absent: {names}", f"animegen weights fetch {names}")


def _next_run(registry: Registry) -> Check:
    """Which recipe a run without one would take, and whether its settings hold."""
    try:
        from animegen.pipeline.pipeline import usual_layers
        from animegen.settings.resolve import resolve_settings

        layers, reason = usual_layers(registry, None, {})
        settings = resolve_settings(registry, layers)
    except AnimeGenError as error:
        return Check("run", "error", error.message, " ".join(error.hints))
    except Exception as error:
        return Check("run", "error", f"the engine does not load: {one_line(str(error))}")
    names = [choice.stage.name for choices in settings.choices.values() for choice in choices]
    return Check("run", "ok", f"{' > '.join(names)}; {reason}")
