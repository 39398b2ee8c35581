"""An int8 file for a bundle that ships none, from ONNX Runtime's own quantiser: something to break."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from device_tests.faults.variants import copy_changed
from export.bundle.goldens import spread_rows
from export.bundle.manifest import ModelEntry
from export.bundle.reading import Bundle, read_bundle
from hetero.errors import InputError

_CALIBRATION = 64


def with_int8(bundle: Bundle, entry: ModelEntry, out: Path) -> Bundle:
    """Copy a bundle with its float32 ONNX file in int8 as the only model, with a scale for every channel.

    Ranges come from some of its retrieval images. That is enough for a file to break; for shipped files, ranges are
    chosen with more care, on images that they are not verified with.

    Raises:
        InputError: If the quantiser is not installed.
    """
    try:
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
    except ImportError:
        raise InputError("breaking an int8 file on purpose needs onnx: pip install 'hetero[export]'") from None
    images = bundle.goldens.retrieval_images
    calibration = images[spread_rows(len(images), _CALIBRATION)]

    class Images(CalibrationDataReader):
        def __init__(self) -> None:
            self._left = _one_by_one(calibration, entry.input.name)

        def get_next(self) -> dict[str, np.ndarray] | None:  # type: ignore[override]
            return next(self._left, None)

    def change(copy: Path) -> None:
        quantize_static(
            str(bundle.file(entry)), str(copy / entry.file), Images(), quant_format=QuantFormat.QDQ, per_channel=True
        )

    return read_bundle(copy_changed(bundle, dataclasses.replace(entry, precision="int8"), out, change))


def _one_by_one(images: UInt8[np.ndarray, "n h w 3"], name: str) -> Iterator[dict[str, np.ndarray]]:
    for image in images:
        yield {name: image[None]}
