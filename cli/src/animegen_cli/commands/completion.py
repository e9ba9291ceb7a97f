"""``animegen completion``."""

from __future__ import annotations

import os

import click
from click.shell_completion import get_completion_class

from animegen.errors import UsageError
from animegen_cli.console import Console
from animegen_cli.group import Command, pass_console

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_ANIMEGEN_COMPLETE"
"""The variable with which the script asks the program; click reads it."""


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(SHELLS), required=False)
@pass_console
def completion(console: Console, shell: str | None) -> None:
    """Print the script that completes this in a shell.

    \b
    bash:  animegen completion bash > ~/.local/share/bash-completion/completions/animegen
    zsh:   animegen completion zsh > a folder of your $fpath, as _animegen
    fish:  animegen completion fish > ~/.config/fish/completions/animegen.fish
    """
    shell = shell or os.path.basename(os.environ.get("SHELL", ""))  # noqa: PTH119 - a name, not a path to walk
    maker = get_completion_class(shell) if shell in SHELLS else None
    if maker is None:
        raise UsageError(f"no completion for the shell {shell!r}.", hint="say which: animegen completion bash")
    from animegen_cli.main import cli

    console.text(maker(cli, {}, "animegen", VARIABLE).source())
