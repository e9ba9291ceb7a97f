"""Manga for AnimeGen: pages in, panels, pairs and balloon masks out."""
