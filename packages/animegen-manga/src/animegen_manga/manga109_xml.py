"""Annotation files of Manga109, read safely: no DOCTYPE, no entities, no references; errors with a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from animegen.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path
    from xml.etree.ElementTree import Element

MAX_XML_BYTES = 64 * 2**20
"""Largest annotation file that is opened; those of the data set are below 2 MiB."""

_NUMBERS = {"index", "width", "height", "xmin", "ymin", "xmax", "ymax"}


def parse_xml(path: Path) -> Element:
    """The root element of an XML file that may come from anywhere.

    Raises:
        InputError: The file is absent, too large, malformed (with line and column), or declares a document
            type, an entity or an external reference: annotation never needs one, attacks do.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException  # type: ignore[import-untyped]
    from defusedxml.ElementTree import parse  # type: ignore[import-untyped]

    try:
        if path.stat().st_size > MAX_XML_BYTES:
            raise InputError(f"{path} is larger than {MAX_XML_BYTES >> 20} MiB; annotation files are not.")
        root: Element = parse(path, forbid_dtd=True, forbid_entities=True, forbid_external=True).getroot()
    except FileNotFoundError:
        raise InputError(f"there is no annotation file {path}.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    except DefusedXmlException as error:
        raise InputError(
            f"{path} declares a document type or an entity ({type(error).__name__}); it was not read.",
            hint="annotation needs neither: remove the DOCTYPE if you trust the file.",
        ) from None
    except ParseError as error:
        line, column = error.position
        reason = str(error).partition(":")[0]
        raise InputError(f"{path} is not well-formed XML: {reason} at line {line}, column {column + 1}.") from None
    except (ValueError, LookupError) as error:  # an encoding that does not exist or does not fit
        raise InputError(f"{path} is not readable XML: {error}.") from None
    return root


def as_dict(root: Element, *, separate_by_tag: bool = True) -> dict[str, Any]:
    """A book in the dictionary form of manga109api 0.3.1, for code written for it.

    ``{"title": ..., "character": [...], "page": [...]}``; attributes are prefixed by ``@``, text is under
    ``#text`` and the tag under ``type``. With `separate_by_tag` a page has one list for each tag (``frame``,
    ``face``, ``body`` and ``text`` always, others when they occur), otherwise one list ``contents`` in file
    order. Two things are kept straighter than there: only coordinates, sizes and page indices become
    numbers (an ID or a character's name never does), and ``#text`` is there, empty, on a text without words.
    """
    pages = []
    for page in root.iterfind("./pages/page"):
        entry = _plain(page)
        items = [_plain(element) for element in page]
        if separate_by_tag:
            for tag in ("body", "face", "frame", "text"):
                entry[tag] = []
            for item in items:
                # A tag named like an attribute keeps its own key: attributes are prefixed, "type" is taken.
                entry.setdefault("type_" if item["type"] == "type" else item["type"], []).append(item)
        else:
            entry["contents"] = items
        pages.append(entry)
    characters = [_plain(element) for element in root.iterfind("./characters/character")]
    return {"title": root.get("title", ""), "character": characters, "page": pages}


def _plain(element: Element) -> dict[str, Any]:
    entry: dict[str, Any] = {f"@{key}": _number(key, value) for key, value in element.attrib.items()}
    entry["type"] = element.tag
    if element.tag == "text" or (element.text and element.text.strip()):
        entry["#text"] = element.text or ""
    return entry


def _number(key: str, value: str) -> int | str:
    if key not in _NUMBERS:
        return value
    try:
        return int(value)
    except ValueError:
        return value
