"""torch.compile as an option."""

# ruff: noqa: E402 - what may be absent is looked for first

from __future__ import annotations

import shutil

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here")

from animegen.errors import MissingError
from animegen_torch import compiling
from animegen_torch.compiling import compiled, require_compiler
from animegen_torch.splatting import splat
from animegen_torch.warp import warp

CPU = torch.device("cpu")


def test_no_compiler_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(compiling.shutil, "which", lambda _: None)
    with pytest.raises(MissingError, match=r"rife cannot be compiled for cpu: there is no C\+\+ compiler\.") as caught:
        compiled(torch.neg, CPU, stage="rife")
    assert "apt install g++" in caught.value.hints[0] and "leave compile off" in caught.value.hints[1]
    monkeypatch.setattr(compiling, "find_spec", lambda _: None)
    with pytest.raises(MissingError, match="Triton is not installed"):
        require_compiler(torch.device("cuda:0"))
    monkeypatch.setattr(compiling, "find_spec", lambda _: object())
    require_compiler(torch.device("cuda:0"))


def test_the_wait_is_told_once_and_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "require_compiler", lambda *_, **__: None)
    events: list[str] = []
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    call = compiled(lambda x: events.append("called") or -x, CPU, stage="rife", say=events.append)
    assert not events
    assert call(1) == -1 and call(x=2) == -2
    assert events == [
        "rife is compiled for cpu now; the first result of each size takes a minute or so.",
        "called",
        "called",
    ]


@pytest.mark.parametrize("function", [warp, splat])
def test_a_compiler_follows_without_a_break(function: object) -> None:
    """Traced whole (fullgraph), and equal; without a C++ compiler."""
    torch.manual_seed(0)
    image, flow = torch.rand(1, 3, 20, 24), torch.randn(1, 2, 20, 24) * 3
    call = torch.compile(function, backend="eager", fullgraph=True)
    with torch.inference_mode():
        assert torch.equal(call(image, flow), function(image, flow))


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="no C++ compiler")
def test_compiled_code_is_equal() -> None:
    torch.manual_seed(0)
    image, flow = torch.rand(1, 3, 20, 24), torch.randn(1, 2, 20, 24) * 3
    call = compiled(warp, CPU)
    assert (call(image, flow) - warp(image, flow)).abs().max() < 1e-5
