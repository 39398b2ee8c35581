"""The queries that a model answers correctly, one by one, from which flips are counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from hetero.errors import InputError
from hetero.files import write_json
from hetero.metrics.flips import RANK_ONE
from hetero.metrics.retrieval import TaskResult
from hetero.metrics.task import RetrievalTask
from hetero.recognition.kinds import DECISIONS
from hetero.recognition.recognise import refuse_others
from hetero.schema import parse_file, record


@record
class Decisions:
    """A model's queries in a gallery.

    Attributes:
        tasks: Task -> name of a query's image -> True if the first image in its result is of its class.
        query_model: Name of the model.
        gallery_model: Name of the gallery's model.
        space_id: The gallery's embedding space, empty when it is not known.
        schema: Version of this record.
    """

    tasks: dict[str, dict[str, bool]]
    query_model: str = ""
    gallery_model: str = ""
    space_id: str = ""
    schema: Literal["hetero/decisions/1"] = "hetero/decisions/1"

    @classmethod
    def of(
        cls,
        result: TaskResult,
        tasks: Sequence[RetrievalTask],
        names: Sequence[str],
        *,
        query_model: str,
        gallery_model: str,
        space_id: str,
    ) -> Decisions:
        """Return the decisions by the names of tasks and images.

        Args:
            result: A result with ``cmc@1``.
            tasks: The tasks that it was measured on.
            names: Names of the images that the tasks' rows count.
            query_model: See the attributes.
            gallery_model: See the attributes.
            space_id: See the attributes.
        """
        answers: dict[str, dict[str, bool]] = {}
        for task, values in zip(tasks, result.per_query(RANK_ONE), strict=True):
            rows: list[int] = task.query.tolist()
            answers[task.name] = dict(zip((names[row] for row in rows), (values > 0).tolist(), strict=True))
        return cls(answers, query_model, gallery_model, space_id)

    def save(self, path: Path) -> None:
        """Write the record as JSON, atomically."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> Decisions:
        """Read a record.

        Raises:
            InputError: When the file is missing.
            IntegrityError: When it is not a valid record.
        """
        refuse_others(path, DECISIONS)
        if not path.is_file():
            raise InputError(f"expected a file of decisions at {path}, as hetero evaluate writes, found no file")
        return parse_file(cls, path)


def negative_flips(old: Decisions, new: Decisions) -> tuple[str, ...]:
    """Return the names of the queries that were right before and are wrong now in some task, each once.

    Raises:
        InputError: When the two do not concern the same queries in a gallery of the same space.
    """
    if old.space_id and new.space_id and old.space_id != new.space_id:
        raise InputError(f"the decisions are of galleries of different spaces, {old.space_id} and {new.space_id}")
    before, after = (
        {(task, name): right for task, answers in side.tasks.items() for name, right in answers.items()}
        for side in (old, new)
    )
    if apart := sorted(before.keys() ^ after.keys()):
        task, name = apart[0]
        raise InputError(
            f"flips need the decisions on the same queries before and after: {len(apart)} queries are on one side "
            f"only, for instance {name} of the task {task!r}"
        )
    if not before:
        raise InputError("flips need the decisions on at least one query, got none")
    return tuple(dict.fromkeys(name for (task, name), right in before.items() if right and not after[task, name]))
