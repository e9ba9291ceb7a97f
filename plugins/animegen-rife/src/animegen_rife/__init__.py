"""RIFE, every 4.x network, as a stage of AnimeGen."""
