"""Core ML for the runner: the reference executor, and Apple's own engine on macOS."""

from __future__ import annotations

import platform
from typing import Any


class CoreMlReference:
    """hetero's own executor for Core ML packages; not Apple's engine."""

    certifies = (
        "the exported program and weights, computed by hetero's reference executor in float32, with float16 rounding "
        "where the program declares it; not Apple's kernels, Neural Engine or GPU, nor their speed"
    )

    modules = ("hetero", "device_tests.runtimes.coreml")

    def __init__(self, model: str, _settings: dict[str, str]) -> None:
        self._path = model
        self.version, self.tensors = "", list[list[Any]]()

    def __enter__(self) -> CoreMlReference:
        import hetero
        from device_tests.runtimes.coreml import load

        self.version = hetero.__version__
        self._model: Any = load(self._path, arithmetic="float16")
        self.tensors = [[name, "", 0.0, 0] for name in (*self._model.inputs, *self._model.outputs)]
        return self

    def __exit__(self, *_: object) -> None:
        self._model = None

    def run(self, images: Any) -> Any:
        """See :class:`device_tests.runner.engines.Runtime`."""
        (input_name,), (output_name,) = self._model.inputs, self._model.outputs
        return self._model.predict({input_name: images})[output_name]


class CoreMl:
    """Apple's Core ML, through coremltools, on macOS only."""

    modules = ("coremltools", "PIL.Image")

    def __init__(self, model: str, settings: dict[str, str]) -> None:
        self._path = model
        self._units = settings.get("compute_units", "ALL")
        self.version, self.tensors = "", list[list[Any]]()

    def __enter__(self) -> CoreMl:
        import coremltools

        self.version = f"{platform.mac_ver()[0]}, coremltools {coremltools.__version__}, {self._units}"
        units = coremltools.ComputeUnit[self._units]
        self._model: Any = coremltools.models.MLModel(self._path, compute_units=units)
        described = self._model.get_spec().description
        self._input, self._output = described.input[0].name, described.output[0].name
        self.tensors = [[name, "", 0.0, 0] for name in (self._input, self._output)]
        return self

    def __exit__(self, *_: object) -> None:
        self._model = None

    def run(self, images: Any) -> Any:
        """See :class:`device_tests.runner.engines.Runtime`; Core ML takes the image itself."""
        from PIL import Image

        return self._model.predict({self._input: Image.fromarray(images[0])})[self._output]
