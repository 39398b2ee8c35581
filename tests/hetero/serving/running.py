"""A running ``hetero serve``, and requests to it."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.snippets import ROOT


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Running:
    port: int
    process: subprocess.Popen[str]

    def ask(self, path: str, body: object = None, kind: str = "application/json", **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request("GET" if data is None else "POST", path, data, {"content-type": kind, **headers})
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "hetero", "serve", *arguments]


def variables(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


@contextmanager
def serving(*arguments: str, **more: str) -> Generator[Running]:
    """Start a service on a free port; it is ended, and must end well."""
    process = subprocess.Popen(
        command(*arguments, "--port", "0"), stdout=subprocess.PIPE, text=True, env=variables(**more)
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        yield Running(int(re.findall(r" at http://\S+:(\d+)$", said.strip())[0]), process)
        if process.poll() is None:
            process.terminate()
            assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()


def coded(vectors: np.ndarray) -> list[str]:
    return [base64.b64encode(row.tobytes()).decode() for row in vectors]
