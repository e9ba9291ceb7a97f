"""AnimeInterp as a stage of AnimeGen."""
