"""A file of anchors' factors, which is shipped with a model in place of its old photos."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from hetero.errors import InputError, IntegrityError
from hetero.files import canonical_json, digest, sha256_bytes, write_bytes
from hetero.foreign import strict_json
from hetero.linear.solver.anchor_factors import AnchorFactors
from hetero.linear.solver.factors import Factors
from hetero.linear.solver.linearised import Linearised, Weights
from hetero.schema import parse, record

SCHEMA: Literal["hetero/anchor-factors/1"] = "hetero/anchor-factors/1"
_KEY = "hetero"


def save_factors(path: Path, factors: AnchorFactors, model: Linearised) -> None:
    """Write factors as a safetensors file, atomically.

    Args:
        path: Path of the file.
        factors: The factors, which are stored in float32.
        model: The model that they belong to; they fit no other weights.
    """
    tensors = {f"diagonal/{name}": value for name, value in factors.diagonals.items()}
    tensors |= {f"channels/{name}": value for name, value in factors.channels.items()}
    for name, block in factors.blocks.items():
        tensors |= {f"inputs/{name}": block.inputs, f"outputs/{name}": block.outputs}
    data = {name: value.float().contiguous() for name, value in tensors.items()}
    header = asdict(_Header(_weights(model), factors.images))
    write_bytes(path, save(data, metadata={_KEY: canonical_json(header)}))


def require_factors(path: Path) -> None:
    """Refuse a file that does not hold factors, without reading them.

    Raises:
        InputError: When there is no file.
        IntegrityError: When it is not a complete file of factors.
    """
    _read(path, with_tensors=False)


def load_factors(path: Path, model: Linearised) -> AnchorFactors:
    """Read factors of a model's weights.

    Args:
        path: Path of the file.
        model: The model that they must belong to.

    Raises:
        InputError: When there is no file, or the factors belong to other weights.
        IntegrityError: When the file is not a complete file of factors.
    """
    header, tensors = _read(path)
    if header.weights != _weights(model):
        raise InputError(f"{path}: the factors are of other weights, or of another part of the model, than is adapted")
    _require_whole(path, tensors, model)
    kinds: dict[str, Weights] = {kind: {} for kind in ("inputs", "outputs", "channels", "diagonal")}
    for name, value in tensors.items():
        kind, _, weight = name.partition("/")
        kinds[kind][weight] = value.to(model.dtype)
    factors = {name: Factors(value, kinds["outputs"][name]) for name, value in kinds["inputs"].items()}
    return AnchorFactors(factors, kinds["channels"], kinds["diagonal"], header.images)


@record
class _Header:
    """The description of the factors in a file."""

    weights: str
    images: int
    schema: Literal["hetero/anchor-factors/1"] = SCHEMA


def _read(path: Path, *, with_tensors: bool = True) -> tuple[_Header, dict[str, Tensor]]:
    if not path.is_file():
        raise InputError(f"expected a file of anchors' factors at {path}, found no file")
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(_KEY, "null").encode()
            names = file.keys() if with_tensors else ()
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise IntegrityError(f"{path} is not a whole safetensors file: {error}") from None
    what = f"{path}: its description"
    return parse(_Header, strict_json(header, what=what), what=what, error=IntegrityError), tensors


def _require_whole(path: Path, tensors: dict[str, Tensor], model: Linearised) -> None:
    """Refuse factors of the wrong shape, and factors that would not give a convex term."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, value in model.weights.items():
        if f"inputs/{name}" in tensors and value.dim() > 1:
            rows, columns = value.flatten(start_dim=1).shape
            shapes |= {f"inputs/{name}": (columns, columns), f"outputs/{name}": (rows, rows)}
        elif f"channels/{name}" in tensors and value.dim() > 1:
            size = value[0].numel()
            shapes[f"channels/{name}"] = (len(value), size, size)
        else:
            shapes[f"diagonal/{name}"] = tuple(value.shape)
    if {name: tuple(value.shape) for name, value in tensors.items()} != shapes:
        raise IntegrityError(f"{path}: its factors do not fit the weights that they are said to be of")
    for name, value in tensors.items():
        sides = value if name.startswith("diagonal/") else value.diagonal(dim1=-2, dim2=-1)
        if value.dtype != torch.float32 or not value.isfinite().all() or bool((sides < 0).any()):
            raise IntegrityError(f"{path}: {name} is no factor: expected finite float32 values, and none below 0 in it")


def _weights(model: Linearised) -> str:
    """Return a digest that identifies weights, whatever the dtype in which they are adapted."""
    return digest([[name, sha256_bytes(value.float().numpy().tobytes())] for name, value in model.weights.items()])
