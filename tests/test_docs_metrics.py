"""Every snippet of docs/metrics.md, in order."""

from __future__ import annotations

import csv
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np

import hetero
from hetero.metrics.registry import known, metric_called
from hetero.space import MeasuredCompatibility
from hetero.upgrade.backfill.plan import BackfillPlan
from tests.hetero.upgrade.backfill.upgraded import upgraded

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, flags=re.DOTALL)


def test_every_python_snippet_runs(capsys) -> None:
    names: dict[str, object] = {}
    for language, text in BLOCKS:
        if language == "python":
            exec(compile(text, str(PAGE), "exec"), names)
    values = names["values"]
    assert isinstance(values, dict) and set(values) == {"cmc@1", "cmc@10", "map@r", "recall@7"}
    assert "nan" not in capsys.readouterr().out


def test_the_command_runs(tmp_path: Path) -> None:
    backfill = upgraded()
    old = hetero.EmbeddingSpace.define(defined_by="old", name="cloud", version="1", dimension=16)
    measured = MeasuredCompatibility(old.space_id, "cmc@1", cross=0.5, earlier=0.4)
    new = hetero.EmbeddingSpace.define(
        defined_by="new", name="cloud", version="2", dimension=16, compatible_with=(measured,)
    )
    gallery, asked = [[f"{kind}{row}.png" for row in range(count)] for kind, count in (("g", 240), ("q", 200))]
    hetero.save_embeddings(tmp_path / "old.safetensors", backfill.old, gallery, old)
    hetero.save_embeddings(tmp_path / "new.safetensors", backfill.new, gallery, new)
    hetero.save_embeddings(tmp_path / "queries.safetensors", backfill.query, asked, new)
    labels = np.concatenate([backfill.gallery_labels, backfill.query_labels]).tolist()
    with (tmp_path / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("path", "label"), *zip([*gallery, *asked], labels, strict=True)])
    # The other command is run on what tests/hetero/pipeline/test_metrics_command.py trains.
    lines = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines()]
    commands = [line for line in lines if not line.startswith("hetero evaluate ")]
    assert len(commands) == len(lines) - 1 > 0
    root = str(PAGE.parents[1])
    for line in commands:
        words = shlex.split(line)
        answer = subprocess.run(
            [sys.executable, "-m", *words], cwd=tmp_path, env={"PYTHONPATH": root}, capture_output=True, text=True,
            timeout=300, check=False,
        )  # fmt: skip
        assert answer.returncode == 0, answer.stderr
    assert set(BackfillPlan.load(tmp_path / "plan" / "plan.json").orders) == set(
        re.findall(r"^\| `([a-z-]+)` \|", TEXT.partition("## Backfill")[2], flags=re.MULTILINE)
    )


def test_every_function_of_the_table_exists() -> None:
    table = TEXT.partition("\n\n## ")[0]
    functions = "".join(line.split("|")[3] for line in table.splitlines() if line.startswith("| "))
    named = re.findall(r"`(hetero\.)?([A-Za-z_]+)", functions)
    assert len(named) > 12
    for whole, name in named:
        assert name in (hetero if whole else hetero.metrics).__all__, name


def test_every_metric_of_retrieval_has_its_row() -> None:
    rows = {re.sub(r"@\d+$", "@k", name): metric_called(name.replace("@k", "@7")).about for name in known()}
    assert set(rows) == {"cmc@k", "recall@k", "map@r"}
    for name, about in rows.items():
        assert f"\n| `{name}` | {about} | " in TEXT
