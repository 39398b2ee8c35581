"""Compares methods: trains them all, chooses on validation, reports on test."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hetero.compare.config import CLOUD, Comparison
from hetero.compare.figure import figure
from hetero.compare.measure import Seed
from hetero.compare.outcome import Outcome, as_table, outcome
from hetero.compare.work import TrainingJob, run_jobs
from hetero.files import read_json, write_bytes, write_json, write_text
from hetero.pipeline.preflight.trainable import require_trainable
from hetero.processes.lock import locked


def compare(comparison: Comparison, root: Path, *, processes: int = 1) -> Outcome:
    """Train every method with every seed and write ``compare.json``, ``compare.md`` and ``compare.svg``.

    Models that are trained already are not trained again; an interrupted comparison continues.

    Args:
        comparison: The comparison.
        root: Receives the runs of all seeds and the result.
        processes: Models trained at once.

    Raises:
        InputError: When a model could not be trained; the others are kept. Before anything runs: when this machine
            cannot train the models of the comparison.
    """
    require_trainable(comparison.recipe(comparison.seeds[0]))
    with locked(root):
        seeds = [Seed(comparison, root / f"seed-{seed}", seed) for seed in comparison.seeds]
        _ = seeds[0].dataset  # decoded once, here, with a progress bar, rather than by each process
        run_jobs(comparison, root, [TrainingJob(seed.seed, CLOUD) for seed in seeds], processes=processes)
        first, rest = seeds[0], seeds[1:]
        candidates = [student.name for student in comparison.recipe(first.seed).students]
        run_jobs(comparison, root, [TrainingJob(first.seed, name) for name in candidates], processes=processes)
        trained_as = {method.name: _choose(comparison, first, method.name) for method in comparison.methods}
        jobs = [TrainingJob(seed.seed, name) for seed in rest for name in sorted(set(trained_as.values()))]
        run_jobs(comparison, root, jobs, processes=processes)
        result = _measure(comparison, seeds, trained_as)
        write_json(root / "compare.json", dataclasses.asdict(result))
        write_text(root / "compare.md", as_table(result))
        write_bytes(root / "compare.svg", figure(result))
    return result


def _choose(comparison: Comparison, seed: Seed, name: str) -> str:
    """Return the student that represents a method: the best choice on the first seed's validation classes."""
    methods = {method.name: method for method in comparison.methods}
    method = methods[name]
    trained = methods[method.of] if method.adapter else method
    names = [trained.trained_as(choice) for choice in range(len(trained.choices))]
    return names[0] if len(names) == 1 else max(names, key=lambda student: seed.measure(trained, student).validation)


def _measure(comparison: Comparison, seeds: list[Seed], trained_as: dict[str, str]) -> Outcome:
    measured = {
        method.name: [seed.measure(method, trained_as[method.name]) for seed in seeds] for method in comparison.methods
    }
    student = next(iter(trained_as.values()))
    directories = {"cloud": seeds[0].context.cloud, "student": seeds[0].context.student(student)}
    costs = {name: _cost(directory) for name, directory in directories.items()}
    return outcome(comparison, measured, trained_as, [seed.cloud_symmetric() for seed in seeds], costs)


def _cost(directory: Path) -> dict[str, int]:
    metrics = read_json(directory / "metrics.json")
    return {name: int(metrics[name]) for name in ("macs", "parameters") if name in metrics}
