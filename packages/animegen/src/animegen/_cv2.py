"""OpenCV, imported once and guarded: every other module says ``from animegen._cv2 import cv2``.

Machines without a desktop often lack the system library that the full OpenCV wheel links to. The bare
traceback names a ``.so`` file; the error from here names what to install.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from animegen.errors import MissingError

_HEADLESS = "python -m pip uninstall -y opencv-python && python -m pip install opencv-python-headless"


def load_cv2() -> Any:
    """The ``cv2`` module, its own chatter on stderr turned off.

    Raises:
        MissingError: It is not installed, or a system library it needs is absent.
    """
    try:
        module = import_module("cv2")
    except ImportError as error:
        if ".so" in str(error):  # "libGL.so.1: cannot open shared object file: No such file or directory"
            library = str(error).partition(":")[0]
            raise MissingError(
                f"OpenCV is installed, but the system library it needs is not: {library}.",
                hint=("apt-get install libgl1 libglib2.0-0", f"or, without a desktop: {_HEADLESS}"),
            ) from error
        raise MissingError(
            f"OpenCV cannot be imported: {error}.", hint="python -m pip install opencv-python"
        ) from error
    logging = getattr(getattr(module, "utils", None), "logging", None)
    if logging is not None:  # a broken picture is our one line, not OpenCV's five
        logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    return module


cv2: Any = load_cv2()
