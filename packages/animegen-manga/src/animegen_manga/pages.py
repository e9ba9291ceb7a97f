"""Pages from wherever they lie: images, folders, comic archives, PDF documents, a Manga109 folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from animegen.errors import InputError
from animegen_manga.archives import archive_pages
from animegen_manga.manga109 import Manga109, is_manga109, read_page_image
from animegen_manga.names import ARCHIVE_SUFFIXES, IMAGE_SUFFIXES, is_page_name, natural_key
from animegen_manga.pdf import pdf_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from animegen.media import Image
    from animegen_manga.annotation import Book, Direction, Page

MAX_PIXELS = 100_000_000
"""Pages with more pixels are refused."""


@dataclass(frozen=True)
class PageSource:
    """One page that can be read when its turn comes.

    Attributes:
        name: Name for people and files, unique within its source: ``TITLE/012``, ``chapter 2/page 03.png``.
        load: Gives the picture, (H, W, 3) uint8 RGB; called by `read`.
        title: What it belongs to: the book, archive or folder.
        index: Its place there, from 0 (Manga109: the number of the image).
        count: Pages in the title; 0 where unknown.
        page: Its annotation, where there is one.
        book: The book of the annotation.
        direction: Reading direction where the source knows it.
        stamp: Changes when the file behind it does; empty where that cannot be told.
    """

    name: str
    load: Callable[[], Image] = field(repr=False)
    title: str = ""
    index: int = 0
    count: int = 0
    page: Page | None = field(default=None, repr=False)
    book: Book | None = field(default=None, repr=False)
    direction: Direction | None = None
    stamp: str = ""

    def read(self) -> Image:
        """The picture. Raises InputError, naming the file, when it cannot be read."""
        return self.load()


@dataclass(frozen=True)
class _File:
    path: Path
    max_pixels: int

    def __call__(self) -> Image:
        from animegen.imageio import read_image

        return read_image(self.path, max_pixels=self.max_pixels)


@dataclass(frozen=True)
class _AnnotatedFile:
    path: Path
    page: Page
    strict: bool
    max_pixels: int

    def __call__(self) -> Image:
        return read_page_image(self.path, self.page, strict=self.strict, max_pixels=self.max_pixels)


def open_pages(
    sources: Iterable[str | Path] | str | Path,
    *,
    titles: Iterable[str] = (),
    annotations: str = "annotations",
    strict: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[PageSource]:
    """Go through the pages of `sources`, one source after the other, nothing read ahead.

    Args:
        sources: Images, folders of images (with sub-folders; natural order; hidden files and ``__MACOSX`` are
            passed over), CBZ or ZIP archives, PDF documents, or folders laid out as Manga109.
        titles: Of a Manga109 folder, only these.
        annotations: Of a Manga109 folder, the folder with the annotation.
        strict: Refuse faults of an annotation instead of mending them.
        max_pixels: Refuse larger pages.

    Raises:
        InputError: A source is absent, unreadable or holds no page.
        MissingError: A PDF document was given and pypdfium2 is not installed.
    """
    if isinstance(sources, (str, Path)):
        sources = (sources,)
    wanted = tuple(titles)
    for source in sources:
        path = Path(source)
        if path.is_dir() and is_manga109(path):
            yield from _manga109(Manga109(path, annotations=annotations, strict=strict), wanted, max_pixels)
        elif path.is_dir():
            yield from _folder(path, max_pixels)
        elif not path.exists():
            raise InputError(f"there is no file or folder {path}.")
        else:
            yield from _file(path, max_pixels)


def _file(path: Path, max_pixels: int) -> Iterator[PageSource]:
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        yield PageSource(path.stem, _File(path, max_pixels), title=path.stem, count=1, stamp=_stamp(path))
    elif suffix in ARCHIVE_SUFFIXES:
        members = archive_pages(path, max_pixels=max_pixels)
        for index, (page, stem) in enumerate(zip(members, _stems([page.member for page in members]), strict=True)):
            yield PageSource(f"{path.stem}/{stem}", page, path.stem, index, len(members), stamp=_stamp(path))
    elif suffix == ".pdf":
        drawn = pdf_pages(path, max_pixels=max_pixels)
        for index, sheet in enumerate(drawn):
            name = f"{path.stem}/{index + 1:03d}"
            yield PageSource(name, sheet, path.stem, index, len(drawn), stamp=_stamp(path))
    else:
        raise InputError(
            f"{path} is neither an image nor an archive this program knows (by its ending {suffix!r}).",
            hint="images, folders, CBZ, ZIP, PDF and Manga109 folders are read.",
        )


def _folder(path: Path, max_pixels: int) -> Iterator[PageSource]:
    names = [  # symbolic links to folders are not followed, so there is no endless folder
        found.relative_to(path).as_posix()
        for found in path.rglob("*")
        if is_page_name(found.relative_to(path).as_posix()) and found.is_file()
    ]
    if not names:
        raise InputError(f"{path} holds no page.", hint="PNG, JPEG, WebP, BMP and TIFF are read.")
    title = path.resolve().name
    names.sort(key=natural_key)
    for index, (name, stem) in enumerate(zip(names, _stems(names), strict=True)):
        load = _File(path / name, max_pixels)
        yield PageSource(f"{title}/{stem}", load, title, index, len(names), stamp=_stamp(path / name))


def _manga109(data: Manga109, titles: tuple[str, ...], max_pixels: int) -> Iterator[PageSource]:
    for title in titles or data.titles:
        book = data.book(title)
        for page in book.pages:
            file = data.image_path(title, page.index)
            load = _AnnotatedFile(file, page, data.strict, max_pixels)
            yield PageSource(
                f"{title}/{page.index:03d}",
                load,
                title,
                page.index,
                len(book.pages),
                page,
                book,
                book.direction,
                _stamp(file, data.root / data.annotations / f"{title}.xml"),
            )


def _stamp(*paths: Path) -> str:
    return " ".join(f"{stat.st_size}-{stat.st_mtime_ns}" for stat in (path.stat() for path in paths))


def _stems(names: list[str]) -> list[str]:
    """Names without their ending, unless two would become one."""
    stems = [name.rpartition(".")[0] for name in names]
    return [name if stems.count(stem) > 1 else stem for name, stem in zip(names, stems, strict=True)]
