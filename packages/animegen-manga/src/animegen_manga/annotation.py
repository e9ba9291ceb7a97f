"""What a Manga109 annotation file says, as typed records; boxes are in pixels of the page, end-exclusive."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from animegen.errors import InputError
from animegen.media import Box
from animegen_manga.manga109_xml import parse_xml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from xml.etree.ElementTree import Element

Direction = Literal["rtl", "ltr"]


class AnnotationWarning(UserWarning):
    """Something in the annotation was mended; `strict` would have refused it."""


@dataclass(frozen=True)
class Character:
    """A person of the story. `id` is 8 hexadecimal digits, kept as text."""

    id: str
    name: str


@dataclass(frozen=True)
class Frame:
    """A panel."""

    id: str
    box: Box


@dataclass(frozen=True)
class Text:
    """Lettering: the tight box around it and its words, line breaks kept (empty where not transcribed)."""

    id: str
    box: Box
    content: str = ""


@dataclass(frozen=True)
class Face:
    """A face. `character` is the id of whose it is, or empty."""

    id: str
    box: Box
    character: str = ""


@dataclass(frozen=True)
class Body:
    """A figure, head included. `character` is the id of whose it is, or empty."""

    id: str
    box: Box
    character: str = ""


@dataclass(frozen=True)
class Other:
    """An element of a kind this reader does not know (other releases add some), with everything it said.

    Attributes:
        tag: Its name in the file.
        attributes: All its attributes, as text.
        content: Its text.
        box: Its box, where it has one.
    """

    tag: str
    attributes: Mapping[str, str]
    content: str = ""
    box: Box | None = None


@dataclass(frozen=True)
class Page:
    """One image of a book, usually a double-page spread. The order of elements says nothing.

    Attributes:
        index: Number of the image file.
        width, height: Pixels the boxes refer to.
        frames, texts, faces, bodies: Its annotated boxes.
        others: Elements of unknown kinds.
    """

    index: int
    width: int
    height: int
    frames: tuple[Frame, ...] = ()
    texts: tuple[Text, ...] = ()
    faces: tuple[Face, ...] = ()
    bodies: tuple[Body, ...] = ()
    others: tuple[Other, ...] = ()


@dataclass(frozen=True)
class Book:
    """A volume.

    Attributes:
        title: Title as in books.txt.
        characters: Its characters by id.
        pages: In the order of the file.
        direction: Reading direction where the file says it (``book/@readingdirection``), else right to left.
        attributes: Attributes of the book element, as text.
    """

    title: str
    characters: Mapping[str, Character]
    pages: tuple[Page, ...]
    direction: Direction = "rtl"
    attributes: Mapping[str, str] = field(default_factory=dict)

    def page(self, index: int) -> Page:
        """The page of an image number. Raises InputError when it is not annotated."""
        for page in self.pages:
            if page.index == index:
                return page
        raise InputError(f"{self.title} has no annotated page {index}.")


def read_book(path: Path, *, strict: bool = False) -> Book:
    """Read one annotation file.

    Args:
        path: ``TITLE.xml``.
        strict: Refuse faults instead of mending them with an `AnnotationWarning`.

    Raises:
        InputError: It cannot be read, is not Manga109's format, or (with `strict`) has a fault.
    """
    return _Reader(path, strict).book()


class _Reader:
    def __init__(self, path: Path, strict: bool) -> None:
        self.path = path
        self.strict = strict
        self.ids: set[str] = set()

    def fault(self, message: str) -> None:
        if self.strict:
            raise InputError(f"{self.path}: {message}")
        warnings.warn(f"{self.path}: {message}", AnnotationWarning, stacklevel=6)

    def book(self) -> Book:
        root = parse_xml(self.path)
        if root.tag != "book":
            raise InputError(f"{self.path} is not a Manga109 annotation: it starts with <{root.tag}>, not <book>.")
        characters = {
            element.get("id", ""): Character(element.get("id", ""), element.get("name", ""))
            for element in root.iterfind("./characters/character")
        }
        pages = [self.page(element) for element in root.iterfind("./pages/page")]
        seen: set[int] = set()
        for page in pages:
            if page.index in seen:
                self.fault(f"page {page.index} is there twice.")
            seen.add(page.index)
        said = root.get("readingdirection", "rtl").strip().lower()
        if said not in ("rtl", "ltr"):
            self.fault(f"readingdirection is {said!r}, neither rtl nor ltr; right to left is taken.")
        direction: Direction = "ltr" if said == "ltr" else "rtl"
        return Book(root.get("title") or self.path.stem, characters, tuple(pages), direction, dict(root.attrib))

    def page(self, element: Element) -> Page:
        numbers = []
        for name in ("index", "width", "height"):
            text = element.get(name)
            try:
                numbers.append(int(text or ""))
            except ValueError:
                raise InputError(f"{self.path}: a page has {name}={text!r}, not a whole number.") from None
        index, width, height = numbers
        if index < 0 or width <= 0 or height <= 0:
            raise InputError(f"{self.path}: page {index} is {width}x{height}.")
        frames, texts, faces, bodies, others = [], [], [], [], []
        for item in element:
            box = self.box(item, index, width, height)
            identity = item.get("id", "")
            if item.tag not in {"frame", "text", "face", "body"}:
                others.append(Other(item.tag, dict(item.attrib), item.text or "", box))
                continue
            if identity and identity in self.ids:
                self.fault(f"page {index}: the id {identity} is used twice.")
            self.ids.add(identity)
            if box is None:
                continue
            if item.tag == "frame":
                frames.append(Frame(identity, box))
            elif item.tag == "text":
                texts.append(Text(identity, box, item.text or ""))
            elif item.tag == "face":
                faces.append(Face(identity, box, item.get("character", "")))
            else:
                bodies.append(Body(identity, box, item.get("character", "")))
        return Page(index, width, height, tuple(frames), tuple(texts), tuple(faces), tuple(bodies), tuple(others))

    def box(self, item: Element, index: int, width: int, height: int) -> Box | None:
        """The box of an element, inside the page; None (after a warning) where there is no usable one."""
        where = f"page {index}: {item.tag} {item.get('id', '')}".rstrip()
        known = item.tag in {"frame", "text", "face", "body"}
        texts = [item.get(name) for name in ("xmin", "ymin", "xmax", "ymax")]
        if not known and None in texts:
            return None
        values = []
        for text in texts:
            try:
                number = float(text or "")
                values.append(round(number))
            except (ValueError, OverflowError):
                self.fault(f"{where} has no usable box ({', '.join(map(str, texts))}); it was left out.")
                return None
            if number != values[-1]:
                self.fault(f"{where} has the coordinate {text}, not a whole number; it was rounded.")
        box = Box(*values)
        if box.width <= 0 or box.height <= 0:
            self.fault(f"{where} has an empty or inverted box {tuple(box)}; it was left out.")
            return None
        inside = box.clip(width, height)
        if not inside.area:
            self.fault(f"{where} lies outside the page {tuple(box)}; it was left out.")
            return None
        if inside != box:
            self.fault(f"{where} reaches outside the page {tuple(box)}; it was cut to {tuple(inside)}.")
        return inside
