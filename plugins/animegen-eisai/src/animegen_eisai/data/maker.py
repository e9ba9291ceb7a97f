"""``animegen data rrld``: from videos to a folder of triplets that ``animegen train eisai`` reads.

Three passes, each in pieces that processes share: how every frame differs from the one before (duplicates, cuts);
whether three frames in a row, duplicates left out, are worth learning from (RRLD); pictures and flows of those.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animegen.atomic import write_bytes
from animegen.datasets.records import DataOrder, DataPlan, DataResult
from animegen.errors import InputError, MissingError
from animegen.resumable.workers import each
from animegen.stages import Demand
from animegen.video.even import EvenVideo
from animegen_eisai.data.duplicates import FIELDS, Change
from animegen_eisai.data.frames import KEPT
from animegen_eisai.data.manifest import TripletRow, released_list, write_manifest, write_table
from animegen_eisai.data.material import Video, find_videos, names_of
from animegen_eisai.data.pieces import Changes, Judgements, Pictures, Piece, Triplet, name_of
from animegen_eisai.data.reencoding import Bounds, Reencoded, Reencoder, Segment, must_have_encoder
from animegen_eisai.weights import RFR
from animegen_torch.devices import free_memory, pick_device

if TYPE_CHECKING:
    from animegen.pipeline.progress import Reporter
    from animegen.stages import Context
    from animegen_eisai.data.options import RrldOptions

WORK = "work"
_PASSES = ("changes", "judgements", "pictures")
_TRIPLETS = 40
"""In a piece of work."""
_LEAST = {"dis": 750 << 20, "reencode": 1100 << 20, "rfr": 950 << 20, "rfr with flows": 1300 << 20}
"""Memory of a process, measured on 1080p; see docs/data.md."""
_SHAPE = 0.02  # how much a picture may be stretched before it is worth a word


@dataclass
class _Found:
    """What is known of one video so far."""

    video: Video
    name: str
    folder: Path
    even: EvenVideo | Reencoded
    changes: list[dict[str, Any]] = field(default_factory=list)
    shots: dict[int, int] = field(default_factory=dict)
    judged: list[dict[str, Any]] = field(default_factory=list)
    across: int = 0
    taken: list[dict[str, Any]] = field(default_factory=list)


class Rrld:
    """Finds triplets in videos.

    Raises:
        ResourceError: A device is not here.
    """

    def __init__(self, options: RrldOptions, context: Context) -> None:
        self.options, self.context = options, context
        self._videos: tuple[tuple[Path, ...], list[Video]] | None = None

    def plan(self, material: Sequence[Path], order: DataOrder) -> DataPlan:
        """See `animegen.stages.DatasetMaker`."""
        options, videos = self.options, self._looked_at(material)
        if options.flow == "rfr":
            self._weights()
        if options.reencode:
            must_have_encoder()
        known = [video.even for video in videos if video.even.slots is not None]
        frames, seconds = sum(one.slots or 0 for one in known), sum((one.slots or 0) / one.fps for one in known)
        more = f" (and {len(videos) - len(known)} that do not say their length)" if len(known) < len(videos) else ""
        count = f"{len(videos)} video{'s' * (len(videos) > 1)}"
        coded = "coded again, " if options.reencode else ""
        motion = f"RFR, {options.iterations} steps" if options.flow == "rfr" else "DIS (OpenCV)"
        extra = f"at most {options.per_shot} of a shot" if options.per_shot else "all of a shot"
        return DataPlan(
            summary=f"triplets of {KEPT[1]}x{KEPT[0]}{' with flows' if options.flows else ''}",
            material=f"{count}, {float(seconds) / 60:.1f} min, {frames:,} frames{more}",
            digests={str(video.even.path): video.digest for video in videos},
            demands=self._demands(order.jobs),
            hint="fewer --jobs, or -o rrld.flow=dis",
            lines=(("how", f"{coded}{options.fps} frames a second; motion by {motion}; {extra}"),),
            warnings=tuple(self._odd(videos)),
            facts={"fps": options.fps, "flow": options.flow},
        )

    def __call__(self, material: Sequence[Path], out: Path, order: DataOrder, reporter: Reporter) -> DataResult:
        """See `animegen.stages.DatasetMaker`."""
        videos = self._looked_at(material)
        names = names_of(videos, out)
        found = [_Found(video, name, out / name, video.even) for video, name in zip(videos, names, strict=True)]
        passes = _Passes(self.options, out, order.jobs, reporter)
        if self.options.reencode:
            passes.reencoded(found)
        passes.changes(found)
        given = (self._weights(), self.context.devices)
        passes.judgements(found, given)
        self._choose(found)
        passes.pictures(found, given)
        rows = [row for one in found for row in self._tables(one, out)]
        files = [write_manifest(out, rows), *(one.folder / "judgements.csv" for one in found)]
        facts = self._facts(found)
        if not rows:
            self.context.warn("no triplet was worth learning from; judgements.csv says why of each.")
        summary = f"{len(rows)} triplets of {len(found)} video{'s' * (len(found) > 1)}"
        return DataResult(tuple(files[:1]), summary, use=f"train eisai {out} --out DIR", facts=facts)

    def _looked_at(self, material: Sequence[Path]) -> list[Video]:
        if self._videos is None or self._videos[0] != tuple(material):
            self._videos = (tuple(material), find_videos(material, self.options.rate))
        return self._videos[1]

    def _weights(self) -> Path | None:
        if self.options.flow != "rfr":
            return None
        if self.options.flow_file:
            path = Path(self.options.flow_file).expanduser()
            if not path.is_file():
                raise InputError(f"{path} is not here.")
            return path
        try:
            return self.context.weight(RFR.file)
        except MissingError as error:
            coarser = "or find motion without weights, more coarsely: -o rrld.flow=dis"
            raise MissingError(error.message, hint=(*error.hints, coarser)) from error

    def _demands(self, jobs: int) -> tuple[Demand, ...]:
        options, needs = self.options, dict.fromkeys(["cpu"], _LEAST["dis"])
        if options.reencode:
            needs["cpu"] = _LEAST["reencode"]
        if options.flow == "rfr":
            device = str(pick_device(self.context.devices, stage="rrld"))
            needs[device] = max(needs.get(device, 0), _LEAST["rfr with flows" if options.flows else "rfr"])
        return tuple(
            Demand(name, jobs * need, _free(name), f"{jobs} × {need >> 20} MiB") for name, need in needs.items()
        )

    def _odd(self, videos: Sequence[Video]) -> list[str]:
        odd = []
        wide = [one.even for one in videos if abs(one.even.size[0] / one.even.size[1] * KEPT[0] / KEPT[1] - 1) > _SHAPE]
        if wide and self.options.fit == "stretch":
            size = "{}x{}".format(*wide[0].size)
            more = f" ({len(wide) - 1} more are not either)" if len(wide) > 1 else ""
            odd.append(
                f"{wide[0].path.name} is {size}, not 16:9{more}: stretched, as published; "
                "-o rrld.fit=crop cuts the middle out instead"
            )
        if blind := [one.even for one in videos if not one.even.seekable and one.even.path.is_file()]:
            odd.append(f"{blind[0].path.name} cannot be read from its middle: it is one piece of work")
        return odd

    def _choose(self, found: Sequence[_Found]) -> None:
        """Those that are taken; of one shot no more than `per_shot`, the steadiest ones."""
        for one in found:
            taken = [row for row in one.judged if row["verdict"] == "taken"]
            if self.options.per_shot:
                shots: dict[int, list[dict[str, Any]]] = {}
                for row in taken:
                    shots.setdefault(one.shots[row["frames"][0]], []).append(row)
                for rows in shots.values():
                    rows.sort(key=lambda row: (row["linearity"], row["frames"]))
                taken = [row for rows in shots.values() for row in rows[: self.options.per_shot]]
            one.taken = sorted(taken, key=lambda row: list(row["frames"]))

    def _tables(self, one: _Found, out: Path) -> list[TripletRow]:
        rows = [{**row, "duplicate": int(_change(row).is_duplicate)} for row in one.changes]
        write_table(one.folder / "changes.csv", rows, ("frame", *FIELDS, "cut", "duplicate"))
        judged = [{**row, "frames": name_of(tuple(row["frames"]))} for row in one.judged]
        write_table(one.folder / "judgements.csv", judged, ("frames", "verdict", "linearity", "coverage"))
        listed = [
            (name_of(tuple(row["frames"])), row["linearity"], row["coverage"])
            for row in one.judged
            if row["verdict"] == "taken"
        ]
        write_bytes(one.folder / "rrld.txt", released_list(listed).encode())
        made = []
        for row in one.taken:
            first, middle, last = row["frames"]
            name = name_of((first, middle, last))
            made.append(
                TripletRow(
                    video=one.name,
                    frames=(first, middle, last),
                    seconds=round(float(first / one.even.fps), 6),
                    shot=one.shots[first],
                    images=f"{one.name}/images/{name}",
                    flows=f"{one.name}/flows/{name}.pt" if self.options.flows else None,
                    linearity=row["linearity"],
                    coverage=row["coverage"],
                )
            )
        return made

    def _facts(self, found: Sequence[_Found]) -> dict[str, Any]:
        verdicts: Counter[str] = Counter(row["verdict"] for one in found for row in one.judged)
        verdicts["across a cut"] = sum(one.across for one in found)
        duplicates = sum(_change(row).is_duplicate for one in found for row in one.changes)
        return {
            "frames": sum(len(one.changes) + 1 for one in found),
            "duplicates": duplicates,
            "verdicts": dict(sorted(verdicts.items())),
            "triplets": {one.name: len(one.taken) for one in found},
        }


@dataclass
class _Passes:
    """The passes over all videos, told to a reporter."""

    options: RrldOptions
    out: Path
    jobs: int
    reporter: Reporter

    def reencoded(self, found: Sequence[_Found]) -> None:
        segments = {}
        for one in found:
            files = []
            for first, stop in _segments(one.video, self.options.segment, 0):
                place = self.out / WORK / one.name / f"reencoded-{first:07d}-{self.options.segment}.mkv"
                files.append((first, place))
                segments[Segment(one.video.even, place, (first, stop))] = one
            one.even = Reencoded(one.video.even, tuple(files))
        self._do("re-encoding", segments, Reencoder, (self.options,), "frames")

    def changes(self, found: Sequence[_Found]) -> None:
        pieces = {}
        for one in found:
            for first, stop in _segments(one.video, self.options.segment, 1):
                place = self.out / WORK / one.name / f"changes-{first:07d}-{self.options.segment}.jsonl"
                pieces[Piece(one.even, place, (first, stop))] = one
        rows = self._do("changes", pieces, Changes, (self.options,), "frames")
        for piece, one in pieces.items():
            one.changes += rows[piece]
        for one in found:
            shot = 0
            one.shots[0] = 0
            for row in one.changes:
                shot += row["cut"] >= self.options.cut_threshold
                one.shots[row["frame"]] = shot

    def judgements(self, found: Sequence[_Found], given: Sequence[Any]) -> None:
        pieces = {}
        for one in found:
            kept = [row["frame"] for row in one.changes if not _change(row).is_duplicate]
            triplets: list[Triplet] = list(zip(kept, kept[1:], kept[2:], strict=False))
            if self.options.cuts:
                inside = [triplet for triplet in triplets if one.shots[triplet[0]] == one.shots[triplet[2]]]
                one.across, triplets = len(triplets) - len(inside), inside
            for first, part in _parts(one.even, triplets):
                place = self.out / WORK / one.name / f"judgements-{first:07d}.jsonl"
                pieces[Piece(one.even, place, triplets=part)] = one
        rows = self._do("judgements", pieces, Judgements, (self.options, *given), "triplets")
        for piece, one in pieces.items():
            one.judged += rows[piece]

    def pictures(self, found: Sequence[_Found], given: Sequence[Any]) -> None:
        pieces = {}
        for one in found:
            taken: list[Triplet] = [tuple(row["frames"]) for row in one.taken]
            for _, part in _parts(one.even, taken):
                pieces[Piece(one.even, one.folder, triplets=part)] = one
        self._do("pictures", pieces, Pictures, (self.options, *given), "triplets")

    def _do(
        self,
        name: str,
        pieces: Mapping[Any, _Found],
        make: Callable[..., Callable[[Any], Any]],
        arguments: Sequence[Any],
        unit: str,
    ) -> dict[Any, Any]:
        sizes = {piece: _size(piece) for piece in pieces}
        total, done, began = sum(sizes.values()), 0, time.monotonic()
        names = [*(["re-encoding"] if self.options.reencode else []), *_PASSES]
        self.reporter.started(names.index(name) + 1, len(names), name, f"{total:,} {unit}")
        rows = {}
        for piece, found in each(list(pieces), make, arguments, self.jobs):
            rows[piece] = found
            done += sizes[piece]
            self.reporter.progress(done, total, unit)
        self.reporter.finished(name, f"{total:,} {unit}", time.monotonic() - began, False)
        return rows


def _segments(video: Video, length: int, first: int) -> list[Bounds]:
    """Stretches of a video from its slot `first` on."""
    even = video.even
    if not even.seekable or even.slots is None:
        return [(first, None)]
    edges = [first, *range(length, even.slots, length)]
    return [*pairwise(edges), (edges[-1], None)]


def _parts(video: EvenVideo | Reencoded, triplets: Sequence[Triplet]) -> list[tuple[int, tuple[Triplet, ...]]]:
    """Triplets of one piece each, with the number of the first; a video that is read from its beginning is one."""
    size = _TRIPLETS if video.seekable else max(1, len(triplets))
    return [(first, tuple(triplets[first : first + size])) for first in range(0, len(triplets), size)]


def _size(piece: Piece | Segment) -> int:
    if isinstance(piece, Piece) and piece.triplets:
        return len(piece.triplets)
    first, stop = piece.slots if isinstance(piece, Piece) else piece.bounds
    return max(1, (stop or piece.video.slots or first) - first)


def _change(row: Mapping[str, Any]) -> Change:
    return Change(*(row[name] for name in FIELDS))


def _free(device: str) -> int | None:
    import torch

    return free_memory(torch.device(device))
