"""ExecuTorch for the runner: its Python runtime, which needs torch and so does not travel."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_INSTALLED = find_spec("executorch") is not None


class NotInstalledError(RuntimeError):
    """This machine has no ExecuTorch, so that nothing can be said of a file."""

    exit_code = 3


class ExecuTorch:
    """ExecuTorch on the CPU, with XNNPACK's kernels."""

    modules = ("torch", "executorch.runtime") if _INSTALLED else ()

    def __init__(self, model: str, _settings: dict[str, str]) -> None:
        self._path = Path(model)
        self.version, self.tensors = "", list[list[Any]]()

    def __enter__(self) -> ExecuTorch:
        if not _INSTALLED:
            raise NotInstalledError("ExecuTorch is not installed here: pip install 'hetero[executorch]'")
        from export.formats.executorch.runtime import Loaded

        self.version = version("executorch")
        self._model: Any = Loaded(self._path.read_bytes())
        self.tensors = [[one.name, one.type, one.scale, one.zero_point] for one in self._model.signature()]
        return self

    def __exit__(self, *_: object) -> None:
        self._model = None

    def run(self, images: Any) -> Any:
        """See :class:`device_tests.runner.engines.Runtime`."""
        return self._model.embed(images)
