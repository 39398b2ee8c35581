"""The training log: one JSON object a line, consistent with the checkpoint after an interruption."""

from __future__ import annotations

import json
from pathlib import Path

from hetero.files import write_text
from hetero.training.loop.checkpoint import Progress


class TrainingLog:
    """Appends to ``log.jsonl``; lines past a checkpoint are dropped when a run continues from it.

    Args:
        path: The log file.
        resumed_at: Steps done according to the checkpoint; later lines are removed.
    """

    def __init__(self, path: Path, resumed_at: int) -> None:
        self._path = path
        lines: list[str] = []
        if path.is_file() and resumed_at > 0:
            for line in path.read_text(encoding="utf-8").splitlines():
                if _step(line) <= resumed_at:
                    lines.append(line)
        write_text(path, "".join(f"{line}\n" for line in lines))

    def write(self, step: int, **values: float | str | dict[str, float]) -> None:
        """Append one line."""
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"step": step, **values}) + "\n")


def in_words(progress: Progress) -> str:
    """Describe the last look at validation, and the best, for a progress bar; empty before the first."""
    if not progress.looks:
        return ""
    look, best = progress.looks[-1], progress.best
    parts = [f"{look.judgement.judged_by} {look.judgement.figure:.3f}"]
    parts += [f"best {best.judgement.figure:.3f}"] if best else []
    if look.held_out is not None:
        training = "" if look.training is None else f"{look.training:.2f} in training, "
        parts.append(f"agreement {training}{look.held_out:.2f} held out")
    return "".join(f", {part}" for part in parts)


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
