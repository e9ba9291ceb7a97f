"""What an interpolator for any time does around its network, whatever network that is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from animegen.errors import InputError, StageError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animegen.media import Frames, Image

T = TypeVar("T")


def check_pair(
    first: NDArray[np.uint8],
    last: NDArray[np.uint8],
    times: Sequence[float],
    *,
    stage: str,
    channels: Collection[int] = (3,),
) -> None:
    """Whether an interpolator can draw between two images at `times`.

    Raises:
        StageError: They are not (H, W, C) uint8 of one size, with at least one pixel and C one of `channels`.
        UsageError: A time is not between 0 and 1.
    """
    if first.ndim != 3 or first.shape[2] not in channels or not first.size or first.dtype != np.uint8:
        shapes = " or ".join(f"(H, W, {count})" for count in channels)
        raise StageError(f"{stage} takes {shapes} uint8, not {first.shape} {first.dtype}.")
    if last.shape != first.shape or last.dtype != first.dtype:
        raise StageError(f"{stage} takes two images of one size, not {first.shape} and {last.shape} {last.dtype}.")
    for time in times:
        if not 0 <= time <= 1:
            raise UsageError(f"the time {time} is not between 0 and 1.")


def frames_at(first: Image, last: Image, times: Sequence[float], draw: Callable[[float], Image]) -> Frames:
    """The frames at `times`: the images themselves at the ends, what `draw` gives for a time inside."""
    frames = np.empty((len(times), *first.shape), np.uint8)
    for index, time in enumerate(times):
        frames[index] = draw(float(time)) if 0 < time < 1 else last if time >= 1 else first
    return frames


def own_file(name: str, *, stage: str, option: str = "file") -> Path:
    """The file of parameters that an option of a stage names.

    Raises:
        InputError: It is not there.
    """
    path = Path(name).expanduser()
    if not path.is_file():
        raise InputError(
            f"{path} (option {option} of {stage}) is not a file.",
            hint=f"leave {stage}.{option} out, and a published file is used: animegen weights fetch {stage}",
        )
    return path


def again(stage: str, file: str, *, own: str | None, option: str = "file") -> tuple[str, ...]:
    """What to type where a file of parameters turns out to be wrong: `own` is the user's, or None for `file`."""
    if own is not None:
        return (f"leave {stage}.{option} out, and a published file is used: animegen weights fetch {stage}",)
    return (f"animegen weights remove {stage}/{file}, then animegen weights fetch {stage}/{file}",)


class Seen(Generic[T]):
    """What was found out about the last few images, known again by their pixels.

    It keeps copies: whoever hands an image in may write over it.

    Args:
        most: How many are kept.
    """

    def __init__(self, most: int = 2) -> None:
        self.most = most
        self._kept: list[tuple[tuple[Image, ...], T]] = []

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, images: Image | tuple[Image, ...], find: Callable[[], T]) -> T:
        """What is known of an image, or of several together; found out by `find` where nothing is."""
        wanted = images if isinstance(images, tuple) else (images,)
        for place, (kept, known) in enumerate(self._kept):
            if len(kept) == len(wanted) and all(map(np.array_equal, kept, wanted)):
                self._kept.append(self._kept.pop(place))
                return known
        del self._kept[: max(0, len(self._kept) - self.most + 1)]  # before the next takes memory
        self._kept.append((tuple(image.copy() for image in wanted), find()))
        return self._kept[-1][1]

    def clear(self) -> None:
        """Forget all of them."""
        self._kept.clear()
