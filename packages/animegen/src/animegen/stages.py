"""Records of what a stage is (light, returned by hooks) and protocols of what a stage does (checked at run time).

Importing this module imports neither numpy nor cv2: a plugin's `plugin.py` needs nothing heavier.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from animegen.datasets.records import DataOrder, DataPlan, DataResult
    from animegen.measuring import Quantity, Sample, Scores
    from animegen.media import Box, Frames, Image, Mask, Region
    from animegen.pipeline.progress import Reporter
    from animegen.training.records import Order, TrainingPlan, TrainingResult, TrainingStep

API = 1
"""Number of the stage contract. A record with a higher number needs a newer animegen."""

Kind = Literal["detector", "inpainter", "preprocessor", "interpolator", "metric", "trainer", "dataset"]
KINDS: tuple[Kind, ...] = ("detector", "inpainter", "preprocessor", "interpolator", "metric")
"""What takes part in making or measuring a clip."""
OFFERED: tuple[Kind, ...] = (*KINDS, "trainer", "dataset")
"""Everything a plugin may offer: stages, trainers of the models behind them, and makers of what those learn from."""


@dataclass(frozen=True)
class NoOptions:
    """The options of a stage that has none."""


@dataclass(frozen=True)
class Weight:
    """A published file of parameters: where it is, how it is known again, and under which terms it may be used.

    Attributes:
        file: Name of the file in the cache, unique within a stage.
        urls: Places to fetch it from, tried in order: ``https://...`` or ``hf://OWNER/NAME/PATH@REVISION``.
        license: SPDX name, or a short phrase where the publisher gives none.
        sha256: Published digest, or None where the publisher gives none (then MD5, or size only).
        md5: Published MD5 digest, where that is all the publisher gives.
        size: Bytes, or None where it is not published.
        purpose: What it is for, shown in ``animegen weights list``.
        required: False for a file that a stage can do without (an alternative or an extra).
    """

    file: str
    urls: tuple[str, ...]
    license: str
    sha256: str | None = None
    md5: str | None = None
    size: int | None = None
    purpose: str = ""
    required: bool = True


@dataclass(frozen=True)
class Needs:
    """What a stage asks of its input and of the machine.

    Attributes:
        multiple_of: Width and height must be multiples of this; the pipeline pads and crops back.
        size: Width × height the stage was made for, or None for any; ``--size fit`` then uses it.
        accelerator_gib: Memory wanted on an accelerator, GiB; 0 for a stage that runs on the CPU.
        libraries: Import names that must be present (``"torch"``), looked up without importing them.
    """

    multiple_of: int = 1
    size: tuple[int, int] | None = None
    accelerator_gib: float = 0.0
    libraries: tuple[str, ...] = ()


@dataclass(frozen=True)
class Demand:
    """Memory that a stage takes on one device.

    Attributes:
        device: The device's name, as ``--device`` has it: ``cpu``, ``cuda:1``.
        need: Bytes at the worst moment.
        have: Bytes free there now; None where nobody can tell.
        what: What takes them, in a few words: ``the U-Net``; empty for the stage as a whole.
    """

    device: str
    need: int
    have: int | None = None
    what: str = ""


@dataclass(frozen=True)
class StagePlan:
    """What a stage is about to do, said before anything of it is loaded.

    Attributes:
        summary: One line for the plan: ``50 steps, U-Net on cuda:1``; empty where the name says it all.
        demands: Memory by device. More than there is of any of them is an error, and nothing is loaded.
        hint: What to type for the next smaller setting, shown with that error.
    """

    summary: str = ""
    demands: tuple[Demand, ...] = ()
    hint: str = ""


@dataclass(frozen=True)
class StageSpec:
    """What a plugin says of one stage. Costs nothing to make: the class behind `target` is imported on use.

    Attributes:
        name: What users type, e.g. ``rife``; lower case, digits and hyphens.
        target: Import string ``module:attribute`` of a callable ``target(options, context)`` giving the stage.
        summary: One sentence for ``animegen plugins list``.
        options: Dataclass whose fields are made with `animegen.option`.
        weights: Files of parameters it can load.
        chosen: ``chosen(options)`` names the files among `weights` that a stage with these options loads; None where
            it is always the required ones.
        needs: What it asks of input and machine.
        overrides: Name of the distribution whose stage of the same name this one replaces.
        api: Number of the stage contract it was written for.
        plan: Import string ``module:function``, called before anything is loaded as ``plan(options, context,
            size=(H, W), frames=T)`` and giving a `StagePlan`: for pictures of that size, T of them made in one call
            (1 for a stage that makes one at a time). It must be quick, and may raise UsageError or InputError. What
            it asks of the context may be absent: the MissingError is let through. None where there is nothing to say.
        untrained: It can work with random parameters where ``context.untrained`` says so, so that memory and speed
            can be tried before a large download.
    """

    name: str
    target: str
    summary: str
    options: type = NoOptions
    weights: tuple[Weight, ...] = ()
    chosen: Callable[[Any], Collection[str]] | None = None
    needs: Needs = Needs()
    overrides: str | None = None
    api: int = API
    plan: str | None = None
    untrained: bool = False

    def weights_for(self, options: Any) -> tuple[Weight, ...]:
        """The files of parameters that a stage with these options loads."""
        if self.chosen is None:
            return tuple(weight for weight in self.weights if weight.required)
        names = self.chosen(options)
        return tuple(weight for weight in self.weights if weight.file in names)


@dataclass(frozen=True)
class DetectorSpec(StageSpec):
    """A stage that finds regions.

    Attributes:
        finds: What its regions are.
    """

    finds: Literal["balloon", "panel"] = "balloon"


@dataclass(frozen=True)
class InterpolatorSpec(StageSpec):
    """A stage that draws frames between two images.

    Attributes:
        frames: None when it makes a frame at any time in [0, 1]; otherwise the count it was made for, both
            ends included. Only a stage of the first sort can be an upsampler.
        other_counts: A stage with a fixed count may accept others, with a warning in the plan.
        carries_alpha: It also takes images with a fourth channel, ``(H, W, 4) uint8``, finds motion in the colours
            alone (which are premultiplied then) and moves all four along it.
        uses_prompt: Whether a text prompt changes its result.
        uses_seed: Whether the seed changes its result.
        preview: Values of its options that ``--preview`` sets where the user set none: fewer steps, a smaller model.
        drawn_at: ``drawn_at(options)`` gives the width × height that a stage with these options draws at, or None for
            `Needs.size`; for a stage that was made for one size and can be told another.
    """

    frames: int | None = None
    other_counts: bool = False
    carries_alpha: bool = False
    uses_prompt: bool = False
    uses_seed: bool = False
    preview: Mapping[str, Any] = field(default_factory=dict, hash=False)
    drawn_at: Callable[[Any], tuple[int, int] | None] | None = None

    def needs_for(self, options: Any) -> Needs:
        """What a stage with these options asks of its input."""
        size = self.drawn_at(options) if self.drawn_at is not None else None
        return self.needs if size is None else replace(self.needs, size=size)


@dataclass(frozen=True)
class MetricSpec(StageSpec):
    """A stage that measures clips.

    Attributes:
        quantities: The numbers that it gives, the main one first.
        over: Whether it measures a clip (`Metric`), or a set of clips against another (`SetMetric`).
        whole: It must see a whole clip at once; any other may be shown a long clip in pieces that share a frame.
    """

    quantities: tuple[Quantity, ...] = ()
    over: Literal["clip", "set"] = "clip"
    whole: bool = False


@dataclass(frozen=True)
class TrainerSpec(StageSpec):
    """A way to train a model on a user's own material: ``animegen train NAME MATERIAL``. Often named as the stage that
    then runs the model.

    Attributes:
        material: What MATERIAL is, in a few words: ``a folder of clips``.
        changeable: Names of options that do not change what is learnt (how often to save, how to log), which may
            differ when a training is taken up again.
        launch: Import string ``module:function`` of what starts one process for each of several devices:
            ``launch(devices)`` gives the command line to put in front of a module's name and its arguments. None for a
            trainer that uses one device, or several within one process.
    """

    material: str = "a folder of clips"
    changeable: tuple[str, ...] = ()
    launch: str | None = None


@dataclass(frozen=True)
class DatasetSpec(StageSpec):
    """A way to make material for a training: ``animegen data NAME MATERIAL... --out DIR``.

    Attributes:
        material: What MATERIAL is, in a few words: ``videos``.
        changeable: Names of options that do not change what is made, which may differ when it is gone on with.
    """

    material: str = "videos"
    changeable: tuple[str, ...] = ()


class Context(Protocol):
    """What the pipeline lends a stage for as long as the stage lives."""

    devices: tuple[str, ...]
    """Devices the user allows, most wanted first: ``("cuda:0", "cuda:1")``; ``("auto",)`` leaves it to the stage."""
    dtype: str
    """``auto``, ``float32``, ``float16`` or ``bfloat16``."""
    untrained: bool
    """The user asked for random parameters: make them from a fixed seed, and ask for no weight. Only ever set for a
    stage whose record says that it can."""

    def weight(self, file: str) -> Path:
        """Path of a file from the stage's `weights`. Raises MissingError with the command that fetches it."""
        ...

    def progress(self, done: int, total: int, unit: str = "steps") -> None:
        """Report progress within one call of the stage."""
        ...

    def warn(self, message: str) -> None:
        """Say something honest about a result; shown once and kept in run.json."""
        ...


