"""A cloud model given as an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from hetero.errors import InputError, IntegrityError
from hetero.files import digest, sha256_bytes, sha256_file
from hetero.foreign import strict_json
from hetero.preprocessing import DESCRIBED_AS, Preprocessing
from hetero.recognition.kinds import ONNX
from hetero.recognition.recognise import refuse_others
from hetero.schema import parse
from hetero.space import EmbeddingSpace

INPUT_TYPES = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32, "tensor(float16)": np.float16}


class OnnxEmbedder:
    """Runs an ONNX file with ONNX Runtime on the CPU. The file (with its external data) defines the space.

    The only input must be images: uint8 or float, [b, h, w, 3] or [b, 3, h, w], with a free or a fixed batch. Float
    images are scaled to 0..1, then normalised by the preprocessing; uint8 images are passed unchanged.

    Args:
        path: The ``.onnx`` file.
        preprocessing: Resizing and normalisation of its images.
        name: Name of the space, for people.
        version: Version of the space, for people.
        output: Name of the output that holds the vectors; may be left out when the file has only one.

    Raises:
        InputError: When the file is missing, or its input or output does not fit.
        IntegrityError: When ONNX Runtime cannot load it.
    """

    def __init__(
        self,
        path: Path,
        preprocessing: Preprocessing,
        *,
        name: str = "external",
        version: str = "1",
        output: str = "",
    ) -> None:
        self.preprocessing = preprocessing
        self._session = _open(path)
        self._input = _only_input(self._session, path)
        self._output = _choose_output(self._session, path, output)
        self._dtype = INPUT_TYPES[self._input.type]
        self._channels_last, self._batch = _layout(self._input.shape, preprocessing, path)
        probe = self._run(np.zeros((1, preprocessing.height, preprocessing.width, 3), np.uint8), self._batch or 1)
        if probe.ndim != 2:
            raise InputError(f"{path}: output {self._output} must hold vectors [b, d], got {['b', *probe.shape[1:]]}")
        self.space = EmbeddingSpace.define(
            defined_by=_file_digest(path),
            name=name,
            version=version,
            dimension=probe.shape[1],
            preprocessing=preprocessing.digest,
        )

    def embed(self, images: UInt8[np.ndarray, "b h w 3"]) -> Float32[np.ndarray, "b d"]:
        """Return the vectors of the graph."""
        batch = self._batch or max(len(images), 1)
        parts = [self._run(images[start : start + batch], batch) for start in range(0, len(images), batch)]
        return np.concatenate(parts)

    def _run(self, images: UInt8[np.ndarray, "b h w 3"], batch: int) -> Float32[np.ndarray, ...]:
        tensor = np.asarray(images)
        if self._dtype != np.uint8:
            scaled = tensor.astype(np.float32) / np.float32(255)
            mean, std = (np.asarray(part, np.float32) for part in (self.preprocessing.mean, self.preprocessing.std))
            tensor = ((scaled - mean) / std).astype(self._dtype)
        if not self._channels_last:
            tensor = tensor.transpose(0, 3, 1, 2)
        missing = batch - len(tensor)
        if missing:  # a graph with a fixed batch needs a full one; the repeated images are cut off again
            tensor = np.concatenate([tensor, np.repeat(tensor[-1:], missing, axis=0)])
        result = self._session.run([self._output], {self._input.name: np.ascontiguousarray(tensor)})[0]
        return np.asarray(result, np.float32)[: len(images)]


def stated_preprocessing(path: Path) -> dict[str, Any]:
    """Return what a file says of the images that it takes.

    Returns:
        The whole preprocessing if hetero exported the file; otherwise height and width, or nothing where it leaves
        them open.

    Raises:
        InputError: When the file is missing, or does not take images.
        IntegrityError: When ONNX Runtime cannot load it, or its description is damaged.
    """
    session = _open(path)
    shape: list[Any] = _only_input(session, path).shape
    if described := session.get_modelmeta().custom_metadata_map.get(DESCRIBED_AS):
        value = strict_json(described.encode(), what=f"the preprocessing in {path}")
        return parse(Preprocessing, value, what=f"the preprocessing in {path}", error=IntegrityError).to_dict()
    sides = shape[1:3] if shape[3:] == [3] else shape[2:4]
    return dict(zip(("height", "width"), sides, strict=True)) if _are_sides(sides) else {}


def _are_sides(sides: list[Any]) -> bool:
    return len(sides) == 2 and all(isinstance(side, int) for side in sides)


def _open(path: Path) -> Any:
    refuse_others(path, ONNX)
    if not path.is_file():
        raise InputError(f"expected an ONNX file at {path}, found none")
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(f"an ONNX cloud model needs onnxruntime: pip install 'hetero[device]' ({error})") from error
    try:
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has an exception type for each failure, without a common base
        raise IntegrityError(f"{path} cannot be loaded by ONNX Runtime: {error}") from error


def _only_input(session: Any, path: Path) -> Any:
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in INPUT_TYPES:
        listing = ", ".join(f"{each.name}: {each.type} {each.shape}" for each in inputs)
        raise InputError(f"{path}: expected one input of images, uint8 or float; got {listing}")
    return inputs[0]


def _choose_output(session: Any, path: Path, output: str) -> str:
    names = [each.name for each in session.get_outputs()]
    if output in names:
        return output
    if output or len(names) != 1:
        raise InputError(
            f"{path}: expected the name of the output that holds the vectors, one of {names}; got {output!r}"
        )
    return names[0]


def _layout(shape: list[Any], preprocessing: Preprocessing, path: Path) -> tuple[bool, int | None]:
    """Return True if channels come last, and the fixed batch size if there is one."""
    size = [preprocessing.height, preprocessing.width]
    candidates = {True: [*size, 3], False: [3, *size]}
    fitting = [
        last
        for last, layout in candidates.items()
        if len(shape) == 4 and all(not isinstance(a, int) or a == b for a, b in zip(shape[1:], layout, strict=True))
    ]
    # With free height, width and channels both orders fit: only a fixed 3 could tell them apart.
    if len(fitting) != 1:
        raise InputError(
            f"{path}: expected images [b, {size[0]}, {size[1]}, 3] or [b, 3, {size[0]}, {size[1]}] "
            f"as the preprocessing says; its input {'may be either' if fitting else 'is neither'}: {shape}"
        )
    return fitting[0], shape[0] if isinstance(shape[0], int) else None


def _file_digest(path: Path) -> str:
    """Return the SHA-256 of the file, including the external data in the files beside it that it names."""
    content = path.read_bytes()
    beside = [
        other
        for other in sorted(path.parent.iterdir())
        if other.is_file() and other != path and other.name.encode() in content
    ]
    if not beside:
        return sha256_bytes(content)
    return digest([sha256_bytes(content), *(sha256_file(other) for other in beside)])
