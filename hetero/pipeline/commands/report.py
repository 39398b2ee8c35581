"""The command ``hetero report``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hetero.errors import InputError
from hetero.files import read_json
from hetero.recognition.kinds import RUN
from hetero.recognition.recognise import refuse_others


def report_command(run: Path, *, out: Path | None = None, picture: Path | None = None) -> int:
    """Rewrite the report of a finished run.

    Example: hetero report runs/demo --out report.html

    Args:
        run: Directory of a run, as written by `hetero run`.
        out: The page to write; default report.html in the run's directory.
        picture: Also draw one overview picture, a .png or .svg file.
    """
    from device_tests.report.overview import write_overview
    from device_tests.report.page import write_report
    from hetero.pipeline.adapted import adaptations

    refuse_others(run, RUN)
    verification = run / "verification"
    if not (verification / "verdict.json").is_file():
        raise InputError(f"expected a run with {verification / 'verdict.json'}, found none; run `hetero run` first")
    rows: list[dict[str, Any]] = read_json(verification / "verdict.json")
    matrix = read_json(run / "matrix.json") if (run / "matrix.json").is_file() else None
    if picture is not None and matrix is None:
        raise InputError(f"expected {run / 'matrix.json'} to draw the picture from, found none")
    bundles = [run / "bundles" / name / "bundle" for name in dict.fromkeys(row["bundle"] for row in rows)]
    page = out or run / "report.html"
    write_report(
        page,
        rows=rows,
        matrix=matrix,
        bundles=bundles,
        embeddings=verification / "embeddings",
        adaptations=adaptations(run),
    )
    print(page)
    if picture is not None and matrix is not None:
        embeddings = verification / "embeddings"
        write_overview(picture, rows=rows, matrix=matrix, bundles=bundles, embeddings=embeddings)
        print(picture)
    return 0
