"""Bringing a file of parameters here: over HTTP (pooch) and from the Hugging Face Hub (huggingface_hub).

Whatever happens, what has arrived stays in ``FILE.part`` and the next attempt goes on from there: a broken
connection, a busy server, Ctrl-C, a switched-off machine. pooch's downloader does the transfer; it cannot
resume by itself, but it hands headers and hooks on to requests and writes into any file object, so a Range
header, a look at the status before the first byte is written, and a file object that knows where it stands
are all that has to be added here. Files of the hub go the same way
once its library has said where they are.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from animegen.errors import ResourceError
from animegen.weights.check import Progress, ignore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CHUNK = 1 << 16  # what has come of an unfinished chunk is lost when the connection breaks: keep it small
_BUSY = {408, 425, 429, 500, 502, 503, 504}


class PlaceFailed(Exception):  # not shown to users: the store goes on to the next place
    """This place will not give the file; the text says why, ready to be listed."""


class _Later(Exception):  # as above
    """Worth another attempt, after `wait` seconds where the server says so."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class Patience:
    """How long to put up with a place.

    Attributes:
        tries: Attempts in a row that bring nothing new; any byte that arrives starts the count again.
        most: Attempts in all, whatever they bring.
        first_wait: Seconds before the second attempt; doubled each time.
        longest_wait: Most seconds between two attempts.
        longest_retry_after: Most seconds a server may ask for (Retry-After) before it is given up.
        connect, read: Seconds without an answer that count as broken.
        sleep: How to wait.
    """

    tries: int = 5
    most: int = 100
    first_wait: float = 1.0
    longest_wait: float = 30.0
    longest_retry_after: float = 120.0
    connect: float = 15.0
    read: float = 60.0
    sleep: Callable[[float], None] = time.sleep


def public(url: str) -> str:
    """`url` without user name, password, query and fragment: what may be shown and kept."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class Part:
    """A file on its way: ``FILE.part``, and beside it where its bytes come from."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(target.name + ".part")
        self.origin = target.with_name(target.name + ".part.json")

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def validator(self, url: str) -> str:
        """The strong ETag or date under which `url` gave the bytes so far, or an empty string."""
        try:
            data = json.loads(self.origin.read_text("utf-8"))
        except (OSError, ValueError):
            return ""
        return str(data.get("validator", "")) if data.get("url") == public(url) else ""

    def came_from(self, url: str) -> bool:
        """Whether the bytes so far are known to come from `url`."""
        try:
            return bool(json.loads(self.origin.read_text("utf-8")).get("url") == public(url))
        except (OSError, ValueError, AttributeError):
            return False

    def remember(self, url: str, validator: str) -> None:
        self.origin.write_text(json.dumps({"url": public(url), "validator": validator}), "utf-8")

    def drop(self) -> None:
        """Forget everything that has arrived."""
        self.path.unlink(missing_ok=True)
        self.origin.unlink(missing_ok=True)


def need_room(folder: Path, size: int, *, what: str) -> None:
    """Make sure that `size` more bytes fit on the disk of `folder`.

    Raises:
        ResourceError: They do not; with both figures.
    """
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if size > free:
        raise ResourceError(
            f"{what} needs {readable(size)} more on the disk of {folder}, which has {readable(free)} free.",
            hint="set ANIMEGEN_HOME to a folder on a larger disk, or free some room",
        )


def readable(size: int) -> str:
    """``206 MB``, ``10.5 GB``: powers of 1000, three digits at most."""
    value = float(size)
    for unit in ("B", "kB", "MB"):
        if value < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"


