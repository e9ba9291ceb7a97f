"""What this plugin offers: the inpainter ``lama``. Light: neither torch nor numpy is imported here."""

from __future__ import annotations

from dataclasses import dataclass

from animegen import Needs, StageSpec, Weight, hookimpl, option

MANGA = Weight(
    file="anime-manga-big-lama.pt",
    urls=("https://github.com/Sanster/models/releases/download/AnimeMangaInpainting/anime-manga-big-lama.pt",),
    license="MIT",
    sha256="479d3afdcb7ed2fd944ed4ebcc39ca45b33491f0f2e43eb1000bd623cfb41823",
    md5="29f284f36a0a510bcacf39ecf4c4d54f",
    size=205_717_870,
    purpose="big-lama trained further on 300,000 pictures of manga and anime (dreMaz/AnimeMangaInpainting)",
)
PLACES = Weight(
    file="big-lama.pt",
    urls=("https://github.com/Sanster/models/releases/download/add_big_lama/big-lama.pt",),
    license="Apache-2.0",
    sha256="344c77bbcb158f17dd143070d1e789f38a66c04202311ae3a258ef66667a9ea9",
    md5="e3aa4aaa15225a33ec84f9f4bc47e500",
    size=205_669_692,
    purpose="big-lama as its authors trained it on photographs, in the archive IOPaint publishes",
    required=False,
)
# big-lama once more, in the archive simple-lama-inpainting itself would download: other bytes, another digest.
SIMPLE_LAMA = Weight(
    file="simple-lama-big-lama.pt",
    urls=("https://github.com/enesmsahin/simple-lama-inpainting/releases/download/v0.1.0/big-lama.pt",),
    license="Apache-2.0",
    sha256="7ba7aa7ac37a4d41fdbbeba3a2af7ead18058552997e3a3cd1a3b2210c9e6b4c",
    size=205_803_670,
    purpose="big-lama in the archive of simple-lama-inpainting, for whoever has that file already",
    required=False,
)
WEIGHTS = {"manga": MANGA, "places": PLACES, "simple-lama": SIMPLE_LAMA}


@dataclass(frozen=True)
class LamaOptions:
    """Options of `lama`."""

    weights: str = option(
        "manga", "What it was trained on: manga and anime, or photographs (two archives).", choices=(*WEIGHTS,)
    )
    file: str | None = option(
        None, "Archive of your own instead, loaded unchecked; it is a program and can do anything.", file=True
    )
    strategy: str = option(
        "crop",
        "A large picture hole by hole (crop), scaled down to `longest` (resize), or as it is (original).",
        choices=("crop", "resize", "original"),
    )
    crop_from: int = option(
        800, "Longest side up to which crop takes a picture as a whole.", min=64, max=100_000, unit="px"
    )
    margin: int = option(128, "Drawing that crop leaves around each hole; more sees more.", min=8, max=4096, unit="px")
    longest: int = option(
        1280,
        "Longest side the network sees under crop and resize; more is finer and takes more memory.",
        min=64,
        max=100_000,
        unit="px",
    )


def chosen_weights(options: LamaOptions) -> tuple[str, ...]:
    """The one archive that `options` ask for; none where they name a file of the user's own."""
    return () if options.file else (WEIGHTS[options.weights].file,)


@hookimpl
def animegen_inpainters() -> list[StageSpec]:
    return [
        StageSpec(
            name="lama",
            target="animegen_lama.stage:Lama",
            summary="Draws on into holes of any size with LaMa, trained on manga (needs torch and weights).",
            options=LamaOptions,
            weights=(*WEIGHTS.values(),),
            chosen=chosen_weights,
            needs=Needs(libraries=("torch", "simple_lama_inpainting")),
        )
    ]
