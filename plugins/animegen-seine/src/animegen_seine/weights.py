"""The published files: where each lies and how it is known again. Light: no torch.

SEINE's own file holds the U-Net alone. Text encoder and autoencoder are those of Stable Diffusion 1.4, which were not
trained any further for 1.5: the records of them name the place whose digests other projects pin. Nobody publishes a
digest of SEINE's file. It is accepted as it comes and remembered by the digest it had then; what is inside is
recognised in any case before it runs.
"""

from __future__ import annotations

from animegen import Weight

LICENSE = "Vchitect/SEINE: open for academic research, free commercial use on application to the authors"
STABLE_DIFFUSION = "CreativeML OpenRAIL-M"
_SD15 = "hf://stable-diffusion-v1-5/stable-diffusion-v1-5/{file}@451f4fe16113bff5a5d2269ed5ad43b0592e9a14"

MODEL = Weight(
    file="seine.pt",
    urls=("hf://xinyuanc91/SEINE/seine.pt@main", "hf://Vchitect/SEINE/seine.pt@main"),
    license=LICENSE,
    purpose="SEINE's U-Net, 909 million parameters (3.6 GB in float32), under the entry ema",
)
AUTOENCODER = Weight(
    file="sd15-vae.safetensors",
    urls=(_SD15.format(file="vae/diffusion_pytorch_model.safetensors"),),
    license=STABLE_DIFFUSION,
    sha256="a2b5134f4dbc140d9c11f11cba3233099e00af40f262f136c691fb7d38d2194c",
    size=334_643_276,
    purpose="the autoencoder of Stable Diffusion 1.x",
)
TEXT_ENCODER = Weight(
    file="sd15-text-encoder.safetensors",
    urls=(_SD15.format(file="text_encoder/model.safetensors"),),
    license=STABLE_DIFFUSION,
    sha256="d008943c017f0092921106440254dbbe00b6a285f7883ec8ba160c3faad88334",
    size=492_265_874,
    purpose="the text encoder of Stable Diffusion 1.x: CLIP ViT-L/14",
)
STABLE_DIFFUSION_14 = Weight(
    file="sd-v1-4.ckpt",
    urls=("hf://CompVis/stable-diffusion-v-1-4-original/sd-v1-4.ckpt@main",),
    license=STABLE_DIFFUSION,
    sha256="fe4efff1e174c627256e44ec2991ba279b3816e364b49f9be2abc0b3ff3f8556",
    size=4_265_380_512,
    purpose="Stable Diffusion 1.4 whole, for whoever has it already: autoencoder and text encoder are taken from it",
    required=False,
)

BASES = {"parts": (AUTOENCODER, TEXT_ENCODER), "checkpoint": (STABLE_DIFFUSION_14,)}
"""Where autoencoder and text encoder come from, by what a user may call it."""


def all_weights() -> tuple[Weight, ...]:
    """Every record once, the usual ones first."""
    return (MODEL, AUTOENCODER, TEXT_ENCODER, STABLE_DIFFUSION_14)
