"""Fine-tuning ToonCrafter on a user's own clips ("toon rectification", section 3.2 of the paper).

`options` is light; `clips` finds and reads material, `rectification` is what learns, `trainer` puts both to work.
"""
