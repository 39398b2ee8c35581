"""ExecuTorch for the runner: its Python runtime, which needs torch and so does not travel."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from export.kinds.interface import INPUT, OUTPUT

_INSTALLED = find_spec("executorch") is not None
_TYPES = {0: "uint8", 6: "float32"}
"""Numbers of torch's types."""


class NotInstalledError(RuntimeError):
    """This machine has no ExecuTorch, so that nothing can be said of a file."""

    exit_code = 3


class ExecuTorch:
    """ExecuTorch on the CPU, with XNNPACK's kernels."""

    modules = ("torch", "executorch.runtime") if _INSTALLED else ()

    def __init__(self, model: str, _settings: dict[str, str]) -> None:
        self._path = model
        self.version, self.tensors = "", list[list[Any]]()

    def __enter__(self) -> ExecuTorch:
        if not _INSTALLED:
            raise NotInstalledError("ExecuTorch is not installed here: pip install 'hetero[executorch]'")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an interface that may change
            from executorch.extension.pybindings import portable_lib
            from executorch.runtime import Runtime

        self.version = version("executorch")
        engine: Any = portable_lib
        engine._unsafe_reset_threadpool(1)
        self._program: Any = Runtime.get().load_program(self._path)  # kept, because its methods use its memory
        self._method: Any = self._program.load_method("forward")
        about = self._method.metadata
        # The file has no names for them.
        self.tensors = [
            [name, _TYPES.get(one.dtype(), str(one.dtype())), 0.0, 0]
            for name, one in ((INPUT, about.input_tensor_meta(0)), (OUTPUT, about.output_tensor_meta(0)))
        ]
        return self

    def __exit__(self, *_: object) -> None:
        self._method = self._program = None

    def run(self, images: Any) -> Any:
        """See :class:`device_tests.runner.engines.Runtime`."""
        import torch

        return self._method.execute([torch.from_numpy(images)])[0].numpy()
