"""Pages in; panels, a record of them, pairs and pictures to check out. The work behind ``animegen panels``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animegen.atomic import write_bytes
from animegen.errors import InputError
from animegen.imageio import read_image, write_image
from animegen.media import Box, Region
from animegen_manga.names import safe_name
from animegen_manga.order import reading_order, tidy_frames
from animegen_manga.overlay import page_overlay
from animegen_manga.overrides import TitleOverride, apply_override
from animegen_manga.pairs import PairRules, PanelInfo, ScoredPair, people_in, score_pairs, select_pairs, thumbnail
from animegen_manga.panels.detect import detect_panels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from animegen.media import Image
    from animegen_manga.annotation import Direction
    from animegen_manga.pages import PageSource

SCHEMA_VERSION = 1
_KEPT_THUMBNAILS = 2000  # 64 KiB each; later ones are made again from the panel's file

Detect = Callable[["Image", Sequence[Box]], Sequence[Region]]
"""Finds the panels of a page, as the stage `animegen_manga.panels.Panels` does."""


@dataclass(frozen=True)
class ExtractOptions:
    """What `extract_panels` does with each page.

    Attributes:
        direction: Reading direction; None: what the source says, else right to left.
        annotated: Take annotated frames where there are any, instead of detecting panels.
        overlays: Write pictures of the pages with what was found.
        per_title: Pairs drawn from each title; None: all that are not rejected.
        threshold: Smallest score of a pair.
        seed: Seed of the draw.
        skip_first, skip_last: Pages at the start and end of a title whose panels take part in no pair: covers and
            contents. They count only where a title has more than twice as many pages.
        rules: What makes two panels no pair.
    """

    direction: Direction | None = None
    annotated: bool = True
    overlays: bool = True
    per_title: int | None = None
    threshold: float = 0.0
    seed: int = 0
    skip_first: int = 4
    skip_last: int = 2
    rules: PairRules = field(default_factory=PairRules)


@dataclass(frozen=True)
class ExtractSummary:
    """What was done.

    Attributes:
        out: The folder.
        pages, panels, pairs: How many there are now.
        reused: Pages that an earlier run had finished.
        rejected: Pairs that were rejected.
        uncertain: Names of pages whose reading order is uncertain.
        whole: Names of pages on which no panel was found, kept whole.
        failed: (name, reason) of pages that could not be read.
    """

    out: Path
    pages: int
    panels: int
    pairs: int
    reused: int
    rejected: int
    uncertain: tuple[str, ...]
    whole: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]


def extract_panels(
    sources: Iterable[PageSource],
    out: Path,
    *,
    options: ExtractOptions | None = None,
    detect: Detect | None = None,
    detector: str = "panels",
    overrides: Mapping[str, TitleOverride] | None = None,
    force: bool = False,
    progress: Callable[[int, str], None] | None = None,
) -> ExtractSummary:
    """Cut pages into panels and pair them.

    Written below `out`: ``panels/PAGE/NN.png`` (lossless, in reading order), ``overlay/PAGE.png``,
    ``records/PAGE.json`` (one a page, written last: a page that has one is done and is not read again),
    ``panels.json`` (all records and all pairs with terms or reason of rejection), ``pairs.tsv`` (id, first, last,
    prompt, text_boxes, score; what ``animegen batch`` reads) and ``text/PAIR.json`` (lettering of annotated pairs).
    Every file is whole or absent.

    Args:
        sources: Pages, as `animegen_manga.pages.open_pages` gives them.
        out: Folder to write to.
        options: What to do.
        detect: Finds panels on pages without annotation; None: `detect_panels`.
        detector: Name of `detect` for the record; another name makes pages anew.
        overrides: Corrections by title.
        force: Make pages anew that are done.
        progress: Called with the number of pages done and the name of the last.

    Raises:
        InputError: A source cannot be opened. Single pages that cannot be read are in the summary instead.
        ResourceError: The disk is full or read-only.
    """
    worker = _Extractor(Path(out), options or ExtractOptions(), detect, detector, overrides or {}, force)
    done: dict[str, dict[str, Any]] = {}
    failed, reused = [], 0
    for number, source in enumerate(sources, start=1):
        place = safe_name(source.name, taken=done)
        try:
            record, fresh = worker.page(source, place)
        except InputError as error:
            failed.append((source.name, str(error)))
        else:
            done[place] = record
            reused += not fresh
        if progress:
            progress(number, source.name)
    records = list(done.values())
    pairs = worker.pairs(records)
    written = [pair for pair in pairs if not pair.rejected and pair.score >= worker.options.threshold]
    if worker.options.per_title is not None:
        written = select_pairs(
            pairs,
            per_title=worker.options.per_title,
            threshold=worker.options.threshold,
            seed=worker.options.seed,
        )
    worker.write_tables(records, pairs, written)
    return ExtractSummary(
        worker.out,
        len(records),
        sum(len(record["panels"]) for record in records),
        len(written),
        reused,
        sum(bool(pair.rejected) for pair in pairs),
        tuple(r["name"] for r in records if any(p["uncertain"] for p in r["panels"])),
        tuple(r["name"] for r in records if r["whole"]),
        tuple(failed),
    )


class _Extractor:
    def __init__(
        self,
        out: Path,
        options: ExtractOptions,
        detect: Detect | None,
        detector: str,
        overrides: Mapping[str, TitleOverride],
        force: bool,
    ) -> None:
        self.out, self.options, self.overrides, self.force = out, options, overrides, force
        self.detect = detect or (lambda image, boxes: detect_panels(image, boxes))
        self.detector = detector
        self.thumbnails: dict[str, Any] = {}

    def page(self, source: PageSource, place: str) -> tuple[dict[str, Any], bool]:
        """The record of a page, and whether it was made now."""
        override = self.overrides.get(source.title, TitleOverride())
        direction = self.options.direction or override.direction or source.direction or "rtl"
        order = override.pages.get(source.index, ())
        made_from = [
            SCHEMA_VERSION,
            source.stamp,
            self.detector,
            self.options.annotated,
            direction,
            override.columns,
            override.spread,
            list(order),
        ]
        path = self.out / "records" / f"{place}.json"
        record = _read_record(path)
        if record and record.get("made_from") == made_from and source.stamp and not self.force:
            picture = self.out / "overlay" / f"{place}.png"
            files = [self.out / panel["file"] for panel in record["panels"]]
            if all(file.is_file() for file in files) and (picture.is_file() or not self.options.overlays):
                return record, False
        image = source.read()
        regions, ids, whole = self.regions(source, image)
        boxes = [region.box for region in regions]
        height, width = image.shape[:2]
        found = reading_order(
            boxes, width, height, direction=direction, columns=override.columns, spread=override.spread
        )
        indices = list(found.indices)
        uncertain = found.uncertain
        if order:
            indices, uncertain = apply_override(indices, order, ids, source.name), frozenset()
        panels = self.panels(source, image, [regions[i] for i in indices], place)
        for panel, i in zip(panels, indices, strict=True):
            panel["uncertain"] = i in uncertain
            panel["id"] = ids[i] if ids else ""
        if self.options.overlays:
            texts = [text.box for text in source.page.texts] if source.page else []
            shown = page_overlay(
                image,
                [regions[i] for i in indices],
                text_boxes=texts,
                uncertain=[n for n, i in enumerate(indices) if i in uncertain],
            )
            write_image(self.out / "overlay" / f"{place}.png", shown)
        record = {
            "name": source.name,
            "title": source.title,
            "index": source.index,
            "count": source.count,
            "width": width,
            "height": height,
            "direction": direction,
            "annotated": source.page is not None,
            "whole": whole,
            "panels": panels,
            "made_from": made_from,
        }
        write_bytes(path, _json(record))
        return record, True

    def regions(self, source: PageSource, image: Image) -> tuple[list[Region], list[str], bool]:
        """Panels of a page in any order, their ids where they are annotated, and whether it is kept whole."""
        height, width = image.shape[:2]
        texts = [text.box for text in source.page.texts] if source.page else []
        if source.page and source.page.frames and self.options.annotated:
            frames = source.page.frames
            kept = tidy_frames([frame.box for frame in frames], width, height)
            regions = [Region("panel", frames[i].box.clip(width, height), method="annotation") for i in kept]
            usable = [i for i, region in enumerate(regions) if region.box.area]
            if usable:
                return [regions[i] for i in usable], [frames[kept[i]].id for i in usable], False
        found = [r for r in self.detect(image, texts) if r.box.clip(width, height).area]
        page = Region("panel", Box(0, 0, width, height), 0.5, "page")
        whole = not found or (len(found) == 1 and found[0].method == "page")
        return [replace(r, box=r.box.clip(width, height)) for r in found] or [page], [], whole

    def panels(self, source: PageSource, image: Image, regions: list[Region], place: str) -> list[dict[str, Any]]:
        """Write the panels of a page and say what is known of each."""
        frames = [region.box for region in regions]
        known = source.page is not None and bool(source.page.faces or source.page.bodies)
        people = people_in(source.page, frames) if known and source.page else None
        panels = []
        for number, region in enumerate(regions, start=1):
            box = region.box
            file = f"panels/{place}/{number:02d}.png"
            cropped = image[box.y0 : box.y1, box.x0 : box.x1].copy()
            write_image(self.out / file, cropped)
            inside = [
                text.box.intersection(box).shift(-box.x0, -box.y0)
                for text in (source.page.texts if source.page else ())
                if text.box.intersection(box).area >= 0.5 * text.box.area and text.box.area
            ]
            if len(self.thumbnails) < _KEPT_THUMBNAILS:
                self.thumbnails[file] = thumbnail(cropped, inside)
            who, faces = people[number - 1] if people else (None, None)
            panels.append(
                {
                    "file": file,
                    "number": number,
                    "box": list(box),
                    "polygon": [list(point) for point in region.polygon],
                    "score": round(region.score, 4),
                    "method": region.method,
                    "text_boxes": [list(text) for text in inside] if source.page else None,
                    "characters": None if who is None else sorted(who),
                    "faces": None if faces is None else [[c, list(b)] for c, b in faces],
                }
            )
        return panels

    def pairs(self, records: list[dict[str, Any]]) -> list[ScoredPair]:
        pairs = []
        for _, title in groupby(records, key=lambda record: record["title"]):
            infos = [self.info(record, panel) for record in title for panel in record["panels"]]
            for pair in score_pairs(infos, self.options.rules):
                # Scored: the pictures of a whole data set need not stay in memory.
                first, last = replace(pair.first, thumbnail=None), replace(pair.last, thumbnail=None)
                pairs.append(replace(pair, first=first, last=last))
        return pairs

    def info(self, record: dict[str, Any], panel: dict[str, Any]) -> PanelInfo:
        texts = tuple(Box(*box) for box in panel["text_boxes"] or ())
        picture = self.thumbnails.pop(panel["file"], None)
        if picture is None:
            picture = thumbnail(read_image(self.out / panel["file"]), texts)
        faces, who = panel["faces"], panel["characters"]
        first, last, index, count = (
            self.options.skip_first,
            self.options.skip_last,
            record["index"],
            record["count"],
        )
        outer = count > 2 * (first + last) and (index < first or index >= count - last)
        return PanelInfo(
            self.info_id(panel["file"]),
            record["title"],
            record["index"],
            panel["number"],
            Box(*panel["box"]),
            panel["uncertain"],
            texts,
            None if who is None else frozenset(who),
            None if faces is None else tuple((c, Box(*box)) for c, box in faces),
            picture,
            "the page is among the first or last of its title" if outer else "",
        )

    def write_tables(self, records: list[dict[str, Any]], pairs: list[ScoredPair], written: list[ScoredPair]) -> None:
        files = {
            self.info_id(panel["file"]): (panel["file"], panel["text_boxes"])
            for record in records
            for panel in record["panels"]
        }
        rows = ["id\tfirst\tlast\tprompt\ttext_boxes\tscore"]
        for pair in written:
            (first, before), (last, after) = files[pair.first.id], files[pair.last.id]
            boxes = ""
            if before is not None or after is not None:
                boxes = f"text/{pair.id}.json"
                write_bytes(self.out / boxes, _json({"first": before or [], "last": after or []}))
            rows.append(f"{pair.id}\t{first}\t{last}\t\t{boxes}\t{pair.score:.4f}")
        chosen = {pair.id for pair in written}
        document = {
            "schema_version": SCHEMA_VERSION,
            "options": asdict(self.options),
            "detector": self.detector,
            "pages": records,
            "pairs": [
                {
                    "id": pair.id,
                    "first": files[pair.first.id][0],
                    "last": files[pair.last.id][0],
                    "score": round(pair.score, 4),
                    "terms": {name: round(value, 4) for name, value in pair.terms.items()},
                    "rejected": pair.rejected,
                    "chosen": pair.id in chosen,
                }
                for pair in pairs
            ],
        }
        write_bytes(self.out / "panels.json", _json(document))
        write_bytes(self.out / "pairs.tsv", ("\n".join(rows) + "\n").encode())

    @staticmethod
    def info_id(file: str) -> str:
        return file.removeprefix("panels/").removesuffix(".png").replace("/", "_")


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def _read_record(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("panels"), list) else None
