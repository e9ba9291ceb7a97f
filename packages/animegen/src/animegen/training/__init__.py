"""``animegen train``: what a training is asked to do, what a trainer answers, and the record that is kept of it.

`records`, `options` and `processes` are light. What a dataset has in common with it is in `animegen.resumable`.
"""
