"""Clips in files, through PyAV: `write_video`, `VideoReader`, and `FrameFolder` for folders of PNGs."""

from __future__ import annotations

from animegen.video_folder import FrameFolder, write_folder
from animegen.video_read import VideoReader
from animegen.video_write import FORMATS, write_video

__all__ = ["FORMATS", "FrameFolder", "VideoReader", "write_folder", "write_video"]
