"""Videos of a folder, and the digests by which they are known again: what is kept under them must stay findable."""

from __future__ import annotations

import hashlib

import pytest

from animegen.errors import InputError
from animegen.video.material import find_videos, video_digest

MIB = 1 << 20


@pytest.fixture
def folder(tmp_path):
    for name in ("b.mkv", "a.MP4", "notes.md", "more/c.ts", "more/frames/2.png", "more/frames/1.JPG", ".hidden/d.mkv"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path


def test_videos_and_folders_of_pictures_are_found_in_order(folder):
    found = [path.relative_to(folder).as_posix() for path in find_videos(folder, (".mp4", ".mkv"))]
    assert found == ["a.MP4", "b.mkv", "more/frames"]
    assert list(find_videos(folder / "b.mkv", ())) == [folder / "b.mkv"]


def test_a_file_is_known_by_its_size_and_both_ends(tmp_path):
    path = tmp_path / "clip.mkv"
    content = bytes(range(256)) * (3 * MIB // 256)
    path.write_bytes(content)
    known = video_digest(path)
    assert known == hashlib.sha256(str(len(content)).encode() + content[:MIB] + content[-MIB:]).hexdigest()
    path.write_bytes(content[:MIB] + b"other" + content[MIB + 5 :])
    assert video_digest(path) == known, "the middle is not read"
    path.write_bytes(content + b"!")
    assert video_digest(path) != known


def test_a_folder_is_known_by_names_and_sizes_of_its_pictures(folder):
    frames = folder / "more" / "frames"
    known = video_digest(frames)
    assert known == hashlib.sha256(b"1.JPG:17\n2.png:17\n").hexdigest()
    (frames / "thumbs.db").write_bytes(b"x")
    assert video_digest(frames) == known
    (frames / "3.png").write_bytes(b"x")
    assert video_digest(frames) != known


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(InputError, match=r"none\.mp4 cannot be read: No such file"):
        video_digest(tmp_path / "none.mp4")
