"""A strip of panels on its way through the stages: detect, inpaint, preprocess, interpolate, upsample.

Each step reads what the step before it left and keeps its own result in the session's store, so the steps of
many strips can be taken strip by strip or stage by stage with the same outcome. What is drawn between two
neighbouring panels is a result of its own, so a longer strip takes over what a shorter one left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from animegen._cv2 import cv2
from animegen.errors import UsageError
from animegen.media import Box, PanelPair, Region, Strip, union_mask
from animegen.pictures.sizing import Fitting, plan_fit
from animegen.pipeline.boundary import Unchanged, check_frames, check_image, check_regions, check_untouched
from animegen.pipeline.chain import Joined, links
from animegen.pipeline.hashing import array_digest, text_digest
from animegen.pipeline.record import StepRecord
from animegen.pipeline.session import Session
from animegen.pipeline.store import Entry, Writer
from animegen.pipeline.upsample import upsample
from animegen.settings.resolve import Choice
from animegen.settings.roles import Role
from animegen.stages import InterpolatorSpec
from animegen.upsampling.fill import SLICE

if TYPE_CHECKING:
    from animegen.media import Image, Mask

DEFAULT_FRAMES = 16
"""Frames of an interpolator for any time when nobody says how many: as many as ToonCrafter makes."""

STEPS = ("detect", "inpaint", "preprocess", "interpolate", "upsample")


class Job:
    """One strip and how far it has come.

    Attributes:
        run: The run's own options.
        links: The pairs of panels between which frames are drawn, as indices.
        images: The panels as the last step left them, (H, W, 3) uint8 RGB.
        regions: Balloons found in each panel, numbered through from 1 over all.
        masks: What is removed from each panel, or None where nothing is.
        fitting: How the first panel gets to the working size and frames back to the clip's.
        result: The last sequence of frames, at working size; that of a loop ends with the frame it begins with.
        entries: What each step left, for the run's folder.
        records: What each step did.

    Raises:
        UsageError: There are too few panels for a clip.
    """

    def __init__(self, session: Session, panels: PanelPair | Strip) -> None:
        self._session = session
        self.run = session.settings.run.values
        self.strip = Strip.of(panels)
        self.panels = self.strip.panels
        self.links = links(len(self.panels), loop=self.run.loop)
        self.images: list[Image] = [panel.image for panel in self.panels]
        self.regions: list[tuple[Region, ...]] = [()] * len(self.panels)
        self.masks: list[Mask | None] = [panel.mask for panel in self.panels]
        self.fitting: Fitting | None = None
        self.result: Entry | None = None
        self.entries: dict[str, list[Entry]] = {}
        self.records: list[StepRecord] = []

    @property
    def frame_count(self) -> int:
        """Frames the interpolator makes for a pair, both ends included."""
        spec = self._spec("interpolator")
        return self.run.frames or spec.frames or DEFAULT_FRAMES

    @property
    def gap_frames(self) -> int:
        """Frames of the clip from one panel to the next, the latter not counted."""
        return (self.frame_count - 1) * (self.run.factor if self._session.settings.one("upsampler") else 1)

    @property
    def total_frames(self) -> int:
        """Frames of the clip; of a loop, the last is the one before the first comes again."""
        return len(self.links) * self.gap_frames + (not self.run.loop)

    @property
    def rate(self) -> Fraction:
        """Frames per second of the clip; upsampling keeps its duration."""
        return self.run.rate * (self.run.factor if self._session.settings.one("upsampler") else 1)

    def planned(self) -> list[tuple[str, str]]:
        """The steps that will be taken, with what each will do, in words."""
        chosen = self._session.settings.choices
        panels, drawn = self._counted_panels(), self._shown(len(self.links) * (self.frame_count - 1) + 1)
        pairs = f"{len(self.links)} pairs, " if len(self.links) > 1 else ""
        texts = {
            "detect": (chosen["detector"] if chosen["inpainter"] else (), panels),
            "inpaint": (chosen["inpainter"], panels),
            "preprocess": (chosen["preprocessor"], panels),
            "interpolate": (chosen["interpolator"], f"{pairs}{drawn} frames"),
            "upsample": (chosen["upsampler"], f"{drawn} > {self.total_frames} frames"),
        }
        return [(name, texts[name][1]) for name in STEPS if texts[name][0]]

    def take(self, step: str) -> str:
        """Take one step; gives what it did, in words."""
        return str(getattr(self, step)())

    def detect(self) -> str:
        """Find the balloons of every panel."""
        choice = self._session.settings.one("detector")
        assert choice is not None
        record = self._begin("detect", choice)
        for index, panel in enumerate(self.panels):
            if panel.text_boxes == ():  # annotated, and there is no lettering: nothing to look for
                continue
            height, width = panel.image.shape[:2]
            boxes = tuple(box.clip(width, height) for box in panel.text_boxes or ())
            entry = self._session.make(
                choice,
                record,
                [array_digest(panel.image)],
                partial(_detect, choice.stage.full_name, panel.image, boxes),
                text_boxes=[list(box) for box in boxes],
            )
            self.entries["detect"].append(entry)
            self.regions[index] = tuple(_region(entry, i) for i in range(len(entry.info["regions"])))
        self._settle_masks()
        found = sum(map(len, self.regions))
        record.info = {
            "balloons": [
                {"panel": index + 1, "box": list(region.box), "score": region.score, "method": region.method}
                for index, regions in enumerate(self.regions)
                for region in regions
            ]
        }
        kept = f", {len(self.run.keep_balloon)} kept" if self.run.keep_balloon else ""
        return f"{self._counted_panels()}, {found} {'balloon' if found == 1 else 'balloons'}{kept}"

    def _settle_masks(self) -> None:
        """Join what was found and is not kept with the user's own masks."""
        total = sum(map(len, self.regions))
        unknown = [number for number in self.run.keep_balloon if number > total]
        if unknown:
            raise UsageError(
                f"run.keep_balloon names balloon {unknown[0]}; {total} were found.",
                hint="balloons.png in the run's folder shows their numbers",
            )
        number = 0
        for index, panel in enumerate(self.panels):
            removed = []
            for region in self.regions[index]:
                number += 1
                if number not in self.run.keep_balloon:
                    removed.append(region)
            height, width = panel.image.shape[:2]
            mask = union_mask(removed, height, width)
            if self.run.grow and mask.any():
                size = 2 * self.run.grow + 1
                disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
                mask = cv2.dilate(mask.astype(np.uint8), disc).astype(bool)
            if panel.mask is not None:
                mask |= panel.mask
            self.masks[index] = mask if mask.any() else None

    def inpaint(self) -> str:
        """Remove what the masks cover."""
        choice = self._session.settings.one("inpainter")
        assert choice is not None
        record = self._begin("inpaint", choice)
        for index, mask in enumerate(self.masks):
            if mask is None:
                continue
            image = self.images[index]
            entry = self._session.make(
                choice,
                record,
                [array_digest(image), array_digest(mask)],
                partial(_inpaint, choice.stage.full_name, image, mask),
            )
            self.entries["inpaint"].append(entry)
            self.images[index] = entry.load(0)
        done = sum(mask is not None for mask in self.masks)
        return f"{done} of {self._counted_panels()}" if done else "nothing to remove"

    def preprocess(self) -> str:
        """Clean every panel up, stage by stage, before any resize."""
        chain = self._session.settings.choices["preprocessor"]
        for choice in chain:
            record = self._begin("preprocess", choice)
            for index, image in enumerate(self.images):
                entry = self._session.make(
                    choice,
                    record,
                    [array_digest(image)],
                    partial(_preprocess, choice.stage.full_name, image),
                )
                self.entries["preprocess"].append(entry)
                self.images[index] = entry.load(0)
        return " > ".join(choice.stage.name for choice in chain)

    def fittings(self) -> list[Fitting]:
        """How each panel gets to the working size; the clip has the first's size, unless another is asked for.

        They differ in how a panel comes in, and not in how a frame goes out.
        """
        sizes = [(image.shape[1], image.shape[0]) for image in self.images]
        choice = self._session.settings.one("interpolator")
        assert choice is not None
        needs = self._spec("interpolator").needs_for(choice.options.values)
        return [plan_fit(sizes[0], size, mode=self.run.size, needs=needs) for size in sizes]

    def fit(self) -> list[Image]:
        """Every panel at working size."""
        fittings = self.fittings()
        self.fitting = fittings[0]
        return [fitting.apply(image, 1) for fitting, image in zip(fittings, self.images, strict=True)]

    def interpolate(self) -> str:
        """Draw the frames between each panel and the next."""
        choice = self._session.settings.one("interpolator")
        assert choice is not None
        record = self._begin("interpolate", choice)
        spec = self._spec("interpolator")
        panels = self.fit()
        times = [float(time) for time in np.linspace(0, 1, self.frame_count)]
        prompt = self.strip.prompt or self.run.prompt
        for number, (start, end) in enumerate(self.links):
            seed = self.run.seed + number  # so that the first pair's frames are those of a run of its own
            facts: dict[str, Any] = {"times": times}
            facts |= {"prompt": prompt} if spec.uses_prompt else {}
            facts |= {"seed": seed} if spec.uses_seed else {}
            call = {"prompt": prompt, "seed": seed}
            first, last = panels[start], panels[end]
            work = partial(_interpolate, choice.stage.full_name, spec, first, last, times, call, self._session.progress)
            name = f"panel {start + 1} to {end + 1}" if len(self.links) > 1 else ""
            with self._session.part(number, len(self.links), name):
                entry = self._session.make(choice, record, [array_digest(first), array_digest(last)], work, **facts)
            self.entries["interpolate"].append(entry)
        parts = self.entries["interpolate"]
        self.result = Joined(parts) if len(parts) > 1 else parts[0]
        if len(parts) == 1:
            return f"{self._shown(len(self.result))} frames"
        record.info = {
            "pairs": [
                {"panels": [start + 1, end + 1], **({"seed": self.run.seed + number} if spec.uses_seed else {})}
                for number, (start, end) in enumerate(self.links)
            ]
        }
        return f"{len(parts)} pairs, {self._shown(len(self.result))} frames"

    def upsample(self) -> str:
        """Add frames between the frames."""
        choice = self._session.settings.one("upsampler")
        assert choice is not None
        assert self.result is not None
        record = self._begin("upsample", choice)
        before = self.result
        work = partial(
            upsample,
            choice.stage.full_name,
            self._spec("upsampler"),
            before,
            self.run.factor,
            self._session.reporter.progress,
        )
        self.result = self._session.make(choice, record, [before.digest], work, factor=self.run.factor)
        self.entries["upsample"].append(self.result)
        return f"{self._shown(len(before))} > {self._shown(len(self.result))} frames"

    def _shown(self, frames: int) -> int:
        """Of a sequence of `frames`, those that the clip shows."""
        return frames - self.run.loop

    def _counted_panels(self) -> str:
        return "1 panel" if len(self.panels) == 1 else f"{len(self.panels)} panels"

    def _begin(self, step: str, choice: Choice) -> StepRecord:
        record = self._session.step(choice)
        self.records.append(record)
        self.entries.setdefault(step, [])
        return record

    def _spec(self, role: Role) -> InterpolatorSpec:
        choice = self._session.settings.choices[role][0]
        assert isinstance(choice.stage.spec, InterpolatorSpec)
        return choice.stage.spec


