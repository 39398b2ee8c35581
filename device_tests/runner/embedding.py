"""One job: embed images with one model, and say how long it took."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
import traceback
from typing import Any

import numpy as np

from . import NOT_VERIFIED
from .decoding import decoder, pixels_of
from .engines import Runtime, engine


def run_job(name: str, path: str, import_seconds: float) -> int:
    """Run the job of a file with the engine called ``name``; returns the exit status."""
    with open(path, encoding="utf-8") as stream:  # noqa: PTH123 - fewer imports start faster on a device
        job = json.load(stream)
    errors = os.open(job["errors"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(errors, 2)  # Runtimes write there by themselves, too.
    try:
        _answer(name, job, import_seconds)
    except Exception as error:
        if getattr(error, "exit_code", 1) == NOT_VERIFIED:
            sys.stderr.write(f"{error}\n")
            return NOT_VERIFIED
        traceback.print_exc()
        return 1
    finally:
        sys.stderr.flush()
    return 0


def _answer(name: str, job: dict[str, Any], import_seconds: float) -> None:
    images = np.load(job["images"], allow_pickle=False)
    decodes_with = decoder() if job["originals"] else ""
    start = time.perf_counter()
    with engine(name)(job["model"], job["settings"]) as runtime:
        load_seconds = time.perf_counter() - start
        embeddings, seconds = embed(runtime, images, job["warm_up"])
        own, undecoded = own_pixels(runtime, job, images, embeddings) if decodes_with else ({}, [])
        version = runtime.version
    np.savez(job["output"], embeddings=embeddings, **own)
    report = {
        "runtime": name,
        "runtime_version": version,
        "certifies": getattr(engine(name), "certifies", ""),
        "decoder": decodes_with,
        "decode_errors": undecoded,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "load_seconds": import_seconds + load_seconds,
        "latency_seconds": seconds,
        "peak_memory_bytes": peak_memory(),
    }
    unfinished = f"{job['report']}.part"
    with open(unfinished, "w", encoding="utf-8") as stream:  # noqa: PTH123
        json.dump(report, stream)
    os.replace(unfinished, job["report"])  # noqa: PTH105


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


def own_pixels(runtime: Runtime, job: dict[str, Any], images: Any, embeddings: Any) -> tuple[dict[str, Any], list[str]]:
    """This device's pixels of the originals and their embeddings, and why files could not be decoded.

    Equal pixels are not embedded again. A file that cannot be decoded is black, and its reason not empty.
    """
    pixels: list[Any] = []
    vectors: list[Any] = []
    errors: list[str] = []
    for original in job["originals"]:
        made, error = np.zeros(images.shape[1:], np.uint8), ""
        try:
            made = pixels_of(original["file"], job["contract"])
        except Exception as caught:  # Decoders raise all kinds.
            error = f"{type(caught).__name__}: {caught}"
        pixels.append(made)
        errors.append(error)
        row = original["image"]
        if row is not None:
            same = np.array_equal(made, images[row])
            vector = embeddings[row] if same else runtime.run(np.ascontiguousarray(made[None]))
            vectors.append(np.array(vector, np.float32).reshape(-1))
    own = np.array(vectors, np.float32).reshape(len(vectors), embeddings.shape[1])
    return {"pixels": np.stack(pixels), "pixel_embeddings": own}, errors


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
