"""Clips between two panels: what is shown of a pair is the same for all systems."""

from __future__ import annotations

import numpy as np

from animegen_eval import two_panel
from animegen_eval.profiles import find_profile
from animegen_eval.samples.pictures import ArrayPictures
from animegen_eval.samples.sources import Source


def test_balloons_that_one_system_knows_count_for_none(kit):
    frames = kit.disc(5)
    masks = np.zeros((2, 2, *frames.shape[1:3]), bool)
    masks[0, 0, :9, :9], masks[1, 1, -9:, -9:] = True, True
    panels = ArrayPictures(frames[[0, -1]])
    sources = [
        Source("a", config, "", ArrayPictures(frames), panels=panels, ignored=ignored)
        for config, ignored in (("blind", None), ("one", masks[0]), ("other", masks[1]))
    ]
    items = list(two_panel.items(find_profile("two-panel"), sources, {}, lambda _: None))
    assert {item.config for item in items} >= {"blind", "one", "other", "crossfade", "cut"}
    assert all(np.array_equal(item.shown.ignored, masks[0] | masks[1]) for item in items)
    alone = two_panel.items(find_profile("two-panel"), sources[:1], {}, lambda _: None)
    assert {item.shown.ignored is None for item in alone} == {True}
