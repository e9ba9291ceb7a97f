"""Batches that shrink."""

# ruff: noqa: E402 - what may be absent is looked for first

from __future__ import annotations

import gc
import weakref

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here")

from animegen.errors import ResourceError
from animegen_torch.batching import Batches

CPU = torch.device("cpu")
ERRORS = [
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)"),
    MemoryError(),
]


def limited(most: int, sizes: list[int], error: Exception = ERRORS[0]):
    def function(items):
        sizes.append(len(items))
        if len(items) > most:
            raise error
        return [item * 10 for item in items]

    return function


@pytest.mark.parametrize("error", ERRORS)
def test_it_halves_until_it_fits_and_remembers(error: Exception) -> None:
    sizes: list[int] = []
    said: list[str] = []
    batches = Batches(8, CPU, stage="rife", warn=said.append)
    function = limited(3, sizes, error)
    assert list(batches.run(function, range(11))) == [item * 10 for item in range(11)]
    assert sizes == [8, 4, 2, 2, 2, 2, 2, 1]
    assert batches.size == 2
    assert said == [f"rife ran out of memory on cpu; {n} at once from here on." for n in (4, 2)]
    sizes.clear()
    assert list(batches.run(function, range(2))) == [0, 10]
    assert sizes == [2], "what did not fit is not tried again"


def test_a_short_batch_that_fails_is_halved_from_its_own_size() -> None:
    sizes: list[int] = []
    assert list(Batches(16, CPU).run(limited(1, sizes), range(3))) == [0, 10, 20]
    assert sizes == [3, 1, 1, 1]


def test_one_item_too_large_is_an_error_with_what_helps() -> None:
    batches = Batches(4, CPU, stage="rife", hints=("-o upsampler.scale=0.5 needs less", "or --device cpu"))
    with pytest.raises(ResourceError, match=r"out of memory on cpu in rife( \(.* total, .* in use\))?\.$") as caught:
        list(batches.run(limited(0, []), range(4)))
    assert caught.value.hints == ("-o upsampler.scale=0.5 needs less", "or --device cpu")


def test_real_memory_that_is_not_there() -> None:
    def function(items):
        torch.empty(len(items) << 60, dtype=torch.uint8)
        return items

    with pytest.raises(ResourceError, match="out of memory"):
        list(Batches(2, CPU).run(function, [1, 2]))


def test_other_errors_pass() -> None:
    def function(items):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    batches = Batches(4, CPU)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        list(batches.run(function, range(4)))
    assert batches.size == 4


def test_items_are_taken_only_when_needed() -> None:
    taken: list[int] = []

    def items():
        for item in range(100):
            taken.append(item)
            yield item

    results = Batches(4, CPU).run(lambda batch: batch, items())
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert len(taken) <= 8


def test_the_memory_of_a_failed_try_is_free_for_the_next() -> None:
    alive: list[weakref.ref[torch.Tensor]] = []
    gc.collect()

    def function(items):
        assert not any(reference() is not None for reference in alive), "the failed try still holds its tensors"
        large = torch.zeros(1000)
        alive.append(weakref.ref(large))
        if len(items) > 1:
            raise RuntimeError("DefaultCPUAllocator: not enough memory")
        return [1]

    assert list(Batches(4, CPU).run(function, range(2))) == [1, 1]


def test_results_are_counted() -> None:
    with pytest.raises(ValueError, match="gave 1 results for 2 items"):
        list(Batches(2, CPU, stage="x").run(lambda batch: batch[:1], range(2)))
    with pytest.raises(ValueError, match="at least 1"):
        Batches(0, CPU)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_full_gpu() -> None:
    device = torch.device("cuda:0")
    one = torch.cuda.mem_get_info(device)[0] // 3

    def function(items):
        torch.empty(len(items) * one, dtype=torch.uint8, device=device)
        return items

    batches = Batches(8, device)
    assert list(batches.run(function, range(8))) == list(range(8))
    assert batches.size == 2
