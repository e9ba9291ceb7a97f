"""Contact sheets of clips of any aspect."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from animegen.errors import UsageError
from animegen.pictures.sheet import contact_sheet

GROUND = (236, 236, 236)
MARK = (214, 92, 46)


class Lazy(Sequence):
    """Frames that count how often they are read."""

    def __init__(self, count: int, height: int = 30, width: int = 40) -> None:
        self.count, self.shape, self.read = count, (height, width, 3), []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> np.ndarray:
        self.read.append(index)
        return np.full(self.shape, index, np.uint8)


@pytest.mark.parametrize(
    ("width", "height"), [(907, 227), (850, 2785), (900, 999), (640, 480), (30, 20), (1, 1), (4000, 10)]
)
@pytest.mark.parametrize("count", [1, 2, 16, 61])
def test_any_aspect_fits_the_width(width: int, height: int, count: int):
    frame = np.zeros((height, width, 3), np.uint8)
    sheet = contact_sheet([frame] * count, first=frame, last=frame, fps=Fraction(32))
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] <= 1600
    assert sheet.shape[0] <= 4000
    assert tuple(sheet[0, 0]) == GROUND
    assert (sheet == MARK).all(axis=2).any()


def test_frames_stand_in_reading_order_and_only_those_shown_are_read():
    frames = Lazy(61)
    sheet = contact_sheet(frames, count=7)
    assert sorted(set(frames.read)) == [0, 10, 20, 30, 40, 50, 60]
    places = []
    for index in (0, 10, 20, 30, 40, 50, 60):
        ys, xs = np.nonzero((sheet[:, :, 0] == index) & (sheet[:, :, 1] == index))
        places.append((int(np.median(ys)) // 40, int(np.median(xs))))
    assert places == sorted(places)


def test_every_frame_once_when_there_are_few():
    frames = Lazy(5)
    contact_sheet(frames)
    assert set(frames.read) == set(range(5))


def test_panels_are_at_the_ends_and_marked():
    frame = np.zeros((40, 60, 3), np.uint8)
    first, last = np.full_like(frame, (0, 0, 255)), np.full_like(frame, (0, 255, 0))
    sheet = contact_sheet([frame] * 4, first=first, last=last, columns=3)
    blue = np.argwhere((sheet == (0, 0, 255)).all(axis=2)).mean(axis=0)
    green = np.argwhere((sheet == (0, 255, 0)).all(axis=2)).mean(axis=0)
    assert blue[0] < sheet.shape[0] / 2 < green[0]
    assert blue[1] < sheet.shape[1] / 3
    assert green[1] > sheet.shape[1] * 2 / 3
    plain = contact_sheet([frame] * 4, columns=3)
    assert not (plain == MARK).all(axis=2).any()


def test_a_panel_of_another_aspect_keeps_it():
    frame = np.zeros((200, 200, 3), np.uint8)
    sheet = contact_sheet([frame] * 3, first=np.full((50, 200, 3), (0, 0, 255), np.uint8))
    ys, xs = np.nonzero((sheet == (0, 0, 255)).all(axis=2))
    assert abs(np.ptp(xs) + 1 - 4 * (np.ptp(ys) + 1)) <= 4


def test_numbers_and_time_change_the_labels():
    frames = Lazy(3)
    plain = contact_sheet(frames)
    timed = contact_sheet(frames, fps=Fraction(8))
    chosen = contact_sheet(frames, numbers=[0, 30, 60])
    assert plain.shape == timed.shape == chosen.shape
    assert (timed != GROUND).any(axis=2).sum() > (plain != GROUND).any(axis=2).sum()
    assert not np.array_equal(plain, chosen)
    assert np.array_equal(chosen, contact_sheet(frames, numbers=[0, 30, 60]))


def test_what_cannot_be_drawn():
    with pytest.raises(UsageError, match="at least one"):
        contact_sheet([])
    with pytest.raises(UsageError, match="0 columns"):
        contact_sheet(Lazy(3), columns=0)
    with pytest.raises(UsageError, match="do not fit"):
        contact_sheet(Lazy(3), columns=40)
    with pytest.raises(UsageError, match="do not fit"):
        contact_sheet(Lazy(3), max_width=50)
