"""Embed images with one model, and say how long it took."""

from __future__ import annotations

import platform
import sys
import time
from typing import Any

import numpy as np

from .carried import search_apart
from .decoding import decoder, pixels_of
from .engines import Runtime, engine


def embed_job(called: str, job: dict[str, Any], import_seconds: float) -> dict[str, Any]:
    """Embed the job's images with an engine, and write the embeddings; returns the report.

    Args:
        called: As :func:`~device_tests.runner.engines.engine` takes it.
        job: What the job's file holds.
        import_seconds: That importing the engine took.
    """
    images = np.load(job["images"], allow_pickle=False)
    decodes_with = decoder() if job["originals"] else ""
    start = time.perf_counter()
    with engine(called)(job["model"], job["settings"]) as runtime:
        load_seconds = time.perf_counter() - start
        embeddings, seconds = embed(runtime, images, job["warm_up"])
        own, undecoded, incomplete = own_pixels(runtime, job, images, embeddings) if decodes_with else ({}, [], False)
        version, tensors = runtime.version, getattr(runtime, "tensors", [])
    keys, error, lacks = search_apart(job["gallery"], embeddings) if job.get("gallery") else ({}, "", False)
    np.savez(job["output"], embeddings=embeddings, **own, **keys)
    return {
        "runtime": called.partition("=")[0],
        "runtime_version": version,
        "tensors": tensors,
        "certifies": getattr(engine(called), "certifies", ""),
        "decoder": decodes_with,
        "decode_errors": undecoded,
        "incomplete": incomplete,
        "gallery_error": error,
        "gallery_lacks": lacks,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "load_seconds": import_seconds + load_seconds,
        "latency_seconds": seconds,
        "peak_memory_bytes": peak_memory(),
    }


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


def own_pixels(
    runtime: Runtime, job: dict[str, Any], images: Any, embeddings: Any
) -> tuple[dict[str, Any], list[str], bool]:
    """This device's pixels of the originals and their embeddings, and why files could not be decoded.

    Equal pixels are not embedded again. A file that cannot be decoded is black, and its reason not empty; what comes
    last is whether the fault was the device's and not the file's.
    """
    pixels: list[Any] = []
    vectors: list[Any] = []
    errors: list[str] = []
    incomplete = False
    for original in job["originals"]:
        made, error = np.zeros(images.shape[1:], np.uint8), ""
        try:
            made = pixels_of(original["file"], job["contract"])
        except Exception as caught:  # Decoders raise all kinds.
            error = f"{type(caught).__name__}: {caught}"
            # An error of the system has a number; a decoder's own has none.
            incomplete = incomplete or isinstance(caught, MemoryError) or bool(getattr(caught, "errno", None))
        pixels.append(made)
        errors.append(error)
        row = original["image"]
        if row is not None:
            same = np.array_equal(made, images[row])
            vector = embeddings[row] if same else runtime.run(np.ascontiguousarray(made[None]))
            vectors.append(np.array(vector, np.float32).reshape(-1))
    own = np.array(vectors, np.float32).reshape(len(vectors), embeddings.shape[1])
    return {"pixels": np.stack(pixels), "pixel_embeddings": own}, errors, incomplete


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
