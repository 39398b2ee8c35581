"""The only file that travels to a device: embeds images with one runtime, and says how long it took.

Needs Python 3.9, numpy and the runtime. Called with the path of a job::

    {"runtime": "onnxruntime" or "litert", "model": FILE, "images": FILE.npy, "output": FILE.npy, "report": FILE.json,
     "warm_up": 3}

Images are uint8 [n, h, w, 3]; each is embedded on its own, as an application does it, with one thread. The output is
float32 [n, d]. Standard output carries one line ``done total`` now and then, for a progress bar.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from typing import Any, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Runtime(Protocol):
    """An engine that runs one model file inside a ``with`` block."""

    version: str

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

    def __init__(self, model: str) -> None:
        self._model = model
        self.version = ""

    def __enter__(self) -> OnnxRuntime:
        import onnxruntime

        self.version = str(onnxruntime.__version__)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(self._model, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        return self

    def __exit__(self, *_: object) -> None:
        self._session = None

    def run(self, images: Any) -> Any:
        """See :class:`Runtime`."""
        return self._session.run(None, {self._input: images})[0]


class LiteRt:
    """LiteRT (formerly TensorFlow Lite) on the CPU, with its default kernels (XNNPACK)."""

    def __init__(self, model: str) -> None:
        self._model = model
        self.version = ""

    def __enter__(self) -> LiteRt:
        from importlib.metadata import version

        from ai_edge_litert.interpreter import Interpreter

        self.version = version("ai-edge-litert")
        self._interpreter: Any = Interpreter(model_path=self._model, num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]
        return self

    def __exit__(self, *_: object) -> None:
        self._interpreter = None

    def run(self, images: Any) -> Any:
        """See :class:`Runtime`."""
        self._interpreter.set_tensor(self._input, images)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output)


RUNTIMES: dict[str, Any] = {"onnxruntime": OnnxRuntime, "litert": LiteRt}


def embed(runtime: Runtime, images: Any, warm_up: int) -> tuple[Any, list[float]]:
    """Embed one image after another.

    Args:
        runtime: A loaded runtime.
        images: uint8 [n, h, w, 3].
        warm_up: Runs of the first image that are not timed.

    Returns:
        float32 [n, d] and the seconds that each image took.
    """
    for _ in range(warm_up):
        runtime.run(images[:1])
    rows: list[Any] = []
    seconds: list[float] = []
    for row in range(len(images)):
        image = np.ascontiguousarray(images[row : row + 1])
        start = time.perf_counter()
        embedding = runtime.run(image)
        seconds.append(time.perf_counter() - start)
        rows.append(np.array(embedding, np.float32).reshape(-1))
        if row % 16 == 15 or row + 1 == len(images):
            sys.stdout.write(f"{row + 1} {len(images)}\n")
            sys.stdout.flush()
    return np.stack(rows), seconds


def peak_memory() -> int:
    """Largest resident size of this process so far, in bytes; 0 where the system does not say."""
    # Linux hands the parent's figure of ``getrusage`` on to the programs it starts, hence its own status first.
    try:
        with open("/proc/self/status", encoding="ascii") as stream:  # noqa: PTH123
            for line in stream:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def main(path: str) -> None:
    """Run one job."""
    with open(path, encoding="utf-8") as stream:  # noqa: PTH123 - fewer imports start faster on a device
        job = json.load(stream)
    images = np.load(job["images"], allow_pickle=False)
    start = time.perf_counter()
    with RUNTIMES[job["runtime"]](job["model"]) as runtime:
        load_seconds = time.perf_counter() - start
        embeddings, seconds = embed(runtime, images, job["warm_up"])
        version = runtime.version
    np.save(job["output"], embeddings)
    report = {
        "runtime": job["runtime"],
        "runtime_version": version,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "load_seconds": load_seconds,
        "latency_seconds": seconds,
        "peak_memory_bytes": peak_memory(),
    }
    unfinished = f"{job['report']}.part"
    with open(unfinished, "w", encoding="utf-8") as stream:  # noqa: PTH123
        json.dump(report, stream)
    os.replace(unfinished, job["report"])  # noqa: PTH105


if __name__ == "__main__":
    main(sys.argv[1])
