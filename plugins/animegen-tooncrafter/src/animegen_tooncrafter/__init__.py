"""ToonCrafter as a stage of AnimeGen."""
