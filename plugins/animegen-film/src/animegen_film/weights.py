"""The published files of FILM: where each lies and how it is known again. Light: no torch.

None of the publishers gives a digest. The one below is quoted for its address and revision by another project, in a
list whose other digests are those that everybody pins; it was not compared with the file here. A file without one is
accepted as it comes and remembered by the digest it had then, and in any case what is in it is recognised by the names
and shapes of its tensors before it runs.
"""

from __future__ import annotations

from animegen import Weight

LICENSE = "Apache-2.0"
"""Of google-research/frame-interpolation, whose parameters all of these files hold."""

_PORT = "https://github.com/dajes/frame-interpolation-pytorch/releases/download/{version}/{file}"
_COMFY_ORG = (
    "hf://Comfy-Org/frame_interpolation/frame_interpolation/film_net_fp16.safetensors"
    "@219da3c9d8c357ceaf457fc1d5932c6e861b8dee"
)
_NGUU = "hf://nguu/film-pytorch/film_net_fp32.pt@887b2c42bebcb323baf6c3b6d59304135699b575"

WEIGHTS = {
    "fp16": Weight(
        "film_net_fp16.safetensors",
        (_COMFY_ORG,),
        LICENSE,
        sha256="f226e51375dc839d4b40e5c3d63da560dd1ea1c962364ec78f5adf2d05db05c0",
        size=68_882_302,
        purpose="FILM, the training Style, in half precision, which holds no program",
    ),
    "fp32": Weight(
        "film_net_fp32.pt",
        (
            _PORT.format(version="v1.0.2", file="film_net_fp32.pt"),
            _PORT.format(version="v1.0.0", file="film_net_fp32.pt"),
            _NGUU,
        ),
        LICENSE,
        purpose="FILM, the training Style, in float32 (for -o film.weights=fp32); only its tensors are read",
        required=False,
    ),
    "fp16-port": Weight(
        "film_net_fp16.pt",
        (
            _PORT.format(version="v1.0.2", file="film_net_fp16.pt"),
            _PORT.format(version="v1.0.0", file="film_net_fp16.pt"),
        ),
        LICENSE,
        purpose="FILM, the training Style, in half precision as the port has it (for -o film.weights=fp16-port)",
        required=False,
    ),
}
"""By what `weights` of the stage's options calls them, the one that is used unasked first."""
