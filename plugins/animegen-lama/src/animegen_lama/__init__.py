"""LaMa (Suvorov et al., WACV 2022) as an inpainter for AnimeGen, through simple-lama-inpainting."""

__version__ = "0.1.0"
