"""Number formats."""

# ruff: noqa: E402 - what may be absent is looked for first

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here")

from animegen.errors import UsageError
from animegen_torch.precision import is_fast, pick_dtype, tf32

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda:0"), torch.device("mps")


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch):
    def have(**units: bool) -> None:
        monkeypatch.setattr("torch.cpu.get_capabilities", lambda: units, raising=False)

    return have


def test_auto_asks_the_hardware(processor, monkeypatch: pytest.MonkeyPatch) -> None:
    processor(avx2=True, avx512_bf16=False)
    assert pick_dtype("auto", CPU) == torch.float32
    processor(avx512_bf16=True)
    assert pick_dtype("auto", CPU) == torch.bfloat16
    processor(amx_bf16=True)
    assert pick_dtype("auto", CPU) == torch.bfloat16
    assert pick_dtype("auto", CPU, allowed=(torch.float32, torch.float16)) == torch.float32
    assert pick_dtype("auto", MPS) == torch.float32
    monkeypatch.setattr("torch.version.hip", None)
    for capability, wanted in (((6, 1), torch.float32), ((7, 0), torch.float16), ((9, 0), torch.float16)):
        monkeypatch.setattr("torch.cuda.get_device_capability", lambda _, has=capability: has)
        assert pick_dtype("auto", CUDA) == wanted
    assert is_fast(torch.bfloat16, CUDA)
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda _: (7, 5))
    assert not is_fast(torch.bfloat16, CUDA)


def test_an_older_torch_is_asked_by_its_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("torch.cpu.get_capabilities", raising=False)
    for unit in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(f"torch.cpu.{unit}", lambda: False, raising=False)
    assert pick_dtype("auto", CPU) == torch.float32
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: True, raising=False)
    assert pick_dtype("auto", CPU) == torch.bfloat16
    monkeypatch.setattr("torch.backends.mkldnn.is_available", lambda: False)
    assert pick_dtype("auto", CPU) == torch.float32


def test_what_is_named_is_used_and_said_to_be_slow(processor) -> None:
    processor(avx2=True)
    said: list[str] = []
    assert pick_dtype("bfloat16", CPU, stage="rife", warn=said.append) == torch.bfloat16
    assert said == ["cpu has no units for bfloat16: rife is slower in it than in float32."]
    processor(avx512_bf16=True)
    assert pick_dtype("bfloat16", CPU, warn=said.append) == torch.bfloat16
    assert pick_dtype("float32", CPU, warn=said.append) == torch.float32
    assert len(said) == 1


def test_what_cannot_be_is_told() -> None:
    with pytest.raises(UsageError, match="'flaot16' is not a number format") as caught:
        pick_dtype("flaot16", CPU)
    assert "did you mean 'float16'" in caught.value.hints[0]
    with pytest.raises(UsageError, match="lama does not compute in float16") as caught:
        pick_dtype("float16", CPU, allowed=(torch.float32, torch.bfloat16), stage="lama")
    assert caught.value.hints == ("use --dtype float32 or bfloat16, or auto",)


def test_tf32_is_a_choice_that_ends_with_its_block() -> None:
    def settings() -> tuple[str, bool]:
        return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32

    before = settings()
    with pytest.raises(KeyError), tf32(True):
        assert settings() == ("high", True)
        with tf32(False):
            assert settings() == ("highest", False)
        assert settings() == ("high", True)
        raise KeyError
    assert settings() == before
