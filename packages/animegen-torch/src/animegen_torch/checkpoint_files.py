"""What a file of parameters really is, and its content read without running anything that it holds."""

from __future__ import annotations

import io
import json
import pickle
import pickletools
import re
import struct
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from animegen.errors import InputError
from animegen_torch.memory import gib

Format = Literal["safetensors", "zip", "legacy"]
"""safetensors; what torch.save writes since 1.6, a zip archive; what it wrote before, pickles one after another."""

FETCH = ("animegen weights fetch STAGE fetches it again", "animegen weights verify --all checks what is there")
_HEADER = 1 << 27
"""No header of a safetensors file is longer than this; a number beyond it means that the file is something else."""


def file_format(path: Path, *, hints: Sequence[str] = FETCH, programs: bool = False) -> Format:
    """Which kind of checkpoint `path` is, told from its bytes and never from its name.

    Args:
        path: The file.
        hints: What to type when it is not one.
        programs: Whether a TorchScript archive counts as one: for whoever takes the tensors out and runs nothing.

    Raises:
        InputError: It is no checkpoint, or not a whole one; the message says what it is instead.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or type(error).__name__}.", hint=hints) from None
    if not size:
        raise InputError(f"{path} is empty (0 bytes).", hint=hints)
    if start.startswith(b"PK\x03\x04"):
        _check_zip(path, size, hints, programs)
        return "zip"
    if _is_safetensors(start, path, size, hints):
        return "safetensors"
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "legacy"
    raise InputError(f"{path} is no file of parameters: {_what(start, size)}.", hint=hints)


def read_file(
    path: Path, *, device: torch.device | str = "cpu", mmap: bool = True, hints: Sequence[str] = FETCH
) -> Any:
    """The content of a checkpoint: usually a dict, its tensors on `device`.

    Pickles are read by torch's weights-only reader: tensors, numbers, texts and containers, and nothing that could be
    a program. With `mmap` tensors on the processor stay on disk until they are used (not in the format before 1.6).

    Raises:
        InputError: It is not a checkpoint or not a whole one, or it holds Python objects that only a full unpickling
            (which can run anything) would bring back; the message names them.
    """
    kind = file_format(path, hints=hints)
    if kind == "safetensors":
        return _read_safetensors(path, str(device), hints)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*TypedStorage is deprecated")
            # mmap only reaches the processor; torch copies from there.
            return torch.load(path, map_location=device, weights_only=True, mmap=mmap and kind == "zip")
    except pickle.UnpicklingError as error:
        objects = python_objects(path, kind)
        if objects:
            raise refused(path, objects) from None
        raise InputError(f"{path} cannot be read as parameters: {_line(error)}.", hint=hints) from None
    except RuntimeError as error:
        if "magic number" in str(error):
            raise InputError(f"{path} is a pickle, but torch.save did not write it.", hint=hints) from None
        raise damaged(path, error, hints) from error
    except (EOFError, ValueError, KeyError, IndexError, OSError, AttributeError) as error:
        raise damaged(path, error, hints) from error


def refused(path: Path, objects: Sequence[str]) -> InputError:
    """The error of a pickle that names `objects`, which are more than tensors."""
    return InputError(
        f"{path} holds Python objects besides tensors ({', '.join(objects[:4])}); bringing them back could run "
        "any program, so it is not read.",
        hint=("look for the same weights as .safetensors", "or let who made the file save its state_dict alone"),
    )


def damaged(path: Path, error: Exception, hints: Sequence[str]) -> InputError:
    """The error of a file that ends early or makes no sense."""
    return InputError(f"{path} ({gib(path.stat().st_size)}) is damaged or cut off: {_line(error)}.", hint=hints)


def python_objects(path: Path, kind: Format) -> list[str]:
    """What a pickled checkpoint would import besides torch's own and plain containers; found without running it."""
    streams: list[IO[bytes]] = []
    with zipfile.ZipFile(path) if kind == "zip" else path.open("rb") as file:
        if isinstance(file, zipfile.ZipFile):
            streams = [io.BytesIO(file.read(name)) for name in file.namelist() if name.endswith("/data.pkl")]
        else:
            streams = [file] * 4  # a mark, the version, the byte order, and then the content
        found: dict[str, None] = {}
        for stream in streams:
            texts: list[str] = []
            try:
                for operation, argument, _ in pickletools.genops(stream):
                    if operation.name == "GLOBAL":
                        found[str(argument).replace(" ", ".")] = None
                    elif operation.name == "STACK_GLOBAL":
                        found[".".join(texts[-2:])] = None
                    elif isinstance(argument, str):
                        texts.append(argument)
            except (ValueError, IndexError):  # cut off: what was found so far has to do
                break
    plain = ("torch.", "collections.OrderedDict", "_codecs.encode")
    return [name for name in found if not name.startswith(plain)]


