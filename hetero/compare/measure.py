"""The figures of a method's student for one seed, and of each query, on validation and test."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from hetero.adapters.registry import ADAPTERS, fit_adapter
from hetero.compare.config import Comparison
from hetero.compare.method import MethodConfig
from hetero.compare.work import EMBEDDINGS
from hetero.data.distractors import with_distractors
from hetero.data.embeddings.file import Embeddings, aligned, load_embeddings
from hetero.data.images import Dataset
from hetero.errors import InputError
from hetero.metrics.registry import in_full
from hetero.metrics.retrieval import TaskResult, evaluate_tasks
from hetero.metrics.task import RetrievalTask, both_ways
from hetero.pipeline.context import Context
from hetero.training.reference.cloud_reference import cloud_embeddings

Vectors = Float32[np.ndarray, "n d"]


@dataclass(frozen=True)
class Measured:
    """The figures of one student with one seed.

    Attributes:
        validation: Mean of the comparison's metric on the validation tasks, each searched both ways, against the
            cloud's gallery of validation images and of the training images of other classes.
        asymmetric: Result on the test tasks, against the cloud's gallery.
        symmetric: Result on the test tasks, against its own gallery.
    """

    validation: float
    asymmetric: TaskResult
    symmetric: TaskResult


@dataclass(frozen=True)
class Seed:
    """The finished models of one seed.

    Attributes:
        comparison: The comparison.
        directory: The seed's run.
        seed: The seed's number.
    """

    comparison: Comparison
    directory: Path
    seed: int

    @cached_property
    def context(self) -> Context:
        """The seed's recipe and run."""
        return Context(self.comparison.recipe(self.seed), self.directory)

    @property
    def dataset(self) -> Dataset:
        """The images."""
        return self.context.dataset

    @cached_property
    def cloud(self) -> Embeddings:
        """The cloud's vectors of all images."""
        return load_embeddings(cloud_embeddings(self.context.cloud))

    def cloud_symmetric(self) -> TaskResult:
        """Measure the cloud against its own gallery, on the test tasks."""
        vectors = aligned(self.cloud, self.dataset.test)
        return self._evaluate(vectors, vectors)

    def measure(self, method: MethodConfig, trained_as: str) -> Measured:
        """Measure a method's student, or another's through an adapter.

        Args:
            method: The method.
            trained_as: Name of the student.

        Raises:
            InputError: When its vectors are of another length than the cloud's.
        """
        test = self.dataset.test
        stored = load_embeddings(self.directory / "embeddings" / trained_as / EMBEDDINGS)
        if not method.adapter:
            _require_same_length(stored, self.cloud, method.name)
        adapt = self._adapter(method, stored)
        on_test = adapt(aligned(stored, test))
        return Measured(
            validation=self._validation(adapt(aligned(stored, self.dataset.validation))),
            asymmetric=self._evaluate(on_test, aligned(self.cloud, test)),
            symmetric=self._evaluate(on_test, on_test),
        )

    def _validation(self, query: Vectors) -> float:
        tasks, labels, gallery = self._validation_data
        # Training images are never queries; the cloud's vectors only fill their rows.
        queries = np.concatenate([query, gallery[len(query) :]])
        metric = self.comparison.metric
        return evaluate_tasks(queries, gallery, labels, tasks, metrics=in_full(metric)).mean(metric)

    @cached_property
    def _validation_data(self) -> tuple[tuple[RetrievalTask, ...], Int64[np.ndarray, " n"], Vectors]:
        """Tasks, labels and the cloud's vectors of the validation images followed by the training images."""
        validation, train = self.dataset.validation, self.dataset.train
        directions = both_ways(self.dataset.validation_tasks, np.asarray(validation.labels))
        tasks, labels = with_distractors(directions, validation, train)
        return tasks, labels, np.concatenate([aligned(self.cloud, images) for images in (validation, train)])

    def _adapter(self, method: MethodConfig, stored: Embeddings) -> Callable[[Vectors], Vectors]:
        if not method.adapter:
            return lambda vectors: vectors
        train = self.context.with_copies.train
        options = {"seed": self.seed} if "seed" in ADAPTERS[method.adapter].options else {}
        return fit_adapter(method.adapter, aligned(stored, train), aligned(self.cloud, train), **options)

    def _evaluate(self, query: Vectors, gallery: Vectors) -> TaskResult:
        labels, tasks = np.asarray(self.dataset.test.labels), self.dataset.test_tasks
        return evaluate_tasks(query, gallery, labels, tasks, metrics=in_full(self.comparison.metric))


def _require_same_length(student: Embeddings, cloud: Embeddings, method: str) -> None:
    lengths = student.space.dimension, cloud.space.dimension
    if lengths[0] != lengths[1]:
        raise InputError(
            f"method {method}: its vectors have length {lengths[0]}, the cloud's {lengths[1]}; they cannot be compared "
            f"without an adapter. Put dimension = {lengths[1]} under [student.model]"
        )


def over_seeds(results: list[TaskResult], metric: str) -> TaskResult:
    """Average each query's value over the seeds, for one metric, as needed for intervals over classes."""
    values = tuple(
        {metric: np.mean([result.values[task][metric] for result in results], axis=0)}
        for task in range(len(results[0].tasks))
    )
    return dataclasses.replace(results[0], values=values)
