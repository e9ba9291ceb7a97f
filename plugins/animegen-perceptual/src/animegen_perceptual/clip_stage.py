"""CLIP similarities of a clip, and its way through CLIP's embeddings."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from animegen.errors import InputError
from animegen.measuring import Missing
from animegen_perceptual.clip_network import WORDS, Clip
from animegen_perceptual.plugin import CLIP
from animegen_perceptual.trajectory import consistency, trajectory
from animegen_torch.backbones import backbone_file, full_precision, measuring
from animegen_torch.batching import Batches
from animegen_torch.devices import pick_device
from animegen_torch.memory import release
from animegen_torch.samples import check_sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.measuring import Sample, Scores, Value
    from animegen.media import Frames, Image
    from animegen.stages import Context
    from animegen_perceptual.plugin import ClipOptions

KEPT = 4096
"""Embeddings that are kept, 4 KiB each: all configurations of an ablation are compared with the same panels."""


class ClipEmbeddings:
    """What every metric on CLIP stands on.

    Raises:
        MissingError: The parameters are not here.
        ResourceError: None of the devices can be used.
        UsageError: Another format than float32 is asked for.
    """

    metric = "clip"

    def __init__(self, options: ClipOptions, context: Context) -> None:
        full_precision(context, self.metric)
        self.options = options
        self.context = context
        self._device = pick_device(context.devices, stage=self.metric)
        self._path = backbone_file(context, CLIP, metric=self.metric)
        size = options.batch or (4 if self._device.type == "cpu" else 64)
        hints = (f"-o {self.metric}.batch=1 needs less", "or --device cpu")
        self._batches = Batches(size, self._device, stage=self.metric, hints=hints, warn=context.warn)
        self._network: Clip | None = None
        self._known: OrderedDict[bytes, NDArray[np.float64]] = OrderedDict()

    def close(self) -> None:
        """Let go of the network and of all embeddings; the next call reads it again."""
        self._network = None
        self._known.clear()
        release(self._device)

    def network(self) -> Clip:
        """The network, read when it is first needed."""
        if self._network is None:
            self._network = Clip(self._path, self._device, self.options.crop)
        return self._network

    def pictures(self, pictures: Frames) -> NDArray[np.float64]:
        """Embeddings of (N, H, W, 3) pictures, (N, 512) of length 1; each different picture is computed once."""
        keys = [hashlib.sha256(f"{picture.shape}".encode() + picture.tobytes()).digest() for picture in pictures]
        new = {key: picture for key, picture in zip(keys, pictures, strict=True) if key not in self._known}
        found = {key: self._known[key] for key in keys if key in self._known}
        if new:
            network = self.network()
            with measuring(self._device, self.metric, size=pictures.shape[1:3]):

                def some(batch: Sequence[Image]) -> list[NDArray[np.float64]]:
                    return list(network.pictures(batch).double().cpu().numpy())

                for key, embedding in zip(new, self._batches.run(some, new.values()), strict=True):
                    found[key] = embedding / np.linalg.norm(embedding)
                    self.context.progress(len(found), len({*keys}), "frames")
        for key in dict.fromkeys(keys):
            self._known[key] = found[key]
            self._known.move_to_end(key)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return np.stack([found[key] for key in keys])

    def texts(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Embeddings of texts, (N, 512) of length 1."""
        network = self.network()
        for text in texts:
            if network.is_too_long(text):
                self.context.warn(f"CLIP reads {WORDS} tokens of a prompt; the end of {text[:40]!r}… is cut off.")
        with measuring(self._device, self.metric):
            return np.asarray(network.texts(texts).double().cpu().numpy())


class ClipSimilarity(ClipEmbeddings):
    """Cosines of embeddings, frame by frame; average them, for the cosine of averages is another number.

    * ``clip-image``: with the true frame of the same time.
    * ``clip-image-first``, ``clip-image-nearest``: with the first panel, with the nearer one. A frozen clip has 1.
    * ``clip-image-step``: with the next frame.
    * ``clip-text``: with the prompt. ``clip-text-others``: the mean with other prompts (option `others`), which is the
      level of chance. On line art the two are close.
    """

    def __call__(self, sample: Sample) -> Scores:
        """The values of every frame and step; missing where there is nothing to compare with.

        Raises:
            UsageError: Frames, true frames or panels are not uint8 RGB of one size.
            InputError: A file is damaged, or the file of other prompts is empty.
            ResourceError: The memory of the device does not suffice.
        """
        check_sample(sample, self.metric)
        own = self.pictures(sample.frames)
        scores: dict[str, Value | list[float]] = {
            "clip-image": Missing("there are no true frames to compare with"),
            "clip-image-first": Missing("there are no panels"),
            "clip-image-nearest": Missing("there are no panels"),
            "clip-image-step": cosines(own[:-1], own[1:]),
            "clip-text": Missing("there is no prompt"),
            "clip-text-others": Missing("no file of other prompts is given (option others)"),
        }
        if sample.reference is not None:
            scores["clip-image"] = cosines(own, self.pictures(sample.reference))
        if sample.panels is not None:
            scores["clip-image-first"], scores["clip-image-nearest"] = to_panels(own, self.pictures(sample.panels))
        if sample.prompt:
            scores["clip-text"] = (own @ self.texts([sample.prompt])[0]).tolist()
        if self.options.others:
            scores["clip-text-others"] = (own @ self.texts(self._others(sample.prompt)).mean(0)).tolist()
        return scores

    def _others(self, prompt: str) -> list[str]:
        assert self.options.others is not None
        path = Path(self.options.others).expanduser()
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path} (option others of clip) cannot be read: {error}.") from None
        others = [line.strip() for line in lines if line.strip() and line.strip() != prompt]
        if not others:
            raise InputError(f"{path} (option others of clip) holds no prompt other than the clip's own.")
        return others


class ClipTrajectory(ClipEmbeddings):
    """Length, bends and evenness of the way through CLIP's embeddings; VBench's background consistency."""

    metric = "clip-trajectory"

    def __call__(self, sample: Sample) -> Scores:
        """One value each of a whole clip. Errors are those of `ClipSimilarity`."""
        check_sample(sample, self.metric)
        points = self.pictures(sample.frames)
        return {**trajectory(points), "vbench-background-consistency": consistency(points)}


def cosines(one: NDArray[np.float64], other: NDArray[np.float64]) -> list[float]:
    """Of the rows of (N, D) embeddings of length 1, pair by pair."""
    found: list[float] = (one * other).sum(1).tolist()
    return found


def to_panels(own: NDArray[np.float64], panels: NDArray[np.float64]) -> tuple[list[float], list[float]]:
    """Cosines of every frame with the first panel, and with the nearer one."""
    found = own @ panels.T
    return found[:, 0].tolist(), found.max(1).tolist()