@runtime_checkable
class Detector(Protocol):
    """Finds regions in an image."""

    def __call__(self, image: Image, text_boxes: Sequence[Box] = ()) -> Sequence[Region]:
        """Regions in `image`; annotated `text_boxes`, where there are any, say where the lettering is."""
        ...


@runtime_checkable
class Inpainter(Protocol):
    """Fills masked pixels."""

    def __call__(self, image: Image, mask: Mask) -> Image:
        """The image with masked pixels filled; same size, and every pixel outside the mask equal."""
        ...


@runtime_checkable
class Preprocessor(Protocol):
    """Cleans up an image."""

    def __call__(self, image: Image) -> Image:
        """The cleaned image; same size."""
        ...


@runtime_checkable
class Interpolator(Protocol):
    """Draws frames between two images of one size."""

    def __call__(self, first: Image, last: Image, times: Sequence[float], *, prompt: str = "", seed: int = 0) -> Frames:
        """One frame for each of `times`, ascending in [0, 1], at the size of `first` and `last`.

        A stage with a fixed count is always called with that many evenly spaced times, 0 and 1 included.
        A stage for any time is called with times strictly between 0 and 1 (perhaps with none): the core copies the
        ends. It is called several times for one pair, a few times each, so keep what was found about the last pair.
        What it draws for a time must not depend on the other times asked for: a killed run goes on from there.
        """
        ...


