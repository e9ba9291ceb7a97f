"""Reading order: layouts with a known answer, properties that always hold, corrections by hand."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animegen.errors import InputError, UsageError
from animegen.media import Box
from animegen_manga import Manga109, read_overrides, reading_order, tidy_frames
from animegen_manga.overrides import apply_override

W, H = 600, 840

LAYOUTS = {
    "row": [Box(310, 10, 590, 400), Box(10, 10, 290, 400)],
    "rows before columns": [
        Box(310, 10, 590, 400),
        Box(10, 10, 290, 400),
        Box(310, 420, 590, 830),
        Box(10, 420, 290, 830),
    ],
    "tall right": [Box(310, 10, 590, 830), Box(10, 10, 290, 400), Box(10, 420, 290, 830)],
    "tall left": [Box(310, 10, 590, 400), Box(310, 420, 590, 830), Box(10, 10, 290, 830)],
    "staggered": [
        Box(210, 10, 590, 280),
        Box(10, 10, 190, 280),
        Box(410, 300, 590, 560),
        Box(10, 300, 390, 560),
        Box(10, 580, 590, 830),
    ],
    "slanted": [
        Box(280, 10, 590, 300),
        Box(10, 10, 320, 300),
        Box(300, 270, 590, 560),
        Box(10, 290, 330, 560),
        Box(10, 550, 590, 830),
    ],
    "inset": [Box(10, 10, 590, 400), Box(30, 30, 180, 180), Box(10, 420, 590, 830)],
    "insets in order": [Box(10, 10, 590, 830), Box(400, 30, 580, 180), Box(30, 30, 180, 180)],
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("seed", range(5))
def test_known_layouts(name, seed):
    boxes = LAYOUTS[name]
    shuffled = random.Random(seed).sample(boxes, len(boxes))
    found = reading_order(shuffled, W, H)
    assert [shuffled[i] for i in found.indices] == boxes
    assert not found.uncertain
    mirrored = [Box(W - b.x1, b.y0, W - b.x0, b.y1) for b in shuffled]
    assert reading_order(mirrored, W, H, direction="ltr").indices == found.indices


def test_a_pinwheel_is_uncertain():
    boxes = [Box(10, 10, 390, 200), Box(410, 10, 590, 610), Box(210, 630, 590, 830), Box(10, 220, 190, 830)]
    boxes.append(Box(210, 220, 390, 610))
    found = reading_order(boxes, W, H)
    assert sorted(found.indices) == list(range(5))
    assert found.uncertain


def test_nothing_and_one():
    assert reading_order([], W, H).indices == ()
    assert reading_order([Box(0, 0, 5, 5)], W, H).indices == (0,)


def test_a_spread_is_read_half_by_half_unless_a_drawing_crosses_it():
    right = [Box(700, 10, 1180, 400), Box(700, 420, 1180, 830)]
    left = [Box(20, 10, 500, 400), Box(20, 420, 500, 830)]
    boxes = [left[0], right[0], left[1], right[1]]
    assert reading_order(boxes, 1200, 840).indices == (1, 3, 0, 2)
    assert reading_order(boxes, 1200, 840, direction="ltr").indices == (0, 2, 1, 3)
    assert reading_order(boxes, 1200, 840, spread=False).indices == (1, 0, 3, 2)
    crossing = [Box(20, 10, 1180, 400), Box(700, 420, 1180, 830), Box(20, 420, 500, 830)]
    assert reading_order(crossing[::-1], 1200, 840).indices == (2, 1, 0)


def test_four_panel_strips_are_read_column_by_column():
    grid = [Box(300 * c + 20, 200 * r + 20, 300 * c + 280, 200 * r + 190) for c in reversed(range(4)) for r in range(4)]
    assert reading_order(grid, 1200, 840, columns=4).indices == tuple(range(16))


def box_lists(most: int = 9):
    side = st.integers(0, 40)
    box = st.tuples(side, side, st.integers(1, 30), st.integers(1, 30))
    return st.lists(box.map(lambda b: Box(b[0], b[1], b[0] + b[2], b[1] + b[3])), max_size=most)


@given(box_lists(), st.randoms(use_true_random=False), st.sampled_from(["rtl", "ltr"]))
def test_always_a_permutation_that_the_order_given_does_not_change(boxes, draw, direction):
    found = reading_order(boxes, 70, 70, direction=direction)
    assert sorted(found.indices) == list(range(len(boxes)))
    assert found.uncertain <= set(range(len(boxes)))
    places = draw.sample(range(len(boxes)), len(boxes))
    again = reading_order([boxes[i] for i in places], 70, 70, direction=direction)
    assert [boxes[i] for i in found.indices] == [boxes[places[i]] for i in again.indices]


@given(box_lists())
def test_the_mirror_image_read_the_other_way_is_the_same(boxes):
    mirrored = [Box(70 - b.x1, b.y0, 70 - b.x0, b.y1) for b in boxes]
    one, other = reading_order(boxes, 70, 70), reading_order(mirrored, 70, 70, direction="ltr")
    assert one == other


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 6), st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_a_grid_comes_row_by_row(rows, columns, gap, draw):
    w, h = (W - gap) // columns, (H - gap) // rows
    expected = [
        Box(c * w + gap, r * h + gap, (c + 1) * w, (r + 1) * h) for r in range(rows) for c in reversed(range(columns))
    ]
    shuffled = draw.sample(expected, len(expected))
    found = reading_order(shuffled, W, H)
    assert [shuffled[i] for i in found.indices] == expected
    assert not found.uncertain


def test_specks_and_doubles_are_left_out():
    boxes = [Box(0, 0, 5, 5), Box(10, 10, 300, 400), Box(12, 12, 302, 402), Box(310, 10, 590, 400)]
    assert tidy_frames(boxes, W, H) == [1, 3]
    assert tidy_frames([], W, H) == []


def test_overrides(tmp_path: Path):
    path = tmp_path / "orders.toml"
    path.write_text('["A b"]\ndirection = "ltr"\ncolumns = 4\n["A b".pages]\n12 = [3, 1, 2]\n13 = ["0a", "0b"]\n')
    override = read_overrides(path)["A b"]
    assert (override.direction, override.columns, override.spread) == ("ltr", 4, None)
    assert override.pages == {12: (3, 1, 2), 13: ("0a", "0b")}
    assert apply_override([7, 8, 9], override.pages[12], [], "x") == [9, 7, 8]
    assert apply_override([0, 1], override.pages[13], ["0b", "0a"], "x") == [1, 0]
    for wrong in [(1, 2), (1, 1, 2), (1, 2, 4), (0, 1, 2), ("x", 1, 2)]:
        with pytest.raises(UsageError, match="3 panels"):
            apply_override([7, 8, 9], wrong, [], "x")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("[a]\ndirektion = 'ltr'", UsageError, "unknown entry"),
        ("[a]\ndirection = 'up'", UsageError, "rtl or ltr"),
        ("[a]\ncolumns = 99", UsageError, "columns"),
        ("[a]\nspread = 3", UsageError, "spread"),
        ("[a.pages]\nx = [1]", UsageError, "page x"),
        ("a = 1", UsageError, "table"),
        ("a = ", InputError, "cannot be read"),
    ],
)
def test_bad_overrides(tmp_path: Path, text, error, message):
    path = tmp_path / "orders.toml"
    path.write_text(text)
    with pytest.raises(error, match=message):
        read_overrides(path)
    with pytest.raises(InputError, match="no file"):
        read_overrides(tmp_path / "none.toml")


@pytest.mark.data
def test_annotated_pages_are_read_in_the_order_their_publishers_gave(real_data):
    data = Manga109(real_data / "pages")
    wrong = []
    for book in data:
        for page in book.pages:
            boxes = [frame.box for frame in page.frames]
            places = random.Random(page.index).sample(range(len(boxes)), len(boxes))
            shuffled = [boxes[i] for i in places]
            found = reading_order(shuffled, page.width, page.height, direction=book.direction)
            if [places[i] for i in found.indices] != list(range(len(boxes))):
                wrong.append(f"{book.title} {page.index}")
    assert wrong == []
