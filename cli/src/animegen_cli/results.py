"""What a command says at its end: a few lines for people, one path or one document for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animegen_cli.console import Console

if TYPE_CHECKING:
    from animegen.clip import Clip
    from animegen.media import Strip
    from animegen.pipeline.pipeline import Pipeline
    from animegen.registry import Registry

_CUTS = 6  # shown in a line


def with_free_memory(
    plan: Sequence[tuple[str, str]], need_mib: int, instead: str = "a smaller --size or fewer --frames would"
) -> Iterator[tuple[str, str]]:
    """The plan, with what is free beside what is needed, and a warning where that does not go together."""
    from animegen.memory import memory

    free = memory().free
    for label, text in plan:
        yield label, text if label != "need" or free is None else f"{text} ({free // 2**20} MiB free)"
    if free is not None and need_mib > free // 2**20:
        yield "note", f"this may not fit into memory; {instead}"


def say_plan(console: Console, run_id: str, plan: Sequence[tuple[str, str]], **facts: Any) -> None:
    """The end of ``--dry-run``; `facts` belong to the document of ``--json``."""
    console.say("dry", "nothing was made (--dry-run)")
    if console.json:
        console.document({"status": "planned", "id": run_id, "plan": [list(line) for line in plan], **facts})


def planned_facts(pipeline: Pipeline, strip: Strip) -> dict[str, Any]:
    """What the plan lines say of memory and of random parameters, for programs."""
    from animegen.pipeline.plan import untrained_stages

    return {
        "untrained": untrained_stages(pipeline.settings),
        "memory": [{"device": one.device, "need": one.need, "have": one.have} for one in pipeline.needs(strip)],
        "stages": [one.as_record() for one in pipeline.planned(strip)],
    }


def say_clip(console: Console, clip: Clip) -> None:
    """Where the clip is, and how to make it again."""
    folder, record = clip_folder(clip), clip.record or {}
    facts = clip_document(folder, record)
    console.say(
        "done",
        f"{facts['clip']}   {facts['frames']} frames, {_number(facts['fps'])} fps, {facts['seconds']:.1f} s, "
        f"{facts['width']}x{facts['height']}",
    )
    for path in facts["clips"][1:]:
        console.say("", path)
    console.say("", f"{facts['sheet']}   contact sheet")
    if facts["balloons"]:
        console.say("", f"{facts['balloons']}   balloons, numbered for --keep-balloon")
    console.say("again", f"animegen {record.get('command', 'run')} --from {facts['run_json']}")
    if console.json:
        console.document(facts)
    else:
        console.path(facts["clip"])


def say_film(console: Console, clip: Clip) -> None:
    """What was found in a video: cuts and duplicates, each as far as a line holds; run.json has them all."""
    facts = (clip.record or {})["steps"][-1]["info"]
    cuts, doubles = facts["cuts"], facts["duplicates"]
    if cuts:
        shown = [f"{cut['frame']} ({cut['time']:.2f} s)" for cut in cuts[:_CUTS]]
        more = f" and {len(cuts) - _CUTS} more, all in run.json" if len(cuts) > _CUTS else ""
        console.say("cuts", f"{len(cuts)}, before frame {', '.join(shown)}{more}")
    if doubles["frames"]:
        retimed = f", {doubles['retimed_frames']} of them now motion ({doubles['retimed_runs']} runs)"
        console.say(
            "twice", f"{doubles['frames']} duplicates{retimed if doubles['retimed_runs'] else ', left to stand'}"
        )


def clip_folder(clip: Clip) -> Path:
    """The folder of a run that has just ended."""
    assert clip.path is not None, "the command line always writes"
    return clip.path.parent


def clip_document(folder: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """What ``--json`` prints of a finished run; paths are relative where ``--out`` was."""
    outputs = record["outputs"]
    clips = [str(folder / name) for name in outputs["clip"]]
    return {
        "status": record["status"],
        "id": record["id"],
        "folder": str(folder),
        "clip": clips[0],
        "clips": clips,
        "sheet": str(folder / outputs["sheet"]),
        "balloons": str(folder / outputs["balloons"]) if "balloons" in outputs else None,
        "frames_folder": str(folder / outputs["frames"]) if "frames" in outputs else None,
        "run_json": str(folder / "run.json"),
        "frames": outputs["count"],
        "fps": outputs["fps"],
        "seconds": outputs["seconds"],
        "width": outputs["width"],
        "height": outputs["height"],
        "untrained": list(record.get("untrained", ())),
        "warnings": list(record["warnings"]),
    }


def say_better(console: Console, registry: Registry) -> None:
    """After a run that drew with built-in stages: what would draw better, while it is not installed."""
    from animegen.settings.recipes import BEST, load

    if absent := load(BEST).missing(registry):
        text = "the built-in stages move what both panels show; drawn motion comes from plugins that are not here:"
        console.say("better", f"{text} {', '.join(absent)}")


def _number(fps: str) -> str:
    from fractions import Fraction

    return f"{float(Fraction(fps)):g}"
