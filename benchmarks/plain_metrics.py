"""The plainest use of the libraries that give a metric's numbers: for `metrics.py`.

Each maker reads its network, where there is one, from a folder of drawn files and gives a function that measures one
sample. One picture at a time, as documentation shows it; what any script would keep (panels' features) is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from animegen.measuring import Sample

Call = Callable[[Any], Any]
Array = np.ndarray[Any, Any]
LAYERS = (1, 6, 11, 20, 29)
"""Outputs of VGG19 whose Gram matrices make a style."""


def plain_use(name: str) -> Callable[[Path], Call] | None:
    """The maker for a metric; None where no library has it."""
    if name.startswith("lpips-") and name != "lpips-endpoints":
        return lambda folder: lpips_pictures(folder, name.removeprefix("lpips-"))
    return MAKERS.get(name)


def psnr(folder: Path) -> Call:
    from skimage.metrics import peak_signal_noise_ratio

    return lambda given: [peak_signal_noise_ratio(b, a, data_range=255) for a, b in _true(given)]


def ssim(folder: Path) -> Call:
    from skimage.metrics import structural_similarity

    wang: dict[str, Any] = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}

    def one(a: Array, b: Array) -> list[Any]:
        found = [structural_similarity(a, b, channel_axis=2, data_range=255, **how) for how in (wang, {})]
        return [*found, structural_similarity(a / 255, b / 255, channel_axis=2, data_range=2)]

    return lambda given: [one(a, b) for a, b in _true(given)]


def line_chamfer(folder: Path) -> Call:
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    def lines(picture: Array) -> Array:
        grey = picture @ np.array([0.299, 0.587, 0.114]) / 255
        return np.asarray(gaussian_filter(grey, 1.6, mode="nearest") - gaussian_filter(grey, 1, mode="nearest") > 0.005)

    def one(a: Array, b: Array) -> tuple[float, float]:
        maps = [lines(picture) for picture in (a, b)]
        far = [distance_transform_edt(~found)[other].sum() for found, other in zip(maps, maps[::-1], strict=True)]
        diagonal = np.hypot(*maps[0].shape)
        per_line = far[0] / max(maps[1].sum(), 1) + far[1] / max(maps[0].sum(), 1)
        return sum(far) / 2 / maps[0].size / diagonal, per_line / 2 / diagonal

    return lambda given: [one(a, b) for a, b in _true(given)]


def cpbd(folder: Path) -> Call:
    import scipy.ndimage

    scipy.ndimage.imread = None  # the package asks for it when it is imported, and uses it in its command alone
    import cpbd as package
    from PIL import Image

    def one(picture: Array) -> float:
        return float(package.compute(np.asarray(Image.fromarray(picture).convert("L"), np.float64)))

    return lambda given: [one(picture) for picture in (*given.frames, *given.panels)]


def lpips_pictures(folder: Path, net: str) -> Call:
    import torch

    loss, tensor = _lpips(net)

    def call(given: Sample) -> Any:
        assert given.reference is not None
        ours, true = ([tensor(picture) for picture in clip] for clip in (given.frames, given.reference))
        with torch.inference_mode():
            found = [loss(a, b) for a, b in zip(ours, true, strict=True)]
            if net == "alex":
                found += [loss((a + 1) / 2, (b + 1) / 2) for a, b in zip(ours, true, strict=True)]
            return found + [loss(a, b) for a, b in pairwise(ours)]

    return call


def lpips_endpoints(folder: Path) -> Call:
    import torch

    loss, tensor = _lpips("alex")

    def call(given: Sample) -> Any:
        assert given.panels is not None
        with torch.inference_mode():
            return max(float(loss(tensor(given.frames[end]), tensor(given.panels[end]))) for end in (0, -1))

    return call


def clip_similarity(folder: Path) -> Call:
    import torch

    embed, text = _clip(folder)

    def call(given: Sample) -> Any:
        assert given.reference is not None and given.panels is not None
        found = []
        with torch.inference_mode():
            prompt, panels = text(given.prompt), [embed(panel) for panel in given.panels]
            for frame, true in zip(given.frames, given.reference, strict=True):
                found.append([embed(frame) @ other.T for other in (embed(true), *panels, prompt)])
            for frame, following in pairwise(given.frames):
                found.append(embed(frame) @ embed(following).T)
        return found

    return call


def clip_trajectory(folder: Path) -> Call:
    import torch

    embed, _ = _clip(folder)

    def call(given: Sample) -> Any:
        with torch.inference_mode():
            points = torch.cat([embed(frame) for frame in given.frames]).double()
        steps = points.diff(dim=0)
        lengths, chord = steps.norm(dim=1), points[-1] - points[0]
        turns = torch.cosine_similarity(steps[:-1], steps[1:])
        beside = points - points[0]
        off = beside - (beside @ chord / (chord @ chord))[:, None] * chord
        before, first = ((points[1:] * other).sum(1).clamp(min=0) for other in (points[:-1], points[:1]))
        way = lengths.sum() / chord.norm(), lengths.max() / lengths.sum(), lengths.std(correction=0) / lengths.mean()
        return way, turns.mean(), off.norm(dim=1).pow(2).mean().sqrt() / chord.norm(), (before + first).mean() / 2

    return call


def style_vgg19(folder: Path) -> Call:
    grams, distance = _style(folder)

    def call(given: Sample) -> Any:
        assert given.panels is not None
        panels = [grams(_plane(panel)) for panel in given.panels]
        return [min(distance(grams(_plane(frame)), panel) for panel in panels) for frame in given.frames]

    return call


def style_floor(folder: Path) -> Call:
    grams, distance = _style(folder)

    def call(given: Sample) -> Any:
        assert given.panels is not None
        return distance(*(grams(_plane(panel)) for panel in given.panels))

    return call


def style_frobenius(folder: Path) -> Call:
    grams, _ = _style(folder, centred=False)

    def change(one: Iterable[Any], panel: Iterable[Any]) -> float:
        return float(np.mean([float((a - b).norm() / b.norm()) for a, b in zip(one, panel, strict=True)]))

    def call(given: Sample) -> Any:
        assert given.panels is not None
        panels = [grams(_planes(panel)) for panel in given.panels]
        return [np.mean([change(grams(_planes(frame)), panel) for panel in panels]) for frame in given.frames]

    return call


def warp_raft(folder: Path) -> Call:
    import torch
    from torchvision.models.optical_flow import raft_large

    network = raft_large()
    network.load_state_dict(torch.load(next(folder.rglob("raft_large*")), weights_only=True))
    network.eval()

    def flow(one: Array, other: Array) -> Any:
        a, b = (_planes(picture) * 2 - 1 for picture in (one, other))
        with torch.inference_mode():
            return network(a, b)[-1]

    return _warping(flow)


def warp_dis(folder: Path) -> Call:
    import cv2
    import torch

    def flow(one: Array, other: Array) -> Any:
        grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (one, other)]
        found = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*grey, None)
        return torch.from_numpy(found).permute(2, 0, 1)[None]

    return _warping(flow)


def frechet(folder: Path) -> Call:
    from scipy.linalg import sqrtm

    def call(rows: Sequence[Array]) -> float:
        (mean_a, cov_a), (mean_b, cov_b) = ((one.mean(0), np.cov(one, rowvar=False)) for one in rows)
        root = sqrtm(cov_a @ cov_b).real
        return float(((mean_a - mean_b) ** 2).sum() + np.trace(cov_a + cov_b - 2 * root))

    return call


def kernel(folder: Path) -> Call:
    from sklearn.metrics.pairwise import polynomial_kernel

    def call(rows: Sequence[Array]) -> float:
        within = [polynomial_kernel(one, degree=3, coef0=1) for one in rows]
        inner = [(one.sum() - np.trace(one)) / (len(one) * (len(one) - 1)) for one in within]
        return float(sum(inner) - 2 * polynomial_kernel(*rows, degree=3, coef0=1).mean())

    return call


MAKERS: dict[str, Callable[[Path], Call]] = {
    "psnr": psnr,
    "ssim": ssim,
    "line-chamfer": line_chamfer,
    "cpbd": cpbd,
    "lpips-endpoints": lpips_endpoints,
    "clip": clip_similarity,
    "clip-trajectory": clip_trajectory,
    "style-vgg19": style_vgg19,
    "style-floor": style_floor,
    "style-frobenius": style_frobenius,
    "warp-dis": warp_dis,
    "warp-raft": warp_raft,
    "fvd-distance": frechet,
    "kvd-distance": kernel,
}


def _true(given: Sample) -> Iterable[tuple[Array, Array]]:
    assert given.reference is not None
    return zip(given.frames, given.reference, strict=True)


def _lpips(net: str) -> tuple[Any, Any]:
    """The package's network, its file where torch keeps such files, and its own way from pictures to tensors."""
    import lpips

    return lpips.LPIPS(net=net, verbose=False), lpips.im2tensor


