r"""A smaller space: what rotations and truncation keep of a cloud's gallery, by students' queries.

The cloud and the students are those of finished runs, ``NAME=RECIPE=RUN`` (and ``=DATA`` where the recipe is given its
data). Rotations are fitted to the cloud's vectors of training images, and all figures are of test images: the student
asks, in float32, and the cloud's gallery is stored as each row says. ``--beside`` adds all of the cloud's other
vectors, changed copies included, to every gallery, so that signs have more to tell apart. By hand are the first
coordinates as they are, and principal components as a library fits them: around the mean, which is subtracted from unit
vectors.

    hetero demo --out runs/demo
    hetero run benchmarks/recipes/photos.toml --data PHOTOS --out runs/photos --until students
    python -m benchmarks.compact_space demo=demo=runs/demo photos=benchmarks/recipes/photos.toml=runs/photos=PHOTOS \
        --out runs/compact
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

import hetero
from benchmarks.machine import where_and_when
from hetero.compact.codes import BITS, Precision, nearest
from hetero.compact.rotation import Rotation, principal_rotation, quantisation_rotation
from hetero.data.embeddings.file import embeddings_of
from hetero.files import write_json
from hetero.lengths import unit
from hetero.metrics import RetrievalTask, difference_interval
from hetero.metrics.retrieval import FEWEST_CLASSES, rows_of_self
from hetero.pipeline.context import Context
from hetero.pipeline.draft import draft_called

Map = Callable[[Float32[np.ndarray, "n d"]], Float32[np.ndarray, "n k"]]
Answers = list[Float64[np.ndarray, " q"]]
LENGTHS = (64, 32, 16)


@dataclass(frozen=True)
class Way:
    """One way to store the gallery: what is done to both sides' vectors, and the precision of the gallery's."""

    name: str
    change: Map
    dimension: int
    precision: Precision | None
    """None for float32."""

    @property
    def bytes(self) -> float:
        """Bytes of a vector that a search reads."""
        return self.dimension * (32 if self.precision is None else BITS[self.precision]) / 8


def ways(train: Float32[np.ndarray, "n d"], lengths: Sequence[int] = LENGTHS) -> Iterator[Way]:
    """Every way, the whole vectors first."""
    whole = train.shape[1]
    rotation, centre = principal_rotation(train), train.mean(axis=0)
    components = np.linalg.svd(train - centre, full_matrices=False)[2]
    yield Way("whole", lambda some: some, whole, None)
    for precision in ("float16", "int8", "binary"):
        yield Way("whole", lambda some: some, whole, precision)
    for length in lengths:
        yield Way("first coordinates", first_coordinates(length), length, "int8")
        yield Way("components around the mean", _components(centre, components[:length]), length, "int8")
        for precision in ("float16", "int8", "binary"):
            yield Way("rotation", rotated(rotation, length), length, precision)
        yield Way("rotation by ITQ", rotated(quantisation_rotation(train, length), length), length, "binary")


def first_coordinates(length: int) -> Map:
    return lambda some: unit(some[:, :length], what="first coordinates")


def _components(centre: Float32[np.ndarray, " d"], components: Float32[np.ndarray, "k d"]) -> Map:
    return lambda some: unit((some - centre) @ components.T, what="components")


def rotated(rotation: Rotation, length: int) -> Map:
    return lambda some: rotation(some, length)


@dataclass(frozen=True)
class Search:
    """A student's queries in a cloud's gallery, and vectors of other classes that are in every gallery."""

    query: Float32[np.ndarray, "n d"]
    gallery: Float32[np.ndarray, "n d"]
    labels: np.ndarray
    tasks: Sequence[RetrievalTask]
    beside: Float32[np.ndarray, "m d"] | None = None

    def answers(self, way: Way, k: int) -> Answers:
        """For each task: 1 for each query with an image of its class among the first k, 0 for others."""
        values: Answers = []
        for task in self.tasks:
            own = rows_of_self(task) if task.exclude_self else np.full(len(task.query), -1)
            gallery, labels = self.gallery[task.gallery], self.labels[task.gallery]
            if self.beside is not None:
                gallery = np.concatenate([gallery, self.beside])
                labels = np.concatenate([labels, np.full(len(self.beside), -1)])
            sides = way.change(self.query[task.query]), way.change(gallery)
            if way.precision is None:
                rows = hetero.metrics.search(*sides, k, exclude=own).rows
            else:
                rows = nearest(*sides, way.precision, k, exclude=own)
            is_hit = labels[rows] == self.labels[task.query][:, None]
            values.append(is_hit.any(axis=1).astype(np.float64))
        return values

    def clusters(self) -> list[np.ndarray] | None:
        """The classes of each task's queries; None where they are too few to resample."""
        labels = [self.labels[task.query] for task in self.tasks]
        return labels if len(np.unique(np.concatenate(labels))) >= FEWEST_CLASSES else None


