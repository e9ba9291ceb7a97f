"""Files of parameters: where they lie, whether they are what was published, how they get here.

A file lies at ``HOME/weights/PLUGIN/FILE``. Folders that others share with us are searched first and never
written to. Nothing is fetched unless `WeightStore.fetch` is called, and a stage is only ever handed a file
whose digest is that of its record: parameters are read by libraries that trust what they read.

HOME is ``ANIMEGEN_HOME``, else the platform's cache folder. PLUGIN is the name of the distribution without
the customary ``animegen-``. Importing this module imports no network library.
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from animegen.errors import AnimeGenError, InputError, MissingError, ResourceError, StageError, UsageError
from animegen.weights.check import Note, Progress, difference, has_digest, ignore, measure_for
from animegen.weights.fetch import Part, Patience, PlaceFailed, fetch, need_room, public, readable
from animegen.weights.status import BEST_FIRST, WeightStatus, from_note, look, note_place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from animegen.stages import Weight

__all__ = ["Progress", "WeightStatus", "WeightStore", "default_home", "short_name"]

_log = logging.getLogger(__name__)
_YES = {"1", "true", "yes", "on"}


def default_home(environ: Mapping[str, str] = os.environ) -> Path:
    """Folder of everything AnimeGen keeps: ``ANIMEGEN_HOME``, else the platform's cache folder."""
    if named := environ.get("ANIMEGEN_HOME"):
        return Path(named).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("animegen", appauthor=False)


