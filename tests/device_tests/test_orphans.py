"""Nothing that a verification started outlives it, and nothing that it wrote for the time being stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.device_tests.tiny_bundle import write_bundle
from tests.hetero.test_tether import is_over, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
ROOT = Path(__file__).parents[2]
ENDLESS = """
import os, sys
class Engine:
    modules, version = ("json",), "1"
    def __init__(self, model, settings): pass
    def __enter__(self):
        with open({note!r}, "a") as stream: stream.write(f"{{os.getpid()}} {{os.getppid()}}\\n")
        while True: pass
    def __exit__(self, *_): pass
Runtime = Engine
def engine(name): return Engine
"""
VERIFY = """
import signal, sys
from device_tests.targets import process, registry
from device_tests.targets.desktop import Desktop
from device_tests.targets.job import runner_files
from hetero.cli.main import main
files = runner_files() | {{"engines.py": {engines!r}.encode()}}
process.runner_files = lambda: files
Desktop.emulated = {emulated}
# Whoever runs the tests in the background has it ignored, and that is inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)
main(["verify", {bundle!r}, "--out", {out!r}, "--again"])
"""


@pytest.mark.parametrize("emulated", [False, True], ids=["in the main thread", "in several threads"])
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_an_endless_model_ends_with_its_verification(sent: signal.Signals, emulated: bool, tmp_path: Path) -> None:
    note, temporary = tmp_path / "note", tmp_path / "tmp"
    temporary.mkdir()
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx", "litert"))
    code = VERIFY.format(
        engines=ENDLESS.format(note=str(note)), bundle=str(bundle), out=str(tmp_path / "out"), emulated=emulated
    )
    variables = {**os.environ, "TMPDIR": str(temporary), "HETERO_CACHE": str(tmp_path / "cache")}
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=variables, stderr=subprocess.PIPE) as verify:
        try:
            wait_until(lambda: (note.is_file() and note.read_text().endswith("\n")) or verify.poll() is not None)
            assert verify.poll() is None, verify.communicate()[1].decode()
            verify.send_signal(sent)
            verify.communicate()
        finally:
            verify.kill()  # It would be waited for, for ever.
    assert verify.returncode == {signal.SIGTERM: 143, signal.SIGKILL: -9, signal.SIGINT: 130}[sent]
    pids = note.read_text().split()
    wait_until(lambda: all(is_over(Path("/proc") / pid) for pid in pids))
    # Copies of what a runtime was handed lie where no child knows of them: the next verification removes them.
    handed = set(temporary.glob(".hetero-handed.*")) if sent == signal.SIGKILL else set[Path]()
    wait_until(lambda: set(temporary.iterdir()) == handed)
