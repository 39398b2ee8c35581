"""The table of the frozen cloud's students."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from benchmarks.frozen_cloud_methods import copies_of, student_of
from benchmarks.frozen_cloud_table import PART, table
from hetero.data.augmentation.config import UNCHANGED


def left_by_a_run(folder: Path, method: str, seed: int, values: list[float]) -> None:
    found = {"share": sum(values) / len(values) / 0.5, "map@r": values}
    record = {"cloud": "net", "share": 1 / 80, "method": method, "images": 64_000, "seed": seed, "seconds": 60.0}
    record |= {"agreement": {"training": 0.4, "test": 0.3}, "figures": {"known": found, "new": found}}
    (folder / f"{method}-{seed}").mkdir(parents=True)
    (folder / f"{method}-{seed}" / PART).write_text(json.dumps(record))


def test_seeds_are_paired_query_by_query(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, default, cosine in ((0, [0.5, 0.3], [0.3, 0.3]), (1, [0.3, 0.5], [0.3, 0.3])):
        left_by_a_run(tmp_path, "default", seed, default)
        left_by_a_run(tmp_path, "cosine", seed, cosine)
    table(tmp_path)
    lines = [line for line in capsys.readouterr().out.splitlines() if "cosine" in line]
    assert len(lines) == 2 and "(2 seeds)" in lines[0]
    # Either query gains .2 in one of the seeds, so .1 on average: nothing is left to vary between queries.
    assert all(line.endswith("default minus it, map@r: +0.100 [+0.100, +0.100]") for line in lines)


def test_copies_are_shown_about_ten_times_each() -> None:
    copies = [copies_of("with-copies", images=images, photos=4_000) for images in (64_000, 256_000)]
    assert copies == [1, 6] and copies_of("default", images=256_000, photos=4_000) == 0
    student = student_of("with-copies", share=1 / 20, images=256_000, copies=6)
    assert student.training.augment == dataclasses.replace(UNCHANGED, flip=0.5)
