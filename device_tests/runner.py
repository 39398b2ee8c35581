"""The only file that travels to a device: embeds images with one runtime, and says how long it took.

Needs Python 3.9, numpy and the runtime; Pillow, where the device's own decoding is to be proven. Called with the path
of a job::

    {"runtime": a key of RUNTIMES, "model": FILE, "images": FILE.npy, "output": FILE.npz, "report": FILE.json,
     "warm_up": 3, "settings": {runtime option: value}, "contract": preprocess.json's content,
     "originals": [{"file": FILE, "image": row of the image that the contract makes of it}]}

Images are uint8 [n, h, w, 3]; each is embedded on its own, as an application does it, with one thread. The output holds
``embeddings``, float32 [n, d]; with originals also ``pixels``, uint8 [o, h, w, 3], which this device made of them, and
their ``pixel_embeddings``, float32 [o, d]. Standard output carries one line ``done total`` now and then, for a progress
bar.
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

    def __init__(self, model: str, settings: dict[str, str]) -> None:
        self._model, self._settings = model, settings
        self.version = ""

    def __enter__(self) -> OnnxRuntime:
        import onnxruntime

        self.version = str(onnxruntime.__version__)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        for name, value in self._settings.items():
            options.add_session_config_entry(name, value)
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

    package, module = "ai-edge-litert", "ai_edge_litert.interpreter"

    def __init__(self, model: str, _settings: dict[str, str]) -> None:
        self._model = model
        self.version = ""

    def __enter__(self) -> LiteRt:
        from importlib import import_module
        from importlib.metadata import version

        interpreter: Any = import_module(self.module)
        self.version = version(self.package)
        self._interpreter: Any = interpreter.Interpreter(model_path=self._model, num_threads=1)
        self._interpreter.allocate_tensors()
        (self._input,) = self._interpreter.get_input_details()
        (self._output,) = self._interpreter.get_output_details()
        return self

    def __exit__(self, *_: object) -> None:
        self._interpreter = None

    def run(self, images: Any) -> Any:
        """See :class:`Runtime`; a quantised output is scaled back as its file says."""
        self._interpreter.set_tensor(self._input["index"], images)
        self._interpreter.invoke()
        given = self._interpreter.get_tensor(self._output["index"])
        scale, zero = self._output["quantization"]
        return (given.astype(np.float32) - zero) * np.float32(scale) if scale else given


class TfLiteRuntime(LiteRt):
    """The older ``tflite-runtime``, which many devices in the field still have."""

    package, module = "tflite-runtime", "tflite_runtime.interpreter"


class CoreMlReference:
    """hetero's own executor for Core ML packages, where it is installed: not Apple's engine."""

    certifies = (
        "the exported program and weights, computed by hetero's reference executor in float32, with float16 rounding "
        "where the program declares it; not Apple's kernels, Neural Engine or GPU, nor their speed"
    )

    def __init__(self, model: str, _settings: dict[str, str]) -> None:
        self._path = model
        self.version = ""

    def __enter__(self) -> CoreMlReference:
        import hetero
        from device_tests.runtimes.coreml import load

        self.version = hetero.__version__
        self._model: Any = load(self._path, arithmetic="float16")
        return self

    def __exit__(self, *_: object) -> None:
        self._model = None

    def run(self, images: Any) -> Any:
        """See :class:`Runtime`."""
        (given,), (made,) = self._model.inputs, self._model.outputs
        return self._model.predict({given: images})[made]


class CoreMl:
    """Apple's Core ML, through coremltools, which has it on macOS only."""

    def __init__(self, model: str, settings: dict[str, str]) -> None:
        self._path = model
        self._units = settings.get("compute_units", "ALL")
        self.version = ""

    def __enter__(self) -> CoreMl:
        import coremltools

        self.version = f"{platform.mac_ver()[0]}, coremltools {coremltools.__version__}, {self._units}"
        units = coremltools.ComputeUnit[self._units]
        self._model: Any = coremltools.models.MLModel(self._path, compute_units=units)
        described = self._model.get_spec().description
        self._input, self._output = described.input[0].name, described.output[0].name
        return self

    def __exit__(self, *_: object) -> None:
        self._model = None

    def run(self, images: Any) -> Any:
        """See :class:`Runtime`; Core ML takes the image itself."""
        from PIL import Image

        return self._model.predict({self._input: Image.fromarray(images[0])})[self._output]


