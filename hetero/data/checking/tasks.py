"""The retrieval tasks of a data set, as a check reports them."""

from __future__ import annotations

from collections.abc import Callable

from hetero.data.checking.report import TaskReport
from hetero.data.protocols import Protocolled
from hetero.data.sources.split_names import JUDGED, Split
from hetero.errors import InputError


def task_reports(tasks_of: Callable[[Split], Protocolled], problems: list[str]) -> tuple[TaskReport, ...]:
    """Describe the tasks of validation and test.

    Args:
        tasks_of: Builds the tasks of a split.
        problems: Takes the reason for each split that has none.
    """
    reports: list[TaskReport] = []
    for split in JUDGED:
        try:
            result = tasks_of(split)
        except InputError as error:
            problems.append(str(error))
            continue
        for task in result.tasks:
            sizes = len(task.query), len(task.gallery)
            reports.append(TaskReport(split, result.protocol, task.name, *sizes, result.dropped.get(task.name, 0)))
    return tuple(reports)
