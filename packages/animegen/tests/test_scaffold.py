"""`animegen plugins new`: what it writes works at once, and what it cannot write it refuses whole."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from animegen.errors import ResourceError, UsageError
from animegen.scaffold import new_plugin
from animegen.stages import KINDS


def test_a_new_plugin_is_a_whole_distribution(tmp_path: Path) -> None:
    written = new_plugin("film-grain", "preprocessor", tmp_path)
    root = tmp_path / "animegen-film-grain"
    assert [path.relative_to(root).as_posix() for path in written] == [
        "pyproject.toml",
        "README.md",
        ".gitignore",
        "src/animegen_film_grain/__init__.py",
        "src/animegen_film_grain/py.typed",
        "src/animegen_film_grain/plugin.py",
        "src/animegen_film_grain/stage.py",
        "tests/test_contract.py",
    ]
    assert {path for path in root.rglob("*") if path.is_file()} == set(written)
    assert [path.name for path in tmp_path.iterdir()] == [root.name], "nothing half-done is left beside it"
    assert all("${" not in path.read_text("utf-8") for path in written)
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["name"] == "animegen-film-grain"
    assert project["project"]["entry-points"]["animegen"] == {"film-grain": "animegen_film_grain.plugin"}
    if sys.platform != "win32":
        assert root.stat().st_mode & 0o055, "others may look into it, as into any folder"


def test_the_customary_start_of_a_name_is_not_doubled(tmp_path: Path) -> None:
    new_plugin("animegen-wipe", "interpolator", tmp_path / "new" / "place")
    assert (tmp_path / "new/place/animegen-wipe/src/animegen_wipe/stage.py").is_file()


def test_a_name_that_the_template_uses_itself_gets_another_class(tmp_path: Path) -> None:
    new_plugin("box", "detector", tmp_path)
    assert "class BoxDetector:" in (tmp_path / "animegen-box/src/animegen_box/stage.py").read_text("utf-8")


def test_the_tests_of_a_new_plugin_of_each_kind_pass(tmp_path: Path) -> None:
    pytest.importorskip("animegen_testing")
    names = {kind: f"my-{kind}" for kind in KINDS} | {"detector": "box"}
    folders = []
    for kind, name in names.items():
        new_plugin(name, kind, tmp_path)
        folders.append(tmp_path / f"animegen-{name}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", "-p", "no:cacheprovider", "-W", "error", "."],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(str(folder / "src") for folder in folders)},
        capture_output=True,
        text=True,
    )
    assert "10 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["", "Wipe", "wipe_out", "a--b", "-wipe", "3d", "wipe/..", "wipe.py", "ワイプ"])
def test_a_name_no_package_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="no name of a plugin") as caught:
        new_plugin(name, "metric", tmp_path)
    assert caught.value.hints[0].startswith("for example: ")
    assert not list(tmp_path.iterdir())


def test_a_bad_name_hints_at_the_nearest_good_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        new_plugin("Film Grain!", "metric", tmp_path)
    assert caught.value.hints == ("for example: film-grain",)


def test_names_of_our_own_parts_unknown_kinds_and_existing_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="part of AnimeGen itself"):
        new_plugin("manga", "detector", tmp_path)
    with pytest.raises(UsageError, match="no kind of stage is named 'interpolater'") as caught:
        new_plugin("wipe", "interpolater", tmp_path)
    assert "did you mean 'interpolator'?" in caught.value.hints[0]
    (tmp_path / "animegen-wipe").mkdir()
    with pytest.raises(UsageError, match="is there already"):
        new_plugin("wipe", "interpolator", tmp_path)
    assert list((tmp_path / "animegen-wipe").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ResourceError, match="cannot be written"):
        new_plugin("wipe", "interpolator", tmp_path / "file")
