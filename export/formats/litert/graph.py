"""The outputs of every operator of a TFLite file, by LiteRT's interpreter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from export.formats.litert.runtime import interpreter
from export.kinds.graph import Graph, GraphOperator, Values


def read_graph(path: Path) -> Graph:
    """Read a TFLite file."""
    reader = interpreter(path.read_bytes(), experimental_preserve_all_tensors=True)
    reader.allocate_tensors()
    tensors = {one["index"]: one for one in reader.get_tensor_details()}
    operators = tuple(
        GraphOperator(tensors[output]["name"], one["op_name"], _names(one["inputs"], tensors))
        for one in reader._get_ops_details()
        for output in one["outputs"]
        if output in tensors
    )
    # A delegate lists its computations once more, as its own.
    operators = tuple({one.name: one for one in reversed(operators)}.values())[::-1]
    watched = {one.name for one in operators}
    details = [one for one in tensors.values() if one["name"] in watched]
    (input_details,) = reader.get_input_details()

    def run(images: UInt8[np.ndarray, "n h w 3"]) -> Iterator[Values]:
        for image in images:
            reader.set_tensor(input_details["index"], image[None])
            reader.invoke()
            yield {one["name"]: _number(reader.get_tensor(one["index"]), one) for one in details}

    return Graph(operators, run)


def _names(indices: Iterable[int], tensors: Mapping[int, Any]) -> tuple[str, ...]:
    return tuple(tensors[index]["name"] for index in indices if index in tensors)


def _number(value: NDArray[Any], details: Mapping[str, Any]) -> NDArray[np.float32]:
    scale, zero_point = details["quantization"]
    return np.float32(scale) * (value.astype(np.float32) - zero_point) if scale else value.astype(np.float32)
