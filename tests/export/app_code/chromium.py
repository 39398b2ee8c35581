"""A page of an application's code in headless Chromium. Skips, with the reason, where the browser target cannot run."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from device_tests.targets.browser import setup
from device_tests.targets.browser.server import JobServer
from device_tests.targets.browser.target import Browser, _listen, _options
from hetero.errors import InputError

PAGE = """<!doctype html>
<script type="importmap">{"imports": {
  "onnxruntime-web": "./npm/onnxruntime-web/dist/ort.wasm.min.mjs",
  "@litertjs/core": "./npm/@litertjs/core/dist/index.js",
  "@litertjs/wasm-utils": "./npm/@litertjs/wasm-utils/dist/index.js"
}}</script>
<script type="module" src="./script.mjs"></script>
"""


def answer_of(script: str, served: Mapping[str, bytes | Path], folder: Path) -> Any:
    """What the function ``run`` of a page's script gives."""
    try:
        Browser().set_up()
    except InputError as error:
        pytest.skip(str(error))
    script += """
        const post = (name, body) => fetch(name, {method: 'POST', body});
        run().then((answer) => post('report', JSON.stringify(answer)), (error) => post('failed', error.stack));
    """
    posts: queue.Queue[tuple[str, bytes]] = queue.Queue()
    page = {"page.html": PAGE.encode(), "script.mjs": script.encode()}
    with JobServer(folder, setup.packages_folder(), {**served, **page}, lambda *post: posts.put(post)) as server:
        command = [setup.browser(), *_options(str(folder)), server.address]
        process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            return json.loads(_listen(posts, process, lambda *_: None)["report"])
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
