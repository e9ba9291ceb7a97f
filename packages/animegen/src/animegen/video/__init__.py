"""Clips in files, through PyAV: `write_video`, `VideoReader`, and `FrameFolder` for folders of PNGs."""

from __future__ import annotations

from animegen.video.folder import FrameFolder, write_folder
from animegen.video.read import VideoReader
from animegen.video.write import FORMATS, write_video

__all__ = ["FORMATS", "FrameFolder", "VideoReader", "write_folder", "write_video"]
