"""A 3 × 3 convolution with its activation, for inference: one pass over memory where the library has that.

On CPUs torch hands convolutions to oneDNN, which first brings the weights into an order of its own and leaves the
activation to a second pass. Torch's compiler uses operators that do both at once; they are private, so they are asked
for here alone, tried before they are used, and replaced by the plain ones where they are absent or differ.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu_


class FusedConv(nn.Module):
    """3 × 3 convolution, then leaky ReLU where there is a slope; its weights cannot be trained or saved any more.

    Args:
        weight: (after, before / groups, 3, 3).
        bias: (after,).
        stride: 1 or 2.
        groups: Of channels.
        slope: Of the leaky ReLU; None for no activation.
        pack: Use oneDNN's order of the weights, where it is there; not for `torch.compile`, which has its own.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor, *, stride: int, groups: int, slope: float | None, pack: bool
    ) -> None:
        super().__init__()
        self.stride, self.groups, self.slope = stride, groups, slope
        self.packed = pack and weight.device.type == "cpu" and can_pack(weight.dtype)
        self._packed_for: tuple[int, ...] = ()
        self.weight: Tensor
        self.bias: Tensor
        self.register_buffer("weight", weight.detach().contiguous(memory_format=torch.channels_last), persistent=False)
        self.register_buffer("bias", bias.detach(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.packed:
            return _packed(x, self._weight_for(x), self.bias, self.stride, self.groups, self.slope)
        x = conv2d(x, self.weight, self.bias, self.stride, 1, 1, self.groups)
        return x if self.slope is None else leaky_relu_(x, self.slope)

    def _weight_for(self, x: Tensor) -> Tensor:
        """The weights in the order for an input of this size: another one's costs more than all packing saves."""
        wanted = (*x.shape, torch.get_num_threads())
        if wanted != self._packed_for:
            weight = self.weight.to_dense() if self._packed_for else self.weight
            weight = weight.contiguous(memory_format=torch.channels_last)
            self.weight = _pack(weight, list(x.shape), self.stride, self.groups)
            self._packed_for = wanted
        return self.weight


@cache
def can_pack(dtype: torch.dtype) -> bool:
    """Whether oneDNN's own order of weights can be used here; found out by trying it on a small convolution."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 8, 6, 10, generator=generator).to(dtype, memory_format=torch.channels_last)
    weight = torch.randn(16, 8, 3, 3, generator=generator).to(dtype, memory_format=torch.channels_last)
    bias = torch.randn(16, generator=generator).to(dtype)
    try:
        with torch.inference_mode():
            ours = _packed(x, _pack(weight, list(x.shape), 2, 1), bias, 2, 1, 0.2)
            plain = leaky_relu_(conv2d(x, weight, bias, 2, 1), 0.2)
    except (RuntimeError, AttributeError, TypeError, NotImplementedError):
        return False
    return torch.allclose(ours.float(), plain.float(), atol=1e-4 if dtype == torch.float32 else 0.25)


def _pack(weight: Tensor, size: list[int], stride: int, groups: int) -> Tensor:
    result: Tensor = torch.ops.mkldnn._reorder_convolution_weight(
        weight, [1, 1], [stride, stride], [1, 1], groups, size
    )
    return result


def _packed(x: Tensor, weight: Tensor, bias: Tensor, stride: int, groups: int, slope: float | None) -> Tensor:
    name, slopes = ("none", []) if slope is None else ("leaky_relu", [slope])
    result: Tensor = torch.ops.mkldnn._convolution_pointwise(
        x, weight, bias, [1, 1], [stride, stride], [1, 1], groups, name, slopes, ""
    )
    return result
