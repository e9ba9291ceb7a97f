"""Golden cases of OpenCLIP's towers, of keyframes, and of frames as they are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from animegen_testing import seeded_weights
from animegen_testing.goldens import GoldenCase
from animegen_tooncrafter.conditioning.image import ImageTower, clip_pixels
from animegen_tooncrafter.conditioning.keyframes import gradio_keyframe, script_keyframe
from animegen_tooncrafter.conditioning.output import to_frames
from animegen_tooncrafter.conditioning.towers import ImageConfiguration
from animegen_torch.diffusion.text import TextConfiguration, TextTower, tokenize


def text(case: GoldenCase) -> Mapping[str, Any]:
    settings = case.configuration["config"]
    tower = TextTower(TextConfiguration.of(settings["text_cfg"]))
    seeded_weights.fill(tower, case.prefix)
    tokens = tokenize(settings["prompts"])
    return {"tokens": tokens, "out": tower.eval()(tokens)}


def image(case: GoldenCase) -> Mapping[str, Any]:
    tower = ImageTower(ImageConfiguration.of(case.configuration["config"]["vision_cfg"]))
    seeded_weights.fill(tower, case.prefix)
    tower.eval()
    outputs: dict[str, Tensor] = {}
    for name in case.names("*.u8"):
        one = name.removesuffix(".u8")
        picture = torch.from_numpy(case.arrays[name]).float() / 255 * 2 - 1
        outputs[f"{one}.pre_every4"] = clip_pixels(picture)[..., ::4, ::4]
        outputs[f"{one}.tokens"] = tower(picture)
    return outputs


def preprocess(case: GoldenCase) -> Mapping[str, Any]:
    outputs: dict[str, Tensor] = {}
    for name in case.names("*.u8"):
        one, picture = name.removesuffix(".u8"), case.arrays[name]
        height, width = map(int, case.arrays[f"{one}.size"])
        outputs[f"{one}.cli"] = script_keyframe(picture, height, width)
        for antialias in (False, True):
            made = gradio_keyframe(picture, height, width, antialias=antialias)
            outputs[f"{one}.gradio_antialias{int(antialias)}"] = made
    return outputs


def output(case: GoldenCase) -> Mapping[str, Any]:
    return {"u8_thwc": to_frames(torch.from_numpy(case.arrays["video"])[0].transpose(0, 1))}


RUNNERS = {"clip_text": text, "clip_image": image, "preprocess": preprocess, "output": output}
