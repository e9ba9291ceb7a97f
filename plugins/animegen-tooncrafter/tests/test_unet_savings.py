"""Every saving of the U-Net against the plain way: same result."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from animegen_testing.seeded_weights import fill
from animegen_tooncrafter.diffusion.architecture import UNetConfiguration
from animegen_tooncrafter.diffusion.unet import UNet
from animegen_torch import winograd
from animegen_torch.diffusion import attention, layers
from animegen_torch.diffusion.attention import CrossAttention, SelfAttention, project_packed
from animegen_torch.diffusion.layers import FeedForward, GroupNorm, TemporalConv, to_clip, to_image, to_tokens

TINY = UNetConfiguration(
    model_channels=32,
    num_res_blocks=1,
    attention_resolutions=(2, 1),
    channel_mult=(1, 2),
    num_head_channels=16,
    context_dim=64,
)


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    module = make().eval()
    fill(module, "model.diffusion_model.")
    return module


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def softmax_attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """(N, L, C) by the table of all pairs, in float64."""
    q, k, v = (x.double().view(*x.shape[:2], heads, -1) for x in (q, k, v))
    scores = torch.einsum("nlhd,nmhd->nhlm", q, k) / q.shape[-1] ** 0.5
    return torch.einsum("nhlm,nmhd->nlhd", scores.softmax(-1), v).flatten(2)


def plain_self(module: SelfAttention, tokens: Tensor) -> Tensor:
    mixed = softmax_attention(module.to_q(tokens), module.to_k(tokens), module.to_v(tokens), module.heads)
    return module.to_out(mixed.float())


@torch.inference_mode()
@pytest.mark.parametrize("packed", [False, True])
def test_fused_attention_over_space(packed: bool) -> None:
    module = seeded(lambda: SelfAttention(32, 2))
    assert isinstance(module, SelfAttention)
    tokens = normal(6, 40, 32)
    expected = plain_self(module, tokens)
    if packed:
        module.pack()
    assert (module.packed_weight() is not None) is packed
    torch.testing.assert_close(module.over_space(tokens), expected, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("frames", [1, 5, 16])
def test_attention_over_time_needs_no_copies_to_be_right(
    frames: int, fused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by the fused kernel in pieces, as CUDA takes it."""
    module = seeded(lambda: SelfAttention(32, 2))
    assert isinstance(module, SelfAttention)
    tokens = normal(2, frames, 12, 32)
    expected = plain_self(module, tokens.transpose(1, 2).reshape(24, frames, 32))
    expected = expected.view(2, 12, frames, 32).transpose(1, 2)
    q = normal(2, 24, frames, 16)
    usual = attention.attend_over_time(q, q, q)
    if fused:
        monkeypatch.setattr(attention, "GRID_LIMIT", 7)
        double = attention.attend_over_time(*[q.double()] * 3)  # float64 is never taken as a table
        torch.testing.assert_close(double.float(), usual, atol=1e-5, rtol=1e-5)
    module.pack()
    torch.testing.assert_close(module.over_time(tokens), expected, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_one_batched_product_makes_queries_keys_and_values() -> None:
    module = SelfAttention(32, 2).requires_grad_(False)
    module.pack()
    packed, tokens = module.packed_weight(), normal(2, 3, 7, 32)
    assert packed is not None
    for made, layer in zip(project_packed(tokens, packed), (module.to_q, module.to_k, module.to_v), strict=True):
        assert made.is_contiguous()
        torch.testing.assert_close(made.view(2, 3, 7, 32), layer(tokens), atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_branches_are_one_until_they_see_their_context() -> None:
    """Two latents under three contexts, against six calls; the first layers see each latent once."""
    unet = seeded(lambda: UNet(TINY))
    assert isinstance(unet, UNet)
    x, tokens = normal(2, 8, 3, 8, 8), normal(6, 77 + 3 * 16, 64, seed=1)
    times, fps = torch.tensor([7, 900]), torch.tensor([10, 24])
    seen: dict[nn.Module, int] = {}
    expected = {"init_attn": 6, "input_blocks.1.0": 6, "input_blocks.1.1.proj_in": 6, "input_blocks.1.1.proj_out": 18}
    for name in expected:
        unet.get_submodule(name).register_forward_hook(lambda module, given, _: seen.update({module: len(given[0])}))
    together = unet(x, times, tokens, fps)
    assert {name: seen[unet.get_submodule(name)] for name in expected} == expected
    apart = [unet(x[i % 2, None], times[i % 2, None], tokens[i, None], fps[i % 2, None]) for i in range(6)]
    torch.testing.assert_close(together, torch.cat(apart), atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="the context is for 5"):
        unet(x, times, tokens[:5], fps)


@torch.inference_mode()
def test_packing_keeps_names_values_and_memory() -> None:
    unet = seeded(lambda: UNet(TINY))
    assert isinstance(unet, UNet)
    before = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
    elements = sum(tensor.numel() for tensor in before.values())
    unet.for_inference()
    after = unet.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in after.values()}
    assert sum(storages.values()) == 4 * elements


@torch.inference_mode()
def test_a_packed_weight_is_not_used_where_it_would_be_wrong() -> None:
    module = SelfAttention(32, 2).requires_grad_(False)
    module.pack()
    assert module.packed_weight() is not None
    module.to_k.weight = nn.Parameter(module.to_k.weight.clone(), requires_grad=False)  # e.g. a checkpoint came in
    assert module.packed_weight() is None
    module.pack()
    module.to_v._hf_hook = object()  # accelerate holds this layer's weight elsewhere
    assert module.packed_weight() is None
    del module.to_v._hf_hook
    with torch.inference_mode(False):
        assert module.packed_weight() is None  # gradients would all go to the first


@torch.inference_mode()
@pytest.mark.parametrize("own", [True, False])
def test_context_keys_are_made_once_and_text_is_not_copied_for_each_frame(own: bool) -> None:
    frames, samples = 4, 2
    module = seeded(lambda: CrossAttention(32, 2, 48))
    assert isinstance(module, CrossAttention)
    tokens, text = normal(samples * frames, 10, 32), normal(samples, 77, 48, seed=1)
    image = normal(samples * frames, 16, 48, seed=2) if own else normal(samples, 50, 48, seed=2)
    keys = module.keys(text, image)
    q = module.to_q(tokens)
    each = text.repeat_interleave(frames, 0)
    images = image if own else image.repeat_interleave(frames, 0)
    mixed = softmax_attention(q, module.to_k(each), module.to_v(each), 2)
    mixed += softmax_attention(q, module.to_k_ip(images), module.to_v_ip(images), 2)
    torch.testing.assert_close(module(tokens, keys), module.to_out(mixed.float()), atol=1e-5, rtol=1e-5)
    assert keys.text[0].untyped_storage().nbytes() == 4 * samples * 77 * 32


@torch.inference_mode()
def test_a_prepared_context_gives_what_its_tokens_give() -> None:
    unet = seeded(lambda: UNet(TINY))
    assert isinstance(unet, UNet)
    unet.for_inference()
    x, tokens = normal(2, 8, 4, 8, 8), normal(2, 141, 64, seed=1)
    times, fs = torch.tensor([700, 30]), torch.tensor([10, 24])
    expected = unet(x, times, tokens, fs)
    context = unet.prepare(tokens, 4)
    counted = []
    for _, transformer in unet.transformers():
        for name in ("to_k", "to_v", "to_k_ip", "to_v_ip"):
            layer = transformer.transformer_blocks[0].attn2.get_submodule(name)
            layer.register_forward_hook(lambda *_: counted.append(1))
    assert torch.equal(unet(x, times, context, fs), expected)
    assert not counted  # nothing of the context is projected again
    for sample in (0, 1):
        alone = unet(x[sample, None], times[sample, None], context.of(sample, sample + 1), fs[sample, None])
        torch.testing.assert_close(alone, expected[sample, None], atol=2e-5, rtol=2e-5)
    widths = {32: 3, 64: 3}  # transformers of each width: one down, one (and the middle) and two up
    each = sum(width * count for width, count in widths.items())
    assert context.bytes() <= 4 * 2 * 2 * (77 + 64) * each * 2


@torch.inference_mode()
def test_feed_forward_networks_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    module = seeded(lambda: FeedForward(32))
    assert isinstance(module, FeedForward)
    x = normal(3, 500, 32)
    hidden = module.net[0].proj(x)
    expected = module.net[2](hidden[..., :128] * functional.gelu(hidden[..., 128:]))
    monkeypatch.setitem(layers.HIDDEN_BYTES, "cpu", 1)
    widths: list[int] = []
    module.net[0].register_forward_hook(lambda *call: widths.append(call[2].shape[0]))
    torch.testing.assert_close(module(x), expected, atol=1e-5, rtol=1e-5)
    assert widths == [256] * 5 + [220]


@torch.inference_mode()
def test_layouts_are_views_and_convolutions_over_time_are_the_published_ones() -> None:
    x = normal(6, 32, 4, 5).contiguous(memory_format=torch.channels_last)
    assert to_tokens(x).data_ptr() == to_clip(x, 3).data_ptr() == x.data_ptr()
    assert torch.equal(to_image(to_tokens(x), 4, 5), x)
    conv = seeded(lambda: TemporalConv(32, 32))
    assert isinstance(conv, TemporalConv)
    video = x.view(2, 3, 32, 4, 5).transpose(1, 2)
    expected = functional.conv3d(video, conv.weight, conv.bias, padding=(1, 0, 0))
    torch.testing.assert_close(conv(to_clip(x, 3)).view(2, 32, 3, 4, 5), expected, atol=1e-5, rtol=1e-5)
    norm = seeded(lambda: GroupNorm(32))
    y = norm(to_clip(x, 3))
    assert y.stride(1) == 1
    expected = functional.group_norm(video, 32, norm.weight, norm.bias)
    torch.testing.assert_close(y.view(2, 32, 3, 4, 5), expected, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_convolutions_with_fewer_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever they can be, in the published sizes they are: the same clip."""
    unet = seeded(lambda: UNet(TINY))
    assert isinstance(unet, UNet)
    unet.for_inference()
    x, tokens, times = normal(2, 8, 5, 8, 12), normal(2, 141, 64, seed=1), torch.tensor([700, 30])
    called: list[tuple[int, ...]] = []
    three_rows = winograd.three_rows
    monkeypatch.setattr(winograd, "three_rows", lambda *given: called.append(given[1].shape) or three_rows(*given))
    expected = unet(x, times, tokens)
    assert not called
    monkeypatch.setattr(winograd, "MANY_PIXELS", 1)
    monkeypatch.setattr(winograd, "MANY_PRODUCTS", 1)
    torch.testing.assert_close(unet(x, times, tokens), expected, atol=2e-5, rtol=2e-5)
    assert {tuple(shape[2:]) for shape in called} == {(3, 3), (3, 1)}


@torch.inference_mode()
@pytest.mark.parametrize("by_blocks", [False, True])
def test_weights_that_accelerate_brings_when_they_are_needed(by_blocks: bool) -> None:
    """Layers offloaded one by one, or whole blocks: the same result, the context's keys included."""
    accelerate = pytest.importorskip("accelerate")
    unet = seeded(lambda: UNet(TINY))
    assert isinstance(unet, UNet)
    unet.for_inference()
    x, tokens = normal(1, 8, 4, 8, 8), normal(1, 141, 64, seed=1)
    expected = unet(x, torch.tensor([700]), tokens)
    classes = ["ResBlock", "SpatialTransformer", "TemporalTransformer"] if by_blocks else None
    context = unet.prepare(tokens, 4)
    offloaded = accelerate.cpu_offload(unet, torch.device("cpu"), preload_module_classes=classes)
    assert any(parameter.is_meta for parameter in offloaded.parameters())
    torch.testing.assert_close(offloaded(x, torch.tensor([700]), context), expected, atol=2e-5, rtol=2e-5)
    if not by_blocks:
        torch.testing.assert_close(offloaded(x, torch.tensor([700]), tokens), expected, atol=2e-5, rtol=2e-5)


def test_gradient_checkpointing_changes_no_gradient() -> None:
    unet = seeded(lambda: UNet(TINY))
    assert isinstance(unet, UNet)
    x, tokens = normal(1, 8, 4, 8, 8), normal(1, 141, 64, seed=1)
    gradients = []
    for on in (False, True):
        unet.gradient_checkpointing = on
        unet.zero_grad()
        unet(x, torch.tensor([500]), tokens).square().mean().backward()
        gradients.append({name: parameter.grad.clone() for name, parameter in unet.named_parameters()})
    assert all(gradient.abs().max() > 0 for gradient in gradients[0].values())
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-6, rtol=1e-4)
