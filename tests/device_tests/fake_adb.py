"""A scripted ``adb`` for states that no emulated device gets into: what it lists, and what its commands answer."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

SCRIPT = """#!{python}
import json, os, sys
script = json.load(open({script!r}))
words = sys.argv[1:]
if words[:1] == ["-s"]:
    words = words[2:]
with open({log!r}, "a") as stream:
    stream.write(" ".join(words) + "\\n")
if words == ["devices"]:
    print("List of devices attached")
    for serial, state in script["devices"].items():
        print(serial + "\\t" + state)
    sys.exit(0)
for start, (status, out, err) in script["answers"].items():
    if " ".join(words).startswith(start):
        sys.stdout.write(out)
        sys.stderr.write(err)
        sys.exit(status)
sys.exit("the script has no answer to " + " ".join(words))
"""


def write_adb(
    folder: Path, devices: dict[str, str], answers: dict[str, tuple[int, str, str]] | None = None
) -> tuple[Path, Path]:
    """Write a program that lists ``devices`` and answers commands by how they start: status, output, errors.

    Returns:
        The program, and where it writes which commands it was given.
    """
    script, log, program = folder / "script.json", folder / "log.txt", folder / "adb"
    script.write_text(json.dumps({"devices": devices, "answers": answers or {}}))
    program.write_text(SCRIPT.format(python=sys.executable, script=str(script), log=str(log)))
    os.chmod(program, 0o755)  # noqa: PTH101
    return program, log