def _clip(folder: Path) -> tuple[Any, Any]:
    """From a picture and from a text to an embedding of length 1."""
    import open_clip
    import torch
    from PIL import Image

    file = next(folder.rglob("open_clip*"))
    model, _, transform = open_clip.create_model_and_transforms("ViT-B-32-quickgelu", pretrained=str(file))
    tokens = open_clip.get_tokenizer("ViT-B-32-quickgelu")

    def unit(found: Any) -> Any:
        return torch.nn.functional.normalize(found)

    return (
        lambda picture: unit(model.encode_image(transform(Image.fromarray(picture))[None])),
        lambda text: unit(model.encode_text(tokens([text]))),
    )


def _style(folder: Path, *, centred: bool = True) -> tuple[Any, Any]:
    """Gram matrices of a picture, and the distance of two pictures' with their norms taken off."""
    import torch
    from torchvision import models

    network = models.vgg19()
    network.load_state_dict(torch.load(next(folder.rglob("vgg19*")), weights_only=True))
    mean, deviation = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))

    def grams(picture: Any) -> list[Any]:
        found = []
        with torch.inference_mode():
            here = (picture - mean) / deviation
            for number, layer in enumerate(network.features[: LAYERS[-1] + 1]):
                here = layer(here)
                if number in LAYERS:
                    rows = here[0].flatten(1)
                    rows = rows - rows.mean(1, keepdim=True) if centred else rows
                    found.append(rows @ rows.T / rows.shape[1])
        return found

    def distance(one: Sequence[Any], other: Sequence[Any]) -> float:
        pairs = [(a / a.norm(), b / b.norm()) for a, b in zip(one, other, strict=True)]
        return float(np.mean([float((a - b).norm()) / 2**0.5 for a, b in pairs]))

    return grams, distance


