"""What every installed metric costs on a clip of 61 frames of 512 × 320, against the plainest use of its library.

    python benchmarks/metrics.py                       # 5 frames of each, brought up to 61
    python benchmarks/metrics.py --frames 61 ssim lpips-alex

Each row is measured in a process of its own: seconds of CPU time in one thread, and the most memory above what imports
take. The reference is called as its documentation shows: one picture at a time, nothing kept, for the same numbers.
Backbones have drawn parameters here, which cost what trained ones cost. NO SCORE IS PRINTED: it would mean nothing.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from animegen.measuring import Sample
from animegen.stages import MetricSpec

LENGTH, HEIGHT, WIDTH = 61, 320, 512
PLUGINS = (
    "animegen.builtin.plugin",
    "animegen_vgg_style.plugin",
    "animegen_perceptual.plugin",
    "animegen_video_metrics.plugin",
)
FEWEST = {"fvd": 9}


def specs() -> dict[str, MetricSpec]:
    """Records of the metrics of every plugin that is installed here."""
    found = {}
    for module in PLUGINS:
        try:
            plugin = importlib.import_module(module)
        except ImportError:
            continue
        found |= {spec.name: spec for spec in plugin.animegen_metrics()}
    return found


def clip(length: int) -> np.ndarray[Any, Any]:
    """A ring that moves over textured paper, (length, 320, 512, 3)."""
    from animegen.contract.pictures import picture

    return np.stack([picture(HEIGHT, WIDTH, shift=0.2 * index / LENGTH) for index in range(length)])


@cache
def sample(length: int) -> Sample:
    """A clip with everything that a metric may read."""
    frames, times = clip(length), tuple(np.linspace(0, 1, LENGTH)[:length].tolist())
    true = np.roll(frames, 3, axis=2)
    ignored = np.zeros((2, HEIGHT, WIDTH), bool)
    return Sample(frames, times, reference=true, panels=frames[[0, -1]], ignored=ignored, prompt="a ring on paper")


def drawn(file: str, folder: Path) -> Path:
    """A file of parameters as large as the published one, drawn from a fixed seed."""
    import torch

    def raft() -> Any:
        return models.optical_flow.raft_large(weights=None)

    def clip_network() -> Any:
        return importlib.import_module("animegen_perceptual.clip_network").make_network()

    def i3d() -> Any:
        return importlib.import_module("animegen_video_metrics.i3d").I3d()

    def style() -> Any:
        return importlib.import_module("animegen_torch.vgg19").Vgg19()

    from torchvision import models

    makers: dict[str, Callable[[], Any]] = {
        "alexnet": lambda: models.alexnet(weights=None),
        "vgg16": lambda: models.vgg16(weights=None),
        "squeezenet": lambda: models.squeezenet1_1(weights=None),
        "vgg19": style,
        "open_clip": clip_network,
        "raft": raft,
        "i3d": i3d,
    }
    make = next(maker for start, maker in makers.items() if file.startswith(start))
    torch.manual_seed(0)
    with torch.device("meta"):
        shapes = {name: tensor for name, tensor in make().state_dict().items() if not name.startswith("classifier")}
    state = {
        name: torch.ones_like(tensor, device="cpu")
        if tensor.dim() < 2
        else torch.randn(tensor.shape) / tensor[0].numel() ** 0.5
        for name, tensor in shapes.items()
    }
    path = folder / file
    if path.suffix == ".safetensors":
        importlib.import_module("safetensors.torch").save_file(state, path)
    else:
        torch.save(state, path)
    return path


def measure(spec: MetricSpec, length: int) -> dict[str, float]:
    """CPU seconds and memory of one metric."""
    from animegen_testing.context import FakeContext

    module, _, name = spec.target.partition(":")
    options = spec.options()
    with tempfile.TemporaryDirectory() as folder:
        weights = {weight.file: drawn(weight.file, Path(folder)) for weight in spec.weights_for(options)}
        stage = getattr(importlib.import_module(module), name)(options, FakeContext(weights))
        call = stage.features if spec.over == "set" else stage
        return timed(lambda count: call(sample(count)), length, FEWEST.get(spec.name, 2))


def timed(call: Callable[[int], Any], length: int, fewest: int) -> dict[str, float]:
    """Seconds a frame of a clip, once networks are read, and the peak of all of it."""
    from animegen_torch.memory import resident_memory

    frames = max(length, fewest)
    for count in (fewest, frames):
        sample(count)  # made before anything is measured
    before = resident_memory()
    call(fewest)  # reads the network
    start = time.process_time()
    call(frames)
    seconds = time.process_time() - start
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds / frames * LENGTH, "memory": max(0, peak - before)}


def reference(name: str) -> Callable[[int], Any] | None:
    """The plainest use of the library that gives a metric's numbers; None where there is none, or it is not here."""
    try:
        if name in ("psnr", "ssim"):
            return skimage_reference(name)
        if name.startswith("lpips-") and name != "lpips-endpoints":
            return lpips_reference(name.removeprefix("lpips-"))
        if name == "clip":
            return clip_reference()
    except ImportError:
        pass
    return None


