"""Manga109: a typed, lazy reader of books, pages and annotated boxes.

Terms. Manga109 is lent for academic use (Manga109-s also to companies) after an application to its makers.
**No part of it may be passed on**: no page, crop, panel, inpainted panel or clip made from a panel, no
annotation file and no list of books. Allowed are experiments, and figures and demonstration videos in
academic work, each with `courtesy`'s line and the citations in `CITATIONS`. Keep caches in a folder of your
own. Nothing of the data set comes with this package.

Layout: ``ROOT/books.txt``, ``ROOT/annotations/TITLE.xml``, ``ROOT/images/TITLE/NNN.jpg``; one image is
usually a double-page spread. Format: Matsui et al. 2017; annotation: Aizawa et al. 2020 (see `CITATIONS`).
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animegen.errors import InputError, UsageError, did_you_mean
from animegen_manga.annotation import AnnotationWarning, Book, Page, read_book
from animegen_manga.manga109_xml import as_dict, parse_xml
from animegen_manga.names import IMAGE_SUFFIXES, natural_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from animegen.media import Image

TERMS = (
    "Manga109 is for academic use (Manga109-s: for companies too). Redistribution of any part is forbidden: "
    "pages, crops, panels, clips made from panels, annotation and book lists. Figures and demonstration "
    'videos in academic work are allowed with "courtesy of AUTHOR" and the citations.'
)
"""Shown wherever material of the data set is read."""

CITATIONS = (
    "Y. Matsui, K. Ito, Y. Aramaki, A. Fujimoto, T. Ogawa, T. Yamasaki, K. Aizawa. Sketch-based Manga "
    "Retrieval using Manga109 Dataset. Multimedia Tools and Applications 76(20), 2017.",
    "K. Aizawa, A. Fujimoto, A. Otsubo, T. Ogawa, Y. Matsui, K. Tsubota, H. Ikuta. Building a Manga "
    'Dataset "Manga109" with Annotations for Multimedia Applications. IEEE MultiMedia 27(2), 2020.',
)
"""What a publication that shows pages (the first) or uses annotation (both) cites."""


def courtesy(title: str, authors: Mapping[str, str]) -> str:
    """The line that must accompany anything shown from a title: ``courtesy of AUTHOR``.

    Args:
        title: Title as in books.txt.
        authors: Author of each title, supplied by the user (the data set's list is not shipped here).

    Raises:
        UsageError: The author of the title is not given.
    """
    author = authors.get(title, "").strip()
    if not author:
        raise UsageError(
            f"the author of {title!r} is not given, so nothing of it may be shown.",
            hint="add title and author, as the data set's own table names them, to your authors file.",
        )
    return f"courtesy of {author}"


class Manga109:
    """A folder laid out as Manga109.

    Args:
        root: Folder that holds ``books.txt``, the annotation and ``images``.
        annotations: Name of the folder with the annotation, for releases that bring several.
        strict: Refuse what would otherwise be mended with an `AnnotationWarning`: boxes outside the page,
            inverted or empty, odd numbers, ids used twice, images whose size is not the annotated one.

    Raises:
        InputError: `root` has neither ``books.txt`` nor the annotation folder.
    """

    def __init__(self, root: str | Path, *, annotations: str = "annotations", strict: bool = False) -> None:
        self.root = Path(root)
        self.annotations = annotations
        self.strict = strict
        self._books: dict[str, Book] = {}
        self._images: dict[str, dict[int, Path]] = {}
        self.titles: tuple[str, ...] = self._read_titles()

    def _read_titles(self) -> tuple[str, ...]:
        listing, folder = self.root / "books.txt", self.root / self.annotations
        if not folder.is_dir():
            raise InputError(
                f"{self.root} has no folder {self.annotations!r}, so it is not laid out as Manga109.",
                hint="give the folder that holds books.txt, annotations and images.",
            )
        if listing.is_file():
            try:
                lines = listing.read_text("utf-8-sig").splitlines()
            except UnicodeDecodeError as error:
                raise InputError(f"{listing} is not UTF-8 ({error.reason}).") from None
            titles = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
        else:
            titles = sorted((path.stem for path in folder.glob("*.xml")), key=natural_key)
        for title in titles:
            if title in {".", ".."} or "/" in title or "\\" in title:
                raise InputError(f"{listing} names {title!r}, which is no title but a path.")
        return tuple(titles)

    def __iter__(self) -> Iterator[Book]:
        """The books, each read when its turn comes."""
        return (self.book(title) for title in self.titles)

    def __len__(self) -> int:
        return len(self.titles)

    def book(self, title: str) -> Book:
        """The annotation of a title, read on first use.

        Raises:
            UsageError: No such title.
            InputError: Its annotation cannot be read (or, with `strict`, has faults).
        """
        if title not in self._books:
            self._books[title] = read_book(self._xml(title), strict=self.strict)
        return self._books[title]

    def as_dict(self, title: str, *, separate_by_tag: bool = True) -> dict[str, Any]:
        """The annotation of a title as manga109api gives it; see `animegen_manga.manga109_xml.as_dict`."""
        return as_dict(parse_xml(self._xml(title)), separate_by_tag=separate_by_tag)

    def image_path(self, title: str, index: int) -> Path:
        """The image of a page; any zero padding and any common image format.

        Raises:
            UsageError: No such title.
            InputError: There is no image of this page; the message names the file that was expected.
        """
        self._known(title)
        index = int(index)
        if title not in self._images:
            self._images[title] = _numbered(self.root / "images" / title)
        path = self._images[title].get(index)
        if path is None:
            expected = self.root / "images" / title / f"{index:03d}.jpg"
            raise InputError(f"page {index} of {title} has no image: {expected} is not there.")
        return path

    def read_image(self, title: str, page: Page) -> Image:
        """The picture of a page: (H, W, 3) uint8 RGB.

        Raises:
            InputError: It is absent or unreadable, or (with `strict`) of another size than annotated.
        """
        return read_page_image(self.image_path(title, page.index), page, strict=self.strict)

    def _xml(self, title: str) -> Path:
        self._known(title)
        return self.root / self.annotations / f"{title}.xml"

    def _known(self, title: str) -> None:
        if title not in self.titles:
            raise UsageError(
                f"{self.root} has no title {title!r}.",
                hint=did_you_mean(title, self.titles) or f"it has {len(self.titles)} titles; see books.txt.",
            )


def read_page_image(path: Path, page: Page, *, strict: bool = False, max_pixels: int = 100_000_000) -> Image:
    """The picture of a page whose file is known; otherwise as `Manga109.read_image`."""
    from animegen.imageio import read_image

    image = read_image(path, max_pixels=max_pixels)
    height, width = image.shape[:2]
    if (width, height) != (page.width, page.height):
        message = f"{path} is {width}x{height}, but its annotation is for {page.width}x{page.height}."
        if strict:
            raise InputError(message)
        warnings.warn(message, AnnotationWarning, stacklevel=3)
    return image


def is_manga109(path: Path) -> bool:
    """Whether a folder is laid out as Manga109."""
    return (path / "annotations").is_dir() and (path / "images").is_dir()


def _numbered(folder: Path) -> dict[int, Path]:
    found: dict[int, Path] = {}
    if not folder.is_dir():
        return found
    for path in sorted(folder.iterdir(), key=lambda path: natural_key(path.name)):
        if path.suffix.lower() in IMAGE_SUFFIXES and path.stem.isascii() and path.stem.isdigit():
            found.setdefault(int(path.stem), path)
    return found
