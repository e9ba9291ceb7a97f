"""`animegen.run`: panels in, a clip out; `animegen.upsample`: a video in, a smoother one out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animegen.errors import UsageError
from animegen.media import Box, Strip
from animegen.pipeline.chain import links, panel_names, role_of
from animegen.pipeline.inputs import load_panel
from animegen.pipeline.pipeline import Pipeline

if TYPE_CHECKING:
    from fractions import Fraction

    from animegen.clip import Clip
    from animegen.pipeline.progress import Reporter
    from animegen.registry import Registry


def run(
    *panels: Any,
    recipe: str | None = None,
    out: str | Path | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    first_text_boxes: Sequence[Box] | None = None,
    last_text_boxes: Sequence[Box] | None = None,
    first_mask: Any = None,
    last_mask: Any = None,
    resume: bool = False,
    force: bool = False,
    reporter: Reporter | None = None,
    **run_options: Any,
) -> Clip:
    """Turn two panels or more into a clip; the same options as ``animegen run``, with the same result.

    Args:
        panels: Paths, (H, W, 3) uint8 RGB arrays, (H, W) uint8 grey arrays, or Panels. One alone goes back to itself,
            with ``loop=True``.
        recipe: Name or file of a recipe; None takes the best one installed.
        out: Folder of runs, as the command line's ``--out``; None writes nothing and keeps frames in memory.
        options: Options of stages by role or name: ``{"flow": {"levels": 5}}``.
        first_text_boxes, last_text_boxes: Where the lettering is, in pixels; an empty list says there is none. For
            panels between the first and the last, give a Panel that knows its own.
        first_mask, last_mask: Further pixels to remove: a path or an (H, W) bool array.
        resume, force: As on the command line; both need `out`.
        reporter: Told what happens.
        run_options: Any option of a run: ``interpolator="flow"``, ``upsampler="flow"``, ``factor=4``,
            ``seed=7``, ``preprocessor=["descreen", "lab"]`` (see `animegen.settings.resolve.RunOptions`).

    Raises:
        AnimeGenError: As the class says, with a hint.

    >>> clip = run("a.png", "b.png", interpolator="flow")  # doctest: +SKIP
    >>> clip.save("clip.gif")  # doctest: +SKIP
    >>> clip = run("a.png", "b.png", "c.png", loop=True, format=["gif"], out="runs")  # doctest: +SKIP
    """
    settings = {**(options or {}), "run": {**(options or {}).get("run", {}), **run_options}}
    with Pipeline(recipe=recipe, settings=settings, out=out, reporter=reporter, force=force) as pipeline:
        limit = pipeline.settings.run.values.max_pixels
        told = pipeline.reporter.warned
        links(len(panels), loop=pipeline.settings.run.values.loop)  # says so at once where there are too few
        names = panel_names(len(panels))
        boxes = {"first": first_text_boxes, "last": last_text_boxes}
        masks = {"first": first_mask, "last": last_mask}
        for what, given in (("text_boxes", boxes), ("mask", masks)):
            if given["last"] is not None and "last" not in names:
                raise UsageError(f"last_{what} is for a last panel; there is one alone.", hint=f"first_{what} is its")
        loaded, facts = [], {}
        for name, source in zip(names, panels, strict=True):
            panel, facts[name] = load_panel(
                source,
                role=role_of(name),
                max_pixels=limit,
                text_boxes=boxes.get(name),
                mask=masks.get(name),
                warn=told,
            )
            loaded.append(panel)
        strip = Strip(tuple(loaded), prompt=pipeline.settings.run.values.prompt)
        return pipeline.run(strip, resume=resume, inputs=facts)


def upsample(
    source: str | Path | Clip,
    *,
    with_: str | None = None,
    factor: int | None = None,
    fps: Fraction | float | str | None = None,
    out: str | Path = "runs",
    options: Mapping[str, Any] | None = None,
    resume: bool = False,
    force: bool = False,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
    config: bool = True,
    **upsample_options: Any,
) -> Clip:
    """Draw more frames between the frames of a video; the same options as ``animegen upsample``, the same result.

    Args:
        source: A video, an animated picture, a folder of pictures (with ``source_fps=24``), the folder of an earlier
            run, or a clip.
        with_: The interpolator that draws; None takes the best one that can work here.
        factor: Frames for each frame of the source; 2 where `fps` is not given.
        fps: Frames per second instead, above the source's.
        out: Folder of all runs. A film is never held in memory, so it is always written.
        options: Options of the stage: ``{"scale": 0.5}``.
        resume, force: As on the command line.
        reporter: Told what happens.
        registry: Plugins to choose from; those installed here otherwise.
        config: Use ``animegen.toml`` and the environment.
        upsample_options: Any option of an upsampling: ``duplicates="retime"``, ``cuts=[57, 96]``, ``device="cuda:0"``
            (see `animegen.film.options.UpsampleOptions`).

    Returns:
        The clip; its frames are read from the file as they are asked for.

    Raises:
        AnimeGenError: As the class says, with a hint.

    >>> clip = upsample("bat.mp4", with_="flow", factor=4)  # doctest: +SKIP
    """
    from animegen.film.film import Film
    from animegen.film.options import ROLE, TABLE, resolve_upsampling
    from animegen.film.source import open_source
    from animegen.registry import Registry
    from animegen.settings.layers import file_layer, plugins_off
    from animegen.settings.resolve import layers_here

    asked = {"upsampler": with_, "factor": factor, "fps": None if fps is None else str(fps), **upsample_options}
    if not isinstance(cuts := asked.get("cuts", ""), str):
        asked["cuts"] = ",".join(map(str, cuts)) or "none"
    table = {name: value for name, value in asked.items() if value is not None}
    registry = registry or Registry(off=plugins_off(file_layer()) if config else ())
    layers = layers_here(registry, {TABLE: table, ROLE: dict(options or {})}, config=config)
    settings = resolve_upsampling(registry, layers)
    values = settings.values
    opened = open_source(source, fps=values.source_rate, eight_bit=values.eight_bit, max_pixels=values.max_pixels)
    with Film(opened, settings, out=out, reporter=reporter, force=force) as film:
        film.reporter.plan(film.plan())
        return film.run(resume=resume)
