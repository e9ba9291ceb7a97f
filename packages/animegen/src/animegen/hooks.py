"""The whole extension surface of AnimeGen: one hook for each kind of stage, one for trainers, one for datasets.

A plugin is a light module behind an entry point of the group ``animegen``. It implements any of these hooks
with `hookimpl` and returns records that say what a stage is called, what it does, which options it takes and
where its class is to be imported from. The class is imported only when a run uses it, so a record must be
free: no torch, no cv2, no numpy on the way to it. What the imported class must do is written down, kind by
kind, as protocols in `animegen.stages`; the pipeline checks every line of them at run time.

Shapes everywhere: images ``(H, W, 3) uint8 RGB``, frames ``(T, H, W, 3) uint8 RGB``, masks ``(H, W) bool``,
times in [0, 1].
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from animegen.stages import DatasetSpec, DetectorSpec, InterpolatorSpec, MetricSpec, StageSpec, TrainerSpec

PROJECT = "animegen"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def animegen_detectors() -> Iterable[DetectorSpec]:
    """Stages that find balloons or panels in a page or panel, with or without annotated text boxes.

    `animegen.stages.Detector`: ``detector(image, text_boxes) -> sequence of Region``.
    """
    return ()


@hookspec
def animegen_inpainters() -> Iterable[StageSpec]:
    """Stages that fill the masked pixels of an image and leave every other pixel as it is.

    `animegen.stages.Inpainter`: ``inpainter(image, mask) -> image`` of the same size.
    """
    return ()


@hookspec
def animegen_preprocessors() -> Iterable[StageSpec]:
    """Stages that clean up an image before it is animated; several can be chained.

    `animegen.stages.Preprocessor`: ``preprocessor(image) -> image`` of the same size.
    """
    return ()


@hookspec
def animegen_interpolators() -> Iterable[InterpolatorSpec]:
    """Stages that draw the frames between two images.

    The record says whether a stage makes a frame at any time (and can then upsample a clip too) or always
    the same number of frames. `animegen.stages.Interpolator`:
    ``interpolator(first, last, times, prompt=..., seed=...) -> frames``, one frame for each time.
    """
    return ()


@hookspec
def animegen_metrics() -> Iterable[MetricSpec]:
    """Stages that measure a clip, or a set of clips.

    `animegen.stages.Metric`: ``metric(sample) -> {quantity: value or values}``.
    """
    return ()


@hookspec
def animegen_trainers() -> Iterable[TrainerSpec]:
    """Ways to train a model of the plugin on a user's own material, for ``animegen train``.

    `animegen.stages.Trainer`: ``trainer.plan(material, order)``, then ``trainer(material, out, order, tell)``.
    """
    return ()


@hookspec
def animegen_datasets() -> Iterable[DatasetSpec]:
    """Ways to make material for a training out of a user's own videos, for ``animegen data``.

    `animegen.stages.DatasetMaker`: ``maker.plan(material, order)``, then ``maker(material, out, order, reporter)``.
    """
    return ()
