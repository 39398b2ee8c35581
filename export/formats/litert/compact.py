"""A small TFLite file: equal vectors, names, tables and weights are stored once, and empty information is left out.

Per-channel quantisation alone takes 8 bytes per channel for zero points that are all zero. A flatbuffer may refer to
one place from any number of others, and readers cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cache
from typing import Any

import numpy as np


@cache
def sharing_builder() -> type[Any]:
    """Return a ``flatbuffers.Builder`` that writes equal vectors and strings once; imported late, as flatbuffers is."""
    import flatbuffers

    class SharingBuilder(flatbuffers.Builder):
        def __init__(self, size: int) -> None:
            super().__init__(size)
            self._written: dict[Hashable, int] = {}

        def CreateNumpyVector(self, x: np.ndarray) -> int:  # noqa: N802
            return self.once((x.dtype.str, x.tobytes()), lambda: super(SharingBuilder, self).CreateNumpyVector(x))

        def CreateString(self, s: str | bytes, encoding: str = "utf-8", errors: str = "strict") -> int:  # noqa: N802
            text = s.encode(encoding, errors) if isinstance(s, str) else s
            return self.once(text, lambda: super(SharingBuilder, self).CreateString(text))

        def once(self, content: Hashable, write: Callable[[], int]) -> int:
            """Return the offset of this content; it is written if it is new."""
            if content not in self._written:
                self._written[content] = write()
            return self._written[content]

    return SharingBuilder


def compact(model: Any) -> None:
    """Remove duplicates and empty information from an object tree (``schema.ModelT``); names of values do not change.

    Afterwards the tree can be packed only with a :func:`sharing_builder`.
    """
    _share_buffers(model)
    for graph in model.subgraphs:
        constants = [tensor for tensor in graph.tensors if _data(model, tensor.buffer)]
        for place, tensor in enumerate(constants):
            tensor.name = f"c{place}"
        for tensor in graph.tensors:
            tensor.quantization = None if _says_nothing(tensor.quantization) else _Shared(tensor.quantization)
        for operator in graph.operators:
            if operator.builtinOptions is not None:
                operator.builtinOptions = _Shared(operator.builtinOptions)


class _Shared:
    """A table that is stored once in the file, however many tables refer to an equal one."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def Pack(self, builder: Any) -> int:  # noqa: N802
        """Write the table; called by the generated code."""
        return builder.once(_content(self._table), lambda: self._table.Pack(builder))


def _content(value: Any) -> Hashable:
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.tobytes())
    if isinstance(value, list):
        return tuple(map(_content, value))
    fields = getattr(value, "__dict__", None)
    if fields is None:
        return (type(value), value)
    return (type(value), *((name, _content(field)) for name, field in sorted(fields.items())))


def _share_buffers(model: Any) -> None:
    """Keep one of each group of equal buffers; the first is empty by definition, and is used for all empty ones."""
    place_of: dict[bytes, int] = {b"": 0}
    buffers = [model.buffers[0]]
    places: list[int] = []
    for index, buffer in enumerate(model.buffers):
        content = _data(model, index)
        if content not in place_of:
            place_of[content] = len(buffers)
            buffers.append(buffer)
        places.append(place_of[content])
    model.buffers = buffers
    for holder in (*(tensor for graph in model.subgraphs for tensor in graph.tensors), *(model.metadata or [])):
        holder.buffer = places[holder.buffer]


def _data(model: Any, buffer: int) -> bytes:
    data = model.buffers[buffer].data
    return b"" if data is None else np.asarray(data, np.uint8).tobytes()


def _says_nothing(quantisation: Any) -> bool:
    """Return True if a tensor's quantisation has neither scales nor ranges, as in float tensors of converters."""
    if quantisation is None:
        return True
    vectors = (quantisation.scale, quantisation.zeroPoint, quantisation.min, quantisation.max)
    return quantisation.details is None and all(vector is None or len(vector) == 0 for vector in vectors)
