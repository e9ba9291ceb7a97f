"""Comic archives: the pages of CBZ and ZIP files, read in place and never unpacked to disk.

An archive may come from anywhere, so its directory is judged before a page is read: names that would leave a
folder, encryption, and sizes that no comic has are refused. (The standard library reads no more of a member
than the directory declares and checks its checksum, so the declared sizes bound what is read.)
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from animegen.errors import InputError
from animegen_manga.names import is_page_name, natural_key

if TYPE_CHECKING:
    from animegen.media import Image

MAX_MEMBERS = 20_000
MAX_TOTAL_BYTES = 8 * 2**30
MAX_PAGE_BYTES = 512 * 2**20
MAX_RATIO = 200
"""Largest unpacked : packed of a member above `RATIO_FROM_BYTES`; images hardly pack, bombs do by 1000."""
RATIO_FROM_BYTES = 2**20

_MAGIC = (
    (b"Rar!\x1a\x07", "a RAR archive (CBR)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive (CB7)"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "a gzip file"),
)


@dataclass(frozen=True)
class ArchivePage:
    """One page of an archive; called, it decodes it. Cheap to keep and to send to another process."""

    path: Path
    member: str
    max_pixels: int

    def __call__(self) -> Image:
        from animegen.imageio import decode_image

        name = f"{self.path}!{self.member}"
        try:
            with zipfile.ZipFile(self.path) as archive:
                data = archive.read(self.member)
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
            raise InputError(f"{name} is damaged: {error}.", hint="make or fetch the archive again.") from None
        except NotImplementedError as error:
            raise InputError(
                f"{name} is packed in a way Python cannot unpack ({error}).",
                hint="pack it again as plain ZIP.",
            ) from None
        except (RuntimeError, OSError) as error:
            raise InputError(f"{name} cannot be read: {error}.") from None
        return decode_image(data, name=name, max_pixels=self.max_pixels)


def archive_pages(path: Path, *, max_pixels: int) -> list[ArchivePage]:
    """The pages of a CBZ or ZIP file in natural order; no page is read yet.

    Raises:
        InputError: It is no ZIP file, is damaged or encrypted, holds no page, names files outside its folder,
            or would unpack to more than a comic can be.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except FileNotFoundError:
        raise InputError(f"there is no file {path}.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise _not_a_zip(path, error) from None
    _check(path, members)
    pages = [member.filename for member in members if not member.is_dir() and is_page_name(member.filename)]
    if not pages:
        raise InputError(
            f"{path} holds no page: none of its {len(members)} entries is an image.",
            hint="PNG, JPEG, WebP, BMP and TIFF are read.",
        )
    return [ArchivePage(path, name, max_pixels) for name in sorted(pages, key=natural_key)]


def _check(path: Path, members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_MEMBERS:
        raise InputError(f"{path} has {len(members)} entries; more than {MAX_MEMBERS} is no comic.")
    total = 0
    for member in members:
        name = member.orig_filename.replace("\\", "/")
        parts = PurePosixPath(name).parts
        if ".." in parts or name.startswith("/") or PureWindowsPath(name).drive or "\0" in name:
            raise InputError(
                f"{path} names {member.orig_filename!r}, which lies outside the archive; it was not read.",
                hint="an archive made by a comic tool does not; pack the pages again if you trust them.",
            )
        if member.is_dir() or not is_page_name(member.filename):
            continue
        if member.flag_bits & 1:
            raise InputError(f"{path} is encrypted.", hint="unpack it with its password and give the folder.")
        total += member.file_size
        ratio = member.file_size / max(1, member.compress_size)
        if member.file_size > MAX_PAGE_BYTES or (member.file_size > RATIO_FROM_BYTES and ratio > MAX_RATIO):
            raise InputError(
                f"{path}: {member.filename} would unpack to {member.file_size >> 20} MiB ({ratio:.0f} times "
                "its packed size); that is no page, and nothing was read.",
            )
    if total > MAX_TOTAL_BYTES:
        raise InputError(
            f"{path} would unpack to {total >> 30} GiB; the limit is {MAX_TOTAL_BYTES >> 30} GiB.",
            hint="split it.",
        )


def _not_a_zip(path: Path, error: Exception) -> InputError:
    with path.open("rb") as file:
        head = file.read(8)
    for magic, what in _MAGIC:
        if head.startswith(magic):
            return InputError(
                f"{path} is {what}, which cannot be read as a ZIP file.",
                hint="convert it to CBZ (unpack it and zip the pages), or unpack it and give the folder.",
            )
    if not head:
        return InputError(f"{path} is empty (0 bytes).")
    return InputError(f"{path} is not a ZIP file ({error}).", hint="CBZ, ZIP and PDF files and folders are read.")
