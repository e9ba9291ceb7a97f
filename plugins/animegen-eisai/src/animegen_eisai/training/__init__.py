"""Training EISAI on triplets of frames: ``animegen train eisai``.

`options` is light; `material` finds triplets, `objective` says how far a frame is off, `learning` is what learns,
`trainer` puts all to work.
"""
