"""Pages of PDF documents, drawn by pdfium (the optional library pypdfium2)."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from animegen.errors import InputError, MissingError

if TYPE_CHECKING:
    from pathlib import Path

    from animegen.media import Image

DPI = 200
"""Resolution at which pages are drawn: a B5 page becomes 1433 × 1970 pixels."""

HINT = "pip install 'animegen-manga[pdf]'"


@dataclass(frozen=True)
class PdfPage:
    """One page of a document; called, it draws it. `number` counts from 0."""

    path: Path
    number: int
    max_pixels: int
    dpi: float = DPI

    def __call__(self) -> Image:
        import numpy as np

        library = _pdfium()
        with _open(library, self.path) as document:
            page = document[self.number]
            scale = self.dpi / 72
            width, height = page.get_size()
            # A page may declare any size: draw it smaller rather than refuse a poster at 200 dpi.
            scale *= min(1.0, (self.max_pixels / max(1.0, width * height * scale * scale)) ** 0.5)
            try:
                bitmap = page.render(scale=scale, rev_byteorder=True, draw_annots=False)
            except library.PdfiumError as error:
                raise InputError(f"page {self.number + 1} of {self.path} cannot be drawn: {error}.") from None
            pixels = np.array(bitmap.to_numpy())
        if pixels.ndim == 2:
            pixels = pixels[..., None]
        if pixels.shape[2] == 1:
            return np.repeat(pixels, 3, axis=2)
        return np.ascontiguousarray(pixels[..., :3])


def pdf_pages(path: Path, *, max_pixels: int) -> list[PdfPage]:
    """The pages of a document; none is drawn yet.

    Raises:
        MissingError: pypdfium2 is not installed.
        InputError: The document is damaged, encrypted or empty.
    """
    library = _pdfium()
    with _open(library, path) as document:
        count = len(document)
    if not count:
        raise InputError(f"{path} has no pages.")
    return [PdfPage(path, number, max_pixels) for number in range(count)]


def _pdfium() -> Any:
    try:
        return import_module("pypdfium2")
    except ImportError:
        raise MissingError("PDF documents need pypdfium2, which is not here.", hint=HINT) from None


def _open(library: Any, path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"there is no file {path}.")
    try:
        return library.PdfDocument(path)
    except library.PdfiumError as error:
        encrypted = "password" in str(error).lower()
        why = "is encrypted" if encrypted else f"is not a readable PDF document ({error})"
        raise InputError(f"{path} {why}.", hint="save it again without a password." if encrypted else ()) from None
