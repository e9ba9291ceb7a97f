"""FILM as a stage of AnimeGen."""
