"""A folder that holds code, or settings, under every name that a program of ours might look for where it is started."""

from __future__ import annotations

from pathlib import Path

_MODULES = (
    *("ai_edge_litert", "compileall", "coremltools", "ctypes", "device_tests", "export", "hetero", "importlib", "json"),
    *("multiprocessing", "numpy", "onnxruntime", "pickle", "PIL", "pip", "resource", "runner", "select", "signal"),
    *("sitecustomize", "subprocess", "threading", "torch", "traceback", "usercustomize"),
)
_PROGRAMS = (
    "adb",
    "apt-config",
    "apt-get",
    "chromium",
    "dpkg",
    "dpkg-deb",
    "latex",
    "npm",
    "pip",
    "qemu-aarch64",
    "python3",
)


def poisoned(folder: Path) -> Path:
    """Fill a folder; returns the file that exists once something of it was executed."""
    mark = folder / "EXECUTED"
    code = f"with open({str(mark)!r}, 'a') as stream: stream.write(__file__ + '\\n')\n"
    for name in _MODULES:
        (folder / name).mkdir()
        for part in ("__init__", "__main__"):
            (folder / name / f"{part}.py").write_text(code)
    for name in _PROGRAMS:
        program = folder / name if name not in _MODULES else folder / name / name
        program.write_text(f"#!/bin/sh\necho {name} >> {mark}\n")
        program.chmod(0o755)
    (folder / "matplotlibrc").write_text("text.usetex: True\nbackend: module://runner\n")
    return mark
