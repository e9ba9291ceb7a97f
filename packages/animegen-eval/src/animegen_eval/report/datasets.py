"""A dataset's own subsets, and scores that others have published on it: apart from ours, and in no ranking."""

from __future__ import annotations

from collections.abc import Sequence

from animegen_eval.held_out import REGION
from animegen_eval.report.cells import CellText, Column, Table, names, plain_number, word
from animegen_eval.report.material import Material
from animegen_eval.report.numbers import number
from animegen_eval.summary import Figure


def subset_tables(material: Material) -> list[Table]:
    """Means of each system within each subset, whole and in the region of motion; none where there are no subsets."""
    subsets = list(material.facts.get("subsets", ()))
    if not subsets:
        return []
    found = []
    for variant in ("", REGION):
        ours = [one for one in material.figures if not one.control and one.stratum in ("", *subsets)]
        shown = [one for one in ours if (one.variant == REGION if variant else one.headline)]
        caption = "Means within each subset" + (", in the region of motion alone" if variant else "")
        if shown:
            found.append(_table(f"subsets{'-region' * bool(variant)}", caption, ["", *subsets], shown, material))
    return found


def _table(name: str, caption: str, subsets: Sequence[str], figures: Sequence[Figure], material: Material) -> Table:
    cells = {(one.stratum, one.config, one.quantity): one for one in figures}
    quantities = {one.quantity: one.unit for one in figures}
    rows = []
    for subset in subsets:
        for config in dict.fromkeys(one.config for one in figures):
            here = [cells.get((subset, config, quantity)) for quantity in quantities]
            if any(here):
                count = plain_number(max(one.n for one in here if one))
                values = (CellText(number(one.mean if one else None), one.mean if one else None) for one in here)
                rows.append((word(subset or "all"), *names(config, False, material)[:1], count, *values))
    head = (Column("subset", numeric=False), Column("system", numeric=False), Column("N"))
    return Table(name, caption, (*head, *(Column(one, unit) for one, unit in quantities.items())), tuple(rows))


def published_table(material: Material) -> Table | None:
    """What others have published, as printed, with the source."""
    published = material.facts.get("published")
    if not published:
        return None
    heads = ("system", "subset", "quantity", "as printed", "beside ours", "source")
    rows = tuple(
        (
            word(one["system"]),
            word(one["subset"] or "all"),
            word(one["quantity"]),
            CellText(one["printed"], one["value"]),
            word("same protocol" if one["comparable"] else f"not comparable: {one['differs'] or 'other triplets'}"),
            word(one["source"]),
        )
        for one in published["scores"]
    )
    columns = tuple(Column(head, numeric=False) for head in heads)
    return Table("published", f"Published on {published['dataset']}, not measured here", columns, rows)


def published_notes(material: Material) -> list[str]:
    """What differs from the published protocol here, and what is odd about it."""
    published = material.facts.get("published") or {"differs": (), "quirks": ()}
    told = (("Differs", "differs"), ("Protocol", "quirks"))
    return [f"{name}: {text}." for name, key in told for text in published[key]]
