"""Which pairs a study takes: drawn by a rule that is fixed, and written down, before anything runs.

The rule needs no random generator: titles are ranked by the SHA-256 of ``SEED:TITLE`` and the first ones taken, the
pairs of each by that of ``SEED:TITLE:ID``; then the titles give a pair each in turn until there are enough. Whoever
has the same candidates gets the same pairs, in any language, and a candidate more or less moves no other's rank.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from animegen.errors import InputError, UsageError
from animegen.pipeline.hashing import file_digest, json_digest

RULE = "sha256-rank-1"
"""Name of the rule; another one when it changes."""
TERMS = ("licence", "source")
"""What a pair may be shown under: on record, and no part of what a study is."""


@dataclass(frozen=True)
class Candidate:
    """A pair that could be taken.

    Attributes:
        id: Unique name.
        first, last: Files of the panels.
        title: What it belongs to; empty where nobody says.
        prompt: Text for interpolators that read one.
        text_boxes: File that says where the lettering is.
        licence: Under which its panels may be shown; empty where nobody says.
        source: Whom and what to name when they are; likewise.
    """

    id: str
    first: Path
    last: Path
    title: str = ""
    prompt: str = ""
    text_boxes: Path | None = None
    licence: str = ""
    source: str = ""


@dataclass(frozen=True)
class Rule:
    """How many are taken.

    Attributes:
        pairs: At most so many.
        titles: From at most so many titles.
        seed: Which ones.
    """

    pairs: int = 40
    titles: int = 5
    seed: int = 0


@dataclass(frozen=True)
class Chosen:
    """The pairs of a study.

    Attributes:
        pairs: Title by title, in the order of their ranks.
        rule: The rule that took them.
        candidates: How many there were.
        candidates_digest: Hash of their ids and titles, in any order.
        notes: What the rule asked for and could not have.
    """

    pairs: tuple[Candidate, ...]
    rule: Rule
    candidates: int
    candidates_digest: str
    notes: tuple[str, ...] = ()

    def as_record(self) -> dict[str, Any]:
        """For study.json, with the digest of every file as it is now (null where it cannot be read)."""
        return {
            "rule": {"name": RULE, **asdict(self.rule)},
            "candidates": self.candidates,
            "candidates_sha256": self.candidates_digest,
            "notes": list(self.notes),
            "pairs": [pair_record(pair) for pair in self.pairs],
        }


def choose(candidates: Sequence[Candidate], rule: Rule) -> Chosen:
    """The pairs that the rule takes; all of them where there are no more than it asks for.

    Raises:
        InputError: There are none.
        UsageError: Two have one name.
    """
    if not candidates:
        raise InputError("there are no pairs to choose from.", hint="animegen panels makes them from pages")
    seen: set[str] = set()
    for candidate in candidates:
        if candidate.id in seen:
            raise UsageError(f"two pairs are called {candidate.id!r}.", hint="give each an id of its own")
        seen.add(candidate.id)
    digest = json_digest(sorted([one.title, one.id] for one in candidates))
    titles = sorted({one.title for one in candidates}, key=lambda title: rank(rule.seed, title))
    ranked = {
        title: sorted((one for one in candidates if one.title == title), key=lambda one: rank(rule.seed, title, one.id))
        for title in titles
    }
    notes = []
    if len(candidates) <= rule.pairs:
        taken = {title: len(pairs) for title, pairs in ranked.items()}
        if len(candidates) < rule.pairs:
            notes.append(f"{rule.pairs} pairs were wanted and {len(candidates)} are there: all are taken")
    else:
        titles = titles[: rule.titles]
        taken = _in_turn({title: len(ranked[title]) for title in titles}, rule.pairs)
        if (found := sum(taken.values())) < rule.pairs:
            notes.append(
                f"{rule.pairs} pairs were wanted and {len(titles)} titles have {found}: all of these are taken"
            )
    if len(titles) < rule.titles:
        known = "titles like these" if len(titles) > 1 else "this one"
        notes.append(f"{rule.titles} titles were wanted; there are {len(titles)}: what is found holds for {known}")
    pairs = tuple(one for title in titles for one in ranked[title][: taken[title]])
    return Chosen(pairs, rule, len(candidates), digest, tuple(notes))


def rank(seed: int, *names: str) -> str:
    """Where a title, or a pair of a title, stands."""
    return hashlib.sha256(":".join([str(seed), *names]).encode()).hexdigest()


def _in_turn(there: dict[str, int], wanted: int) -> dict[str, int]:
    """How many each title gives when they give one each in turn."""
    taken = dict.fromkeys(there, 0)
    while sum(taken.values()) < wanted:
        able = [title for title, count in there.items() if taken[title] < count]
        if not able:
            break
        for title in able[: wanted - sum(taken.values())]:
            taken[title] += 1
    return taken


def pair_record(pair: Candidate) -> dict[str, Any]:
    """A pair for study.json: its names, its files and their digests, and the terms that are known."""
    files = {"first": pair.first, "last": pair.last, "text_boxes": pair.text_boxes}
    return {
        "id": pair.id,
        "title": pair.title,
        "prompt": pair.prompt,
        **{name: None if path is None else str(path.absolute()) for name, path in files.items()},
        "sha256": {name: _digest(path) for name, path in files.items() if path is not None},
        **{name: text for name in TERMS if (text := getattr(pair, name))},
    }


def _digest(path: Path) -> str | None:
    try:
        return file_digest(path)
    except OSError:
        return None
