"""`animegen.run`: two panels in, a clip out, in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animegen.media import Box, PanelPair
from animegen.pipeline.inputs import load_panel
from animegen.pipeline.pipeline import Pipeline

if TYPE_CHECKING:
    from animegen.clip import Clip
    from animegen.pipeline.progress import Reporter


def run(
    first: Any,
    last: Any,
    *,
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
    """Turn two panels into a clip; the same options as ``animegen run``, with the same result.

    Args:
        first, last: Paths, (H, W, 3) uint8 RGB arrays, (H, W) uint8 grey arrays, or Panels.
        recipe: Name or file of a recipe; None takes the best one installed.
        out: Folder of runs, as the command line's ``--out``; None writes nothing and keeps frames in memory.
        options: Options of stages by role or name: ``{"flow": {"levels": 5}}``.
        first_text_boxes, last_text_boxes: Where the lettering is, in pixels; an empty list says there is none.
        first_mask, last_mask: Further pixels to remove: a path or an (H, W) bool array.
        resume, force: As on the command line; both need `out`.
        reporter: Told what happens.
        run_options: Any option of a run: ``interpolator="flow"``, ``upsampler="flow"``, ``factor=4``,
            ``seed=7``, ``preprocessor=["descreen", "lab"]`` (see `animegen.settings.resolve.RunOptions`).

    Raises:
        AnimeGenError: As the class says, with a hint.

    >>> clip = run("a.png", "b.png", interpolator="flow")  # doctest: +SKIP
    >>> clip.save("clip.gif")  # doctest: +SKIP
    """
    settings = {**(options or {}), "run": {**(options or {}).get("run", {}), **run_options}}
    with Pipeline(recipe=recipe, settings=settings, out=out, reporter=reporter, force=force) as pipeline:
        limit = pipeline.settings.run.values.max_pixels
        told = pipeline.reporter.warned
        panel_a, facts_a = load_panel(
            first, role="FIRST", max_pixels=limit, text_boxes=first_text_boxes, mask=first_mask, warn=told
        )
        panel_b, facts_b = load_panel(
            last, role="LAST", max_pixels=limit, text_boxes=last_text_boxes, mask=last_mask, warn=told
        )
        pair = PanelPair(panel_a, panel_b, prompt=pipeline.settings.run.values.prompt)
        return pipeline.run(pair, resume=resume, inputs={"first": facts_a, "last": facts_b})