@runtime_checkable
class SequenceInterpolator(Interpolator, Protocol):
    """An interpolator for any time that gains from seeing a sequence (features of a shared frame reused)."""

    def sequence(self, images: Iterable[Image], times: Iterable[Sequence[float]]) -> Iterator[Frames]:
        """For the i-th neighbouring pair of `images`, the frames at the i-th of `times`; lazily, in order.

        ``times`` has one entry fewer than ``images`` and may hold empty entries. The result must equal what
        calling the stage pair by pair gives.
        """
        ...


@runtime_checkable
class Metric(Protocol):
    """Measures a clip."""

    def __call__(self, sample: Sample) -> Scores:
        """A value, or values, for every quantity of the record, and no other.

        What cannot be measured for want of something in `sample` is `animegen.measuring.Missing`.
        """
        ...


@runtime_checkable
class SetMetric(Protocol):
    """Measures a set of clips against another."""

    def features(self, sample: Sample) -> NDArray[np.float32]:
        """What is kept of a clip: (n, d), one row for each part of it that counts."""
        ...

    def distance(self, features: Sequence[NDArray[np.float32]], reference: Sequence[NDArray[np.float32]]) -> Scores:
        """A value for every quantity, from the features of the clips of both sets."""
        ...


@runtime_checkable
class Trainer(Protocol):
    """Trains a model."""

    def plan(self, material: Path, order: Order) -> TrainingPlan:
        """Look at `material` and say what would be done, without loading parameters.

        Raises:
            InputError: There is nothing in it to learn from, or something cannot be read.
            UsageError: The options do not go together.
        """
        ...

    def __call__(self, material: Path, out: Path, order: Order, tell: Callable[[TrainingStep], None]) -> TrainingResult:
        """Train on `material` until ``order.steps`` are done, and write what was learnt into the folder `out`.

        What is done is saved into `out` now and then, whole or not at all. With ``order.resume`` it goes on from the
        last such point, with the result that training without a stop would have had. The first Ctrl-C saves and
        raises InterruptedRun.

        Args:
            material: As for `plan`.
            out: An existing folder.
            order: How long, from which seed.
            tell: Called after each step.
        """
        ...


@runtime_checkable
class DatasetMaker(Protocol):
    """Makes material for a training."""

    def plan(self, material: Sequence[Path], order: DataOrder) -> DataPlan:
        """Look at `material` and say what would be done, without loading parameters.

        Raises:
            InputError: Something of it cannot be read, or holds nothing of use.
            UsageError: The options do not go together.
        """
        ...

    def __call__(self, material: Sequence[Path], out: Path, order: DataOrder, reporter: Reporter) -> DataResult:
        """Make it in the folder `out`.

        Called again on the same folder, however the last call ended, it goes on: what is there is not made once more.
        `animegen.resumable.workers` and `animegen.resumable.journal` help with that.

        Args:
            material: As for `plan`.
            out: An existing folder.
            order: In how many processes.
            reporter: Told what happens.
        """
        ...


PROTOCOLS: Mapping[Kind, type[Any]] = {
    "detector": Detector,
    "inpainter": Inpainter,
    "preprocessor": Preprocessor,
    "interpolator": Interpolator,
    "metric": Metric,
    "trainer": Trainer,
    "dataset": DatasetMaker,
}

RECORDS: Mapping[Kind, type[StageSpec]] = {
    "detector": DetectorSpec,
    "inpainter": StageSpec,
    "preprocessor": StageSpec,
    "interpolator": InterpolatorSpec,
    "metric": MetricSpec,
    "trainer": TrainerSpec,
    "dataset": DatasetSpec,
}

StageFactory = Callable[[Any, Context], Any]
