"""Where a file says that it ends, in formats whose count of frames does not tell a truncated one."""

from __future__ import annotations

import re
from fractions import Fraction


def named_end(head: bytes) -> int:
    """How many bytes the file that starts with `head` says it has, at least; 0 where it does not say."""
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return 8 + int.from_bytes(head[4:8], "little")
    return _segment_end(head) if head.startswith(b"\x1a\x45\xdf\xa3") else 0


def counts_frames(head: bytes) -> bool:
    """Whether the count of frames that libav gives is one of packets. AVI's counts left-out frames too."""
    return not head.startswith(b"RIFF")


def track_end(tag: str) -> Fraction | None:
    """Seconds in the DURATION tag of a Matroska track, ``00:01:30.041000000``: where its last frame ends."""
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", tag.strip())
    return None if match is None else int(match[1]) * 3600 + int(match[2]) * 60 + Fraction(match[3])


def _segment_end(head: bytes) -> int:
    """Where the one segment of a Matroska file ends (RFC 8794, section 4)."""
    head = head.ljust(128, b"\0")
    size, place = _vint(head, 4)
    place += size
    if head[place : place + 4] != b"\x18\x53\x80\x67":
        return 0
    size, place = _vint(head, place + 4)
    return place + size if size else 0


def _vint(data: bytes, place: int) -> tuple[int, int]:
    """A number of variable length and the place after it; 0 stands for "unknown"."""
    length = 9 - data[place].bit_length()
    bits = 7 * length
    value = int.from_bytes(data[place : place + length], "big") & ((1 << bits) - 1)
    return (0 if value == (1 << bits) - 1 else value), place + length
