"""Compressed weights (``constexpr_...``), decoded once when a model is loaded.

Each operator has a form of iOS 16, with packed bytes and a shape, and one of iOS 18, with elements of fewer bits.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from device_tests.runtimes.coreml.operators.quantising import affine
from device_tests.runtimes.coreml.operators.registry import Array, operator
from device_tests.runtimes.coreml.operators.shapes import require_shape
from device_tests.runtimes.coreml.types import ELEMENTS, Element, TensorType
from device_tests.runtimes.coreml.weights import unpack

Ints = tuple[int, ...]
_UNSIGNED = {element.bits: element for element in ELEMENTS.values() if element.name.startswith("uint")}


@operator()
def constexpr_cast(source_val: Array, output_dtype: Literal["fp32"]) -> Array:
    """Return float16 values as float32."""
    return source_val.astype(np.float32)


@operator()
def constexpr_affine_dequantize(quantized_data: Array, zero_point: Array, scale: Array, axis: int) -> Array:
    """Return ``scale * (quantized_data - zero_point)``, with a scale for each index along an axis."""
    return affine(quantized_data, scale, zero_point, axis)


@operator()
def constexpr_blockwise_shift_scale(data: Array, scale: Array, offset: Array | None = None) -> Array:
    """Return ``scale * (data - offset)``, with a scale for each block."""
    result = data.astype(np.float32)
    if offset is not None:
        result -= _spread(offset, data.shape).astype(np.float32)
    return result * _spread(scale, data.shape)


@operator()
def constexpr_lut_to_dense(
    indices: Array,
    lut: Array,
    shape: Ints | None = None,
    vector_axis: int | None = None,
    *,
    expected: TensorType,
) -> Array:
    """Look up numbers, or short vectors, in a table (or a table for each block)."""
    if shape is None:
        result = _look_up(indices, lut, vector_axis)
    else:
        require_shape(shape, expected)
        bits = lut.size.bit_length() - 1
        if lut.ndim != 1 or 1 << bits != lut.size or bits not in _UNSIGNED:
            raise ValueError(f"a table of shape {list(lut.shape)}")
        result = lut[_unpacked(indices, _UNSIGNED[bits], shape)]
    return result


@operator()
def constexpr_sparse_to_dense(
    nonzero_data: Array, mask: Array, shape: Ints | None = None, *, expected: TensorType
) -> Array:
    """Return numbers where a bit mask is set, and zeros elsewhere."""
    if shape is not None:
        require_shape(shape, expected)
        mask = _unpacked(mask, _UNSIGNED[1], shape)
    return _dense(nonzero_data, mask)


@operator()
def constexpr_lut_to_sparse(
    indices_mask: Array, indices_nonzero_data: Array, lut: Array, vector_axis: int | None = None
) -> tuple[Array, Array]:
    """Return the mask, and the remaining indices looked up in the table."""
    result = _look_up(_dense(indices_nonzero_data, indices_mask), lut, vector_axis)
    mask = indices_mask if result.shape == indices_mask.shape else np.repeat(indices_mask, lut.shape[-1], vector_axis)
    return mask, result[mask != 0]


@operator()
def constexpr_sparse_blockwise_shift_scale(
    data_mask: Array, nonzero_data: Array, scale: Array, offset: Array | None = None
) -> tuple[Array, Array]:
    """Return the mask, and the remaining numbers scaled and shifted."""
    result = constexpr_blockwise_shift_scale(_dense(nonzero_data, data_mask), scale, offset)
    return data_mask, result[data_mask != 0]


def _unpacked(packed: Array, element: Element, shape: Ints) -> Array:
    count = math.prod(shape)
    if packed.dtype != np.uint8 or packed.ndim != 1 or packed.size != -(-count * element.bits // 8):
        raise ValueError(f"{packed.size} bytes do not hold {list(shape)} numbers of {element.bits} bits")
    if element.bits == 8:
        return packed.reshape(shape)
    return unpack(packed, element, count).reshape(shape)


def _dense(numbers: Array, mask: Array) -> Array:
    present = mask != 0
    if numbers.ndim != 1 or np.count_nonzero(present) != numbers.size:
        raise ValueError(f"the mask chooses {np.count_nonzero(present)} places for {numbers.size} numbers")
    result = np.zeros(mask.shape, numbers.dtype)
    result[present] = numbers
    return result


def _look_up(indices: Array, lut: Array, vector_axis: int | None) -> Array:
    length = lut.shape[-1]
    if lut.ndim != indices.ndim + 2 or (length > 1 and vector_axis is None):
        raise ValueError(f"tables of shape {list(lut.shape)} do not fit indices of shape {list(indices.shape)}")
    blocks = [_blocks(indices.shape[axis], lut.shape[axis]) for axis in range(indices.ndim)]
    places = np.ix_(*(np.arange(size) // block for size, block in zip(indices.shape, blocks, strict=True)))
    entries = lut[(*places, indices.astype(np.int64))]
    if length == 1:
        return entries[..., 0]
    axis = (vector_axis or 0) % indices.ndim
    shape = [size * length if at == axis else size for at, size in enumerate(indices.shape)]
    return np.moveaxis(entries, -1, axis + 1).reshape(shape)


def _spread(values: Array, shape: Ints) -> Array:
    if values.ndim != len(shape):
        raise ValueError(f"scales of shape {list(values.shape)} do not fit {list(shape)}")
    for axis, size in enumerate(shape):
        block = _blocks(size, values.shape[axis])
        values = np.repeat(values, block, axis) if block > 1 else values
    return values


def _blocks(size: int, count: int) -> int:
    if count < 1 or size % count:
        raise ValueError(f"{count} blocks do not divide {size}")
    return size // count