def _read_safetensors(path: Path, device: str, hints: Sequence[str]) -> dict[str, Tensor]:
    try:
        with safe_open(str(path), framework="pt", device=device) as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is not a dict
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is damaged or cut off: {_line(error)}.", hint=hints) from None


def _check_zip(path: Path, size: int, hints: Sequence[str], programs: bool) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, EOFError, ValueError):
        # The list of contents stands at the end, so a download that stopped has none.
        raise InputError(f"{path} is cut off: it ends after {gib(size)} without its table.", hint=hints) from None
    if any(name.endswith("/constants.pkl") for name in names) and not programs:
        raise InputError(
            f"{path} is a TorchScript archive: a whole program, not parameters.",
            hint="the plain weights of the same model are needed (.safetensors, .pth, .ckpt)",
        )
    if not any(name.endswith("/data.pkl") for name in names):
        inside = [name for name in names if name.endswith((".pkl", ".pth", ".pt", ".ckpt", ".safetensors"))]
        some = ", ".join((inside or names)[:3]) or "nothing"
        raise InputError(
            f"{path} is a zip archive that holds {some}; the file inside is needed.",
            hint=f"unzip {path.name} and name {inside[0] if inside else 'the file of parameters in it'}",
        )


def _is_safetensors(start: bytes, path: Path, size: int, hints: Sequence[str]) -> bool:
    if len(start) < 9 or start[8:9] != b"{":
        return False
    length = struct.unpack("<Q", start[:8])[0]
    if length > _HEADER:
        return False
    if size < 8 + length:
        raise InputError(f"{path} is cut off: its table alone takes {8 + length} bytes, it has {size}.", hint=hints)
    with path.open("rb") as file:
        file.seek(8)
        try:
            table = json.loads(file.read(length))
            ends = [int(entry["data_offsets"][1]) for name, entry in table.items() if name != "__metadata__"]
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            raise InputError(f"{path} is damaged: its table cannot be read.", hint=hints) from None
    wanted = 8 + length + max(ends, default=0)
    if size < wanted:
        raise InputError(f"{path} is cut off: {size:,} of {wanted:,} bytes are there.", hint=hints)
    return True


def _what(start: bytes, size: int) -> str:
    """What bytes that are no checkpoint look like, as the end of a sentence."""
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    lower = text[:512].lower()
    if lower.startswith((b"<!doctype html", b"<html", b"<head")) or b"<html" in lower:
        title = re.search(rb"<title[^>]*>\s*(.*?)\s*</title>", start, re.IGNORECASE | re.DOTALL)
        name = f" ({title[1].decode(errors='replace')[:80]!r})" if title else ""
        return f"it is a web page{name}, saved in place of the download"
    if text.startswith(b"version https://git-lfs"):
        return "it is a pointer of git-lfs; the file itself was never fetched (git lfs pull)"
    known: dict[bytes, str] = {
        b"\x1f\x8b": "it is a gzip archive; unpack it first",
        b"7z\xbc\xaf": "it is a 7z archive; unpack it first",
        b"Rar!": "it is a RAR archive; unpack it first",
        b"GGUF": "it is in the GGUF format",
        b"\x89PNG": "it is a picture",
        b"\xff\xd8\xff": "it is a picture",
    }
    for sign, sentence in known.items():
        if start.startswith(sign):
            return sentence
    if b"ustar" in start[257:265]:
        return "it is a tar archive; unpack it first"
    if not start.strip(b"\0"):
        return f"it starts with {min(size, len(start))} zero bytes, as a download does that never finished"
    if text and all(32 <= byte < 127 or byte in (9, 10, 13) for byte in text[:200]):
        return f"it is text that starts with {text[:60].decode('ascii')!r}"
    return f"it starts with the bytes {start[:8].hex(' ')}"


def _line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".")
