"""Which other model a file belongs to, told from the names of its tensors: for messages that help."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SIGNS: tuple[tuple[str, str], ...] = (
    (r"block_tea\.|block\d+\.(conv1\.|convblock\d\.)", "a RIFE older than 4.0"),
    (r"(contextnet|unet|fusionnet)\.|conv0\.conv1\.0\.", "the refiner of an older RIFE"),
    (r"(generator\.)?model\.\d+\.(ffc|conv1\.ffc|conv2\.ffc)|.*\.ffc\.convl2", "LaMa, an inpainter"),
    (r"(extract\.extract_sublevels|predict_flow\._predictors|fuse\.convs)", "FILM"),
    (r"(flownet\.)?(synnet\.|featnet\.|feat_ext\.|attention2\.)", "AnimeInterp"),
    (r"(feature_extractor\.|gridnet\.|synthesizer\.|net_nedt\.|net_tail\.)", "EISAI"),
    (r"model\.diffusion_model\..*(temopral|temporal|fps_embedding|image_proj)", "ToonCrafter or a model like it"),
    (r"(model\.diffusion_model|image_proj_model|cond_stage_model|first_stage_model|embedder)\.", "a diffusion model"),
    (r"(down_blocks|up_blocks|mid_block|transformer_blocks)\.", "a diffusion model"),
    (r"(fnet|cnet|update_block)\.", "RAFT, optical flow"),
    (r"features\.\d+\.(weight|bias)$", "VGG, a classifier"),
    (r"layer[1-4]\.\d+\.(conv1|bn1)\.", "a ResNet"),
    (r"(lin[0-4]\.model\.|lins?\.\d)", "LPIPS"),
    (r"(conv_first|RRDB_trunk|trunk_conv|conv_body)\.", "ESRGAN, an upscaler of pictures"),
    (r"(encoder\.pyramid\d|decoder[1-4]\.convblock)", "IFRNet"),
    (r"lora_(unet|te)|.*\.lora_(A|B|up|down)\.", "a LoRA"),
)
"""(beginning of a name, model), tried in order: the more telling ones first."""


def name_of_model(names: Iterable[str]) -> str | None:
    """The model that tensors of these names belong to, or None where nothing is known."""
    names = list(names)
    for sign, model in _SIGNS:
        if any(re.match(sign, name) for name in names):
            return model
    return None
