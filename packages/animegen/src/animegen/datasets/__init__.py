"""``animegen data``: material for a training made out of videos, in several processes, gone on with after any end.

`records` and `options` are light. What a training has in common with it is in `animegen.resumable`.
"""
