"""Evaluation for AnimeGen: what is scored, beside which controls, and what the numbers can carry.

Importing this package is cheap: numpy, SciPy, statsmodels, pyarrow and matplotlib are imported by the modules
that need them. It never imports torch, a plugin or the command line.
"""
