"""Checksums of FFV1, which libav's decoder looks at and then patches the picture up without a word.

A packet of version 3 is a row of slices, each with a footer: its length (24 bits), and where the encoder wrote
checksums, an error status (8 bits) and a CRC-32 that makes that of the whole slice 0 (RFC 9043, section 4.9).
"""

from __future__ import annotations

import zlib

_LENGTH, _FOOTER = 3, 8
_MIRRORED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))
_ZERO = 0xFFFFFFFF  # zlib's name for the remainder 0: it turns all bits over, before and after


def is_damaged(packet: bytes) -> bool:
    """Whether a packet of FFV1, version 3 or later, is other than it was written, as far as its checksums tell."""
    slices = _slices(packet, _FOOTER)
    if slices is None:
        return _slices(packet, _LENGTH) is None  # it has no checksums, but it has slices
    # FFV1 takes the highest bit of a byte first, zlib the lowest.
    return any(zlib.crc32(part.translate(_MIRRORED), _ZERO) != _ZERO for part in slices)


def _slices(packet: bytes, footer: int) -> list[bytes] | None:
    """The slices of a packet, last first; None where its lengths do not add up."""
    found = []
    end = len(packet)
    while end >= footer:
        start = end - footer - int.from_bytes(packet[end - footer : end - footer + _LENGTH], "big")
        if start < 0:
            return None
        found.append(packet[start:end])
        end = start
    return None if end or not found else found
