"""Accounts of memory."""

# ruff: noqa: E402 - what may be absent is looked for first

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here")

from animegen_torch.memory import gib, is_out_of_memory, peak_memory, resident_memory, state_bytes


def test_sizes_for_people() -> None:
    assert [gib(size) for size in (0, 5 << 10, 37 << 20, 2040109466, 12 << 30, 10.4e9)] == [
        "0 KiB", "5 KiB", "37 MiB", "1.9 GiB", "12 GiB", "9.7 GiB",
    ]  # fmt: skip


def test_bytes_of_a_state_count_shared_tensors_once() -> None:
    shared = torch.zeros(100)
    assert state_bytes({"a": shared, "b": shared, "c": torch.zeros(10, dtype=torch.float16)}) == 420
    layer = torch.nn.Linear(8, 4, device="meta")
    assert state_bytes(layer) == (8 * 4 + 4) * 4


def test_only_memory_is_memory() -> None:
    assert not is_out_of_memory(RuntimeError("shape '[3]' is invalid"))
    assert not is_out_of_memory(ValueError("CUDA out of memory"))
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60)
    assert is_out_of_memory(caught.value)


def test_the_peak_of_a_block() -> None:
    cpu = torch.device("cpu")
    with peak_memory(cpu, every=0.0005) as peak:
        for _ in range(3):
            block = torch.ones(50 << 18)  # 50 MiB
            block.mul_(2)
            del block
    if resident_memory():
        assert 35 << 20 < peak.bytes < 200 << 20
        assert peak.total > peak.bytes


def test_a_peak_is_measured_also_when_the_block_fails() -> None:
    with pytest.raises(KeyError), peak_memory(torch.device("cpu")) as peak:
        raise KeyError
    assert peak.total == resident_memory() == 0 or peak.total > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_peak_of_a_gpu() -> None:
    device = torch.device("cuda:0")
    with peak_memory(device) as peak:
        torch.empty(50 << 20, dtype=torch.uint8, device=device)
    assert peak.bytes == 50 << 20
