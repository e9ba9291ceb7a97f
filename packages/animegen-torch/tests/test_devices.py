"""Which device a stage gets, and what it is told when there is none."""

# ruff: noqa: E402 - what may be absent is looked for first

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here")

from animegen.errors import ResourceError, UsageError
from animegen_torch import devices as module
from animegen_torch.devices import free_memory, pick_device, pick_devices, total_memory


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch):
    def have(cuda: int = 0, *, mps: bool = False, built: str | None = "13.2", mps_built: bool = False) -> None:
        monkeypatch.setattr("torch.cuda.is_available", lambda: cuda > 0)
        monkeypatch.setattr("torch.cuda.device_count", lambda: cuda)
        monkeypatch.setattr("torch.version.cuda", built)
        monkeypatch.setattr("torch.version.hip", None)
        monkeypatch.setattr("torch.backends.mps.is_available", lambda: mps)
        monkeypatch.setattr("torch.backends.mps.is_built", lambda: mps_built)

    have()
    return have


def test_auto_is_the_best_that_is_here_and_usable(gpus) -> None:
    assert pick_device(("auto",)) == torch.device("cpu")
    gpus(mps=True)
    assert pick_device(("auto",)) == torch.device("mps")
    assert pick_device(("auto",), kinds=("cuda", "cpu")) == torch.device("cpu")
    gpus(2, mps=True)
    assert pick_device(("auto",)) == torch.device("cuda:0")
    assert pick_devices(("auto",)) == (torch.device("cuda:0"), torch.device("cuda:1"))
    assert pick_devices(("auto",), most=1) == (torch.device("cuda:0"),)


def test_names_are_taken_in_their_order(gpus) -> None:
    gpus(2)
    assert pick_device(("cuda",)) == torch.device("cuda:0")
    assert pick_device(("cuda:1", "cpu")) == torch.device("cuda:1")
    assert pick_device(("cpu", "cuda")) == torch.device("cpu")
    assert pick_device(("mps", "cpu"), kinds=("cuda", "cpu")) == torch.device("cpu"), "passed over, not looked for"
    assert pick_devices(("cuda:1", "cuda:0", "cuda:1", "cpu")) == (torch.device("cuda:1"), torch.device("cuda:0"))


@pytest.mark.parametrize(
    ("have", "name", "message", "hint"),
    [
        ({"built": None}, "cuda", "is built without CUDA", "install a CUDA build of torch"),
        ({}, "cuda:0", "built for CUDA 13.2, sees no such device", "nvidia-smi"),
        ({"cuda": 1}, "cuda:1", "sees 1 CUDA device: cuda:0", "animegen doctor"),
        ({}, "mps", "is built without MPS", "use --device cpu"),
        ({"mps_built": True}, "mps", "sees no Apple GPU", "use --device cpu"),
    ],
)
def test_a_device_that_is_not_here_is_never_replaced(gpus, have, name, message, hint) -> None:
    gpus(**have)
    with pytest.raises(ResourceError, match=f"--device {name} was asked for, but .*{message}") as caught:
        pick_device((name, "cpu"))
    assert hint in caught.value.hints[0]


def test_a_stage_that_cannot_do_without_says_so(gpus) -> None:
    with pytest.raises(ResourceError, match=r"tooncrafter needs cuda, but torch .* sees no such device") as caught:
        pick_device(("auto",), kinds=("cuda",), stage="tooncrafter")
    assert "--device cpu" not in caught.value.hints[0], "it would not help"
    with pytest.raises(ResourceError, match="lama runs on cuda and cpu, not on mps") as caught:
        pick_device(("mps",), kinds=("cuda", "cpu"), stage="lama")
    assert caught.value.hints == ("add cpu to --device",)
    with pytest.raises(ResourceError, match="not on nothing"):
        pick_device(())


@pytest.mark.parametrize("name", ["cudda", "cuda:x", "cuda:", "gpu", "cuda:-1"])
def test_what_is_no_device_is_told(gpus, name: str) -> None:
    with pytest.raises(UsageError, match="is not a device") as caught:
        pick_device((name,))
    if name == "cudda":
        assert "did you mean 'cuda'" in caught.value.hints[0]


def test_memory_of_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    total, free = total_memory(cpu), free_memory(cpu)
    assert total is None or total > 2**28
    assert free is None or total is None or 0 < free <= total
    sizes = {"memory.max": 3 << 30, "memory.current": 1 << 30}
    monkeypatch.setattr(module, "_container", lambda file: sizes[file])
    monkeypatch.setattr(module, "_meminfo", lambda _: 50 << 30)
    assert total_memory(cpu) <= 3 << 30
    assert 2 << 30 <= free_memory(cpu) <= 3 << 30
    sizes["memory.max"] = None
    assert free_memory(cpu) == 50 << 30


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_memory_of_a_gpu() -> None:
    device = torch.device("cuda:0")
    assert 0 < free_memory(device) <= total_memory(device)
