"""The engines that run a model file, by name."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol, runtime_checkable

import numpy as np

_ONNX_TYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}


@runtime_checkable
class Runtime(Protocol):
    """An engine that runs one model file inside a ``with`` block.

    Attributes:
        modules: What it imports, for importing it early.
        version: The engine's, once it is loaded.
        tensors: Name, type, scale and zero point of the input and the output, as the file says them, once it is loaded;
            a type is empty where the engine does not tell it.
    """

    modules: tuple[str, ...]
    version: str
    tensors: list[list[Any]]

    def __enter__(self) -> Runtime:
        """Load the model."""
        ...

    def __exit__(self, *_: object) -> None:
        """Free it."""
        ...

    def run(self, images: Any) -> Any:
        """uint8 [1, h, w, 3] to float32 [1, d]."""
        ...


class OnnxRuntime:
    """ONNX Runtime on the CPU."""

    package, modules = "onnxruntime", ("onnxruntime",)

    def __init__(self, model: str, settings: dict[str, str]) -> None:
        self._model, self._settings = model, settings
        self.version, self.tensors = "", []

    def __enter__(self) -> OnnxRuntime:
        import onnxruntime

        self.version = str(onnxruntime.__version__)
        self._session: Any = self.session(self._model, self._settings)
        taken, given = self._session.get_inputs()[0], self._session.get_outputs()[0]
        self._input = taken.name
        self.tensors = [[one.name, _ONNX_TYPES.get(one.type, one.type), 0.0, 0] for one in (taken, given)]
        return self

    def __exit__(self, *_: object) -> None:
        self._session = None

    @staticmethod
    def session(model: str, settings: dict[str, str]) -> Any:
        """A model's file loaded for one thread."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        for name, value in settings.items():
            options.add_session_config_entry(name, value)
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(self, images: Any) -> Any:
        """See :class:`Runtime`."""
        return self._session.run(None, {self._input: images})[0]


class LiteRt:
    """LiteRT (formerly TensorFlow Lite) on the CPU, with its default kernels (XNNPACK)."""

    package, modules = "ai-edge-litert", ("ai_edge_litert.interpreter",)

    def __init__(self, model: str, _settings: dict[str, str]) -> None:
        self._model = model
        self.version, self.tensors = "", []

    def __enter__(self) -> LiteRt:
        from importlib.metadata import version

        self.version = version(self.package)
        self._interpreter: Any = self.interpreter(self._model)
        (self._input,) = self._interpreter.get_input_details()
        (self._output,) = self._interpreter.get_output_details()
        taken, given = self._names()
        self.tensors = [_in_tflite(taken, self._input), _in_tflite(given, self._output)]
        return self

    def __exit__(self, *_: object) -> None:
        self._interpreter = None

    def _names(self) -> tuple[str, str]:
        """Of the input and the output: those that the signature gives them, where there is one."""
        signatures = getattr(self._interpreter, "get_signature_list", dict)  # Old ones do not know it.
        for signature in signatures().values():
            (taken,), (given,) = signature["inputs"], signature["outputs"]
            return taken, given
        return self._input["name"], self._output["name"]

    @classmethod
    def interpreter(cls, model: str) -> Any:
        """A model's file loaded for one thread."""
        interpreter: Any = import_module(cls.modules[0]).Interpreter(model_path=model, num_threads=1)
        interpreter.allocate_tensors()
        return interpreter

    def run(self, images: Any) -> Any:
        """See :class:`Runtime`; a quantised output is scaled back as its file says."""
        self._interpreter.set_tensor(self._input["index"], images)
        self._interpreter.invoke()
        given = self._interpreter.get_tensor(self._output["index"])
        scale, zero = self._output["quantization"]
        return (given.astype(np.float32) - zero) * np.float32(scale) if scale else given


def _in_tflite(name: str, details: Any) -> list[Any]:
    scale, zero_point = details["quantization"]
    return [name, np.dtype(details["dtype"]).name, float(scale), int(zero_point)]


class TfLiteRuntime(LiteRt):
    """The older ``tflite-runtime``, which many devices in the field still have."""

    package, modules = "tflite-runtime", ("tflite_runtime.interpreter",)


_HERE = {"onnxruntime": OnnxRuntime, "litert": LiteRt, "tflite-runtime": TfLiteRuntime}


def engine(called: str) -> Any:
    """The class of an engine: called with the path of a model and the engine's own settings, it is a :class:`Runtime`.

    Args:
        called: The name of one that travels along, or ``NAME=MODULE:CLASS`` of another, which must be importable.

    Raises:
        KeyError: When there is none of this name.
    """
    name, _, place = called.partition("=")
    if not place:
        return _HERE[name]
    module, _, kind = place.partition(":")
    return getattr(import_module(module), kind)
