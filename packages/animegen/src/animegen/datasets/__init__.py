"""``animegen data``: material for a training made out of videos, in several processes, gone on with after any end.

`records` and `options` are light. A maker of a plugin uses `workers` (pieces of work in processes), `journal` (what a
piece has found so far) and `timeline` (a stretch of a video at an even rate).
"""
