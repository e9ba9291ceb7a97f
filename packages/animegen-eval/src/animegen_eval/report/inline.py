"""matplotlib figures as SVG: one that stands in the page and takes its colours, one that stands alone."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#7a5195", "#b07d00", "#56b4e9", "#666666")
"""Colours of series: Okabe & Ito (2008), which colour-blind people tell apart; yellow and black are replaced."""
INK, GRID, PAPER = "#010203", "#c0c1c2", "#fdfeff"
"""Stand for text and axes, grid, and background; the page has its own for each theme."""

_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: it can be found, read out and scaled
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "axes.unicode_minus": True,
    "text.parse_math": False,  # a dollar in a name is a dollar
}


@dataclass(frozen=True)
class Drawn:
    """A figure.

    Attributes:
        name: Of its files.
        title: What it shows, in a few words.
        inline: SVG element for the page.
        alone: SVG file.
    """

    name: str
    title: str
    inline: str
    alone: str


@contextmanager
def style() -> Iterator[None]:
    """matplotlib's settings of all figures of a report."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        yield


def drawn(figure: Figure, name: str, title: str, description: str) -> Drawn:
    """A figure with a title and a description for those who do not see it.

    Args:
        figure: Drawn within `style`.
        name: Unique in the report; lower case, digits and hyphens.
        title: What it shows.
        description: What it says, with its numbers.
    """
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    body = text[text.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    mark = f"f{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    body = re.sub(r'\bid="([^"]+)"', rf'id="{mark}-\1"', body)
    body = re.sub(r'href="#([^"]+)"', rf'href="#{mark}-\1"', body).replace("url(#", f"url(#{mark}-")
    body = body.replace("*{stroke-linejoin: round; stroke-linecap: butt}", f"#{mark} *{{stroke-linejoin: round}}")
    head, rest = body.split(">", 1)
    words = f'<title id="{mark}-t">{escape(title)}</title><desc id="{mark}-d">{escape(description)}</desc>'
    head = f'{head} id="{mark}" role="img" aria-labelledby="{mark}-t {mark}-d"'
    whole = f"{head}>{words}{rest}".strip()
    alone = whole.replace(INK, "#000000").replace(PAPER, "#ffffff")
    page = whole.replace(INK, "currentColor").replace(GRID, "var(--grid)").replace(PAPER, "var(--paper)")
    for number, colour in enumerate(SERIES, start=1):
        page = page.replace(colour, f"var(--series-{number})")
    page = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1; font-family: inherit", page)
    return Drawn(name, title, page, f'<?xml version="1.0" encoding="utf-8"?>\n{alone}\n')
