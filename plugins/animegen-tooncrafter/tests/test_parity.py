"""Every part against outputs of the original on seeded weights; ``--goldens DIR`` runs the cases of another folder.

The runners, one for each kind of case, are in ``runners/``.
"""

from __future__ import annotations

from collections.abc import Mapping

from animegen_testing.goldens import GoldenCase, Runner


def test_parity(golden_case: GoldenCase, golden_runners: Mapping[str, Runner]) -> None:
    golden_case.run(golden_runners)