def run_called(text: str) -> tuple[str, Context]:
    """A finished run, as NAME=RECIPE=RUN or NAME=RECIPE=RUN=DATA."""
    name, recipe, root, *data = text.split("=")
    draft = draft_called(Path(recipe), data=Path(data[0]) if data else None)
    return name, Context(draft.require_sound(), Path(root))


def searches(context: Context, *, beside: bool) -> Iterator[tuple[str, Search, Float32[np.ndarray, "n d"]]]:
    """Each student of a run that lives in the cloud's space and is trained, and the cloud's vectors to fit to."""
    stored, data = hetero.load_embeddings(context.cloud / "embeddings.safetensors"), context.dataset
    train, gallery = hetero.aligned(stored, data.train), hetero.aligned(stored, data.test)
    labels = np.asarray(data.test.labels)
    tested = set(data.test.names)
    others = [name for name in stored.names if name not in tested] if beside else []
    extra = embeddings_of(stored, others) if others else None
    for config in context.recipe.students:
        if config.independent or not context.has_model(config.name):
            continue
        model = hetero.load_model(context.student(config.name))
        query = hetero.embed_images(model, data.test.images)
        yield config.name, Search(query, gallery, labels, data.test_tasks, extra), train
    yield "cloud", Search(gallery, gallery, labels, data.test_tasks, extra), train


def stored(arguments: argparse.Namespace) -> None:
    """Print a line for each way to store a gallery, run and student, and write all."""
    lines: list[dict[str, Any]] = []
    for name, context in map(run_called, arguments.runs):
        for student, search, train in searches(context, beside=arguments.beside):
            whole: dict[int, Answers] = {}
            for way in ways(train):
                line: dict[str, Any] = {"run": name, "student": student, "way": way.name, "dimension": way.dimension}
                line |= {"precision": way.precision or "float32", "bytes": way.bytes}
                for k in (1, 10):
                    answers = search.answers(way, k)
                    line |= compared(answers, whole.setdefault(k, answers), search.clusters(), f"cmc@{k}")
                lines.append(line)
                print(json.dumps(line), flush=True)
    print(table(lines))
    write_json(arguments.out / f"stored{'-beside' * arguments.beside}.json", where_and_when() | {"lines": lines})


def table(lines: list[dict[str, Any]]) -> str:
    """Markdown: a row a way, and for each run and student its cmc@1, with the difference and its interval."""
    asked = list(dict.fromkeys((one["run"], one["student"]) for one in lines))
    rows = [f"| stored as | bytes | {' | '.join(f'{run}, {student}' for run, student in asked)} |"]
    rows.append("|" + "---|" * (len(asked) + 2))
    ways = dict.fromkeys((one["way"], one["dimension"], one["precision"], one["bytes"]) for one in lines)
    for name, dimension, precision, size in ways:
        cells: list[str] = []
        for run, student in asked:
            key = {"run": run, "student": student, "way": name, "dimension": dimension, "precision": precision}
            line = next((one for one in lines if key.items() <= one.items()), None)
            if line is None:
                cells.append("")
                continue
            loss, low, high = line["cmc@1 loss"]
            cells.append(f"{line['cmc@1']:.3f}, {loss:+.3f} [{low:+.3f}, {high:+.3f}]")
        rows.append(f"| {name}, {dimension}, {precision} | {size:g} | {' | '.join(cells)} |")
    return "\n".join(rows)


def compared(new: Answers, old: Answers, clusters: list[np.ndarray] | None, metric: str) -> dict[str, Any]:
    """The figure, its difference and the difference's paired 95 % interval."""
    interval = difference_interval(new, old, clusters=clusters, seed=0)
    value = float(np.mean([task.mean() for task in new]))
    return {
        metric: round(value, 4),
        f"{metric} loss": [round(x, 4) for x in (interval.value, interval.low, interval.high)],
    }


def main() -> None:
    """Read runs, and print a line for each way to store their galleries."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=RECIPE=RUN[=DATA]")
    parser.add_argument("--beside", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(json.dumps(where_and_when()), flush=True)
    stored(arguments)


if __name__ == "__main__":
    main()
