"""A figure is drawn alike in every folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hetero.nas.figures.drawing import drawn
from tests.poison import poisoned
from tests.snippets import ROOT

DRAW = """
from hetero.nas.figures.drawing import drawn
import sys
sys.stdout.buffer.write(drawn(lambda figure: figure.add_subplot().set_title("title"), (2.0, 2.0)))
"""


def test_settings_in_the_current_folder_change_nothing(tmp_path: Path) -> None:
    mark = poisoned(tmp_path)
    done = subprocess.run(
        [sys.executable, "-P", "-c", DRAW],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-500:]
    assert done.stdout == drawn(lambda figure: figure.add_subplot().set_title("title"), (2.0, 2.0))
    assert not mark.exists()