def input_digest(strip: Strip) -> str:
    """Digest of everything about a strip that its clip depends on."""
    parts = [strip.prompt]
    for panel in strip.panels:
        parts += [array_digest(panel.image), repr(panel.text_boxes)]
        parts.append("" if panel.mask is None else array_digest(panel.mask))
    return text_digest(*parts)


def _detect(name: str, image: Image, boxes: Sequence[Box], stage: Any, writer: Writer) -> Mapping[str, Any]:
    with Unchanged(name, image):
        regions = check_regions(name, stage(image, boxes), image)
    for index, region in enumerate(regions):
        mask = np.ones((region.box.height, region.box.width), bool) if region.mask is None else region.mask
        writer.put(index, mask)
    facts = [
        {
            "kind": region.kind,
            "box": list(map(int, region.box)),
            "score": round(float(region.score), 4),
            "method": region.method,
            "polygon": [list(map(int, point)) for point in region.polygon],
        }
        for region in regions
    ]
    return {"regions": facts}


def _region(entry: Entry, index: int) -> Region:
    fact = entry.info["regions"][index]
    return Region(
        fact["kind"],
        Box(*fact["box"]),
        fact["score"],
        fact["method"],
        entry.load_mask(index),
        tuple((x, y) for x, y in fact["polygon"]),
    )


