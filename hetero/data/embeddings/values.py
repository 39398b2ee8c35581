"""Vectors from files that other programs wrote."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from hetero.errors import InputError, IntegrityError

TENSOR = "embeddings"
_NPY, _ZIP, _PICKLE = b"\x93NUMPY", b"PK\x03\x04", b"\x80"
_OF_NUMPY = {"F16": np.float16, "F32": np.float32, "F64": np.float64}
_BYTES = "I8"
"""Directions as ``save_embeddings`` writes them in a byte a coordinate: of any length, read as unit vectors."""
# Types that torch has and numpy lacks.
_OF_TORCH = ("BF16", "F8_E4M3", "F8_E5M2")


def read_npy(path: Path) -> np.ndarray:
    """Read the array of a ``.npy`` file, floating point [n, d].

    Raises:
        InputError: For an array of another kind.
        IntegrityError: When the file is damaged, or another format under this name.
    """
    _require_npy(path)
    try:
        # Mapped, so that the file must be as large as its header states before memory is allocated.
        with np.errstate(over="raise"):
            array = np.load(path, allow_pickle=False, mmap_mode="r")
    except Exception as error:  # numpy passes on any error of its tokeniser and dtypes on a damaged header
        raise IntegrityError(f"{path} is not a plain .npy array: {error}") from None
    if array.dtype.kind == "V":
        raise InputError(
            f"{path}: expected floating-point embeddings, got raw bytes ({array.dtype}): a .npy file cannot say "
            "bfloat16; save them as float32, or as a tensor 'embeddings' of a .safetensors file"
        )
    return np.array(_required(path, array, str(array.dtype)))


def read_safetensors(path: Path) -> tuple[np.ndarray, dict[str, str]]:
    """Read the tensor ``embeddings``, floating point or int8 [n, d], and the file's metadata.

    bfloat16 and 8-bit floating point are read as float32, which holds all of their values.

    Raises:
        InputError: When there is no such tensor, or it is of another kind.
        IntegrityError: When the file is damaged.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            keys, metadata = list(file.keys()), file.metadata() or {}
            if TENSOR not in keys:
                raise InputError(f"{path}: expected a tensor {TENSOR!r}, found {', '.join(keys) or 'none'}")
            kind = str(file.get_slice(TENSOR).get_dtype())
            if kind == _BYTES:
                directions = _required(path, file.get_tensor(TENSOR).astype(np.float32), kind)
                return directions / np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1), metadata
            if kind in _OF_NUMPY:
                return _required(path, file.get_tensor(TENSOR), np.dtype(_OF_NUMPY[kind]).name), metadata
            if kind not in _OF_TORCH:
                shape = list(file.get_slice(TENSOR).get_shape())
                raise InputError(
                    f"{path}: expected floating-point embeddings ({', '.join((*_OF_NUMPY, *_OF_TORCH, _BYTES))}) of "
                    f"shape [images, dimensions], got {kind} {shape}"
                )
        with safe_open(path, framework="pt") as file:
            return _required(path, file.get_tensor(TENSOR).float().numpy(), kind), metadata
    except SafetensorError as error:
        raise IntegrityError(f"{path} is not a whole safetensors file: {error}") from None


def _required(path: Path, array: np.ndarray, kind: str) -> np.ndarray:
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.floating):
        raise InputError(
            f"{path}: expected floating-point embeddings of shape [images, dimensions], got {kind} {list(array.shape)}"
        )
    return array


def _require_npy(path: Path) -> None:
    with path.open("rb") as stream:
        start = stream.read(len(_NPY))
    if start == _NPY:
        return
    description = "no .npy array"
    if start.startswith(_ZIP) and zipfile.is_zipfile(path):
        description = _archive(path)
    elif start.startswith(_PICKLE):
        description = "a pickle, which is never opened here; use numpy.save(PATH, array)"
    raise IntegrityError(f"{path} is not a plain .npy array: it is {description}")


def _archive(path: Path) -> str:
    """Describe for people what kind of zip file this seems to be."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # zipfile raises any kind of error on damaged files
        return "a damaged archive"
    if any(name.endswith("data.pkl") for name in names):
        return "what torch.save writes; use numpy.save(PATH, tensor.float().cpu().numpy())"
    arrays = ", ".join(name.removesuffix(".npy") for name in names[:5])
    return f"an archive of arrays ({arrays}), as numpy.savez writes; use numpy.save with one of them"
