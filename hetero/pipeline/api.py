"""Run a recipe from Python."""

from __future__ import annotations

from pathlib import Path

from hetero.pipeline.commands.run import run_until
from hetero.pipeline.draft import draft_called
from hetero.pipeline.recipe import Recipe


def run(
    recipe: Recipe | Path | str,
    out: Path | None = None,
    *,
    until: str = "report",
    resume: bool = True,
    jobs: int | None = None,
) -> int:
    """Run a recipe's stages, as ``hetero run`` does; stages that are up to date are skipped.

    Args:
        recipe: The recipe, its file, or the name of one that comes with the package.
        out: Directory of the run; ``runs/NAME`` by default.
        until: Last group of stages: data, cloud, search, students, evaluate, export, verify or report.
        resume: Continue interrupted training from its checkpoint.
        jobs: Stages run at once; None for as many as there are cores, or one where there is a GPU.

    Returns:
        0 when done or passed, 1 when a gate failed or an adaptation is refused, 3 when nothing could be verified.

    Raises:
        InputError: With every mistake in the recipe, before anything runs.
    """
    asked = recipe if isinstance(recipe, Recipe) else draft_called(Path(recipe))
    return run_until(asked, out, None, until, resume, jobs=jobs)