def _inpaint(name: str, image: Image, mask: Mask, stage: Any, writer: Writer) -> Mapping[str, Any]:
    with Unchanged(name, image, mask):
        filled = check_image(name, stage(image, mask), image)
    check_untouched(name, image, filled, mask)
    writer.put(0, filled)
    return {"pixels": int(mask.sum())}


def _preprocess(name: str, image: Image, stage: Any, writer: Writer) -> Mapping[str, Any]:
    with Unchanged(name, image):
        writer.put(0, check_image(name, stage(image), image))
    return {}


def _interpolate(
    name: str,
    spec: InterpolatorSpec,
    first: Image,
    last: Image,
    times: Sequence[float],
    call: Mapping[str, Any],
    progress: Callable[[int, int, str], None],
    stage: Any,
    writer: Writer,
) -> Mapping[str, Any]:
    if spec.frames is not None:  # made all at once, and tells its own progress
        with Unchanged(name, first, last):
            frames = stage(first, last, times, **call)
        for index, frame in enumerate(check_frames(name, frames, len(times), first.shape)):
            writer.put(index, frame)
        return {}
    writer.put(0, first)  # the ends are the panels themselves
    writer.put(len(times) - 1, last)
    wanted = [index for index in range(1, len(times) - 1) if not writer.has(index)]  # a killed run's frames are kept
    for start in range(0, len(wanted), SLICE):
        part = wanted[start : start + SLICE]
        with Unchanged(name, first, last):
            frames = stage(first, last, [times[index] for index in part], **call)
        for index, frame in zip(part, check_frames(name, frames, len(part), first.shape), strict=True):
            writer.put(index, frame)
        progress(len(times) - len(wanted) + start + len(part), len(times), "frames")
    return {}
