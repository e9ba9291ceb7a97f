"""More frames between the frames of a video: which pairs, at what times, drawn by any interpolator.

Pure: nothing here opens a file. Frames come in one after the other and go out one after the other.
"""
