"""The published files of EISAI: where each lies and how it is known again. Light: no torch.

No publisher gives a size or a digest with these files, so a file is accepted as it comes and remembered by the digest
it had then; what it holds is recognised by its tensors before it is used, whatever it is called.
"""

from __future__ import annotations

from animegen import Weight

LICENSE = "no licence of the weights is published (code: AGPL-3.0)"
FLOW_LICENSE = "no licence of the weights is published (code: MIT)"
"""RFR comes with AnimeInterp, whose readme says MIT of the code."""

_MIRRORS = (
    "https://github.com/styler00dollar/VSGAN-tensorrt-docker/releases/download/models/{file}",
    "https://github.com/Fannovel16/ComfyUI-Frame-Interpolation/releases/download/models/{file}",
)
"""Releases of two ports. The authors' own places (a folder of Google Drive, Dropbox) ask a person to click."""


def _record(file: str, purpose: str, license: str = LICENSE, *, required: bool = True) -> Weight:
    urls = tuple(mirror.format(file=file) for mirror in _MIRRORS)
    return Weight(file=file, urls=urls, license=license, purpose=purpose, required=required)


SSL = _record("eisai_ssl.pt", "SoftsplatLite, the synthesiser (about 11 MB)")
DTM = _record("eisai_dtm.pt", "the distance-transform module, which refines lines (about 43 kB)")
RFR = _record(
    "eisai_anime_interp_full.ckpt", "RFR, the optical flow of AnimeInterp (about 25 MB, with all of it)", FLOW_LICENSE
)
WEIGHTS = (SSL, DTM, RFR)