class _Sink:
    """The file object pooch writes to: knows where it stands, reports it, and counts to the expected end."""

    def __init__(self, part: Part, progress: Progress) -> None:
        self._file = part.path.open("ab")
        self._progress = progress
        self.done = self._file.tell()
        self.total: int | None = None

    def start_over(self) -> None:
        self._file.truncate(0)
        self.done = 0

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self.done += len(data)
        self._progress(self.done, self.total, "fetch")
        return len(data)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def fetch(
    url: str,
    part: Part,
    *,
    size: int | None,
    join: bool,
    patience: Patience,
    progress: Progress = ignore,
) -> bool:
    """Bring the whole of `url` to ``part.path``.

    Args:
        url: ``https://...``, ``http://...`` or ``hf://OWNER/NAME/PATH@REVISION``.
        part: Where it goes; what is there already is kept and continued where that is safe.
        size: Bytes, where known.
        join: Continue bytes that came from another place; only safe when a digest is checked afterwards.
        patience: How long to try.
        progress: Called as bytes arrive.

    Returns:
        Whether the file was put together from more than one transfer (then a wrong digest may be the seam's
        fault, and fetching it once more from its start is worth while).

    Raises:
        PlaceFailed: Not here, or not for us, or not within the patience.
        ResourceError: The disk is full, or will be.
    """
    if part.path.exists():
        too_long = size is not None and part.size > size
        if too_long or not (join or part.came_from(url)):
            part.drop()
    begun = part.size > 0
    attempt = _from_hub if url.startswith("hf://") else _over_http
    failures = 0
    for number in count(1):
        before = part.size
        try:
            attempt(url, part, size, patience, progress)
            return begun or failures > 0
        except _Later as trouble:
            failures = 1 if part.size > before else failures + 1
            begun = True
            if failures >= patience.tries or number >= patience.most:
                raise PlaceFailed(f"{trouble}; gave up after {number} attempts") from None
            wait = min(patience.first_wait * 2.0 ** (failures - 1), patience.longest_wait)
            if trouble.wait is not None:
                if trouble.wait > patience.longest_retry_after:
                    raise PlaceFailed(f"{trouble}; asks to come back in {trouble.wait:.0f} s") from None
                wait = max(trouble.wait, 0.0)
            patience.sleep(wait)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise ResourceError(
                    f"the disk of {part.path.parent} is full.",
                    hint="set ANIMEGEN_HOME to a folder on a larger disk; what has arrived is kept",
                ) from None
            raise
    raise AssertionError  # the count never ends


def _over_http(
    url: str,
    part: Part,
    size: int | None,
    patience: Patience,
    progress: Progress,
    *,
    known_as: str = "",
    mark: str = "",
    headers: Mapping[str, str] | None = None,
) -> None:
    """One attempt. A place with its own sign of sameness gives it as `mark`; otherwise ETag or date serve."""
    import requests
    from pooch import HTTPDownloader

    have = part.size
    if size is not None and have == size:
        return  # arrived as a whole, but was not renamed: interrupted while it was verified
    # A compressed answer would have other offsets than the file.
    headers = {**(headers or {}), "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if not mark and (validator := part.validator(url)):
            headers["If-Range"] = validator  # a file that has changed since then is sent whole
    sink = _Sink(part, progress)

    def look(response: requests.Response, *_: object, **__: object) -> None:
        """Before the first byte is written: does the answer continue what is here, or start over?"""
        if response.status_code == 206:
            start, total = _content_range(response)
            if start != have:
                raise PlaceFailed(f"answered with bytes from {start} on when asked from {have} on")
            sink.total = total
        elif response.status_code == 200:
            if response.headers.get("Content-Type", "").startswith("text/html"):
                raise PlaceFailed("answered with a web page instead of the file")
            sink.start_over()
            length = response.headers.get("Content-Length", "")
            sink.total = int(length) if length.isdigit() else None
        else:
            return  # a redirect, or an error that pooch raises
        part.remember(known_as or url, mark or _validator(response))
        if sink.total is not None:
            if size is not None and sink.total != size:
                raise PlaceFailed(f"has {sink.total:,} bytes where {size:,} are expected")
            need_room(part.path.parent, sink.total - sink.done, what=part.path.stem)

    download = HTTPDownloader(
        progressbar=False,
        chunk_size=_CHUNK,
        timeout=(patience.connect, patience.read),
        headers=headers,
        hooks={"response": look},
    )
    try:
        download(url, sink, None)
    except requests.HTTPError as error:
        _sort_out(error.response, part, have)
        return
    except requests.RequestException as error:
        if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)):
            raise PlaceFailed("is not an address that can be fetched") from None
        # The text of these errors may hold a token from the address: only the kind is told.
        raise _Later(_kind(error)) from None
    finally:
        sink.close()
    if sink.total is not None and sink.done != sink.total:
        raise _Later(f"broke off after {readable(sink.done)} of {readable(sink.total)}")


