"""The mobile web: ONNX Runtime Web and LiteRT for Web in a headless Chromium with a phone's viewport."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from device_tests.targets.browser import setup
from device_tests.targets.browser.server import JobServer
from device_tests.targets.job import job_settings
from device_tests.targets.session import SILENCE_LIMIT
from device_tests.targets.target import Progress, Request, Returned
from export.app_code.code import JAVASCRIPT
from export.kinds.registry import engines_on
from hetero.errors import InputError
from hetero.foreign import strict_json
from hetero.processes import children
from hetero.storage.scratch import scratch_folder

_PAGE = Path(setup.__file__).parent
# The viewport of an ordinary current phone in CSS pixels, and device pixels per CSS pixel.
_WIDTH, _HEIGHT, _RATIO = 412, 915, 2.625
# Without these, Chromium contacts its maker's hosts at every start.
_QUIET = (
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"),
    *("--no-first-run", "--no-default-browser-check", "--disable-default-apps", "--disable-domain-reliability"),
    *("--disable-breakpad", "--disable-gpu"),
)


class Browser:
    """The target ``browser``."""

    name = "browser"
    emulated = False

    @property
    def runtimes(self) -> Mapping[str, str]:
        """The runtime of each format in a browser."""
        return engines_on("browser")

    def set_up(self) -> None:
        """Find a browser, and install the runtimes in the cache on first use (about half a minute, 190 MB).

        Raises:
            InputError: If something is missing.
        """
        setup.browser()
        setup.set_up()

    def state(self) -> str:
        """Return ``ready`` and the browser, or how to install the runtimes."""
        program = setup.browser()
        return f"ready, with {program}" if setup.is_set_up() else "not set up yet: `hetero device setup browser`"

    def describe(self) -> Mapping[str, str]:
        """Return browser, viewport and versions."""
        return {
            "browser": setup.browser_version(setup.browser()),
            "viewport": f"{_WIDTH} x {_HEIGHT} at {_RATIO:g} pixels each",
            **setup.PACKAGES,
            "certifies": "the WebAssembly builds of these runtimes, and this browser's own decoding of image files",
            "leaves open": "other browsers, WebGPU and WebNN, and a phone's speed and memory",
        }

    def run(self, request: Request, progress: Progress) -> Returned:
        """Embed the request's images in a page."""
        posts: queue.Queue[tuple[str, bytes]] = queue.Queue()
        with (
            JobServer(_PAGE, setup.packages_folder(), _served(request), lambda *post: posts.put(post)) as server,
            scratch_folder("browser") as profile,
        ):
            errors = profile / "errors.txt"
            with errors.open("wb") as stream:
                process = children.tethered(
                    [setup.browser(), *_options(str(profile)), server.address],
                    folder=profile,
                    variables=children.environment(TMPDIR=str(profile), XDG_CONFIG_HOME=str(profile)),
                    stdout=subprocess.DEVNULL,
                    stderr=stream,
                    leaves=profile,
                )
            try:
                answers = _listen(posts, process, progress)
            except InputError as error:
                return Returned(error=str(error))
            finally:
                # The browser's helpers share its process group, and none may survive the run.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return _returned(request, answers)

    def close(self) -> None:
        """Do nothing: no process survives a run."""


def _options(profile: str) -> list[str]:
    version = re.search(r"[0-9]+", setup.browser_version(setup.browser()))
    agent = (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/{version[0] if version else '100'}.0.0.0 Mobile Safari/537.36"
    )
    # Chromium's sandbox refuses to run as root, as in most containers.
    root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    return [
        "--headless",
        *_QUIET,
        *root,
        "--disable-dev-shm-usage",
        f"--user-data-dir={profile}/profile",
        f"--user-agent={agent}",
        f"--window-size={_WIDTH},{_HEIGHT}",
        f"--force-device-scale-factor={_RATIO}",
        "--touch-events=enabled",
    ]


def _served(request: Request) -> dict[str, bytes | Path]:
    scale, zero = _output_scale(request)
    kinds = {".png": "image/png", ".jpg": "image/jpeg"}
    job = {
        "runtime": request.runtime,
        "image_shape": [1, *request.images.shape[1:]],
        **job_settings(request),
        "output_scale": scale,
        "output_zero": zero,
        "originals": [
            {"file": f"originals/{index}", "type": kinds[one.file.suffix], "embed": one.image is not None}
            for index, one in enumerate(request.originals)
        ],
    }
    files: dict[str, bytes | Path] = {f"originals/{index}": one.file for index, one in enumerate(request.originals)}
    files |= {f"app_code/{file.name}": file for file in JAVASCRIPT.glob("*.mjs")}
    images = np.ascontiguousarray(request.images).tobytes()
    return {**files, "job.json": json.dumps(job).encode(), "images": images, "model": request.model}


def _output_scale(request: Request) -> tuple[float, int]:
    """Return scale and zero point of a quantised output, which LiteRT for Web does not report; 1 and 0 for others."""
    if request.runtime != "litert-web":
        return 1.0, 0
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter: Any = Interpreter(model_path=str(request.model), num_threads=1)
        scale, zero = interpreter.get_output_details()[0]["quantization"]
    except (ValueError, RuntimeError):
        return 1.0, 0  # the browser's runtime will report what is wrong with the file
    return (float(scale), int(zero)) if scale else (1.0, 0)


def _listen(
    heard: queue.Queue[tuple[str, bytes]], process: subprocess.Popen[bytes], progress: Progress
) -> dict[str, bytes]:
    """Collect everything that the page posts until its report.

    Raises:
        InputError: If it reports a failure, falls silent, or the browser ends.
    """
    answers: dict[str, bytes] = {}
    silent = 0.0
    while "report" not in answers:
        try:
            name, content = heard.get(timeout=1.0)
        except queue.Empty:
            silent += 1
            if process.poll() is not None:
                raise InputError(f"the browser ended with status {process.returncode}") from None
            if silent >= SILENCE_LIMIT:
                raise InputError(f"no progress for {SILENCE_LIMIT:.0f} s; killed") from None
            continue
        silent = 0.0
        if name == "failed":
            raise InputError(content.decode(errors="replace")[:500])
        if name == "progress":
            progress(*json.loads(content))
        else:
            answers[name] = content
    return answers


def _returned(request: Request, found: Mapping[str, bytes]) -> Returned:
    report = strict_json(found["report"], what="report")
    embeddings = np.frombuffer(found["embeddings"], np.float32).reshape(len(request.images), -1)
    shape = (len(request.originals), *request.images.shape[1:])
    pixels = np.frombuffer(found["pixels"], np.uint8).reshape(shape) if request.originals else None
    turned = np.frombuffer(found["pixel_embeddings"], np.float32) if request.originals else None
    embedded = sum(one.image is not None for one in request.originals)
    package = {"onnxruntime-web": "onnxruntime-web", "litert-web": "@litertjs/core"}[request.runtime]
    return Returned(
        embeddings=embeddings,
        runtime=f"{request.runtime} {setup.PACKAGES[package]}",
        load_seconds=float(report["load_seconds"]),
        latency_seconds=np.asarray(report["latency_seconds"], np.float64),
        decoder=f"{setup.browser_version(setup.browser())} (resized as the contract says)",
        pixels=pixels,
        decode_errors=tuple(report["decode_errors"]),
        pixel_embeddings=turned.reshape(embedded, embeddings.shape[1]) if turned is not None else None,
    )
