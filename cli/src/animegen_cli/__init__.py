"""The ``animegen`` command: a thin layer over the Python API of `animegen` and `animegen_manga`.

`main` is the program; `commands` has one file a command; everything a command needs beyond click is imported inside
it, so that help and completion answer at once.
"""
