"""What a run of FILM will take, said before anything is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from animegen.stages import Demand, StagePlan
from animegen_film.architecture import PUBLISHED
from animegen_torch.devices import free_memory, pick_device
from animegen_torch.padding import Padding
from animegen_torch.precision import pick_dtype

if TYPE_CHECKING:
    from animegen.stages import Context
    from animegen_film.plugin import FilmOptions

VALUES = 800
"""Numbers held at the worst moment for each pixel of a padded picture: two encoded frames and the fusion at full size.
Up to 751 were measured, see the plugin's README."""
ENCODED_VALUES = 164
"""Numbers of an encoded frame for each of its pixels."""
PARAMETERS = 34_436_667
FEWEST = 8
"""Whole frames in between that are kept in any case."""
ENCODED, MOST = 1 << 30, 6
"""Bytes of encoded frames that are kept, as far as these are no fewer than two and no more than `MOST`."""


def plan(options: FilmOptions, context: Context, *, size: tuple[int, int], frames: int) -> StagePlan:
    """The plan of a clip; see `animegen.stages.StageSpec.plan`.

    Raises:
        ResourceError, UsageError: A device is not here, or a number format is none.
    """
    device = pick_device(context.devices, stage="film")
    dtype = pick_dtype(context.dtype, device, stage="film")
    height, width = Padding.to_multiple(size, PUBLISHED.multiple, centred=True).size
    tile = options.tile
    drawn = height * width if tile is None else min(height, tile) * min(width, tile)
    encoded = ENCODED_VALUES * drawn * dtype.itemsize
    kept = 0 if tile is not None else (most_encoded(encoded) - 2) * encoded
    need = dtype.itemsize * (VALUES * drawn + PARAMETERS) + kept + 4 * 3 * FEWEST * height * width
    words = [options.times, f"{'tiles of ' + str(tile) + ' px, ' if tile else ''}{str(dtype).removeprefix('torch.')}"]
    smaller = "" if tile is not None and tile <= 256 else f"-o film.tile={512 if tile is None else tile // 128 * 64}"
    return StagePlan(f"{', '.join(words)} on {device}", (Demand(str(device), need, free_memory(device)),), smaller)


def most_encoded(size: int) -> int:
    """How many encoded frames of `size` bytes are kept at most."""
    return min(MOST, max(2, ENCODED // size))
