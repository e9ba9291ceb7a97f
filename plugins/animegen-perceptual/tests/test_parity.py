"""LPIPS, CLIP and what is made of embeddings against values of the lpips and open_clip packages and of VBench."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lpips
import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from animegen_perceptual.clip_network import Clip
from animegen_perceptual.clip_stage import cosines, to_panels
from animegen_perceptual.plugin import BACKBONES, CLIP
from animegen_perceptual.trajectory import _off_chord, consistency, progress, trajectory
from animegen_testing.goldens import GoldenCase
from animegen_torch.perceptual import Perceptual
from animegen_torch.pictures import to_tensor

CPU = torch.device("cpu")


def rgb(image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


@torch.inference_mode()
def lpips_case(case: GoldenCase, weights: dict[str, Path]) -> None:
    with np.load(case.path.parent / case.configuration["pictures"]) as archive:
        pictures = {name: to_tensor(rgb(archive[name])) for name in archive.files}
    for net, entries in case.document["lpips"].items():
        network = Perceptual(net, weights[BACKBONES[net].file], CPU)

        def distance(one: torch.Tensor, other: torch.Tensor, network: Perceptual = network) -> float:
            return float(network.distance(network.features(one), network.features(other)))

        heads = [next(iter(head.parameters())) for head in network._network.lins]
        case.compare(f"{net}/head_sums", [float(head.sum()) for head in heads], entries["head_weight_sums"])
        case.compare(f"{net}/head_mins", [float(head.min()) for head in heads], entries["head_weight_mins"])
        for pair, expected in entries.items():
            if pair.startswith("head_"):
                continue
            if pair.startswith("crops_of_"):
                a, b = (pictures[name] * 2 - 1 for name in pair.removeprefix("crops_of_").split("|"))
                for size, value in expected.items():
                    height, width = map(int, size.split("x"))
                    found = distance(a[..., :height, :width], b[..., :height, :width])
                    case.compare(f"{net}/crop/{size}", found, value)
                continue
            unit = [pictures[name] for name in pair.split("|")]
            one, other = (picture * 2 - 1 for picture in unit)
            features = network.features(one), network.features(other)
            case.compare(f"{net}/{pair}", float(network.distance(*features)), expected["value"])
            if "swapped" not in expected:
                assert expected["value"] == float(network.distance(*features)) == 0
                continue
            layers = [float(value) for value in network.layers(*features)]
            case.compare(f"{net}/{pair}/layers", layers, expected["per_layer"])
            swapped = float(network.distance(*features[::-1]))
            case.compare(f"{net}/{pair}/swapped", swapped, expected["swapped"])
            mistaken = expected["inputs_left_in_0_1 (mistake)"]
            case.compare(f"{net}/{pair}/unit range", distance(*unit), mistaken)
            plain = sum(float(((a - b) ** 2).sum(1).mean()) for a, b in zip(*features, strict=True))
            case.compare(f"{net}/{pair}/no heads", plain, expected["no_linear_heads"])
            maps = [head((a - b) ** 2) for head, a, b in zip(network._network.lins, *features, strict=True)]
            grown = [lpips.lpips.upsample(layer, out_HW=one.shape[2:]) for layer in maps]
            spatial = sum(float(layer.mean()) for layer in grown)
            case.compare(f"{net}/{pair}/spatial", spatial, expected["spatial_map_mean"])
            if pair == "line_a|line_b":  # the package's own way, its flag for values in 0 to 1 with it
                flag = network._network(*unit, normalize=True)
                case.compare(f"{net}/{pair}/normalize", float(flag), expected["normalize_flag_on_0_1"])
                case.compare(f"{net}/{pair}/torchmetrics", float(flag), expected["torchmetrics_same_weights"])


def embeddings_case(case: GoldenCase) -> None:
    with np.load(case.path.parent / case.configuration["embeddings"]) as archive:
        raw = {name: archive[name].astype(np.float64) for name in archive.files}
    unit = {name: rows / np.linalg.norm(rows, axis=1, keepdims=True) for name, rows in raw.items()}
    own, true, ends = unit["emb_gen"], unit["emb_ref"], unit["emb_ends"]
    nearest = to_panels(own, ends)[1]
    text = (own @ unit["emb_text"][0]).mean()
    middle = ends.mean(0)
    mean, mean_true = own.mean(0), true.mean(0)
    expected = case.document["clip_on_fixed_embeddings"]
    found = {
        "clip_image_mean_paired_frames": np.mean(cosines(own, true)),
        "clip_text_mean": text,
        "clipscore_100_max0_mean": 100 * max(text, 0),
        "clipscore_hessel_2.5_mean": 2.5 * max(text, 0),
        "clip_image_to_nearest_endpoint_mean": np.mean(nearest),
        "clip_image_to_mean_of_endpoints_unnormalised_first": np.mean(own @ middle / np.linalg.norm(middle)),
        "consecutive_frame_similarity_mean": np.mean(cosines(own[:-1], own[1:])),
        "cosine_of_mean_embeddings (different!)": mean @ mean_true / np.linalg.norm(mean) / np.linalg.norm(mean_true),
        "first_frame_reference_mean": np.mean(to_panels(own, true[:1])[0]),
    }
    for name, value in expected.items():
        case.compare(f"clip/{name}", found[name], value)
    way = trajectory(own)
    for name, ours in (
        ("path_length_over_chord", way["clip-path-over-chord"]),
        ("rms_off_chord_over_chord", way["clip-off-chord"]),
        ("max_step_share", way["clip-largest-step-share"]),
        ("mean_turn_cosine", way["clip-turn-cosine"]),
        ("step_coefficient_of_variation", way["clip-step-variation"]),
        ("progress", progress(own)),
    ):
        case.compare(f"way/{name}", ours, case.document["trajectory_on_emb_gen_unit_norm"][name])
    for name, value in case.document["vbench_consistency"].items():
        case.compare(f"vbench/{name}", consistency(own), value)
    assert _off_chord(own)[0] == 0


@torch.inference_mode()
def clip_case(case: GoldenCase, weights: dict[str, Path]) -> None:
    expected = case.document["clip_seeded_vit_b_32"]
    clip = Clip(weights[CLIP.file], CPU)
    names = ("cartoon_a", "cartoon_b", "line_a")
    with np.load(case.path.parent / case.configuration["pictures"]) as archive:
        pictures = [rgb(archive[name]) for name in names]
    with np.load(case.path.parent / case.configuration["features"]) as archive:
        features = {name: archive[name] for name in archive.files}
    shown = torch.stack([clip.transform(Pillow.fromarray(picture)) for picture in pictures])
    raw = clip._network.encode_image(shown)
    for index, name in enumerate(names):
        golden = expected[name]
        assert [1, *shown[index].shape] == golden["preprocessed_shape"]
        case.compare(f"preprocessed/{name}/mean", float(shown[index].mean()), golden["preprocessed_mean"])
        case.compare(f"preprocessed/{name}/std", float(shown[index].std()), golden["preprocessed_std"])
        case.compare(f"preprocessed/{name}/corner", shown[index][:, 0, 0], golden["preprocessed_corner_rgb"])
        case.compare(f"preprocessed/{name}/centre", shown[index][:, 112, 112], golden["preprocessed_center_rgb"])
        case.compare(f"feature_norm/{name}", float(raw[index].norm()), golden["feature_norm"])
        case.compare(f"feature/{name}/first4", raw[index, :4], golden["feature_first4"])
        case.compare(f"feature/{name}", raw[index], features[f"img_{name}"])
    tokens = clip._tokens(expected["texts"])
    case.compare("tokens", tokens[0][tokens[0] != 0], expected["tokens_first_text_nonzero"])
    case.compare("feature/text", clip._network.encode_text(tokens), features["text"])
    images, texts = clip.pictures(pictures), clip.texts(expected["texts"])
    case.compare("cos/a b", float(images[0] @ images[1]), expected["cos_cartoon_a_cartoon_b"])
    case.compare("cos/a line", float(images[0] @ images[2]), expected["cos_cartoon_a_line_a"])
    case.compare("cos/texts", images[0] @ texts.T, expected["cos_cartoon_a_texts"])


def test_parity(golden_case: GoldenCase, request: pytest.FixtureRequest) -> None:
    golden_case.run(
        {
            "lpips": lambda case: lpips_case(case, request.getfixturevalue("lpips_weights")),
            "embeddings": embeddings_case,
            "clip": lambda case: clip_case(case, request.getfixturevalue("clip_weights")),
        }
    )
