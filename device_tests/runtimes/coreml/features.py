"""Conversion of an application's inputs to the program's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_tests.runtimes.coreml.program import Feature, Program
from device_tests.runtimes.coreml.types import TensorType
from hetero.errors import InputError, IntegrityError

Array = NDArray[Any]


def require_fitting_features(program: Program) -> None:
    """Check that the program takes images as planes of the declared size.

    Raises:
        IntegrityError: If it does not.
    """
    for feature, variable in zip(program.features, program.inputs, strict=True):
        planes = (1, 1 if feature.image == "GRAYSCALE" else 3, feature.height, feature.width)
        if feature.image and (variable.type.shape != planes or not variable.type.element.is_float):
            raise IntegrityError(f"the image {feature.name} is {feature.height} x {feature.width}, not {variable.type}")


def prepare(program: Program, given: Mapping[str, Array]) -> tuple[dict[str, Array], int]:
    """Convert an application's inputs to those of the program.

    Args:
        program: The program.
        given: Inputs by name: images as uint8 [n, h, w, 3] ([n, h, w, 1] for grey ones) in red, green, blue; arrays of
            the declared shape, or with n rows instead of one.

    Returns:
        Arrays by name, and the number of rows of the declared shape in them.

    Raises:
        InputError: With everything that does not fit.
    """
    problems = [f"{name}: unknown" for name in given if name not in {feature.name for feature in program.features}]
    prepared: dict[str, Array] = {}
    counts: dict[str, int] = {}
    for feature, variable in zip(program.features, program.inputs, strict=True):
        if feature.name not in given:
            problems.append(f"{feature.name}: missing")
            continue
        array = np.asarray(given[feature.name])
        if feature.image:
            fits = array.ndim == 4 and array.shape[1:] == _image_shape(feature) and array.dtype == np.uint8
            expected = f"uint8 [n, {', '.join(map(str, _image_shape(feature)))}]"
        else:
            fits, expected = _fits(array, variable.type), f"{variable.type}, or n rows of it"
        if not fits or not len(array):
            problems.append(f"{feature.name}: expected {expected}, got {array.dtype} {list(array.shape)}")
            continue
        prepared[feature.name] = _planes(array, feature) if feature.image else _cast(array, variable.type)
        counts[feature.name] = len(array) if feature.image else _rows(array, variable.type)
    if not problems and len({*counts.values()}) > 1:
        problems.append(f"expected as many rows for each input, got {counts}")
    if problems:
        raise InputError("the inputs do not fit the model:", problems)
    return prepared, next(iter(counts.values()))


def _image_shape(feature: Feature) -> tuple[int, int, int]:
    return feature.height, feature.width, 1 if feature.image == "GRAYSCALE" else 3


def _planes(images: Array, feature: Feature) -> Array:
    ordered = images[..., ::-1] if feature.image == "BGR" else images
    # Channels first in memory, which suits convolutions.
    return ordered.transpose(3, 0, 1, 2).astype(np.float32, order="C").transpose(1, 0, 2, 3)


def _fits(array: Array, declared: TensorType) -> bool:
    kind = {"f": "fiu", "b": "b"}.get(declared.element.dtype.kind, "iu")
    return array.dtype.kind in kind and (declared.accepts(array.shape) or _rows(array, declared) > 1)


def _rows(array: Array, declared: TensorType) -> int:
    if array.ndim and declared.shape[:1] == (1,) and declared.accepts((1, *array.shape[1:])):
        return len(array)
    return 1


def _cast(array: Array, declared: TensorType) -> Array:
    dtype = np.float32 if declared.element.is_float else declared.element.dtype
    cast = array.astype(dtype)
    if dtype != np.float32 and (cast != array).any():
        raise InputError(f"the inputs hold numbers that {declared.element.name} cannot")
    # An application's float16 input is rounded before the program sees it.
    return cast.astype(np.float16).astype(np.float32) if declared.element.name == "fp16" else cast
