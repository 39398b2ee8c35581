"""A page in headless Chromium as on a phone, driven by the DevTools protocol: JSON through a descriptor."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from device_tests.targets.browser.setup import browser
from hetero.errors import InputError

WIDTH, HEIGHT = 360, 740
_OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--remote-debugging-pipe")
_PATIENCE = 120.0
_SAYS = ("Page", "Runtime", "Log")


class Tab:
    """A tab of a browser.

    Args:
        channel: To the browser.

    Attributes:
        errors: What the console shows as errors: exceptions, what the policy of a page refused, and answers of the
            server other than 2xx, by their source.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel, self._buffer, self._number, self._session = channel, b"", 0, ""
        self.errors: list[tuple[str, str]] = []
        self._is_loaded = False
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in _SAYS:
            self._call(f"{domain}.enable")
        phone = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 2, "mobile": True}
        self._call("Emulation.setDeviceMetricsOverride", **phone)

    def open(self, url: str) -> None:
        """Go to a page, and wait until it is loaded."""
        self._is_loaded = False
        self._call("Page.navigate", url=url)
        while not self._is_loaded:
            self._take(self._message())

    def choose(self, field: str, file: Path) -> None:
        """Choose a file in a field of the page, given by its selector."""
        root = self._call("DOM.getDocument")["root"]["nodeId"]
        node = self._call("DOM.querySelector", nodeId=root, selector=field)["nodeId"]
        self._call("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def type(self, field: str, text: str) -> None:
        """Type into a field of the page in place of what it holds."""
        self.run(f"document.querySelector({json.dumps(field)}).select()")
        self._call("Input.insertText", text=text)

    def run(self, script: str) -> Any:
        """The value of an expression in the page, or of its promise."""
        answer = self._call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._channel.sendall(json.dumps(message).encode() + b"\0")
        while (answer := self._message()).get("id") != self._number:
            self._take(answer)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            received = self._channel.recv(1 << 16)
            assert received, "the browser ended"
            self._buffer += received
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def _take(self, event: dict[str, Any]) -> None:
        said = event.get("params", {})
        match event.get("method"):
            case "Page.loadEventFired":
                self._is_loaded = True
            case "Log.entryAdded" if said["entry"]["level"] == "error":
                self.errors.append((said["entry"]["source"], said["entry"]["text"]))
            case "Runtime.exceptionThrown":
                self.errors.append(("javascript", str(said["exceptionDetails"])))
            case "Runtime.consoleAPICalled" if said["type"] in ("error", "assert"):
                self.errors.append(("console-api", str(said["args"])))
            case _:
                pass


@contextmanager
def phone(profile: Path) -> Generator[Tab]:
    """A tab of a browser of its own; skips the test where there is no browser.

    Args:
        profile: A folder for what the browser keeps.
    """
    try:
        chromium = browser()
    except InputError as error:
        pytest.skip(str(error))
    options = [*_OPTIONS, f"--user-data-dir={profile}"]
    ours, theirs = socket.socketpair()
    with ours:
        ours.settimeout(_PATIENCE)
        with theirs:
            # It reads from descriptor 3 and writes to 4, which this one must not be.
            number = fcntl.fcntl(theirs.fileno(), fcntl.F_DUPFD_CLOEXEC, 10)
            process = subprocess.Popen(
                ["bash", "-c", f'exec "$@" 3<&{number} 4>&{number}', "bash", chromium, *options],
                pass_fds=[number],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            os.close(number)
        try:
            yield Tab(ours)
        finally:
            process.terminate()
            process.wait()
