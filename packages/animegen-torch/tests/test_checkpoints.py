"""States: found, named, compared, loaded, converted."""

# ruff: noqa: E402 - what may be absent is looked for first

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here")

from safetensors.torch import load_file, save_file

from animegen.errors import InputError, StageError
from animegen_torch.checkpoints import load_into, match, read_state, strip_prefixes, unwrap
from animegen_torch.conversion import as_safetensors


def network(**where: object) -> torch.nn.Module:
    parts = OrderedDict(first=torch.nn.Conv2d(3, 4, 3, **where), norm=torch.nn.BatchNorm2d(4, **where))
    return torch.nn.Sequential(parts)


STATE = network().state_dict()


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3, "optimizer": {"state": {0: {"momentum": torch.ones(1)}}}},
        {"model": {"params": STATE}},
        {"params": {"other": torch.ones(1)}, "params_ema": STATE},
        {**STATE, "epoch": 3},
        network(),
    ],
)
def test_parameters_are_found_in_what_a_file_holds(content: object) -> None:
    assert unwrap(content).keys() == STATE.keys()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"epoch": 3, "config": {}}, r"a dict of epoch \(int\), config \(dict\)"),
        ({}, "an empty dict"),
        (torch.ones(2, 3), "one tensor of shape 2×3"),
        ([1, 2], "a list"),
    ],
)
def test_no_parameters_says_what_there_is(content: object, message: str) -> None:
    with pytest.raises(InputError, match=f"holds no parameters by name: {message}"):
        unwrap(content, path="x.pth")


def test_names_lose_their_beginnings(tmp_path: Path) -> None:
    wrapped = {f"module.flownet.{name}": tensor for name, tensor in STATE.items()}
    path = tmp_path / "model.pth"
    torch.save({"model_state_dict": {**wrapped, "module.synnet.weight": torch.ones(2)}}, path)
    assert read_state(path, only="flownet.").keys() == STATE.keys()
    assert "synnet.weight" in read_state(path)
    with pytest.raises(InputError, match=r"nothing under 'nowhere\.'; it holds 8 tensors \(flownet\.first\.weight"):
        read_state(path, only="nowhere.")
    with pytest.raises(InputError, match="two tensors are called a"):
        strip_prefixes({"module.a": torch.ones(1), "a": torch.ones(1)}, ("module.",))


def test_floats_change_their_type_and_counters_do_not(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(STATE, str(path))
    state = read_state(path, dtype=torch.bfloat16)
    assert state["first.weight"].dtype == torch.bfloat16
    assert state["norm.num_batches_tracked"].dtype == torch.int64


def test_what_does_not_fit_is_told_in_one_sentence() -> None:
    state = dict(STATE)
    del state["first.bias"], state["norm.weight"]
    state["first.weight"] = torch.zeros(8, 3, 3, 3)
    state |= {f"extra.{n}": torch.zeros(1) for n in range(5)}
    with pytest.raises(InputError) as caught:
        match(state, network(), path="flownet.pkl", stage="RIFE 4.6", describe=lambda _: "the parameters of RIFE 4.25")
    assert caught.value.message == (
        "flownet.pkl does not fit RIFE 4.6: it holds the parameters of RIFE 4.25; "
        "2 of 7 tensors are missing (first.bias, norm.weight); "
        "1 of 7 have another shape (first.weight is 8×3×3×3, not 4×3×3×3); "
        "5 of 10 are not wanted (extra.0, extra.1, extra.2, …)."
    )
    with pytest.raises(InputError, match=r"1 of 1 tensors are missing \(a\); 1 of 1 are not wanted \(b\)\.$"):
        match({"b": torch.ones(())}, {"a": (1,)}, describe=lambda _: None)


def test_parts_of_training_may_be_ignored() -> None:
    state = {**STATE, "teacher.weight": torch.zeros(1)}
    assert match(state, network(), ignore=(r"teacher\.",)).keys() == STATE.keys()
    with pytest.raises(InputError, match="1 of 8 are not wanted"):
        match(state, network(), ignore=(r"weight",))
    wanted = {name: tuple(tensor.shape) for name, tensor in STATE.items()}
    assert match(STATE, wanted).keys() == STATE.keys()


def test_a_network_made_on_meta_takes_the_tensors_themselves() -> None:
    module = network(device="meta").requires_grad_(False)
    state = {name: t.half() if t.is_floating_point() else t for name, t in STATE.items()}
    load_into(module, state)
    assert module.first.weight.data_ptr() == state["first.weight"].data_ptr()
    assert module.first.weight.dtype == torch.float16 and not module.first.weight.requires_grad
    assert network().first.weight.requires_grad


def test_tensors_that_no_file_gives_are_a_fault_of_the_code() -> None:
    module = network(device="meta")
    module.register_buffer("grid", torch.zeros(2, device="meta"), persistent=False)
    with pytest.raises(StageError, match=r"tensors that its file does not give: grid"):
        load_into(module, STATE)


def test_a_pickle_is_converted_once(tmp_path: Path) -> None:
    path = tmp_path / "flownet.pkl"
    shared = torch.arange(6.0).view(2, 3)
    torch.save({"state_dict": {"module.a": shared, "module.b": shared, "module.c": shared.t()}, "epoch": 1}, path)
    target = as_safetensors(path)
    assert target == tmp_path / "flownet.pkl.safetensors"
    state = load_file(str(target))
    assert torch.equal(state["a"], shared) and torch.equal(state["b"], shared) and torch.equal(state["c"], shared.t())
    stamp = target.stat().st_mtime_ns
    assert as_safetensors(path) == target and target.stat().st_mtime_ns == stamp, "not made again"
    torch.save({"d": torch.ones(3)}, path)
    assert load_file(str(as_safetensors(path))).keys() == {"d"}, "the original has changed"
    target.write_bytes(target.read_bytes()[:-3])
    assert as_safetensors(target.with_name("flownet.pkl")) == target
    assert as_safetensors(target) == target, "is one already"
    half = as_safetensors(path, dtype=torch.float16)
    assert half.name == "flownet.pkl.float16.safetensors"
    assert load_file(str(half))["d"].dtype == torch.float16
    assert {entry.name for entry in tmp_path.iterdir()} == {"flownet.pkl", target.name, half.name}
