"""Panel detection and reading order against annotated pages: a table for each page and title.

    python benchmarks/pages.py [--data DIR] [--overlay OUTDIR] [--iou 0.8]

``DIR/pages`` is laid out as Manga109. A panel counts as
found when its box and an annotated one overlap by the given intersection over union, each used once. The
reading order is that of the annotated boxes, shuffled; right means as the annotation lists them, which says
something only where the annotation lists them in reading order (Manga109 itself does not).
"""

from __future__ import annotations

import argparse
import os
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

from animegen.imageio import write_image
from animegen_manga import Manga109, detect_panels, page_overlay, reading_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from animegen.media import Box
    from animegen_manga import Book, Page

DEFAULT = Path(os.environ.get("ANIMEGEN_DATA", Path(__file__).parents[2] / "shared" / "data"))


def matches(found: Sequence[Box], wanted: Sequence[Box], iou: float) -> int:
    """How many of `wanted` are found, best overlap first."""
    pairs = sorted(((w.iou(f), i, j) for i, w in enumerate(wanted) for j, f in enumerate(found)), reverse=True)
    one: set[int] = set()
    other: set[int] = set()
    for overlap, i, j in pairs:
        if overlap >= iou and i not in one and j not in other:
            one.add(i)
            other.add(j)
    return len(one)


def order_is_right(page: Page, book: Book) -> bool:
    boxes = [frame.box for frame in page.frames]
    places = random.Random(page.index).sample(range(len(boxes)), len(boxes))
    shuffled = [boxes[i] for i in places]
    found = reading_order(shuffled, page.width, page.height, direction=book.direction)
    return [places[i] for i in found.indices] == list(range(len(boxes)))


def f1(right: int, found: int, wanted: int) -> float:
    return 2 * right / (found + wanted) if found + wanted else 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT)
    parser.add_argument("--overlay", type=Path, help="write pictures of the pages with what was found here")
    parser.add_argument("--iou", type=float, default=0.8)
    args = parser.parse_args()
    data = Manga109(args.data / "pages")
    print(f"{'page':24} {'annotated':>9} {'found':>5} {'right':>5} {'F1':>5} {'order':>6} {'CPU s':>6}")
    total, orders, pages = [0, 0, 0], 0, 0
    for book in data:
        title, right_orders = [0, 0, 0], 0
        for page in book.pages:
            image = data.read_image(book.title, page)
            start = time.process_time()
            regions = detect_panels(image, direction=book.direction)
            seconds = time.process_time() - start
            found, wanted = [region.box for region in regions], [frame.box for frame in page.frames]
            counts = [matches(found, wanted, args.iou), len(found), len(wanted)]
            title = [a + b for a, b in zip(title, counts, strict=True)]
            right = order_is_right(page, book)
            right_orders += right
            print(
                f"{book.title + ' ' + str(page.index):24} {counts[2]:9} {counts[1]:5} {counts[0]:5}"
                f" {f1(*counts):5.2f} {'right' if right else 'WRONG':>6} {seconds:6.2f}"
            )
            if args.overlay:
                picture = page_overlay(image, regions, text_boxes=[text.box for text in page.texts])
                write_image(args.overlay / book.title / f"{page.index:03d}.png", picture)
        order = f"{right_orders}/{len(book.pages)}"
        print(f"{'= ' + book.title:24} {title[2]:9} {title[1]:5} {title[0]:5} {f1(*title):5.3f} {order:>6}\n")
        total = [a + b for a, b in zip(total, title, strict=True)]
        orders, pages = orders + right_orders, pages + len(book.pages)
    print(f"{'= all':24} {total[2]:9} {total[1]:5} {total[0]:5} {f1(*total):5.3f} {orders}/{pages:}")


if __name__ == "__main__":
    main()
