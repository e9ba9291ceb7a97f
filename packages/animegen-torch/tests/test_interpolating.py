"""What interpolators share around their networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed here")

from animegen.errors import InputError, StageError, UsageError
from animegen_torch.interpolating import Seen, again, check_pair, frames_at, own_file

ONE, OTHER = np.zeros((4, 6, 3), np.uint8), np.ones((4, 6, 3), np.uint8)


@pytest.mark.parametrize(
    ("first", "last", "times", "error"),
    [
        (ONE, OTHER[1:], [0.5], StageError),
        (ONE[..., 0], OTHER[..., 0], [0.5], StageError),
        (np.zeros((4, 6, 4), np.uint8), np.zeros((4, 6, 4), np.uint8), [0.5], StageError),
        (ONE.astype(np.float32), OTHER, [0.5], StageError),
        (ONE, OTHER.astype(np.uint16), [0.5], StageError),
        (ONE[:0], OTHER[:0], [0.5], StageError),
        (ONE, OTHER, [-0.1], UsageError),
        (ONE, OTHER, [float("nan")], UsageError),
    ],
)
def test_what_is_no_pair_is_refused(first: Any, last: Any, times: list[float], error: type[Exception]) -> None:
    with pytest.raises(error):
        check_pair(first, last, times, stage="toy")
    check_pair(ONE, OTHER, [0, 0.5, 1], stage="toy")


def test_channels_are_those_that_a_stage_takes() -> None:
    alpha = np.zeros((4, 6, 4), np.uint8)
    check_pair(alpha, alpha, [0.5], stage="toy", channels=(3, 4))
    with pytest.raises(StageError, match=r"toy takes \(H, W, 3\) or \(H, W, 4\) uint8, not \(4, 6\)"):
        check_pair(alpha[..., 0], alpha[..., 0], [0.5], stage="toy", channels=(3, 4))


def test_ends_are_the_images_and_only_what_lies_inside_is_drawn() -> None:
    asked: list[float] = []

    def draw(time: float) -> Any:
        asked.append(time)
        return np.full_like(ONE, round(100 * time))

    frames = frames_at(ONE, OTHER, [0, 0.25, 1, 0.5], draw)
    assert [int(frame[0, 0, 0]) for frame in frames] == [0, 25, 1, 50]
    assert asked == [0.25, 0.5] and frames.dtype == np.uint8
    assert frames_at(ONE, OTHER, [], draw).shape == (0, 4, 6, 3)


def test_a_file_of_the_user_s_own_is_there_or_told(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"x")
    assert own_file(str(tmp_path / "a.pt"), stage="toy") == tmp_path / "a.pt"
    with pytest.raises(InputError, match=r"b\.pt \(option flow_file of toy\) is not a file") as caught:
        own_file(str(tmp_path / "b.pt"), stage="toy", option="flow_file")
    assert caught.value.hints == ("leave toy.flow_file out, and a published file is used: animegen weights fetch toy",)
    assert again("toy", "a.pt", own="mine.pt")[0].startswith("leave toy.file out")
    assert again("toy", "a.pt", own=None) == ("animegen weights remove toy/a.pt, then animegen weights fetch toy/a.pt",)


def test_what_is_known_is_known_by_pixels_and_for_the_last_few() -> None:
    seen: Seen[int] = Seen(2)
    found = iter(range(10))
    third = ONE + 2
    assert seen.of(ONE, lambda: next(found)) == 0
    assert seen.of(OTHER, lambda: next(found)) == 1
    assert seen.of(ONE.copy(), lambda: next(found)) == 0
    assert seen.of(third, lambda: next(found)) == 2  # in place of the one that was asked for longest ago
    assert seen.of(ONE, lambda: next(found)) == 0
    assert seen.of(OTHER, lambda: next(found)) == 3
    assert len(seen) == 2
    buffer = ONE.copy()
    seen.of(buffer, lambda: next(found))
    buffer[:] = 7
    assert seen.of(buffer, lambda: next(found)) == 4
    assert seen.of((ONE, OTHER), lambda: next(found)) == 5
    assert seen.of((ONE, third), lambda: next(found)) == 6
    assert seen.of((ONE, OTHER), lambda: next(found)) == 5
    assert seen.of((ONE, third), lambda: next(found)) == 6
    seen.clear()
    assert len(seen) == 0 and seen.of(ONE, lambda: next(found)) == 7
