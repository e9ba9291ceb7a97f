"""Test kit for authors of AnimeGen plugins: the contract of stages, small pictures, seeded weights, golden cases.

Everything here reaches a test through the fixtures of `animegen_testing.pytest_plugin`, which pytest finds by
itself once this distribution is installed; the modules can be imported as well.
"""

from __future__ import annotations
