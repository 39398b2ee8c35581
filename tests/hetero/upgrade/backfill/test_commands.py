from __future__ import annotations

import csv
import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hetero.data.embeddings.file import save_embeddings
from hetero.errors import InputError, SpaceMismatchError
from hetero.space import EmbeddingSpace, MeasuredCompatibility
from hetero.upgrade.backfill.commands import plan_command
from hetero.upgrade.backfill.inputs import read_inputs
from hetero.upgrade.backfill.plan import BackfillPlan
from tests.hetero.upgrade.backfill.upgraded import CLASSES, DIMENSION, EACH, upgraded

OLD = EmbeddingSpace.define(defined_by="old", name="cloud", version="1", dimension=DIMENSION)
NEW = dataclasses.replace(
    EmbeddingSpace.define(defined_by="new", name="cloud", version="2", dimension=DIMENSION),
    compatible_with=(MeasuredCompatibility(OLD.space_id, "cmc@1", cross=0.5, earlier=0.4),),
)
STRANGER = EmbeddingSpace.define(defined_by="stranger", name="cloud", version="3", dimension=DIMENSION)
GALLERY = [f"gallery/class {label:02}/{index}.png" for label in range(CLASSES) for index in range(EACH)]
QUERIES = [f"queries/class {row % CLASSES:02}/{row}.png" for row in range(200)]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    backfill = upgraded()
    save_embeddings(tmp_path / "old.safetensors", backfill.old, GALLERY, OLD)
    shuffled = np.random.default_rng(0).permutation(len(GALLERY))  # files need not be in one order
    save_embeddings(tmp_path / "new.safetensors", backfill.new[shuffled], [GALLERY[row] for row in shuffled], NEW)
    save_embeddings(tmp_path / "queries.safetensors", backfill.query, QUERIES, NEW)
    return tmp_path


def three(files: Path) -> tuple[Path, Path, Path]:
    return files / "old.safetensors", files / "new.safetensors", files / "queries.safetensors"


def write_labels(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([("label", "path", "split"), *((label, name, "test") for label, name in rows)])
    return path


def test_from_the_command_line(files: Path) -> None:
    command = [sys.executable, "-m", "hetero", "backfill", "plan", *map(str, three(files)), str(files / "plan")]
    options = ["--metric", "map@r", "--steps", "4", "--random-orders", "2"]
    answer = subprocess.run([*command, *options], capture_output=True, text=True, timeout=300, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "better than random orders" in answer.stderr and "assumed" not in answer.stderr
    plan = BackfillPlan.load(files / "plan" / "plan.json")
    assert (plan.compatibility, plan.metric, len(plan.shares), len(plan.random_orders)) == ("measured", "map@r", 5, 2)
    with (files / "plan" / "order.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert sorted(row["name"] for row in rows) == sorted(GALLERY)
    urgency = [float(row["urgency"]) for row in rows]
    assert urgency == sorted(urgency, reverse=True)
    assert {path.name for path in (files / "plan").iterdir()} == {"plan.json", "order.csv", "curve.svg", "curve.png"}


def test_rows_meet_by_name(files: Path) -> None:
    inputs, expected = read_inputs(*three(files), None), upgraded()
    assert inputs.names == tuple(GALLERY)
    assert np.array_equal(inputs.backfill.new, expected.new)
    assert np.array_equal(inputs.backfill.gallery_labels, expected.gallery_labels)
    assert np.array_equal(inputs.backfill.query_labels, expected.query_labels)
    assert (inputs.backfill.exclude == -1).all()


def test_labels_from_a_table(files: Path) -> None:
    labels = write_labels(files / "labels.csv", [(name.split("/")[1][-1], name) for name in [*GALLERY, *QUERIES]])
    inputs = read_inputs(*three(files), labels)
    assert np.array_equal(inputs.backfill.gallery_labels, upgraded().gallery_labels % 10)


def test_a_query_in_the_gallery_does_not_find_itself(files: Path) -> None:
    save_embeddings(files / "queries.safetensors", upgraded().new[:3], GALLERY[:3][::-1], NEW)
    assert read_inputs(*three(files), None).backfill.exclude.tolist() == [2, 1, 0]


def test_a_shorter_old_space(files: Path) -> None:
    short = EmbeddingSpace.define(defined_by="short", name="cloud", version="0", dimension=8)
    new = dataclasses.replace(NEW, compatible_with=(MeasuredCompatibility(short.space_id, "cmc@1", 0.5, 0.4),))
    backfill = upgraded()
    save_embeddings(files / "old.safetensors", backfill.old[:, :8], GALLERY, short)
    save_embeddings(files / "new.safetensors", backfill.new, GALLERY, new)
    save_embeddings(files / "queries.safetensors", backfill.query, QUERIES, new)
    assert plan_command(*three(files), files / "plan", steps=2, random_orders=1) == 0
    as_old = read_inputs(*three(files), None).backfill.query_as_old
    assert as_old is not None and as_old.shape == (200, 8)
    assert np.allclose(np.linalg.norm(as_old, axis=1), 1)


def test_refuses_spaces_that_were_not_measured_to_go_together(files: Path) -> None:
    save_embeddings(files / "old.safetensors", upgraded().old, GALLERY, STRANGER)
    with pytest.raises(SpaceMismatchError) as error:
        read_inputs(*three(files), None)
    for part in (NEW.space_id, STRANGER.space_id, "not measured to be compatible", "--assume-compatible"):
        assert part in str(error.value)
    assert read_inputs(*three(files), None, assume_compatible=True).compatibility == "assumed"


def test_refuses_queries_of_another_model(files: Path) -> None:
    save_embeddings(files / "queries.safetensors", upgraded().query, QUERIES, OLD)
    with pytest.raises(
        SpaceMismatchError, match="the gallery's new embeddings and the queries hold vectors of different"
    ):
        read_inputs(*three(files), None)
    save_embeddings(
        files / "queries.safetensors", upgraded().query[:, :8], QUERIES, dataclasses.replace(NEW, dimension=8)
    )
    with pytest.raises(SpaceMismatchError, match="8 dimensions and the gallery's new embeddings 16"):
        read_inputs(*three(files), None, assume_compatible=True)


def test_one_space_needs_no_measurement(files: Path) -> None:
    save_embeddings(files / "old.safetensors", upgraded().old, GALLERY, NEW)
    assert read_inputs(*three(files), None).compatibility == "same space"


def test_refuses_what_does_not_fit_together(files: Path) -> None:
    labels = write_labels(files / "labels.csv", [("a", name) for name in GALLERY[3:]])
    with pytest.raises(InputError, match=r"labels.csv has no label for 203 of 440 images"):
        read_inputs(*three(files), labels)
    write_labels(labels, [("a", GALLERY[0]), ("b", GALLERY[0])])
    with pytest.raises(InputError, match="has several labels, 'a' and 'b'"):
        read_inputs(*three(files), labels)
    labels.write_text("class,file\n")
    with pytest.raises(InputError, match=r"expected the columns label and path \(or name\), got class, file"):
        read_inputs(*three(files), labels)
    save_embeddings(files / "new.safetensors", upgraded().new[2:], GALLERY[2:], NEW)
    with pytest.raises(
        InputError, match=r"new.safetensors must hold the gallery of .*: 2 of 240 images have no embedding"
    ):
        read_inputs(*three(files), None)


def test_names_without_a_folder_need_a_table(files: Path) -> None:
    save_embeddings(files / "queries.safetensors", upgraded().query[:1], ["photo.png"], NEW)
    with pytest.raises(InputError, match="give a CSV file of labels, for 1 of 241 images"):
        read_inputs(*three(files), None)
