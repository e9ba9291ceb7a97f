"""Training, as every plugin's trainer does it: one loop over accelerate, whose runs can be stopped anywhere.

`options` is light and may be imported by a plugin's ``plugin.py``; `loop` does the work on a `task`.
"""
