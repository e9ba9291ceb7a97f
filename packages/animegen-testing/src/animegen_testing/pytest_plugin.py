"""Fixtures for authors of AnimeGen plugins."""
