"""Warping error, flicker, VBench, distances and I3D against values of the published programs."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from animegen_testing.goldens import GoldenCase
from animegen_video_metrics.flicker import differences, mean_luma, second_difference, second_differences
from animegen_video_metrics.fvd_stage import prepare
from animegen_video_metrics.i3d import I3d, read_i3d
from animegen_video_metrics.plugin import I3D
from animegen_video_metrics.set_distances import frechet, kernel_distance
from animegen_video_metrics.vbench import dynamic_degree, smoothness
from animegen_video_metrics.warping import mean_where, occluded, resize_flow, squared_error

CPU = torch.device("cpu")


def arrays(case: GoldenCase, key: str) -> Mapping[str, np.ndarray[Any, Any]]:
    with np.load(case.path.parent / case.configuration[key]) as archive:
        return {name: archive[name] for name in archive.files}


def clip_case(case: GoldenCase) -> None:
    given = arrays(case, "clip")
    frames, forward, backward = given["clip"], given["flow_fw"], given["flow_bw"]
    golden = case.document["warping_error"]
    hidden = np.stack([occluded(f, b) for f, b in zip(forward, backward, strict=True)])
    case.compare("warping/masks", hidden, arrays(case, "occlusion")["occ"])
    case.compare("warping/occluded", hidden.sum((1, 2)), golden["occluded_pixels_per_pair"])
    errors = [squared_error(a, b, f) for a, b, f in zip(frames, frames[1:], forward, strict=False)]
    found = [mean_where(error, ~mask) for error, mask in zip(errors, hidden, strict=True)]
    case.compare("warping/pairs", found, golden["lai2018_code_per_pair"])
    case.compare("warping/video", np.mean(found), golden["lai2018_code_video"])
    paper = golden["lai2018_paper_formula_video (sum over RGB, per unoccluded pixel)"]
    case.compare("warping/paper", 3 * np.mean(found), paper)
    case.compare("warping/no mask", np.mean(errors), golden["no_mask_video"])
    still = [squared_error(a, b, np.zeros_like(forward[0])) for a, b in pairwise(frames)]
    case.compare("warping/zero", np.mean(still), golden["zero_flow_no_mask_video (frame difference MSE)"])
    larger = resize_flow(forward[0], 60, 96)
    known = golden["resize_flow_first_to_96x60"]
    case.compare("warping/resized x", np.abs(larger[..., 0]).mean(), known["mean_abs_x"])
    case.compare("warping/resized y", np.abs(larger[..., 1]).mean(), known["mean_abs_y"])
    case.compare("warping/resized max", larger[..., 0].max(), known["max_x"])

    golden = case.document["temporal_flicker"]
    steps = differences(frames)
    lumas = [mean_luma(frame) for frame in frames]
    case.compare("flicker/steps", steps, golden["vbench_mae_per_step_0_255"])
    case.compare("flicker/score", 1 - np.mean(steps) / 255, golden["vbench_score"])
    case.compare("flicker/d2", second_differences(frames), golden["second_difference_mean_abs_0_255"])
    case.compare("flicker/luma", lumas, golden["global_luma_per_frame"])
    case.compare("flicker/luma d2", second_difference(lumas), golden["global_luma_second_difference_mean_abs"])

    golden = case.document["vbench_dynamic_degree"]
    degree = dynamic_degree(forward)
    case.compare("degree/lengths", degree.lengths, golden["top5pct_flow_magnitude"])
    case.compare("degree/threshold", degree.threshold, golden["threshold_px"])
    case.compare("degree/needed", degree.needed, golden["count_needed"])
    assert degree.moves is golden["moves"]
    assert degree._replace(threshold=3).moves is golden["moves_if_threshold_3px"]
    case.compare("smoothness", smoothness(frames), case.document["vbench_motion_smoothness"]["score"])


def features_case(case: GoldenCase) -> None:
    given = arrays(case, "features")
    for name, golden in case.document["frechet"].items():
        true, fake = given[f"feat_real_{name}"], given[f"feat_fake_{name}"]
        assert [len(true), len(fake), true.shape[1]] == [golden[key] for key in ("N_real", "N_fake", "dim")]
        right = frechet(true, fake)
        case.compare(f"frechet/{name}/right", right, golden["symmetric_eigh_clipped (recommended)"])
        for key, value in golden.items():
            if "N-1" in key or "float" in key or key in ("torchmetrics_eigvals_float64", "torch_fidelity"):
                case.compare(f"frechet/{name}/{key}", right, value)
        case.compare(
            f"frechet/{name}/n", frechet(true, fake, ddof=0), golden["styleganv_featurestats_and_cdfvd (cov 1/N)"]
        )
        shift = true.astype(float).mean(0) - fake.astype(float).mean(0)
        case.compare(f"frechet/{name}/means", shift @ shift, golden["mean_term"])
        for key, rows in (("trace_real", true), ("trace_fake", fake)):
            case.compare(f"frechet/{name}/{key}", rows.astype(float).var(0, ddof=1).sum(), golden[key])
        case.compare(f"frechet/{name}/halves", frechet(true[::2], true[1::2]), golden["split_half_of_real"])
    for name, golden in case.document["kernel_distance"].items():
        true, fake = given[f"feat_real_{name}"], given[f"feat_fake_{name}"]
        case.compare(
            f"kernel/{name}", kernel_distance(true, fake), golden["unbiased_poly3_gamma1/d_coef1 (DIGAN / LVDM family)"]
        )
        biased = kernel_distance(true, fake, unbiased=False)
        case.compare(f"kernel/{name}/biased", biased, golden["biased (V-statistic)"])
        least = golden["first_min_N_rows"]
        case.compare(
            f"kernel/{name}/least", kernel_distance(true[:least], fake[:least]), golden["unbiased_first_min_N"]
        )
    if "small_sample_demo_same_gaussian_d64" in case.document:
        # Two sets of one Gaussian: FVD's bias falls as 1/N, KVD has none.
        random = np.random.Generator(np.random.PCG64(7))
        mix = random.standard_normal((64, 64)) / 8
        for count, golden in case.document["small_sample_demo_same_gaussian_d64"].items():
            if int(count) > 512:
                break
            pairs = [[random.standard_normal((int(count), 64)) @ mix for _ in "ab"] for _ in range(6)]
            distance = np.mean([frechet(*pair) for pair in pairs])
            case.compare(f"demo/{count}", distance, golden["frechet_mean_over_6"])
            share = distance / (mix**2).sum()
            case.compare(f"demo/{count}/share", share, golden["frechet_over_trace_C"])
            kernels = [kernel_distance(*pair) for pair in pairs]
            case.compare(f"demo/{count}/kvd", np.mean(kernels), golden["kvd_mean_over_6"])
            case.compare(f"demo/{count}/kvd deviation", np.std(kernels, ddof=1), golden["kvd_sd"])


@torch.inference_mode()
def i3d_case(case: GoldenCase, path: Path) -> None:
    golden, videos, logits = case.document["i3d_seeded"], arrays(case, "videos"), arrays(case, "logits")
    names = set(I3d().state_dict())
    assert len(names) == golden["state_dict_names"]["count"]
    assert names >= {*golden["state_dict_names"]["first"], *golden["state_dict_names"]["last"]}
    network = read_i3d(path, CPU)
    shown = prepare(videos["videos_real"][0], "square", CPU)
    case.compare("preprocess", [shown.mean(), shown.std()], golden["preprocess_first_clip_mean_std"])
    found: dict[str, Any] = {}
    for name in ("videos_real", "videos_fake"):
        found[name] = torch.cat([network(prepare(clip, "square", CPU)) for clip in videos[name]]).numpy()
    first = videos["videos_real"][0]
    found["real0_shorter_side_center_crop"] = network(prepare(first, "crop", CPU))[0].numpy()
    found["real0_first_10_frames"] = network(prepare(first[:10], "square", CPU))[0].numpy()
    found["real0_videogpt_preprocess"] = found["real0_shorter_side_center_crop"]  # through uint8, which frames are
    for name, rows in found.items():
        case.compare(f"logits/{name}", rows, logits[name])
        case.compare(f"mean/{name}", [rows.mean(), rows.std()], golden["logit_mean_std"][name])
    apart = np.abs(found["videos_real"][0] - found["real0_shorter_side_center_crop"]).max()
    case.compare("apart", apart, golden["max_abs_difference_resize_square_vs_crop"])
    real, fake = found["videos_real"], found["videos_fake"]
    case.compare("distance/frechet", frechet(real, fake), golden["frechet_4_vs_4 (plumbing check only)"])
    case.compare("distance/kernel", kernel_distance(real, fake), golden["kvd_4_vs_4 (plumbing check only)"])
    with pytest.raises(RuntimeError):
        network(prepare(first[:8], "square", CPU))


def test_parity(golden_case: GoldenCase, request: pytest.FixtureRequest) -> None:
    golden_case.run(
        {
            "clip": clip_case,
            "features": features_case,
            "i3d": lambda case: i3d_case(case, request.getfixturevalue("weights")[I3D.file]),
        }
    )
