"""Triplets of frames to learn in-betweening from, found in videos: ``animegen data rrld``.

Source: Chen & Zwicker, "Improving the Perceptual Quality of 2D Animation Interpolation", ECCV 2022 (Restricted Relative
Linear Discrepancy), after the program that its authors released. `options` is light.
"""
