"""The published files: where each lies and how it is known again. Light: no torch.

Digests are those on the pages of the files, or pinned for these very addresses by other projects. One is taken from a
mirror, which is said there. A file without one is accepted as it comes and remembered by the digest it had then; what
is inside is recognised in any case before it runs.
"""

from __future__ import annotations

from animegen import Weight

LICENSE = "Apache-2.0 (the code's; the weights have a LICENSE file of their own)"
"""Of what the authors of ToonCrafter published, and of what others made from it."""
_AUTHORS = "hf://Doubiiu/ToonCrafter/{file}@7c56c5a23d9f8a9d99398e2a2491fff4bd6cffaf"
_KIJAI = "hf://Kijai/DynamiCrafter_pruned/{file}@{revision}"
_LAION = "hf://laion/CLIP-ViT-H-14-laion2B-s32B-b79K/{file}@1c2b8495b28150b8a4922ee1c8edee224c284c0c"

MODEL = Weight(
    file="model.ckpt",
    urls=(_AUTHORS.format(file="model.ckpt"),),
    license=LICENSE,
    sha256="e4df5aecd9919af2f41a92912bb6391e03531b269785a7448d87e964462edf53",
    purpose="ToonCrafter 512, whole, float32, 10.5 GB, as its authors published it",
)
MODEL_SAFETENSORS = Weight(
    file="model.safetensors",
    urls=("hf://Doubiiu/ToonCrafter/model.safetensors@refs/pr/21",),
    license=LICENSE,
    purpose="the same as safetensors, 10.5 GB, converted by a program of the hub",
    required=False,
)
MODEL_FP16 = Weight(
    file="tooncrafter_512_interp-fp16.safetensors",
    urls=(_KIJAI.format(file="tooncrafter_512_interp-fp16.safetensors", revision="0e0fdfb"),),
    license=LICENSE,
    sha256="e259c201d34d497e57bc1ff1e7d2fbb03f3e9dbda660f7b8d16407e2305acbbb",
    purpose="the same in float16, 5.25 GB, by Kijai; no longer on the newest revision of its place",
    required=False,
)
MODEL_PRUNED = Weight(
    file="tooncrafter_512_interp-pruned-fp16.safetensors",
    urls=tuple(
        _KIJAI.format(file="tooncrafter_512_interp-pruned-fp16.safetensors", revision=revision)
        for revision in ("0e0fdfb", "main")
    ),
    license=LICENSE,
    # From a mirror of the file (martintomov/comfy), not from its own page.
    sha256="7a60eefa72b85b98400fe12c6cc66ea1af84d51b8bd4472cc7764dce499f8891",
    purpose="ToonCrafter 512 in float16 without OpenCLIP's towers, 3.18 GB, by Kijai; those come from open_clip_model",
    required=False,
)
OPEN_CLIP = Weight(
    file="open_clip_model.safetensors",
    urls=(_LAION.format(file="open_clip_model.safetensors"),),
    license="MIT",
    sha256="0084e75319a50ad85ef45377bad5bc38f2f58824459eb690048d51c9f8863be5",
    size=3_944_517_836,
    purpose="OpenCLIP ViT-H-14, both towers, for a model file without them",
    required=False,
)
OPEN_CLIP_PICKLE = Weight(
    file="open_clip_pytorch_model.bin",
    urls=(_LAION.format(file="open_clip_pytorch_model.bin"),),
    license="MIT",
    sha256="9a78ef8e8c73fd0df621682e7a8e8eb36c6916cb3c16b291a082ecd52ab79cc4",
    purpose="the same as a pickle, for whoever has that file already",
    required=False,
)
SKETCH_ENCODER = Weight(
    file="sketch_encoder.ckpt",
    urls=(_AUTHORS.format(file="sketch_encoder.ckpt"),),
    license=LICENSE,
    sha256="95997a98b753796d85be454136b24638481bca5eb8580aedf89df44839f6d826",
    purpose="guides frames by sketches; float32, 1.46 GB",
    required=False,
)
SKETCH_ENCODER_FP16 = Weight(
    file="sketch_encoder-fp16.safetensors",
    urls=tuple(
        _KIJAI.format(file="sketch_encoder-fp16.safetensors", revision=revision) for revision in ("0e0fdfb", "main")
    ),
    license=LICENSE,
    purpose="the same in float16, 728 MB, by Kijai",
    required=False,
)
SKETCH_EXTRACTOR = Weight(
    file="sketch_extractor.pth",
    urls=(_AUTHORS.format(file="sketch_extractor.pth"),),
    license=LICENSE,
    purpose="draws sketches from frames; published without code, 218 MB",
    required=False,
)

MODELS = {"full": MODEL, "safetensors": MODEL_SAFETENSORS, "fp16": MODEL_FP16, "pruned": MODEL_PRUNED}
"""The files that hold the model, by what a user may call them."""
SKETCH_ENCODERS = {"full": SKETCH_ENCODER, "fp16": SKETCH_ENCODER_FP16}
WITHOUT_TOWERS = ("pruned",)
"""Those among `MODELS` that need `OPEN_CLIP` beside them."""


def weights_for(model: str = "full", *, sketch: str | None = None, extractor: bool = False) -> tuple[Weight, ...]:
    """The files that a run loads, in the order in which `checkpoint.inspect` takes them.

    Args:
        model: One of `MODELS`.
        sketch: One of `SKETCH_ENCODERS`, or None for no sketches.
        extractor: Whether sketches are drawn by the published extractor.
    """
    files = [MODELS[model]]
    if model in WITHOUT_TOWERS:
        files.append(OPEN_CLIP)
    if sketch is not None:
        files.append(SKETCH_ENCODERS[sketch])
    if extractor:
        files.append(SKETCH_EXTRACTOR)
    return tuple(files)


def all_weights() -> tuple[Weight, ...]:
    """Every record once, the usual ones first."""
    return (*MODELS.values(), OPEN_CLIP, OPEN_CLIP_PICKLE, *SKETCH_ENCODERS.values(), SKETCH_EXTRACTOR)
