"""A video in, a smoother video out: ``animegen upsample``, as a job that streams, resumes and keeps what belongs to it.

`animegen.upsampling` says which frames are drawn at which times; this package reads, draws and writes them.
"""
