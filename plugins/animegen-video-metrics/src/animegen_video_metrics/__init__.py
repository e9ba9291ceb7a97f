"""Warping error, flicker, steadiness, FVD and KVD as metrics of AnimeGen."""

__version__ = "0.1.0"