def _kind(error: Exception) -> str:
    names = {
        "SSLError": "the secure connection failed",
        "ConnectTimeout": "no connection in time",
        "ReadTimeout": "no answer in time",
        "ProxyError": "the proxy refused",
        "TooManyRedirects": "redirects without end",
        "ConnectionError": "no connection, or it was broken off",
        "ChunkedEncodingError": "the connection was broken off",
    }
    return names.get(type(error).__name__, f"the transfer failed ({type(error).__name__})")


def _sort_out(response: Any, part: Part, have: int) -> None:
    """Decide what an HTTP error means: done after all, later, or never."""
    status, reason = int(response.status_code), str(response.reason or "")
    if status == 416 and have:
        _, total = _content_range(response)
        if total == have:
            return
        part.drop()
        raise _Later("what had arrived is longer than the file")
    if status in _BUSY:
        raise _Later(f"{status} {reason}".strip(), _retry_after(response.headers.get("Retry-After", "")))
    raise PlaceFailed(f"{status} {reason}".strip())


def _content_range(response: Any) -> tuple[int, int | None]:
    """Start and total of ``Content-Range: bytes 100-199/200`` (start -1 where there is none)."""
    header = response.headers.get("Content-Range", "")
    match = re.match(r"bytes\s+(?:(\d+)-\d+|\*)/(\d+|\*)", header)
    if match is None:
        return -1, None
    return int(match[1] or -1), None if match[2] == "*" else int(match[2])


def _validator(response: Any) -> str:
    """What If-Range may carry: a strong ETag, else the date of the last change (RFC 9110, section 13.1.5)."""
    etag = str(response.headers.get("ETag", ""))
    return etag if etag and not etag.startswith("W/") else str(response.headers.get("Last-Modified", ""))


def _retry_after(value: str) -> float | None:
    """Seconds from a Retry-After header, which holds seconds or a date."""
    if value.strip().isdigit():
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    return (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()


def parse_hub(url: str) -> tuple[str, str, str]:
    """``hf://OWNER/NAME/PATH@REVISION`` as (``OWNER/NAME``, path in the repository, revision or ``main``)."""
    match = re.fullmatch(r"hf://([^/@]+/[^/@]+)/([^@]+)(?:@(.+))?", url)
    if match is None:
        raise PlaceFailed("is not of the form hf://OWNER/NAME/PATH@REVISION")
    return match[1], match[2], match[3] or "main"


def _from_hub(url: str, part: Part, size: int | None, patience: Patience, progress: Progress) -> None:
    """Ask the hub's library where the file is and whether we may have it; then it is a plain transfer.

    `huggingface_hub.hf_hub_download` would do both, but since version 1.x it keeps nothing of a download
    that was interrupted, and the files that matter here have ten gigabytes.
    """
    from huggingface_hub import errors, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    repository, path, revision = parse_hub(url)
    try:
        address = hf_hub_url(repository, path, revision=revision, endpoint=os.environ.get("HF_ENDPOINT") or None)
        about = get_hf_file_metadata(address, timeout=patience.connect)
    except errors.HFValidationError:
        raise PlaceFailed("is not a repository name the hub knows") from None
    except errors.GatedRepoError:
        raise PlaceFailed("is gated: accept its terms on its page, then log in with: hf auth login") from None
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", 0)
        if status in _BUSY:
            raise _Later(str(status), _retry_after(error.response.headers.get("Retry-After", ""))) from None
        raise PlaceFailed(f"not found ({type(error).__name__})" if status in (401, 404) else f"{status}") from None
    except ConnectionError:  # the library's own word for: told to stay offline, by a variable we do not know
        raise PlaceFailed("the hub's library is set to be offline") from None
    except Exception as error:
        # The library's HTTP client differs between its versions, and its errors have no base of the library's.
        if type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "httpcore", "requests"):
            raise _Later(_kind(error)) from None
        raise
    mark = f"{about.commit_hash} {about.etag}"
    if part.size and part.validator(url) not in ("", mark):
        part.drop()  # the branch has moved on since the first bytes came
    if size is not None and about.size is not None and about.size != size:
        raise PlaceFailed(f"has {about.size:,} bytes where {size:,} are expected")
    headers = {name: str(value) for name, value in build_hf_headers().items()}
    _over_http(address, part, size or about.size, patience, progress, known_as=url, mark=mark, headers=headers)
