"""Noise: how much of it there is at each step, how it is taken away, and which frames are given."""
