"""SEINE as a stage of AnimeGen."""
