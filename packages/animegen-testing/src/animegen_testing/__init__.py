"""Test kit for authors of AnimeGen plugins."""