RUNTIMES: dict[str, Any] = {
    "coreml": CoreMl,
    "onnxruntime": OnnxRuntime,
    "litert": LiteRt,
    "tflite-runtime": TfLiteRuntime,
    "coreml-reference": CoreMlReference,
}

NOT_VERIFIED = 3
"""Exit status when the runtime says that it cannot tell: neither the model's fault nor a pass."""


def pixels_of(file: str, contract: dict[str, Any]) -> Any:
    """Decode and resize a file as a bundle's ``preprocess.json`` asks; returns uint8 [h, w, 3].

    Written from the contract's words alone, as an application would: it shares no code with the training side.
    """
    from PIL import Image, ImageOps

    with Image.open(file) as opened:
        image = ImageOps.exif_transpose(opened)
        grey = contract["pad_value"]
        if image.mode.startswith("I"):  # 16-bit grey: the high byte is the picture
            image = Image.fromarray((np.asarray(image).astype(np.int64).clip(0, 65535) >> 8).astype(np.uint8))
        # Pillow 10.1 has a property for it; devices have older ones.
        if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
            ground = Image.new("RGBA", image.size, (grey, grey, grey, 255))
            image = Image.alpha_composite(ground, image.convert("RGBA"))
        image = image.convert("RGB")
    width, height = contract["width"], contract["height"]
    method = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[contract["filter"]]
    if contract["resize"] == "squash" or image.width * height == image.height * width:
        return np.asarray(image.resize((width, height), method))
    if contract["resize"] == "crop":
        scale = min(image.width / width, image.height / height)
        inner = min(width * scale, image.width), min(height * scale, image.height)
        left, top = (image.width - inner[0]) / 2, (image.height - inner[1]) / 2
        box = (left, top, left + inner[0], top + inner[1])
        return np.asarray(image.resize((width, height), method, box=box))
    scale = min(width / image.width, height / image.height)
    inner = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    padded = Image.new("RGB", (width, height), (grey, grey, grey))
    padded.paste(image.resize(inner, method), ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return np.asarray(padded)


def decoder() -> str:
    """What decodes files here; empty where nothing does."""
    try:
        from PIL import Image, __version__, features
    except ImportError:
        return ""
    jpeg = features.version("libjpeg_turbo") or features.version("jpg")
    return f"Pillow {__version__} (libjpeg {jpeg})" if Image else ""


def own_pixels(runtime: Runtime, job: dict[str, Any], images: Any, embeddings: Any) -> dict[str, Any]:
    """This device's pixels of the originals, and their embeddings; equal pixels are not embedded again."""
    pixels: list[Any] = []
    vectors: list[Any] = []
    for original in job["originals"]:
        made = pixels_of(original["file"], job["contract"])
        same = np.array_equal(made, images[original["image"]])
        vector = embeddings[original["image"]] if same else runtime.run(np.ascontiguousarray(made[None]))
        pixels.append(made)
        vectors.append(np.array(vector, np.float32).reshape(-1))
    return {"pixels": np.stack(pixels), "pixel_embeddings": np.stack(vectors)}


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
    decodes_with = decoder() if job["originals"] else ""
    start = time.perf_counter()
    with RUNTIMES[job["runtime"]](job["model"], job["settings"]) as runtime:
        load_seconds = time.perf_counter() - start
        embeddings, seconds = embed(runtime, images, job["warm_up"])
        own = own_pixels(runtime, job, images, embeddings) if decodes_with else {}
        version = runtime.version
    np.savez(job["output"], embeddings=embeddings, **own)
    report = {
        "runtime": job["runtime"],
        "runtime_version": version,
        "certifies": getattr(RUNTIMES[job["runtime"]], "certifies", ""),
        "decoder": decodes_with,
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
    try:
        main(sys.argv[1])
    except Exception as error:
        if getattr(error, "exit_code", 1) != NOT_VERIFIED:
            raise
        sys.stderr.write(f"{error}\n")
        sys.exit(NOT_VERIFIED)