def _plane(picture: Array) -> Any:
    """Luma without its rim, the shorter side 256, as three channels."""
    import cv2
    import torch

    height, width = picture.shape[:2]
    y, x = round(0.02 * height), round(0.02 * width)
    luma = cv2.cvtColor(picture[y : height - y, x : width - x], cv2.COLOR_RGB2GRAY)
    scale = min(1.0, 256 / min(luma.shape))
    size = round(luma.shape[1] * scale), round(luma.shape[0] * scale)
    small = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    return torch.from_numpy(small / np.float32(255)).repeat(1, 3, 1, 1)


def _planes(picture: Array) -> Any:
    import torch

    return torch.from_numpy(picture).permute(2, 0, 1)[None].contiguous() / 255


def _warping(flow: Callable[[Array, Array], Any]) -> Call:
    """The error with the clip's own flow and with that of the true frames; motion over that between the panels."""
    import torch
    from torch.nn.functional import grid_sample

    def along(values: Any, way: Any) -> Any:
        height, width = values.shape[2:]
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        at = torch.stack(((x + way[0, 0]) * 2 / (width - 1) - 1, (y + way[0, 1]) * 2 / (height - 1) - 1), -1)
        return grid_sample(values, at[None], padding_mode="border", align_corners=True)

    def seen(forward: Any, backward: Any) -> Any:
        back = along(backward, forward)
        length = forward.square().sum(1)
        lost = (back + forward).square().sum(1) > 0.01 * (back.square().sum(1) + length) + 0.5
        edge = torch.zeros_like(length)
        edge[:, :, :-1] += forward.diff(dim=3).square().sum(1)
        edge[:, :-1] += forward.diff(dim=2).square().sum(1)
        return ~(lost | (edge > 0.01 * length + 0.002))

    def error(one: Array, other: Array, like: tuple[Array, Array]) -> tuple[float, float]:
        forward, backward = flow(*like), flow(*like[::-1])
        difference = (_planes(one) - along(_planes(other), forward)).square().mean(1)
        return float(difference[seen(forward, backward)].mean()), float(forward.norm(dim=1).mean())

    def call(given: Sample) -> Any:
        assert given.reference is not None and given.panels is not None
        between = float(flow(*given.panels).norm(dim=1).mean())
        found = []
        for index in range(len(given.frames) - 1):
            own, true = ((clip[index], clip[index + 1]) for clip in (given.frames, given.reference))
            (value, motion), (by_true, _) = error(*own, own), error(*own, true)
            found.append((value, by_true, motion / between if between else None))
        return found

    return call
