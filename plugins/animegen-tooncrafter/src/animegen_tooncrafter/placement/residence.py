"""The parts of ToonCrafter in the places of a placement, and its schedule."""

from __future__ import annotations

from collections.abc import Mapping

from animegen_tooncrafter.placement.placement import Placement
from animegen_tooncrafter.placement.source import Source
from animegen_tooncrafter.synthesis import Parts
from animegen_torch.placement import residence


class Residence(residence.Residence):
    """See `animegen_torch.placement.residence.Residence`."""

    def __init__(self, source: Source, placement: Placement, dtypes: Mapping[str, str]) -> None:
        super().__init__(source, placement, dtypes)
        self.schedule, self.other_tables = source.schedule()

    def parts(self) -> Parts:
        """All of them, to be borrowed."""
        twin = self.placement.twin
        return Parts(
            text=self.lend("text"),
            image=self.lend("image"),
            projector=self.lend("projector"),
            unet=self.lend("unet"),
            first_stage=self.lend("first_stage"),
            schedule=self.schedule,
            twin=None if twin is None else self.lend("unet", twin),
        )