class WeightStore:
    """All files of parameters of this user.

    Args:
        home: Folder of everything AnimeGen keeps; by default `default_home`.
        shared: Read-only folders laid out as ``PLUGIN/FILE``, searched before the user's own; those of
            ``ANIMEGEN_WEIGHTS`` (separated as in ``PATH``) come before them.
        mirrors: Addresses that hold ``PLUGIN/FILE``, tried before the published places; those of
            ``ANIMEGEN_WEIGHTS_MIRROR`` (separated by spaces or commas) come before them.
        offline: Never use the network; also ``ANIMEGEN_OFFLINE`` or ``HF_HUB_OFFLINE``.
        patience: How long to put up with a bad connection.
        environ: Where the variables are read from.
    """

    def __init__(
        self,
        home: Path | None = None,
        shared: Sequence[Path] = (),
        *,
        mirrors: Sequence[str] = (),
        offline: bool = False,
        patience: Patience | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.home = home or default_home(environ)
        self.folder = self.home / "weights"
        listed = environ.get("ANIMEGEN_WEIGHTS", "").split(os.pathsep)
        self.shared = (*(Path(entry).expanduser() for entry in listed if entry), *shared)
        self.mirrors = (*environ.get("ANIMEGEN_WEIGHTS_MIRROR", "").replace(",", " ").split(), *mirrors)
        self.offline = offline or any(
            environ.get(name, "").strip().lower() in _YES for name in ("ANIMEGEN_OFFLINE", "HF_HUB_OFFLINE")
        )
        self.patience = patience or Patience()

    def place(self, plugin: str, weight: Weight) -> Path:
        """Where the user's own copy of a file is kept."""
        for name in (plugin, weight.file):
            if name in ("", ".", "..") or PurePath(name).name != name or "\\" in name:
                raise StageError(f"{plugin}: {name!r} is not a plain name, so no file can be kept under it.")
        return self.folder / short_name(plugin) / weight.file

    def status(self, plugin: str, weight: Weight) -> WeightStatus:
        """What is known of a file without reading it: from names, sizes and the notes of earlier checks."""
        copies = self._copies(plugin, weight)
        if copies:
            return copies[0]
        own = self.place(plugin, weight)
        arrived = Part(own).size
        return WeightStatus("partial" if arrived else "absent", own, arrived)

    def path(self, plugin: str, weight: Weight) -> Path:
        """The file, known to be what was published (read once, then remembered until it changes).

        Raises:
            MissingError: It is absent or damaged; the hints hold the commands that bring it.
        """
        status = self._best(plugin, weight)
        if not status.usable(weight):
            raise self._missing(plugin, weight, status)
        return status.path

    def verify(self, plugin: str, weight: Weight, progress: Progress = ignore) -> WeightStatus:
        """Read the whole file again and compare it with its record; a damaged one is told, not removed.

        Raises:
            MissingError: There is no file.
        """
        status = self.status(plugin, weight)
        if status.state in ("absent", "partial"):
            raise self._missing(plugin, weight, status)
        return self._read(status, plugin, weight, progress)

    def fetch(
        self,
        plugin: str,
        weight: Weight,
        *,
        source_file: Path | None = None,
        mirrors: Sequence[str] = (),
        progress: Progress = ignore,
    ) -> WeightStatus:
        """Bring a file here and verify it; nothing happens when it is here and verified already.

        A file that another plugin has, known by its SHA-256, is linked or copied; nothing is fetched twice.

        Asking the user first (licence, size) is the caller's part. Interrupted at any moment, what has
        arrived is kept, and the next call goes on from there.

        Args:
            plugin, weight: Which file.
            source_file: A file the user has: verified, then linked or copied, without any network.
            mirrors: Addresses that hold ``PLUGIN/FILE``, tried first.
            progress: Called as bytes arrive, are copied, or are verified.

        Raises:
            MissingError: No place gave it; the message lists each with its reason.
            InputError: `source_file` cannot be read or is another file; the message has both digests.
            ResourceError: The disk is full or cannot be written to.
        """
        own = self.place(plugin, weight)
        with self._alone(own):
            status = self._best(plugin, weight, progress)
            if status.usable(weight):
                return status
            if source_file is not None:
                return self._adopt(source_file, own, plugin, weight, progress)
            if (kept := self._from_twin(own, weight, progress)) is not None:
                return kept
            if self.offline:
                raise self._missing(plugin, weight, status)
            own.unlink(missing_ok=True)  # damaged, or it would have been usable
            return self._download(own, plugin, weight, (*mirrors, *self.mirrors), progress)

    def remove(self, plugin: str, weight: Weight) -> int:
        """Delete the user's own copy and whatever part of it has arrived; the bytes freed.

        Raises:
            UsageError: It lies in a shared folder only, which is not ours to change.
        """
        own = self.place(plugin, weight)
        with self._alone(own):
            part = Part(own)
            freed = part.size + (own.stat().st_size if own.is_file() else 0)
            if not freed and (status := self.status(plugin, weight)).shared:
                raise UsageError(f"{weight.file} lies in a shared folder, which is only read: {status.path}.")
            part.drop()
            for path in (own, note_place(own, own)):
                path.unlink(missing_ok=True)
        return freed

    @contextmanager
    def _alone(self, own: Path) -> Iterator[None]:
        """Keep other processes from changing the same file; they wait, then find it done."""
        from filelock import FileLock, Timeout

        # In a folder of their own, and never deleted: a lock that is deleted can be held twice.
        place = self.folder / ".locks" / f"{own.parent.name}-{own.name}.lock"
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            own.parent.mkdir(exist_ok=True)
            lock = FileLock(place)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                _log.warning("another animegen is busy with %s; waiting for it", own.name)
                lock.acquire()
        except OSError as error:
            raise ResourceError(
                f"{self.folder} cannot be written to: {error.strerror or type(error).__name__}.",
                hint="set ANIMEGEN_HOME to a folder of your own",
            ) from None
        try:
            yield
        finally:
            lock.release()

    def _copies(self, plugin: str, weight: Weight) -> list[WeightStatus]:
        """All copies that exist, those known to be good first, then in the order they are searched."""
        own = self.place(plugin, weight)
        candidates = [*(folder / own.parent.name / own.name for folder in self.shared), own]
        found = [look(path, own, weight) for path in candidates if path.is_file()]
        return sorted(found, key=lambda status: BEST_FIRST.index(status.state))

    def _best(self, plugin: str, weight: Weight, progress: Progress = ignore) -> WeightStatus:
        """The first usable copy, reading those that were never read; else the state of things."""
        for status in self._copies(plugin, weight):
            if status.state == "unverified" and has_digest(weight):
                status = self._read(status, plugin, weight, progress)
            if status.usable(weight):
                return status
        return self.status(plugin, weight)

    def _read(self, status: WeightStatus, plugin: str, weight: Weight, progress: Progress) -> WeightStatus:
        own = self.place(plugin, weight)
        place = note_place(status.path, own)
        found = measure_for(weight, status.path, progress)
        note = Note.of(status.path, weight, found, status.source, Note.read(place))
        note.write(place)
        return from_note(note, own, weight)

    def _adopt(self, source: Path, own: Path, plugin: str, weight: Weight, progress: Progress) -> WeightStatus:
        try:
            found = measure_for(weight, source, progress)
        except OSError as error:
            raise InputError(f"{source} cannot be read: {error.strerror or type(error).__name__}.") from None
        if problem := difference(weight, found):
            raise InputError(
                f"{source} is not the published {weight.file}: {problem}.",
                hint=_commands(plugin, weight)[:-1],
            )
        return self._settle(_taken(source, own, found.size, progress), own, weight, str(source), progress)

    def has_twin(self, plugin: str, weight: Weight) -> bool:
        """Whether another plugin has the same file, so that `fetch` needs no network for it; nothing is read."""
        return next(self._twins(self.place(plugin, weight), weight), None) is not None

    def _twins(self, own: Path, weight: Weight) -> Iterator[Note]:
        """Notes of files elsewhere that were found to have the SHA-256 of `weight`, and have not changed since."""
        for place in sorted(self.folder.glob("*/*.note.json")) if weight.sha256 else ():
            note = Note.read(place)
            if note is None or note.problem or note.path == str(own) or not note.is_of(Path(note.path)):
                continue
            if weight.sha256 is not None and note.sha256 == weight.sha256.lower():
                yield note

    def _from_twin(self, own: Path, weight: Weight, progress: Progress) -> WeightStatus | None:
        """The same file as another plugin has it, put in its place; None where none was found that is still good."""
        for note in self._twins(own, weight):
            try:
                part = _taken(Path(note.path), own, note.size, progress)
                return self._settle(part, own, weight, note.source or note.path, progress)
            except (OSError, ResourceError, PlaceFailed) as trouble:
                _log.info("%s is not taken from %s: %s", weight.file, note.path, trouble)
        return None

    def _download(
        self, own: Path, plugin: str, weight: Weight, mirrors: Sequence[str], progress: Progress
    ) -> WeightStatus:
        places = [f"{base.rstrip('/')}/{own.parent.name}/{own.name}" for base in mirrors] + [*weight.urls]
        if not places:
            raise self._missing(plugin, weight, self.status(plugin, weight))
        part = Part(own)
        if weight.size is not None:
            need_room(own.parent, weight.size - part.size, what=weight.file)
        failed = []
        for url in places:
            try:
                return self._download_from(url, part, own, weight, progress)
            except PlaceFailed as reason:
                failed.append(f"{public(url)} ({reason})")
        arrived = f"; {readable(part.size)} are kept, the next attempt continues them" if part.size else ""
        count = "its one place" if len(places) == 1 else f"any of {len(places)} places"
        raise MissingError(
            f"{weight.file} could not be fetched from {count}: {'; '.join(failed)}{arrived}.",
            hint=_commands(plugin, weight),
        )

    def _download_from(self, url: str, part: Part, own: Path, weight: Weight, progress: Progress) -> WeightStatus:
        again = False
        while True:
            joined = fetch(
                url,
                part,
                size=weight.size,
                join=has_digest(weight),
                patience=self.patience,
                progress=progress,
            )
            try:
                return self._settle(part, own, weight, public(url), progress)
            except PlaceFailed:
                # Bytes of two transfers may not fit together; those of one that starts at zero do.
                if again or not joined:
                    raise
                again = True

    def _settle(self, part: Part, own: Path, weight: Weight, source: str, progress: Progress) -> WeightStatus:
        """Verify what has arrived and put it in its place; wrong bytes are deleted."""
        found = measure_for(weight, part.path, progress)
        if problem := difference(weight, found):
            part.drop()
            raise PlaceFailed(f"wrong bytes, deleted: {problem}")
        part.path.replace(own)
        part.drop()
        note = Note.of(own, weight, found, source)
        note.write(note_place(own, own))
        return from_note(note, own, weight)

    def _missing(self, plugin: str, weight: Weight, status: WeightStatus) -> AnimeGenError:
        name = short_name(plugin)
        size = f" ({readable(weight.size)})" if weight.size else ""
        if status.state == "damaged":
            text = f"{name} needs {weight.file}, but {status.path} is damaged: {status.problem}."
        elif status.state == "partial":
            text = f"{name} needs {weight.file}{size}, of which only {readable(status.size)} are here."
        else:
            text = f"{name} needs {weight.file}{size}, which is not here."
        if self.offline:
            text += " Nothing is fetched while offline (--offline, ANIMEGEN_OFFLINE or HF_HUB_OFFLINE)."
            return MissingError(text, hint=_commands(plugin, weight)[-1])
        return MissingError(text, hint=_commands(plugin, weight))


def short_name(plugin: str) -> str:
    """A distribution's name without the customary ``animegen-``: what users type, and the folder's name."""
    return plugin.removeprefix("animegen-") or plugin


def _commands(plugin: str, weight: Weight) -> tuple[str, ...]:
    """What to type to get a file."""
    name = short_name(plugin)
    one = f"{name}/{weight.file}"
    by_hand = f"from a file you have: animegen weights fetch {one} --from {weight.file}"
    if not weight.urls:
        return (by_hand,)
    return (f"animegen weights fetch {name if weight.required else one}", by_hand)


def _taken(source: Path, own: Path, size: int, progress: Progress) -> Part:
    """The part of `own`, with all of `source` in it: a link where that is possible, else a copy."""
    part = Part(own)
    part.drop()
    try:
        os.link(source.resolve(), part.path)  # no second copy of ten gigabytes on the same disk
    except OSError:
        need_room(own.parent, size, what=own.name)
        _copy(source, part.path, size, progress)
    return part


def _copy(source: Path, target: Path, size: int, progress: Progress) -> None:
    try:
        with source.open("rb") as reader, target.open("wb") as writer:
            while chunk := reader.read(1 << 20):
                writer.write(chunk)
                progress(writer.tell(), size, "copy")
    except OSError as error:
        target.unlink(missing_ok=True)
        raise ResourceError(f"{source} cannot be copied to {target}: {error.strerror}.") from None
