"""What adapting, explaining and forgetting cost, in seconds, and what each preconditioner makes of a step.

    hetero demo --out runs/demo
    OMP_NUM_THREADS=1 python -m benchmarks.linear_cost runs/demo --out runs/linear_cost.json

The demo's cloud (residual) and a student (edge), last stage: line drawings of 300 training emoji, openmoji drawings of
300 others as anchors, the noto gallery. One flip is explained, first beside what did harm to all, then by itself.
Seconds of the processor are those of one thread; wall seconds are longer where other programs run.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

import hetero
from benchmarks.linear_setting import Setting, emoji_and_recipe, noto_gallery
from benchmarks.machine import where_and_when
from hetero.files import write_json
from hetero.linear import AdaptConfig, Problem, adapt, explain, forget, kronecker
from hetero.linear.fit import Validation
from hetero.linear.parts import Divided
from hetero.linear.solver.precondition import diagonal
from hetero.linear.solver.products import Products
from hetero.linear.solver.solve import solve

PARTS: dict[str, tuple[type | str, str]] = {
    "frozen layers": (Divided, "inputs"),
    "factors": ("hetero.linear.solver.precondition", "layerwise"),
    "what the steps share": (Products, "__init__"),
    "steps": (Problem, "curvature"),
    "choosing the ridge": (Validation, "judged"),
}
"""What is reported beside the whole, by the function that does it."""
NAMES = (1, 10)


def timed(what: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    """Seconds of the whole and of its parts, and what it returned."""
    parts: dict[str, float] = {}
    with ExitStack() as stack:
        for part, (owner, name) in PARTS.items():
            place = sys.modules[owner] if isinstance(owner, str) else owner
            stack.enter_context(patch.object(place, name, _clocked(getattr(place, name), part, parts)))
        begun, wall = time.process_time(), time.perf_counter()
        result = what()
        seconds = {"cpu": time.process_time() - begun, "wall": time.perf_counter() - wall}
    return {key: round(value, 2) for key, value in (seconds | parts).items()}, result


def _clocked(function: Callable[..., Any], part: str, spent: dict[str, float]) -> Callable[..., Any]:
    @functools.wraps(function)
    def clocked(*arguments: Any, **options: Any) -> Any:
        begun = time.process_time()
        try:
            return function(*arguments, **options)
        finally:
            spent[part] = spent.get(part, 0.0) + time.process_time() - begun

    return clocked


def costs(one: Setting, directory: Path) -> dict[str, Any]:
    """Seconds of each, on one setting."""
    # Figures decide nothing here: whatever comes out is written.
    config = dataclasses.replace(one.config, most_flips=1.0, most_lost=1.0)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        given = (one.new, one.old, one.gallery)
        found["adapt"], measured = timed(lambda: adapt(directory, *given, out / "adapted", config))
        found["adapt"] |= {"steps taken": measured.steps, "residual": measured.residual, "ridge": measured.ridge}
        found["adapt"]["gain"] = measured.new.difference.value
        print("adapt", found["adapt"], flush=True)
        found["explain"], seen = timed(lambda: explain(out / "adapted", directory, *given, most=1))
        found["explain"] |= {"flips": seen.found, "leverage": seen.leverage}
        print("explain", found["explain"], flush=True)
        named = [flip.name for flip in seen.flips]
        found["explain one that is named"], _ = timed(lambda: explain(out / "adapted", directory, *given, flips=named))
        print("explain one that is named", found["explain one that is named"], flush=True)
        for count in NAMES:
            names = one.new.train.names[:count]
            seconds, (proof, _) = timed(
                lambda names=names: forget(out / "adapted", names, directory, *given, out / f"without-{len(names)}")
            )
            found[f"forget {count}"] = seconds | {"steps taken": proof.steps, "residual": proof.residual}
            print(f"forget {count}", found[f"forget {count}"], flush=True)
    return found


def objectives(one: Setting, steps: int) -> dict[str, list[float]]:
    """The objective step by step, by preconditioner."""
    problem = one.problem(0.01, 1.0)
    found = {
        "none": solve(problem, steps=steps),
        "diagonal": solve(problem, diagonal(problem), steps=steps),
        "kronecker": solve(problem, kronecker(problem)(problem.ridge), steps=steps),
    }
    with patch("hetero.linear.solver.sample_gradients.MOST_IN_BLOCK", 0):
        single = kronecker(problem)(problem.ridge)
    found["kronecker, depthwise by diagonal"] = solve(problem, single, steps=steps)
    return {name: list(solution.objectives) for name, solution in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="of the demo")
    parser.add_argument("--student", default="edge-m")
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--steps", type=int, default=20, help="for which objectives are compared, on a third as many")
    parser.add_argument("--seed", type=int, default=0, help="of the draw of images")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    emoji, _ = emoji_and_recipe()
    found: dict[str, Any] = {}
    for directory in (options.run / "students" / options.student, options.run / "cloud"):
        model = hetero.load_model(directory)
        gallery = noto_gallery(model, emoji)
        few = Setting.of(model, emoji, gallery, options.images // 3, options.seed, AdaptConfig())
        family = model.config.family
        found[family] = {"objectives": objectives(few, options.steps)}
        for name, values in found[family]["objectives"].items():
            print(family, name, np.round(values[:: max(1, options.steps // 4)], 4).tolist(), flush=True)
        one = Setting.of(model, emoji, gallery, options.images, options.seed, AdaptConfig(seed=options.seed))
        found[family] |= costs(one, directory)
        write_json(options.out, {"found": found, "seed": options.seed, **where_and_when()})


if __name__ == "__main__":
    main()
