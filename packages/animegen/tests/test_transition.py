"""What gives a dissolve, a cut, a freeze and a ghost away, tried on a clip that moves and on those that do not."""

from __future__ import annotations

import numpy as np
import pytest

from animegen.builtin.endpoints import Endpoints
from animegen.builtin.transition import Transition, off_palette
from animegen.measuring import Missing, Sample

LENGTH, HEIGHT, WIDTH = 17, 128, 192


def scene(seed):
    """A disc with an outline on an arc, a box that slides: (T, H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(40, 220, (3, 3))
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    frames = []
    for time in np.linspace(0, 1, LENGTH):
        image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
        image[:] = 235 - colours[0] // 8
        angle = np.pi * (0.9 - 0.8 * time)
        distance = np.hypot(y - (110 - 70 * np.sin(angle)), x - (96 + 60 * np.cos(angle)))
        image[distance < 26] = 20
        image[distance < 23] = colours[1]
        left = int(20 + 90 * time)
        image[96:122, left : left + 40] = 20
        image[99:119, left + 3 : left + 37] = colours[2]
        frames.append(image)
    return np.stack(frames)


def dissolve(clip):
    share = np.linspace(0, 1, LENGTH)[:, None, None, None]
    return np.rint(clip[0] * (1 - share) + clip[-1] * share).astype(np.uint8)


def cut(clip):
    return np.stack([clip[0] if index < LENGTH // 2 else clip[-1] for index in range(LENGTH)])


def measure(metric, frames, panels):
    return metric(Sample(frames, np.linspace(0, 1, len(frames)), panels=panels))


@pytest.fixture(scope="module", params=range(3))
def found(request):
    clip = scene(request.param)
    panels = clip[[0, -1]]
    ways = {"truth": clip, "dissolve": dissolve(clip), "cut": cut(clip)}
    answers = {name: measure(Transition(), frames, panels) for name, frames in ways.items()}
    return {
        name: {quantity: np.mean(value[1:-1]) if isinstance(value, list) else value for quantity, value in got.items()}
        for name, got in answers.items()
    }


def test_a_mixture_of_the_panels_leaves_no_residual(found):
    assert found["dissolve"]["blend-residual"] < 1e-3
    assert found["cut"]["blend-residual"] < 1e-9
    assert found["truth"]["blend-residual"] > 0.2


def test_a_dissolve_doubles_lines(found):
    # The box is partly behind the disc at the ends, so the true clip has a few more lines in the middle.
    assert found["truth"]["ghost-ratio"] == pytest.approx(1, abs=0.2)
    assert found["dissolve"]["ghost-ratio"] > 1.15 * found["truth"]["ghost-ratio"]
    assert found["cut"]["ghost-ratio"] == pytest.approx(1, abs=0.1)


def test_what_does_not_move_does_not_travel(found):
    assert found["truth"]["flow-travel"] > 3 * found["dissolve"]["flow-travel"]
    assert found["truth"]["flow-travel"] > 2 * found["cut"]["flow-travel"]


def test_a_cut_is_one_step(found):
    assert found["cut"]["largest-step-share"] == 1
    assert found["dissolve"]["largest-step-share"] < 0.1
    assert found["truth"]["largest-step-share"] < 0.15


def test_a_dissolve_goes_straight(found):
    # Normalised, so not quite: lines of both panels weigh less in the middle.
    assert found["dissolve"]["path-over-chord"] < 1.2
    assert found["cut"]["path-over-chord"] == pytest.approx(1)
    assert found["truth"]["path-over-chord"] > 1.5


def test_mixed_colours_are_off_the_palette(found):
    assert found["cut"]["off-palette"] == 0
    assert found["dissolve"]["off-palette"] > 10 * max(found["truth"]["off-palette"], 0.01)


def test_colours_count_as_known_with_their_neighbours():
    panels = np.full((2, 4, 4, 3), 100, np.uint8)
    frames = np.stack([np.full((4, 4, 3), level, np.uint8) for level in (100, 115, 200)])
    assert off_palette(frames, panels) == [0, 0, 100]


def test_equal_panels_and_none_are_missing_never_nan():
    clip = scene(0)
    still = np.stack([clip[0]] * LENGTH)
    got = measure(Transition(), still, still[[0, -1]])
    for name in ("blend-residual", "flow-travel", "largest-step-share", "path-over-chord"):
        assert isinstance(got[name], Missing), name
    assert all(isinstance(value, Missing) for value in Transition()(Sample(clip, np.linspace(0, 1, LENGTH))).values())


BALLOONS = (np.s_[6:26, 144:184], np.s_[6:26, 8:48])
"""Where the first and the last panel have one: over paper, where nothing ever moves."""


def lettered(clip):
    """Panels of a clip with a balloon each, and what is ignored of them."""
    panels = clip[[0, -1]].copy()
    ignored = np.zeros(panels.shape[:3], bool)
    for panel, mask, place in zip(panels, ignored, BALLOONS, strict=True):
        mask[place] = True
        panel[place] = 20
        inside = tuple(slice(side.start + 3, side.stop - 3) for side in place)
        panel[inside] = 255
        panel[inside][4:-4:5, 4:-4] = 0  # lettering
    return panels, ignored


def scores(frames, panels, ignored=None):
    return Transition()(Sample(frames, np.linspace(0, 1, len(frames)), panels=panels, ignored=ignored))


def mean(value):
    return np.mean(value[1:-1]) if isinstance(value, list) else value


@pytest.mark.parametrize("kind", ["truth", "dissolve", "cut"])
@pytest.mark.parametrize("seed", range(2))
def test_a_removed_balloon_is_as_if_there_had_never_been_one(seed, kind):
    clip = scene(seed)
    panels, ignored = lettered(clip)
    clean = {"truth": clip, "dissolve": dissolve(clip), "cut": cut(clip)}[kind]
    got, never = scores(clean, panels, ignored), scores(clean, clip[[0, -1]])
    for name in ("blend-residual", "ghost-ratio", "largest-step-share"):
        assert mean(got[name]) == pytest.approx(mean(never[name]), rel=1e-9), name
    share = 1 - ignored.any(axis=0).mean()  # paper counted there, and was on the palette, and among the slow pixels
    assert mean(got["off-palette"]) == pytest.approx(mean(never["off-palette"]) / share)
    assert got["flow-travel"] == pytest.approx(never["flow-travel"], rel=0.03)
    assert got["path-over-chord"] == pytest.approx(never["path-over-chord"], rel=0.002)
    if kind == "dissolve":
        counted = scores(clean, panels)
        assert mean(counted["blend-residual"]) > 0.05 > 1e-5 > mean(got["blend-residual"])
        assert counted["ghost-ratio"] < 0.7 * got["ghost-ratio"]


def test_what_stands_in_a_balloon_reaches_no_value():
    clip = scene(0)
    panels, ignored = lettered(clip)
    expected = scores(clip, clip[[0, -1]], ignored)
    assert scores(clip, panels, ignored) == expected
    rng = np.random.default_rng(0)
    noisy = clip.copy()
    either = ignored.any(axis=0)
    noisy[:, either] = rng.integers(0, 256, (len(clip), int(either.sum()), 3))
    assert scores(noisy, panels, ignored) == expected
    outside = clip.copy()
    outside[LENGTH // 2, 60:70, 10:20] = 0
    assert scores(outside, panels, ignored)["blend-residual"] != expected["blend-residual"]


def test_a_colour_under_the_other_panel_s_balloon_is_known():
    clip = np.full((3, 32, 32, 3), 250, np.uint8)
    clip[:, 4:12, 4:12] = (200, 30, 30)  # of the drawing, and under the last panel's balloon
    clip[1, 20:28, 20:28] = (200, 30, 30)
    panels = clip[[0, -1]].copy()
    panels[1, 2:14, 2:14] = 255
    ignored = np.zeros((2, 32, 32), bool)
    ignored[1, 2:14, 2:14] = True
    assert off_palette(clip, panels, ignored) == [0, 0, 0]
    assert off_palette(clip, panels[[1, 1]], ignored)[1] == pytest.approx(100 * 64 / (32 * 32 - 144))


def test_nothing_is_ignored_or_everything():
    clip = scene(1)
    panels = clip[[0, -1]]
    nothing = np.zeros(panels.shape[:3], bool)
    assert scores(clip, panels, nothing) == scores(clip, panels)
    everything = nothing.copy()
    everything[0, :, :100], everything[1, :, 100:] = True, True
    got = scores(clip, panels, everything)
    assert got == dict.fromkeys(Transition.NAMES, Missing("all of the picture is ignored"))


def test_the_worse_end_counts():
    clip = scene(0)
    panels = clip[[0, -1]].copy()
    assert measure(Endpoints(), clip, panels) == {"endpoint-psnr": float("inf"), "endpoint-line-chamfer": 0}
    panels[1] = np.roll(panels[1], 3, axis=1)
    assert measure(Endpoints(), clip, panels)["endpoint-psnr"] < 30
    assert measure(Endpoints(), clip, panels)["endpoint-line-chamfer"] > 0
    assert all(isinstance(value, Missing) for value in Endpoints()(Sample(clip, np.linspace(0, 1, LENGTH))).values())


def test_ends_are_held_against_panels_without_what_is_ignored():
    clip = scene(0)
    panels = clip[[0, -1]].copy()
    panels[0, 4:20, 4:24] = 255  # a balloon that the clip has no more
    ignored = np.zeros(panels.shape[:3], bool)
    ignored[0, 4:20, 4:24] = True
    times = np.linspace(0, 1, LENGTH)
    assert measure(Endpoints(), clip, panels)["endpoint-psnr"] < 40
    got = Endpoints()(Sample(clip, times, panels=panels, ignored=ignored))
    assert got == {"endpoint-psnr": float("inf"), "endpoint-line-chamfer": 0}
    changed = clip.copy()
    changed[0, 30:34, 30:34] = 255 - changed[0, 30:34, 30:34]
    assert Endpoints()(Sample(changed, times, panels=panels, ignored=ignored))["endpoint-psnr"] < 40
    everything = np.ones_like(ignored)
    missing = Endpoints()(Sample(clip, times, panels=panels, ignored=everything))
    assert all(isinstance(value, Missing) for value in missing.values())
