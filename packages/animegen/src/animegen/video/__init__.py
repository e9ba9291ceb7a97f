"""Videos in files, through PyAV.

Clips: `VideoReader` and `write_video`; `FrameFolder` for folders of PNGs. Films: `VideoReader.timed` gives frames with
their times, `segment` codes some hundreds of them, `join` puts segments and the source's sound together.
"""

from __future__ import annotations

from animegen.video.coding import clock
from animegen.video.colour import Colour
from animegen.video.containers import container_for
from animegen.video.folder import FrameFolder, write_folder
from animegen.video.join import join
from animegen.video.read import VideoReader
from animegen.video.segments import read_segments, read_timed_segments, segment
from animegen.video.tracks import Track
from animegen.video.write import FORMATS, write_video

__all__ = [
    "FORMATS",
    "Colour",
    "FrameFolder",
    "Track",
    "VideoReader",
    "clock",
    "container_for",
    "join",
    "read_segments",
    "read_timed_segments",
    "segment",
    "write_folder",
    "write_video",
]
