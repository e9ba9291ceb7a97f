"""How much memory training takes: what is kept of every parameter, and of the activations of a step.

The activations are counted, not guessed: the real U-Net runs on tensors without memory, and what torch would keep for
the way back is added up.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks

from animegen_tooncrafter.checkpoint import ModelConfiguration, new_part
from animegen_tooncrafter.diffusion.objective import Variant, choose_parameters
from animegen_tooncrafter.diffusion.resampler import Resampler
from animegen_tooncrafter.diffusion.unet import Block, UNet
from animegen_tooncrafter.training.options import RectificationOptions
from animegen_torch.diffusion.autoencoder.architecture import DOWN

FLOAT = 4
ADAMW = 4 * FLOAT
"""Bytes of a parameter that learns: itself, its gradient, and two moments."""
PROGRAM = 512 << 20
"""What libraries keep for themselves on a device, and pieces that an allocator cannot use."""


@dataclass(frozen=True)
class Account:
    """Bytes on the device that trains.

    Attributes:
        trained, frozen: Numbers of parameters of U-Net and projector.
        learning: Of what learns, with gradients, moments and average.
        still: Of what stays as it is, encoders included.
        activations: Of a step.
    """

    trained: int
    frozen: int
    learning: int
    still: int
    activations: int

    @property
    def total(self) -> int:
        """All together."""
        return self.learning + self.still + self.activations + PROGRAM


def account(model: ModelConfiguration, variant: Variant, options: RectificationOptions, dtype: torch.dtype) -> Account:
    """What a training takes.

    Args:
        model: Sizes of all parts.
        variant: What learns.
        options: Size, batch, average, checkpointing.
        dtype: What is computed in.
    """
    with torch.device("meta"):
        unet, projector = new_part("unet", model), new_part("projector", model)
        others = {part: new_part(part, model) for part in ("text", "image", "first_stage")}
    assert isinstance(unet, UNet) and isinstance(projector, Resampler)
    trained = sum(parameter.numel() for _, parameter in choose_parameters(unet, projector, variant))
    everything = sum(parameter.numel() for part in (unet, projector) for parameter in part.parameters())
    frozen = everything - trained
    still = frozen * (dtype.itemsize if options.frozen_half else FLOAT)
    del others["first_stage"].decoder
    still += sum(
        p.numel() * (FLOAT if part == "first_stage" else dtype.itemsize)
        for part in others
        for p in others[part].parameters()
    )
    if dtype != torch.float32:  # autocast keeps what it has cast of a step's weights
        still += trained * dtype.itemsize
    learning = trained * (ADAMW + (FLOAT if options.ema else 0))
    return Account(trained, frozen, learning, still, activations(model, variant, options, dtype) if trained else 0)


def activations(model: ModelConfiguration, variant: Variant, options: RectificationOptions, dtype: torch.dtype) -> int:
    """Bytes that a step keeps for its way back; with checkpointing, blocks' inputs and the insides of the largest."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        unet = new_part("unet", model)
        assert isinstance(unet, UNet)
        projector = new_part("projector", model)
        assert isinstance(projector, Resampler)
        list(choose_parameters(unet, projector, variant))
        c, frames = model.unet, model.resampler.video_length
        side = options.height // DOWN, options.width // DOWN
        x = torch.zeros(options.batch, c.in_channels, frames, *side)
        tokens = torch.zeros(options.batch, 77 + 16 * frames, c.context_dim, requires_grad=True)
        times = torch.zeros(options.batch, dtype=torch.long)
        kept = _Kept(unet)
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32), kept:
            unet(x, times, tokens, times)
    return kept.inputs + kept.largest if options.checkpointing else kept.bytes


class _Kept(saved_tensors_hooks):
    """Adds up what is kept for the way back, each storage once and parameters left out, block by block.

    Attributes:
        bytes: All of it.
        inputs: Bytes of what goes into blocks.
        largest: Most bytes that one block keeps.
    """

    def __init__(self, unet: UNet) -> None:
        super().__init__(self._pack, lambda tensor: tensor)
        self.bytes = self.inputs = self.largest = 0
        self._parameters = {one.untyped_storage()._cdata for one in unet.parameters()}
        self._seen: dict[int, Tensor] = {}
        self._before = 0
        for module in unet.modules():
            if isinstance(module, Block):
                module.register_forward_pre_hook(self._enter)
                module.register_forward_hook(self._leave)

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._parameters and storage._cdata not in self._seen:
            self._seen[storage._cdata] = tensor  # held, so that no other storage takes its place
            self.bytes += storage.nbytes()
        return tensor

    def _enter(self, module: nn.Module, args: tuple[Tensor, object]) -> None:
        self._before = self.bytes
        self.inputs += args[0].numel() * args[0].element_size()

    def _leave(self, module: nn.Module, args: tuple[Tensor, object], out: Tensor) -> None:
        self.largest = max(self.largest, self.bytes - self._before)
