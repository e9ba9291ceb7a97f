"""Sampled latents, kept until their clip is decoded: sampling takes most of the time, decoding most of the memory."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from animegen.atomic import replacing
from animegen.errors import AnimeGenError

if TYPE_CHECKING:
    from animegen.media import Image

log = logging.getLogger("animegen")
_NAME = "latents"


def key_of(first: Image, last: Image, facts: tuple[object, ...]) -> str:
    """SHA-256 of two pictures and of all else that decides a latent, as it is written by ``repr``.

    Where parts are placed and how a clip is decoded are no such facts: they make no difference to a latent.
    """
    total = hashlib.sha256(repr(facts).encode())
    total.update(first.tobytes())
    total.update(last.tobytes())
    return total.hexdigest()


class Kept:
    """Latents in a folder, by the digest of all that decides them.

    A disk that is full or may not be written to is no reason to stop: then they are not kept.

    Args:
        folder: Made when something is put into it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str) -> Path:
        """Where the latents of `key` are."""
        return self.folder / f"{key}.safetensors"

    def get(self, key: str) -> Tensor | None:
        """The latents, if an earlier try got as far."""
        path = self.path(key)
        if not path.is_file():
            return None
        try:
            return load_file(str(path))[_NAME]
        except (OSError, SafetensorError, KeyError) as error:
            log.debug("%s is not used: %s", path, error)
            return None

    def put(self, key: str, latents: Tensor) -> None:
        """Keep them."""
        try:
            with replacing(self.path(key)) as path:
                save_file({_NAME: latents.detach().cpu().contiguous()}, str(path))
        except (OSError, SafetensorError, AnimeGenError) as error:
            log.debug("latents are not kept: %s", error)

    def drop(self, key: str) -> None:
        """Let go of them."""
        with contextlib.suppress(OSError):
            self.path(key).unlink(missing_ok=True)