def skimage_reference(name: str) -> Callable[[int], Any]:
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    wang: dict[str, Any] = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}

    def psnr(a: Any, b: Any) -> Any:
        return peak_signal_noise_ratio(a, b, data_range=255)

    def ssim(a: Any, b: Any) -> Any:
        three = (wang, {"data_range": 255})
        found = [structural_similarity(a, b, channel_axis=2, **how) for how in three]
        return [*found, structural_similarity(a / 255, b / 255, channel_axis=2, data_range=2)]

    one = psnr if name == "psnr" else ssim

    def call(count: int) -> Any:
        given = sample(count)
        assert given.reference is not None
        return [one(a, b) for a, b in zip(given.frames, given.reference, strict=True)]

    return call


def lpips_reference(net: str) -> Callable[[int], Any]:
    import lpips
    import torch

    loss = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)

    def call(count: int) -> Any:
        given = sample(count)
        assert given.reference is not None
        tensors = [[lpips.im2tensor(picture) for picture in clip] for clip in (given.frames, given.reference)]
        with torch.inference_mode():
            found = [loss(a, b) for a, b in zip(*tensors, strict=True)]
            if net == "alex":
                found += [loss((a + 1) / 2, (b + 1) / 2) for a, b in zip(*tensors, strict=True)]
            return found + [loss(a, b) for a, b in zip(tensors[0], tensors[0][1:], strict=False)]

    return call


def clip_reference() -> Callable[[int], Any]:
    import open_clip
    import torch
    from PIL import Image

    model, _, transform = open_clip.create_model_and_transforms("ViT-B-32-quickgelu", pretrained=None)
    tokens = open_clip.get_tokenizer("ViT-B-32-quickgelu")

    def embed(picture: Any) -> Any:
        found = model.encode_image(transform(Image.fromarray(picture))[None])
        return found / found.norm()

    def call(count: int) -> Any:
        given = sample(count)
        assert given.reference is not None and given.panels is not None
        found = []
        with torch.inference_mode():
            text = model.encode_text(tokens([given.prompt]))
            for frame, true in zip(given.frames, given.reference, strict=True):
                found.append([embed(frame) @ embed(other).T for other in (true, *given.panels)])
                found.append(embed(frame) @ text.T)
            for frame, following in zip(given.frames, given.frames[1:], strict=False):
                found.append(embed(frame) @ embed(following).T)
        return found

    return call


def child(name: str, length: int, plain: bool) -> None:
    try:
        import torch

        torch.set_num_threads(1)
    except ImportError:
        pass
    importlib.import_module("cv2").setNumThreads(1)
    if not plain:
        print(json.dumps(measure(specs()[name], length)))
        return
    call = reference(name)
    print(json.dumps(timed(call, length, 2) if call else {}))


def run(name: str, length: int, *, plain: bool) -> dict[str, float]:
    command = [sys.executable, __file__, name, "--frames", str(length), "--child", "plain" if plain else "ours"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def shown(found: dict[str, float]) -> str:
    if not found:
        return f"{'-':>9} {'-':>9}"
    return f"{found['seconds']:#8.3g}s {found['memory'] / 2**20:5.0f} MiB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("metrics", nargs="*", help="names of metrics; all that are installed where none is given")
    parser.add_argument("--frames", type=int, default=5, help="frames that are measured and brought up to 61")
    parser.add_argument("--child", choices=("ours", "plain"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.metrics[0], given.frames, given.child == "plain")
        return
    print(f"{LENGTH} frames of {WIDTH} × {HEIGHT}, CPU time in one thread; drawn parameters, so no scores")
    print(f"{'metric':<18} {'ours':>19} {'plain library':>19}  ratio")
    for name in given.metrics or specs():
        ours, plain = (run(name, given.frames, plain=plain) for plain in (False, True))
        ratio = f"{plain['seconds'] / ours['seconds']:5.2f}" if plain and ours["seconds"] else ""
        print(f"{name:<18} {shown(ours):>19} {shown(plain):>19}  {ratio}", flush=True)


if __name__ == "__main__":
    main()
