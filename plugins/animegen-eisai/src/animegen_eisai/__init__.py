"""EISAI as a stage of AnimeGen. See README.md."""
