"""``animegen weights``: list, fetch, verify, path, convert, remove."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from animegen.errors import InputError, InterruptedRun, MissingError, UsageError
from animegen_cli import complete
from animegen_cli.console import Console, size
from animegen_cli.group import Group, pass_console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from animegen.weights.names import KnownWeight
    from animegen.weights.store import WeightStatus, WeightStore

NAMES = complete.suggests(complete.weights)


@click.group(cls=Group)
def weights() -> None:
    """Fetch, verify and remove model files.

    NAME is a plugin, a stage, PLUGIN/FILE, or a file's name where it is unique.
    """


@weights.command("list")
@click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=NAMES)
@click.option("--all", "everything", is_flag=True, help="Also the files that are not here and are not loaded.")
@pass_console
def list_weights(console: Console, names: tuple[str, ...], everything: bool) -> None:
    """Files that the stages load with your settings, and all others that are here.

    NAME (a stage, a plugin or a file) lists these alone, --all those that only other options load as well.
    """
    from animegen.weights.names import choose_weights
    from animegen.weights.store import WeightStore
    from animegen_cli.environment import installed, known, loaded

    registry, store = installed(), WeightStore()
    files = known(registry)
    if names:
        files = choose_weights(files, names, optional=True)
    in_use = loaded(registry, lambda text: console.say("note", text))
    listed = [
        _Listed(file, store.status(file.plugin, file.weight), (file.plugin, file.weight.file) in in_use)
        for file in files
    ]
    if console.json:
        console.document([{**_facts(store, one.file), "loaded": one.loaded} for one in listed])
        return
    if not files:
        console.say("note", "no installed stage has weights")
        return
    shown = [one for one in listed if everything or one.matters or one.named(names)]
    if shown:
        console.table(("file", "for", "size", "licence", "state", "what it is"), [one.row for one in shown], wrap=True)
    _say_folded(console, [one.file for one in listed if one not in shown], blank=bool(shown))


@dataclass(frozen=True)
class _Listed:
    """A file as a row: `loaded` tells whether a stage loads it with the settings of this place."""

    file: KnownWeight
    status: WeightStatus
    loaded: bool

    @property
    def matters(self) -> bool:
        return self.loaded or self.status.state != "absent"

    def named(self, names: Sequence[str]) -> bool:
        """Whether the user has typed this very file."""
        return any(self.file.weight.file == name.rpartition("/")[2] for name in names)

    @property
    def row(self) -> tuple[str, ...]:
        weight = self.file.weight
        state = self.status.describe(weight) + ("" if self.loaded else " (optional)")
        bytes_ = size(weight.size) if weight.size else "?"
        return self.file.name, ", ".join(self.file.stages), bytes_, weight.license, state, weight.purpose


def _say_folded(console: Console, files: Sequence[KnownWeight], *, blank: bool) -> None:
    """One line for each stage with files that are not listed; none of these is here."""
    counts = Counter(file.stages[0] for file in files)
    if counts and blank:
        console.text("")
    for stage, count in counts.items():
        more = "1 more file, not here" if count == 1 else f"{count} more files, none here"
        console.text(f"{stage.ljust(max(map(len, counts)))}  {more}: animegen weights list {stage} --all")


def _facts(store: WeightStore, file: KnownWeight) -> dict[str, Any]:
    weight, status = file.weight, store.status(file.plugin, file.weight)
    return {
        "name": file.name,
        "plugin": file.plugin,
        "file": weight.file,
        "stages": list(file.stages),
        "size": weight.size,
        "license": weight.license,
        "purpose": weight.purpose,
        "required": weight.required,
        "urls": list(weight.urls),
        "sha256": weight.sha256 or status.sha256 or None,
        "md5": weight.md5,
        "state": status.state,
        "usable": status.usable(weight),
        "path": str(status.path),
        "shared": status.shared,
    }


@weights.command("fetch")
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=NAMES)
@click.option("--all", "everything", is_flag=True, help="What every installed stage must have.")
@click.option("--optional", is_flag=True, help="Also the files that a stage can do without.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--from", "source", type=click.Path(path_type=Path), metavar="FILE", help="A copy you have already.")
@click.option("--mirror", "mirrors", multiple=True, metavar="URL", help="An address that holds PLUGIN/FILE.")
@pass_console
def fetch(
    console: Console,
    names: tuple[str, ...],
    everything: bool,
    optional: bool,
    yes: bool,
    source: Path | None,
    mirrors: tuple[str, ...],
) -> None:
    """Bring files here and verify them; what has arrived of a broken download is kept and continued."""
    from animegen.weights.store import WeightStore
    from animegen_cli.transfers import transfer

    chosen = _chosen(names, everything, optional=optional)
    if source is not None and len(chosen) != 1:
        raise UsageError(
            f"--from is one file, and {len(chosen)} were named.",
            hint="say which: " + " or ".join(file.name for file in chosen[:4]),
        )
    store = WeightStore()
    wanted = [file for file in chosen if not store.status(file.plugin, file.weight).usable(file.weight)]
    for file in chosen:
        if file not in wanted:
            console.say("here", f"{file.name}   {store.status(file.plugin, file.weight).describe(file.weight)}")
    if wanted and source is None and not store.offline:  # offline, there is nothing to agree to
        _agree(console, store, wanted, yes)
    for file in wanted:
        try:
            with transfer(console, file.name) as progress:
                status = store.fetch(file.plugin, file.weight, source_file=source, mirrors=mirrors, progress=progress)
        except InputError as error:
            assert source is not None  # nothing else can be wrong with the input
            raise InputError(error.message, hint=(*error.hints, *_own_file(file, source))) from None
        except KeyboardInterrupt:
            raise InterruptedRun(
                f"stopped; what has arrived of {file.name} is kept.", hint=f"animegen weights fetch {' '.join(names)}"
            ) from None
        console.say("fetched", f"{file.name}   {status.describe(file.weight)}   {status.path}")
    if console.json:
        console.document([_facts(store, file) for file in chosen])


def _own_file(file: KnownWeight, source: Path) -> list[str]:
    """Options by which stages take a file as it is, where they would load `file` otherwise."""
    if not source.is_file():
        return []
    return [
        f"a file of your own needs no fetching: -o {stage}.{option}={source}   ({about})"
        for stage, option, about in _takes_own(file)
    ]


def _takes_own(file: KnownWeight) -> list[tuple[str, str, str]]:
    """Stage, option and its help, where an option names a file to load in place of `file`."""
    from animegen.options import describe_options
    from animegen_cli.environment import installed

    return [
        (stage.name, info.name, info.help)
        for stage in installed().stages()
        if stage.plugin.name == file.plugin and stage.name in file.stages
        for info in describe_options(stage.spec.options)
        if info.file
    ]


def _chosen(names: Sequence[str], everything: bool, *, optional: bool) -> tuple[KnownWeight, ...]:
    from animegen.weights.names import choose_weights
    from animegen_cli.environment import known

    files = known()
    if everything:
        return tuple(file for file in files if optional or file.weight.required)
    if not names:
        raise UsageError("no weights were named.", hint="animegen weights list --all shows all; fetch --all takes all")
    return choose_weights(files, names, optional=optional)


def _agree(console: Console, store: WeightStore, wanted: Sequence[KnownWeight], yes: bool) -> None:
    """Show licences and sizes, and ask once.

    Raises:
        UsageError: There is nobody to ask, or they said no.
    """
    twins = [file for file in wanted if store.has_twin(file.plugin, file.weight)]
    for file in wanted:
        weight = file.weight
        much = size(weight.size) if weight.size else "size not published"
        here = ", here for another plugin" if file in twins else ""
        console.say("fetch", f"{file.name}   {much}{here}, licence: {weight.license}")
    if yes:
        return
    if not sys.stdin.isatty() or console.json:
        raise UsageError("fetching asks first, and there is no terminal to ask at.", hint="add --yes to agree")
    total = sum(file.weight.size or 0 for file in wanted if file not in twins)
    unknown = " and more" if any(file.weight.size is None for file in wanted) else ""
    count = "1 file" if len(wanted) == 1 else f"{len(wanted)} files"
    if not click.confirm(f"Fetch {count}, {size(total)}{unknown}?", default=True, err=True):
        raise UsageError("nothing was fetched.")


@weights.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=NAMES)
@click.option("--all", "everything", is_flag=True, help="Every file that is here; the same as naming none.")
@pass_console
def verify(console: Console, names: tuple[str, ...], everything: bool) -> None:
    """Read files whole and compare them with what was published."""
    from animegen.weights.store import WeightStore
    from animegen_cli.transfers import transfer

    store = WeightStore()
    files = _chosen(names, everything or not names, optional=True)
    if everything or not names:
        files = tuple(
            file for file in files if store.status(file.plugin, file.weight).state not in ("absent", "partial")
        )
    damaged = []
    for file in files:
        with transfer(console, file.name) as progress:
            status = store.verify(file.plugin, file.weight, progress)
        console.say("file", f"{file.name}   {status.describe(file.weight)}")
        if status.state == "damaged":
            damaged.append(file)
    if not files:
        console.say("note", "no weights are here")
    if console.json:
        console.document([_facts(store, file) for file in files])
    if damaged:
        again = " ".join(file.name for file in damaged)
        raise MissingError(f"damaged: {again}.", hint=f"animegen weights fetch {again}")


@weights.command("path")
@click.argument("name", shell_complete=NAMES)
@pass_console
def path(console: Console, name: str) -> None:
    """Print where a file is."""
    from animegen.weights.store import WeightStore

    store = WeightStore()
    files = _chosen((name,), False, optional=False)
    if len(files) != 1:
        raise UsageError(
            f"{name!r} has {len(files)} files.", hint="say which: " + " or ".join(file.name for file in files)
        )
    found = store.path(files[0].plugin, files[0].weight)
    if console.json:
        console.document(_facts(store, files[0]))
        return
    console.text(str(found))
    return


@weights.command("convert")
@click.argument("name", metavar="NAME|FILE", shell_complete=NAMES)
@click.option("--dtype", type=click.Choice(("float32", "float16", "bfloat16")), help="Type of the numbers in the copy.")
@click.option("--without", multiple=True, metavar="BEGINNING", help="Leave out tensors whose names begin so.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Where the copy goes.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@pass_console
def convert(
    console: Console, name: str, dtype: str | None, without: tuple[str, ...], out: Path | None, force: bool
) -> None:
    """Copy a file of parameters into safetensors: smaller in half precision, and no program can hide in it."""
    from animegen_cli.transfers import transfer

    source, folder, file = _original(name)
    made_from = _converter()
    kind = (f".{dtype}" if dtype else "") + (".pruned" if without else "")
    if source.suffix == ".safetensors" and not kind:
        raise UsageError(f"{source} is safetensors already.", hint="--dtype float16 makes a smaller one")
    target = out or folder / f"{source.stem}{kind}.safetensors"
    facts = {"source_file": source.name, "source_size": str(source.stat().st_size)}
    if file is not None:
        facts |= {"license": file.weight.license, "source": file.weight.urls[0]}
        facts |= {"source_sha256": file.weight.sha256} if file.weight.sha256 else {}
    with transfer(console, target.name) as progress:
        made = made_from.convert(
            source, target, dtype=dtype, without=without, facts=facts, force=force, progress=progress
        )
    left_out = f", {made.left_out} left out" if made.left_out else ""
    console.say(
        "converted" if made.made else "here", f"{made.path}   {size(made.bytes)}, {made.tensors} tensors{left_out}"
    )
    for stage, option, _ in _takes_own(file) if file else ():
        console.say("use", f"-o {stage}.{option}={made.path}")
    if console.json:
        result = {"path": str(made.path), "size": made.bytes, "tensors": made.tensors, "left_out": made.left_out}
        console.document({**result, "made": made.made})


def _original(name: str) -> tuple[Path, Path, KnownWeight | None]:
    """The file to convert, the folder its copy goes to, and its record if it is a published one."""
    from animegen.weights.store import WeightStore

    if Path(name).is_file():
        return Path(name), Path(name).parent, None
    files = _chosen((name,), False, optional=False)
    if len(files) != 1:
        raise UsageError(
            f"{name!r} has {len(files)} files.", hint="say which: " + " or ".join(file.name for file in files)
        )
    store, file = WeightStore(), files[0]
    place = store.place(file.plugin, file.weight).parent  # a folder that is shared is only read
    source = store.path(file.plugin, file.weight)
    place.mkdir(parents=True, exist_ok=True)
    return source, place, file


def _converter() -> Any:
    """What torch plugins share knows these files; this program runs without it, and without torch."""
    from importlib import import_module

    try:
        return import_module("animegen_torch.conversion")
    except ImportError as error:
        raise MissingError(
            f"converting needs animegen-torch, which is not installed here ({error}).",
            hint="pip install animegen-torch",
        ) from None


@weights.command("remove")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=NAMES)
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_console
def remove(console: Console, names: tuple[str, ...], yes: bool) -> None:
    """Delete files from your own folder; those in shared folders stay."""
    from animegen.weights.store import WeightStore

    store = WeightStore()
    files = [
        file
        for file in _chosen(names, False, optional=True)
        if store.status(file.plugin, file.weight).state != "absent"
    ]
    if not files:
        console.say("note", "nothing to remove: none of these files is here")
    elif not yes:
        if not sys.stdin.isatty() or console.json:
            raise UsageError("removing asks first, and there is no terminal to ask at.", hint="add --yes to agree")
        if not click.confirm(f"Remove {', '.join(file.name for file in files)}?", default=False, err=True):
            raise UsageError("nothing was removed.")
    freed = {file.name: store.remove(file.plugin, file.weight) for file in files}
    for name, count in freed.items():
        console.say("removed", f"{name}   {size(count)} freed")
    if console.json:
        console.document({"removed": freed})
