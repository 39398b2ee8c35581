"""New vectors by a model and the items' images: in processes of this machine, and on a cluster."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

import hetero
from hetero.errors import InputError
from hetero.gallery.opening import open_gallery
from hetero.models.config import ModelConfig, Stage
from hetero.models.directory import save_model
from hetero.models.model import EmbeddingModel
from hetero.pipeline.embedding.job import Job
from hetero.pipeline.quick.cloud_table import Takes
from hetero.preprocessing import Preprocessing
from hetero.processes.cluster import ray_library
from hetero.space import EmbeddingSpace
from hetero.training.outcome import own_space
from hetero.upgrade.backfill.running.commands import run_command
from hetero.upgrade.backfill.running.fill import Patience, fill
from hetero.upgrade.backfill.running.source import ModelSource
from hetero.upgrade.backfill.running.workers import Cluster, Here
from tests.hetero.data.pictures import write_classes, write_picture
from tests.snippets import ROOT

pytest.importorskip("usearch", reason="needs the extra gallery")
OLD = EmbeddingSpace.define(defined_by="old", name="cloud", version="1", dimension=8)
PATIENCE = Patience(5.0, "the gallery")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HETERO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_classes(tmp_path / "photos", {"a": 5, "b": 6})
    torch.manual_seed(0)
    config = ModelConfig(dimension=8, stem_channels=8, stages=(Stage(channels=8, stride=2),))
    model = EmbeddingModel("v2", config, Preprocessing(height=16, width=16)).eval()
    model.space = own_space(model)
    save_model(tmp_path / "model", model, {})
    add("a", 5)
    add("b", 6)
    return tmp_path


def add(label: str, count: int) -> None:
    drawn = np.random.default_rng(count).normal(size=(count, 8)).astype(np.float32)
    with open_gallery("usearch:gallery", OLD) as store:
        unit = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        store.add(unit, [f"{label}/{row:03}.png" for row in range(count)], OLD)


def source() -> ModelSource:
    return ModelSource(Job("model", "photos", Takes(option="--"), batch_size=4))


def require_filled(count: int = 11) -> None:
    """Every item's new vector is what the model makes of its image."""
    model, job = hetero.load_model(Path("model")), source().job
    assert model.space is not None
    vectors = hetero.embed_images(model, job.source.images)
    with open_gallery("usearch:gallery") as store:
        backfill = store.begin(model.space)
        assert backfill.missing() == [] and store.count(model.space) == count
        assert [ids[0] for ids in backfill.search(vectors, 1, effort="exact").ids] == list(job.source.names)


def test_the_command_embeds_the_items_images(place: Path) -> None:
    assert run_command("usearch:gallery", "model", data="photos", swap=False, workers=1, batch_size=4) == 0
    require_filled()


def test_images_that_came_with_their_items_are_found(place: Path) -> None:
    with open_gallery("usearch:gallery") as store:
        backfill, opened = store.begin(source().space), source()
        assert opened.rows_of(["b/005.png", "b/006.png"]).tolist() == [10, -1]

        class Late(Here):
            def vectors(self, source, batches):
                yield from super().vectors(source, batches)
                if not (late := Path("photos") / "b" / "006.png").is_file():
                    write_picture(late, 99)
                    add("b", 7)

        fill(backfill, opened, {}, Late(), batch_size=4, patience=PATIENCE)
    require_filled(12)


@pytest.mark.slow
def test_a_cluster_embeds_them(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="needs the extra cluster")
    from ray.cluster_utils import Cluster as Nodes

    known = [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(known))
    node = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
    nodes = Nodes(initialize_head=True, head_node_args=node)
    try:
        address = nodes.address
        assert run_command("usearch:gallery", "model", data="photos", swap=False, batch_size=4, ray=address) == 0
        # A node that sees other images than the command says so.
        opened = source()
        assert opened.identity
        write_picture(place / "photos" / "c" / "000.png", 98)
        with open_gallery("usearch:gallery") as store, pytest.raises(InputError, match="a worker sees another"):
            store.add(np.eye(8, dtype=np.float32)[:5], [f"a/{row:03}.png" for row in range(5)], OLD)
            cluster = Cluster(ray_library(), address)
            fill(store.begin(opened.space), opened, {}, cluster, batch_size=2, patience=PATIENCE)
    finally:
        nodes.shutdown()
