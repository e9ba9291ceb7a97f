"""What is scored: pictures that know what they depend on, and the runs, folders and videos that they come from.

* `pictures.Pictures`: pictures of one size, in order, read when asked for, with a digest of what decides them.
* `sources.find_sources`: paths of a user to `sources.Source`, one for each clip.
* `runs`, `videos`: how a finished run and a video become one.
* `truth.match`: which true clip belongs to which, or a list of what does not match.
"""
