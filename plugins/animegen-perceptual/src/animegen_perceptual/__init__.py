"""LPIPS (Zhang et al. 2018) and CLIP similarity (Radford et al. 2021) as metrics of AnimeGen."""

__version__ = "0.1.0"
