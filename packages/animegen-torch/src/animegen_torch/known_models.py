"""Which model a file belongs to, told from the names and shapes of its tensors: for messages that help."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

Shapes = Mapping[str, Sequence[int]]

_SIGNS: tuple[tuple[str, str], ...] = (
    (r"lora_(unet|te)|.*[._]lora_(A|B|up|down)\.|.*\.hada_w\d", "a LoRA"),
    (r"(module\.)?(flownet\.)?(synnet\.|featnet\.|feat_ext\.|attention2\.)", "AnimeInterp"),
    (r"(module\.)?(flownet\.)?(block\d\.(conv0|convblock)\.\d|blocks\.\d\.(conv0|convblock))", "RIFE"),
    (r"block_tea\.|block\d+\.(conv1\.|convblock\d\.)", "a RIFE older than 4.0"),
    (r"(contextnet|fusionnet)\.|unet\.(down|up)\d\.|conv0\.conv1\.0\.", "the refiner of an older RIFE"),
    (r"(generator\.)?model\.\d+\.(ffc|conv1\.ffc|conv2\.ffc)|.*\.ffc\.convl2", "LaMa, an inpainter"),
    (r"(extract\.extract_sublevels|predict_flow\._predictors|fuse\.convs)", "FILM"),
    (r"(feature_extractor\.|gridnet\.|synthesizer\.|net_nedt\.|net_tail\.)", "EISAI"),
    (r"first_stage_model\.decoder\.attn_refinement\.", "ToonCrafter"),
    (
        r"(model\.diffusion_model\.)?(input|output)_blocks\..*temopral_conv\.",
        "DynamiCrafter, ToonCrafter or a model like them",
    ),
    (r"conditioner\.embedders\.", "Stable Diffusion XL"),
    (
        r"model\.diffusion_model\.(double|single|joint)_blocks\.|(double|single)_blocks\.\d",
        "Flux or Stable Diffusion 3",
    ),
    (r"(control_model\.|controlnet\.)?input_hint_block\.|controlnet_cond_embedding\.", "a ControlNet"),
    (r".*transformer_blocks\.\d+\.attn_temp\.", "SEINE, or a model like it"),
    (r".*(motion_modules|temporal_transformer)\.", "AnimateDiff, or a model like it"),
    (
        r"(unet\.)?(down|up|mid)_blocks?\..*temp_(convs|attentions)\.|transformer_in\.",
        "a video model in diffusers' form",
    ),
    (r"(unet\.)?(down|up|mid)_blocks?\..*(attn2|transformer_blocks)\.", "a diffusion model in diffusers' form"),
    (r"(encoder|decoder)\.(down|up|mid)_blocks?\.", "an autoencoder in diffusers' form"),
    (r"(first_stage_model\.)?decoder\.attn_refinement\.", "the first stage of ToonCrafter alone"),
    (r"model\.diffusion_model\.", "a diffusion model"),
    (r"(encoder|decoder)\.(down|up|mid)\.|(first_stage_model\.)(en|de)coder\.", "an autoencoder alone"),
    (r"(vision_model|text_model)\.|(clip\.)?transformer\.(vision|text)_model\.", "CLIP in the form of transformers"),
    (r"(visual\.|cond_stage_model\.|embedder\.)", "CLIP"),
    (r"(image_proj_model|image_proj|ip_adapter)\.", "an image projector alone"),
    (r"(down_blocks|up_blocks|mid_block|transformer_blocks)\.", "a diffusion model"),
    (r"(fnet|cnet|update_block)\.", "RAFT, optical flow"),
    (r"features\.\d+\.(weight|bias)$", "VGG, a classifier"),
    (r"layer[1-4]\.\d+\.(conv1|bn1)\.", "a ResNet"),
    (r"(lin[0-4]\.model\.|lins?\.\d)", "LPIPS"),
    (r"(conv_first|RRDB_trunk|trunk_conv|conv_body)\.", "ESRGAN, an upscaler of pictures"),
    (r"(encoder\.pyramid\d|decoder[1-4]\.convblock)", "IFRNet"),
)
"""(beginning of a name, model), tried in order: the more telling ones first."""

_CONTEXTS = {768: "Stable Diffusion 1.x", 1024: "Stable Diffusion 2.x", 2048: "Stable Diffusion XL"}
"""Width of the text that a diffusion model reads."""


def name_of_model(shapes: Shapes, *, but: Collection[str] = ()) -> str | None:
    """The model that tensors of these names and shapes belong to, or None where nothing is known.

    Args:
        shapes: Shape by name.
        but: Answers that would not help.
    """
    for sign, model in _SIGNS:
        if model not in but and any(re.match(sign, name) for name in shapes):
            return _closer(model, shapes)
    return None


def _closer(model: str, shapes: Shapes) -> str:
    """`model`, or which one of its kind it is where shapes tell."""
    width = next(
        (shape[1] for name, shape in shapes.items() if re.search(r"attn2\.to_k\.weight$", name) and len(shape) == 2), 0
    )
    kind = _CONTEXTS.get(width)
    if model == "a ControlNet":
        hint = next((shape[1] for name, shape in shapes.items() if re.search(r"input_hint_block\.0\.weight$", name)), 0)
        if hint == 1:
            return "the sketch encoder of ToonCrafter"
        return f"{model} of {kind}" if kind else model
    if model.startswith("SEINE"):
        channels = next((shape[1] for name, shape in shapes.items() if re.search(r"(^|\.)conv_in\.weight$", name)), 9)
        return "LaVie, which draws clips from a text alone" if channels == 4 else "SEINE"
    if model.startswith("a diffusion model") and kind:
        return f"{kind}{model.removeprefix('a diffusion model')}"
    return model
