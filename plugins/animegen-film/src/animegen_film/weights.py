"""The published files of FILM: where each lies and how it is known again. Light: no torch.

None of the publishers gives a digest, and only one file's size is known. What is in a file is recognised by the names
and shapes of its tensors before it runs.
"""

from __future__ import annotations

from animegen import Weight

LICENSE = "Apache-2.0"
"""Of google-research/frame-interpolation, whose parameters all of these files hold."""

_PORT = "https://github.com/dajes/frame-interpolation-pytorch/releases/download/{version}/{file}"
_NGUU = "hf://nguu/film-pytorch/film_net_fp32.pt@887b2c42bebcb323baf6c3b6d59304135699b575"

WEIGHTS = {
    "fp16": Weight(
        "film_net_fp16.safetensors",
        ("hf://Comfy-Org/frame_interpolation/frame_interpolation/film_net_fp16.safetensors",),
        LICENSE,
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
