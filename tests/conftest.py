"""The command line under test: inside this process where that is enough, as a process of its own where it is not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from animegen.imageio import write_image
from animegen_cli.main import main

QUICK = ("--detector", "none", "--preprocessor", "none", "--interpolator", "crossfade", "--frames", "3")
"""Options of the quickest run there is."""


@dataclass(frozen=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """Its ``error:`` lines."""
        return [line for line in self.err.splitlines() if line.startswith("error:")]


@pytest.fixture
def quick() -> tuple[str, ...]:
    return QUICK


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with no settings, no cache and no variables of the user's own."""
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in [name for name in os.environ if name.startswith(("ANIMEGEN_", "_ANIMEGEN"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ANIMEGEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return folder


@pytest.fixture
def animegen(place: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """``animegen(*args)`` in `place`, inside this process."""
    for name in ("ANIMEGEN_CONFIG", "ANIMEGEN_OFFLINE"):  # the program sets them; they go when the test ends
        monkeypatch.setenv(name, "")

    def call(*args: object) -> Result:
        capfd.readouterr()
        code = main([str(arg) for arg in args])
        captured = capfd.readouterr()
        return Result(code, captured.out, captured.err)

    return call


@pytest.fixture
def animegen_process(place: Path) -> Callable[..., subprocess.Popen[str]]:
    """``animegen_process(*args)`` in `place`: a started process of its own, in a process group of its own."""
    started: list[subprocess.Popen[str]] = []

    def start(*args: object, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", "import sys; from animegen_cli.main import main; sys.exit(main())", *map(str, args)],
            cwd=place,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def finish(animegen_process: Callable[..., subprocess.Popen[str]]) -> Callable[..., Result]:
    """``finish(*args)``: a process of its own, run to its end."""

    def call(*args: object, env: Mapping[str, str] | None = None) -> Result:
        process = animegen_process(*args, env=env)
        out, err = process.communicate(timeout=120)
        return Result(process.returncode, out, err)

    return call


@pytest.fixture
def pair(place: Path) -> tuple[Path, Path]:
    """Two small panels: a disc that moves over a shaded ground."""
    paths = place / "a.png", place / "b.png"
    for path, shift in zip(paths, (0, 12), strict=True):
        write_image(path, disc(64, 48, shift))
    return paths


def disc(width: int, height: int, shift: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    image = np.repeat((180 + 40 * y // height)[:, :, None], 3, axis=2).astype(np.uint8)
    image[(x - width // 4 - shift) ** 2 + (y - height // 2) ** 2 < (height // 5) ** 2] = (20, 30, 40)
    return image


@pytest.fixture
def picture() -> Callable[[int, int, int], np.ndarray]:
    """``picture(width, height, shift)``: a disc over a shaded ground, (H, W, 3) uint8 RGB."""
    return disc


@pytest.fixture
def install(tmp_path: Path) -> Callable[[str, str], Path]:
    """``install(name, source)``: a distribution with one plugin module; gives the folder for ``PYTHONPATH``.

    What an installer leaves behind is a module and a dist-info folder; both can simply be written.
    """
    folder = tmp_path / "site"

    def write(name: str, source: str) -> Path:
        module = name.replace("-", "_")
        info = folder / f"{module}-0.1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
        (info / "entry_points.txt").write_text(f"[animegen]\n{module} = {module}\n")
        (folder / f"{module}.py").write_text(dedent(source))
        return folder

    return write
