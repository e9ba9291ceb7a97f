"""Published files into networks: looked into first, then each part read alone, straight to where it will run."""

from animegen_tooncrafter.checkpoint.configuration import ModelConfiguration
from animegen_tooncrafter.checkpoint.inspection import Checkpoint, PartFile, inspect
from animegen_tooncrafter.checkpoint.loading import part_of, tensors_of
from animegen_tooncrafter.checkpoint.parts import BLUEPRINT, OPTIONAL, PARTS, keeps_float32, new_part

__all__ = [
    "BLUEPRINT",
    "OPTIONAL",
    "PARTS",
    "Checkpoint",
    "ModelConfiguration",
    "PartFile",
    "inspect",
    "keeps_float32",
    "new_part",
    "part_of",
    "tensors_of",
]
