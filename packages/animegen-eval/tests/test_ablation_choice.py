"""Which pairs a study takes: the rule alone decides, and anybody can follow it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from animegen.errors import InputError, UsageError
from animegen_eval.ablation.choice import Candidate, Rule, choose


def some(**counts: int) -> list[Candidate]:
    """So many pairs of each title."""
    return [
        Candidate(f"{title}{number}", Path("a.png"), Path("b.png"), title)
        for title, count in counts.items()
        for number in range(count)
    ]


def test_the_rule_followed_by_hand() -> None:
    def by(*names: str) -> str:
        return hashlib.sha256(":".join(["7", *names]).encode()).hexdigest()

    candidates = some(A=9, B=9, C=9)
    titles = sorted("ABC", key=by)[:2]
    wanted = [
        name
        for title in titles
        for name in sorted((f"{title}{n}" for n in range(9)), key=lambda name: by(title, name))[:3]
    ]
    assert [pair.id for pair in choose(candidates, Rule(6, 2, 7)).pairs] == wanted
    assert [pair.id for pair in choose(candidates[::-1], Rule(6, 2, 7)).pairs] == wanted


def test_another_seed_takes_others() -> None:
    taken = [{pair.id for pair in choose(some(A=30, B=30), Rule(6, 2, seed)).pairs} for seed in range(4)]
    assert len(set(map(frozenset, taken))) == 4


def test_titles_give_in_turn_until_there_are_enough() -> None:
    chosen = choose(some(A=20, B=2, C=20, D=20, E=20, F=0), Rule(40, 5, 0))
    given = {title: sum(pair.title == title for pair in chosen.pairs) for title in "ABCDE"}
    assert given["B"] == 2
    assert sum(given.values()) == 40
    assert sorted(count for title, count in given.items() if title != "B") == [9, 9, 10, 10]
    assert not chosen.notes


def test_one_more_candidate_moves_no_other() -> None:
    before = [pair.id for pair in choose(some(A=20), Rule(10, 1, 0)).pairs]
    after = [pair.id for pair in choose(some(A=21), Rule(10, 1, 0)).pairs]
    assert [name for name in after if name != "A20"] == before[: 10 - ("A20" in after)]


def test_fewer_than_wanted_are_all_taken_and_said() -> None:
    chosen = choose(some(A=4, B=3, C=2, D=1, E=1), Rule())
    assert len(chosen.pairs) == 11
    assert chosen.notes == ("40 pairs were wanted and 11 are there: all are taken",)
    few = choose(some(A=50, B=1), Rule(40, 1, 3))
    assert len({pair.title for pair in few.pairs}) == 1
    assert len(few.notes) == (len(few.pairs) < 40)


def test_none_and_twice() -> None:
    with pytest.raises(InputError, match="no pairs"):
        choose([], Rule())
    with pytest.raises(UsageError, match="'A0'"):
        choose([*some(A=1), *some(A=1)], Rule())


def test_the_record_has_the_digest_of_every_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"a")
    record = choose([Candidate("x", path, tmp_path / "gone.png")], Rule()).as_record()
    assert record["pairs"][0]["sha256"] == {"first": hashlib.sha256(b"a").hexdigest(), "last": None}
    assert record["rule"]["seed"] == 0
    assert not {"licence", "source"} & set(record["pairs"][0])


def test_the_record_has_the_terms_that_are_known(tmp_path: Path) -> None:
    pairs = [Candidate(name, tmp_path / "a", tmp_path / "b", **terms) for name, terms in TERMS.items()]
    record = choose(pairs, Rule()).as_record()
    assert {one["id"]: {n: one[n] for n in ("licence", "source") if n in one} for one in record["pairs"]} == TERMS


TERMS = {"x": {"licence": "CC BY 4.0", "source": "a comic by A. N. Other"}, "y": {"licence": "CC0 1.0"}}
