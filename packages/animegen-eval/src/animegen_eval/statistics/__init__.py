"""What the numbers of an evaluation can carry: intervals, tests and effects, in float64 throughout.

Units are pairs of panels (or clips, or raters), never frames: average frames within a clip first. Everything random
is drawn from ``PCG64`` with a stated seed, so that every figure can be made again to the last digit.

| module | what it answers |
| --- | --- |
| `bootstrap` | how far a mean or a ratio may be off: percentile and BCa over units, over clusters |
| `permutation` | how often chance alone gives such a difference: sign flips |
| `corrections` | p-values of a family of tests: Holm, Benjamini-Hochberg |
| `design`, `factorial` | what each factor does, alone and with others |
| `simple_effects` | where an effect turns round, and which effect is the largest |
| `comparison` | two systems on the same clips |
| `binomial`, `sample_size`, `agreement`, `votes`, `bradley_terry` | two-choice studies |

Fréchet and kernel distances are not here: the plugin that has their features has their arithmetic, so that it needs
none of this package's libraries.
"""
