"""A model given as a program that ``torch.export.save`` wrote (``.pt2``)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from hetero.errors import InputError, IntegrityError
from hetero.files import sha256_file
from hetero.models.external.embedders import ModuleEmbedder
from hetero.own_code import code_is_allowed
from hetero.preprocessing import Preprocessing


def program_embedder(path: Path, preprocessing: Preprocessing, *, name: str, version: str = "1") -> ModuleEmbedder:
    """Load an exported program, which takes normalised images with a free batch. Its file defines the space.

    Args:
        path: The ``.pt2`` file.
        preprocessing: Resizing and normalisation of its images.
        name: Name of the space, for people.
        version: Version of the space, for people.

    Raises:
        InputError: When code is not allowed, since such a file may hold some, or the program does not take such images.
        IntegrityError: When torch cannot load the file.
    """
    if not path.is_file():
        raise InputError(f"expected a .pt2 file at {path}, found none")
    if not code_is_allowed():
        raise InputError(
            f"{path} may hold code of its own, which would run here with all your rights; if you trust where it comes "
            "from, give --allow-code (in Python, call hetero.allow_code())"
        )
    try:
        program = torch.export.load(path).module()
    except Exception as error:  # torch raises errors of many kinds, without a common base
        raise IntegrityError(f"{path} cannot be loaded by torch.export: {error}") from None
    return ModuleEmbedder(_Program(program, sha256_file(path)), preprocessing, name=name, version=version)


class _Program(nn.Module):
    """An exported program, which has no modes to change and is identified by its file."""

    file: Tensor

    def __init__(self, program: nn.Module, sha256: str) -> None:
        super().__init__()
        # Hidden from torch, as an exported program refuses to be put into evaluation mode.
        self._program = (program,)
        self.register_buffer("file", torch.tensor(list(bytes.fromhex(sha256)), dtype=torch.uint8))

    def forward(self, images: Tensor) -> object:
        return self._program[0](images)
