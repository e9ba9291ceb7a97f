"""Style distances of line art for AnimeGen: Gram matrices of VGG19 (Gatys et al. 2016), and of bare pixels."""

__version__ = "0.1.0"
