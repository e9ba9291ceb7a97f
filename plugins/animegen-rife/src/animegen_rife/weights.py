"""The published files of RIFE 4.x: where each lies and how it is known again. Light: no torch.

None of these publishers gives digests with the files. The ones below are those that other projects pin for these very
addresses (package recipes, installers, Hugging Face's own metadata quoted by them); they were not compared with the
files here. A file without one is accepted as it comes and remembered by the digest it had then, and in any case the
network inside is recognised before it runs.
"""

from __future__ import annotations

from animegen import Weight
from animegen_rife.architecture import VERSIONS as ARCHITECTURE_OF

LICENSE = "MIT"
"""Of code and weights of Practical-RIFE, from which all of these files come."""


def _age(version: str) -> tuple[int, int, str]:
    """4.9 is older than 4.10, and 4.25 stands before 4.25.lite."""
    major, minor, *kind = version.split(".")
    return int(major), int(minor), ".".join(kind)


VERSIONS = tuple(sorted(ARCHITECTURE_OF, key=_age))
"""Every published version, oldest first."""

DEFAULT = "4.25"
ASKED_FOR = (DEFAULT, "4.6", "4.26", "4.25.lite", "4.22.lite", "4.25.heavy")

_VS_RIFE = "https://github.com/HolyWu/vs-rife/releases/download/model/flownet_v{version}.pkl"
_COMFY_ORG = (
    "hf://Comfy-Org/frame_interpolation/frame_interpolation/{file}.safetensors@219da3c9d8c357ceaf457fc1d5932c6e861b8dee"
)
_COMFY_NODE = "https://github.com/Fannovel16/ComfyUI-Frame-Interpolation/releases/download/models/{file}"

_ABOUT = {
    "4.0": "the first of the 4.x networks",
    "4.6": "light on a GPU and liked for anime; the newest that rife-ncnn-vulkan has",
    "4.9": "the default of ComfyUI-Frame-Interpolation",
    "4.22": "used in the examples of VSGAN-tensorrt-docker",
    "4.22.lite": "one of the lightest",
    "4.25": "what the author recommends for most scenes, anime too",
    "4.25.lite": "half the operations of 4.25",
    "4.25.heavy": "four times the parameters of 4.25",
    "4.26": "the network of 4.25, trained on; users disagree which is better",
    "4.26.heavy": "a user reports it as broken",
}

_PICKLES: dict[str, tuple[str | None, int | None]] = {
    "4.6": ("008646e761f0e67cb77f0c6c44cfe3c3e5a05d9d9465311b9681ca650ce030db", 21_273_159),
    "4.25": ("6615790efd627772917205db291f51cd392528a157ecbb2ecaeec3bff8eb6de2", None),
    "4.25.lite": ("81cdba223fe72a120130cc8552e5d2ecac824259d406f0c15323b3decf96b8b1", None),
    "4.26": ("45c7f74156704769dc9f85cfcaf8552e1e926f9399dcfa3a553dee88fac6f53f", 24_636_301),
    "4.26.heavy": ("4cc518e172156ad6207b9c7a43364f518832d83a4325d484240493a9e2980537", None),
}
"""Digest and size of those pickles of the vs-rife release for which somebody pins them."""

_OTHERS: dict[str, tuple[str, str, str, int | None]] = {
    "4.7": ("rife47.pth", _COMFY_NODE, "6a8a825ab2750558bdd20dcced386fd82b7222c7ba58c11d3b611d9c44f1be63", 21_344_827),
    "4.9": ("rife49.pth", _COMFY_NODE, "e55fd00f3cc184e3c65961f4bb827a9da022e78eed36b055242c0ac30000d533", 21_345_274),
    "4.25": (
        "rife_v4.25.safetensors",
        _COMFY_ORG,
        "1505884b9bdae956795430d2a70f7e2317b2abd8f130f8cfdb35a5759f909481",
        22_674_688,
    ),
    "4.25.lite": (
        "rife_v4.25_lite.safetensors",
        _COMFY_ORG,
        "e5e5fe0286d30708f4c36aa23639a38d3d7cd0c724922c66e6b04130ae12c6e4",
        None,
    ),
    "4.25.heavy": (
        "rife_v4.25_heavy.safetensors",
        _COMFY_ORG,
        "40aa1838b91531f829caaac026f40d9d2e2f1eb12b65d1d6029a58ae4c703191",
        86_669_816,
    ),
    "4.26": (
        "rife_v4.26.safetensors",
        _COMFY_ORG,
        "151874592c877740e5db11522f4514df569eeafb0a0fcb2696f16e9e8d317c94",
        22_674_688,
    ),
    # The digest of this one is quoted in a single place, in one list with the four above, which are right there.
    "4.26.heavy": (
        "rife_v4.26_heavy.safetensors",
        _COMFY_ORG,
        "d2448f68503134b8c7c5430ce6032d6c76681a9a72f0ea8e0a56c7bee813482f",
        None,
    ),
}
"""Versions that somebody publishes once more in a file whose digest is pinned: preferred to the pickle, and
safetensors to any pickle."""


def _purpose(version: str, more: str = "") -> str:
    about = f": {_ABOUT[version]}" if version in _ABOUT else ""
    return f"RIFE {version}{about}{more}"


def _pickle(version: str) -> Weight:
    sha256, size = _PICKLES.get(version, (None, None))
    more = f" (for -o rife.source=vs-rife; {_OTHERS[version][0]} is preferred)" if version in _OTHERS else ""
    return Weight(
        file=f"flownet_v{version}.pkl",
        urls=(_VS_RIFE.format(version=version),),
        license=LICENSE,
        sha256=sha256,
        size=size,
        purpose=_purpose(version, more),
        required=False,
    )


def _other(version: str) -> Weight:
    file, address, sha256, size = _OTHERS[version]
    return Weight(
        file=file,
        urls=(address.format(file=file.removesuffix(".safetensors")),),
        license=LICENSE,
        sha256=sha256,
        size=size,
        purpose=_purpose(version),
        required=version == DEFAULT,
    )


PICKLES = {version: _pickle(version) for version in VERSIONS}
"""The file of each version in the vs-rife release: the author's own file, under a name of its own."""

PREFERRED = PICKLES | {version: _other(version) for version in _OTHERS}
"""The file of each version that is loaded unless somebody says otherwise."""


def all_weights() -> tuple[Weight, ...]:
    """Every record once: the preferred files, those people ask for first, then newest first; then the other pickles."""
    preferred = [PREFERRED[version] for version in dict.fromkeys((*ASKED_FOR, *reversed(VERSIONS)))]
    return tuple(dict.fromkeys((*preferred, *(PICKLES[version] for version in reversed(VERSIONS)))))


def weight_of(version: str, source: str) -> Weight:
    """The file of a version: the preferred one, or for `source` ``vs-rife`` the one of that release."""
    return (PICKLES if source == "vs-rife" else PREFERRED)[version]
