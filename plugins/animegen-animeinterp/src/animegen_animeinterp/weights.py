"""The published file of AnimeInterp: where it lies and how it is known again. Light: no torch.

Its authors give neither a size nor a digest, so a file is accepted as it comes and remembered by the digest it had
then; what it holds is recognised by its tensors before it is used.
"""

from __future__ import annotations

from animegen import Weight

ANIMEINTERP = Weight(
    file="anime_interp_full.ckpt",
    urls=(
        # Two ports carry the file in a release; the authors' own link comes last: Dropbox may ask a person to click.
        "https://github.com/styler00dollar/VSGAN-tensorrt-docker/releases/download/models/eisai_anime_interp_full.ckpt",
        "https://github.com/Fannovel16/ComfyUI-Frame-Interpolation/releases/download/models/eisai_anime_interp_full.ckpt",
        "https://www.dropbox.com/s/oc8juclx1775qib/anime_interp_full.ckpt?dl=1",
    ),
    license="no licence of the weights is published (code: MIT)",
    purpose="AnimeInterp: flow, features and synthesis (about 25 MB)",
)
