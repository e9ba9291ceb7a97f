"""Sketches: drawings of some frames in between that a clip is to follow."""
