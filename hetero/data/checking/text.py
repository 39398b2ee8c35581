"""The report of ``hetero data check`` as text."""

from __future__ import annotations

from collections.abc import Sequence

from hetero.data.checking.report import DataReport
from hetero.objectives.labels import without_labels

_MOST_LEAKS = 10


def as_text(report: DataReport) -> str:
    """Write the report for a terminal; lists every unreadable file."""
    sizes = f"{_span(report.widths)} wide, {_span(report.heights)} high"
    modes = ", ".join(f"{count} {mode}" for mode, count in report.modes.items())
    turned = f"; {report.turned} turned by EXIF" if report.turned else ""
    lines = [f"{report.name}: {report.layout}", "", *_splits(report), "", *_tasks(report), ""]
    lines += [f"pixels: {sizes}", f"colour modes: {modes or 'none'}{turned}"]
    if report.grey:
        lines.append(f"deep grey: {report.grey.images} images, values {report.grey.values()}")
    if report.black:
        lines.append(f"WARNING: {report.black} images are nearly black (no pixel above 15 of 255)")
    lines += [f"note: {note}" for note in [*report.notes, *_without_labels(report)]]
    if report.duplicates_within:
        effect = "; without labels, each counts as one image" if _unlabelled(report) else ""
        lines.append(f"note: {report.duplicates_within} groups of files of equal content within a split{effect}")
    if report.leaks:
        lines.append(f"WARNING: {len(report.leaks)} groups of files of equal content lie in more than one split:")
        lines += [f"  {' = '.join(leak.names)}" for leak in report.leaks[:_MOST_LEAKS]]
        lines += [f"  ... and {len(report.leaks) - _MOST_LEAKS} more"] if len(report.leaks) > _MOST_LEAKS else []
    if report.unreadable:
        lines.append(f"{len(report.unreadable)} unreadable:")
        lines += [f"  {name}: {reason}" for name, reason in report.unreadable.items()]
    lines += ["", f"{len(report.problems)} problems" if report.problems else "ready to train on"]
    return "\n".join(lines)


def _unlabelled(report: DataReport) -> bool:
    return any(split.unlabelled for split in report.splits.values())


def _without_labels(report: DataReport) -> list[str]:
    """Explain the effect of images without labels on training and on figures."""
    train, notes = report.splits["train"], list[str]()
    if train.unlabelled:
        share = "no training image" if train.unlabelled == train.images else "not every training image"
        notes.append(f"{share} has a label: students learn by {', '.join(without_labels())}")
    copies = [task.split for task in report.tasks if task.protocol == "own-copy"]
    if copies:
        notes.append(
            f"no {' or '.join(copies)} image has a label: each is searched for by an altered copy of itself, which a "
            "cloud model has to embed, too"
        )
    return notes


def _splits(report: DataReport) -> list[str]:
    header = ("split", "images", "without label", "classes", "images per class", "classes with one image", "views")
    rows = [
        (
            name,
            str(split.images),
            str(split.unlabelled),
            str(split.classes),
            "{} / {:g} / {}".format(*split.images_per_class),
            str(split.single_image_classes),
            ", ".join(f"{view} {count}" for view, count in split.views.items()) or "-",
        )
        for name, split in report.splits.items()
    ]
    return _table(header, rows)


def _tasks(report: DataReport) -> list[str]:
    header = ("split", "protocol", "task", "queries", "gallery", "queries dropped")
    rows = [
        (task.split, task.protocol, task.task, str(task.queries), str(task.gallery), str(task.dropped_queries))
        for task in report.tasks
    ]
    return _table(header, rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    ]


def _span(values: tuple[int, int]) -> str:
    return str(values[0]) if values[0] == values[1] else f"{values[0]} to {values[1]}"
