"""``animegen ablate``: designs and pairs that cannot be, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]
Options = tuple[str, ...]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--on", "inpaintr=black"), 2, "did you mean 'inpainter'?"),
        (("--on", "inpainter=blak"), 2, "did you mean 'black'?"),
        (("--on", "inpainter"), 2, "is not KIND=STAGE"),
        (("--on", "interpolator=counted"), 2, "--vary interpolator=crossfade,counted"),
        (("--on", "upsampler=counted"), 2, "always makes 4 frames"),
        (("--vary", "preprocessor=lab"), 2, "has one level alone, lab"),
        (("--vary", "preprocessor=lab,lab"), 2, "has the level lab twice"),
        (("--vary", "preprocesor=none,lab"), 2, "did you mean 'preprocessor'?"),
        (("--vary", "lab.clahe_clip=1,many", "--preprocessor", "lab"), 2, "not a number"),
        (("--vary", "lab.clip=1,2", "--preprocessor", "lab"), 2, "unknown option lab.clip"),
        (("--vary", "lab.clahe_clip=1,2"), 2, "changes nothing"),
        (("--on", "preprocessor=lab", "--preprocessor", "lab"), 2, "is varied, and set to"),
        (("--on", "preprocessor=lab", "--vary", "preprocessor=none,descreen"), 2, "is varied twice"),
        (("--on", "preprocessor=lab", "--only", "2"), 2, "there is no configuration 2"),
        (("--on", "preprocessor=lab", "--force"), 2, "--force has no meaning here"),
        (("--on", "preprocessor=lab", "--study", "../up"), 2, "is no name of a folder"),
        (("--on", "preprocessor=lab", "--metric", "lpipps"), 2, "no metric is named"),
    ],
)
def test_bad_designs(
    animegen: Call, table: Path, counts: Call, options: tuple[str, ...], code: int, words: str, stages: Options
) -> None:
    result = animegen("ablate", table, *stages[:4], "--frames", "4", *options)
    assert result.code == code, result.err
    assert words in result.err
    assert not counts()["sample"]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("", 4, "no line with a pair"),
        ("id\tfirst\tlast\n", 4, "no line with a pair"),
        ("one\ta.png\tb.png\t\tmore\n", 2, "line 1 has 5 columns"),
        ("one\ta.png\tb.png\none\tb.png\ta.png\n", 2, "two pairs are called 'one'"),
        ("one\ta.png\tb.png\ntwo\tc.png\td.png\n", 6, "2 of 2 pairs failed"),
    ],
)
def test_bad_pairs(animegen: Call, place: Path, counts: Call, text: str, code: int, words: str, eight: Options) -> None:
    (place / "pairs.tsv").write_text(text)
    result = animegen("ablate", "pairs.tsv", *eight)
    assert result.code == code, result.err
    assert words in result.err
