"""Panel pairs: the terms of the score, rejections with their reason, the seeded draw."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from animegen.errors import UsageError
from animegen.media import Box
from animegen_manga import PairRules, PanelInfo, score_pairs, select_pairs
from animegen_manga.annotation import Body, Face, Page
from animegen_manga.pairs import WEIGHTS, people_in, structural_similarity, thumbnail

BOX = Box(0, 0, 200, 200)


def panel(name: str = "a", page: int = 1, title: str = "T", **known) -> PanelInfo:
    return PanelInfo(name, title, page, 1, **{"box": BOX, **known})


def pair(first: PanelInfo, last: PanelInfo, **rules):
    (found,) = score_pairs([first, last], PairRules(**rules))
    return found


def test_the_score_is_the_weighted_mean_of_what_is_known():
    rng = np.random.default_rng(0)
    picture = rng.random((128, 128), dtype=np.float32)
    both = frozenset({"x", "y"})
    face = (("x", Box(50, 50, 100, 100)),)
    first = panel("a", characters=both, faces=face, thumbnail=picture)
    last = panel("b", characters=frozenset({"x"}), faces=face, thumbnail=picture)
    found = pair(first, last)
    assert found.terms == pytest.approx({"characters": 0.5, "faces": 1.0, "picture": 1.0}, abs=1e-6)
    assert found.score == pytest.approx(0.4 * 0.5 + 0.3 + 0.3, abs=1e-6)
    unknown = pair(panel("a", thumbnail=picture), last)
    assert unknown.terms.keys() == {"picture"}
    assert unknown.score == pytest.approx(1.0, abs=1e-6)
    assert pair(panel("a"), panel("b")).score == 0.0
    assert sum(WEIGHTS.values()) == pytest.approx(1)


def test_nobody_in_either_panel_is_nobody_in_common():
    nobody = frozenset[str]()
    assert pair(panel("a", characters=nobody, faces=()), panel("b", characters=nobody, faces=())).score == 0


def test_faces_are_compared_in_a_common_frame():
    small = panel("a", box=Box(0, 0, 100, 100), faces=(("x", Box(25, 25, 50, 50)),))
    large = panel("b", box=Box(0, 0, 200, 200), faces=(("y", Box(0, 0, 9, 9)), ("x", Box(50, 50, 100, 100))))
    assert pair(small, large).terms["faces"] == 1.0
    assert pair(small, panel("b", faces=(("y", Box(50, 50, 100, 100)),))).terms["faces"] == 0.0


REJECTED = {
    "order": (panel("a", uncertain=True), panel("b"), "uncertain"),
    "area": (panel("a"), panel("b", box=Box(0, 0, 450, 450)), "4 times"),
    "side": (panel("a"), panel("b", box=Box(0, 0, 95, 200)), "96 px"),
    "shape": (panel("a"), panel("b", box=Box(0, 0, 400, 190)), "shape"),
    "text": (panel("a", text_boxes=(Box(0, 0, 200, 130),)), panel("b"), "60%"),
    "excluded": (panel("a", excluded="cover"), panel("b"), "cover"),
}


@pytest.mark.parametrize("kind", REJECTED)
def test_what_is_rejected_says_why(kind):
    first, last, reason = REJECTED[kind]
    assert reason in pair(first, last).rejected
    assert reason in pair(last, first).rejected


def test_only_neighbours_are_pairs():
    panels = [panel("a"), panel("b"), panel("c", page=2), panel("d", page=4), panel("e", page=4, title="U")]
    assert [p.id for p in score_pairs(panels)] == ["a__b"]
    assert [p.id for p in score_pairs(panels, PairRules(across_pages=True))] == ["a__b", "b__c"]
    assert score_pairs([]) == []


def many(title: str, count: int = 12):
    return score_pairs([panel(f"{title}{i}", title=title) for i in range(count)])


def test_the_draw_is_seeded_and_titles_do_not_disturb_each_other():
    alone = select_pairs(many("T"), per_title=3, seed=5)
    assert len(alone) == 3
    assert alone == select_pairs(many("T"), per_title=3, seed=5)
    assert alone != select_pairs(many("T"), per_title=3, seed=6)
    both = select_pairs(many("S") + many("T"), per_title=3, seed=5)
    assert [p.id for p in both if p.first.title == "T"] == [p.id for p in alone]
    assert [p.id for p in both] == sorted((p.id for p in both), key=[p.id for p in many("S") + many("T")].index)
    assert len(select_pairs(many("T", 3), per_title=9)) == 2
    assert select_pairs(many("T"), per_title=2, threshold=0.1) == []
    with pytest.raises(UsageError):
        select_pairs([], per_title=0)


def test_who_is_in_which_frame():
    frames = [Box(0, 0, 100, 100), Box(100, 0, 200, 100)]
    page = Page(
        0,
        200,
        100,
        bodies=(Body("1", Box(40, 0, 130, 100), "x"), Body("2", Box(0, 0, 10, 10), "")),
        faces=(Face("3", Box(110, 10, 130, 30), "y"), Face("4", Box(300, 0, 310, 9), "z")),
    )
    assert people_in(page, frames) == [
        (frozenset({"x"}), ()),
        (frozenset({"y"}), (("y", Box(10, 10, 30, 30)),)),
    ]
    assert people_in(page, []) == []


def test_lettering_is_no_likeness():
    plain = np.full((300, 300, 3), 200, np.uint8)
    lettered = plain.copy()
    lettered[100:160:6, 100:200] = 0
    assert structural_similarity(thumbnail(plain), thumbnail(lettered)) < 0.95
    hidden = thumbnail(lettered, [Box(95, 95, 205, 165)])
    assert structural_similarity(thumbnail(plain), hidden) > 0.999
    assert lettered.min() == 0  # the panel itself is not changed


@given(st.integers(0, 10))
def test_similarity_is_symmetric_and_one_for_equals(seed):
    rng = np.random.default_rng(seed)
    one, two = rng.random((2, 128, 128), dtype=np.float32)
    assert structural_similarity(one, one) == pytest.approx(1, abs=1e-5)
    assert structural_similarity(one, two) == pytest.approx(structural_similarity(two, one), abs=1e-6)
