from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch

from hetero.errors import InputError, SpaceMismatchError
from hetero.linear import Adaptation, AdaptConfig, adapt
from hetero.models.directory import load_model, load_prototypes, save_model, save_prototypes
from hetero.models.embed import embed_images
from hetero.space import EmbeddingSpace
from tests.hetero.linear.domains import domain, gallery, model

CONFIG = AdaptConfig(part="neck", steps=10)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapt")
    made = model(folder / "v1")
    return folder, made, gallery(made)


@pytest.fixture(scope="module")
def adapted(place):
    folder, _, old_gallery = place
    return adapt(folder / "v1", domain("new", 2), domain("old"), old_gallery, folder / "v2", CONFIG)


def test_new_queries_find_more_and_old_ones_stay_right(place, adapted):
    folder, before, old_gallery = place
    assert not adapted.refusals
    assert adapted.new.difference.low > 0 and adapted.flips.high <= CONFIG.most_flips
    after = load_model(folder / "v2")
    assert after.space == before.space
    # The figures are those of what was written.
    images = domain("new", 2).test
    found = old_gallery.search(images, embed_images(after, images.images), np.arange(len(images)), own=False)
    assert found.mean("cmc@1") == adapted.new.after > adapted.new.before
    assert Adaptation.load(folder / "v2" / "adapt.json") == adapted
    assert len(set(CONFIG.ridges)) > 1 and adapted.steps == CONFIG.steps


def test_only_the_chosen_part_moves(place, adapted):
    before, after = (load_model(place[0] / name).state_dict() for name in ("v1", "v2"))
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert moved == {"embedding.weight", "neck.weight", "neck.bias"}
    start, end = (torch.cat([each[name].reshape(-1) for name in sorted(moved)]) for each in (before, after))
    assert adapted.moved == pytest.approx(float((end - start).norm() / start.norm()), rel=1e-4)


def test_a_second_run_is_the_same(place, adapted):
    folder, _, old_gallery = place
    again = adapt(folder / "v1", domain("new", 2), domain("old"), old_gallery, folder / "again", CONFIG)
    assert again == adapted
    one, other = ((folder / name / "model.safetensors").read_bytes() for name in ("v2", "again"))
    assert one == other


def test_without_anchors_the_old_space_is_refused_with_the_figures(place):
    folder, _, old_gallery = place
    free = AdaptConfig(part="neck", steps=10, anchor_weight=0.0)
    found = adapt(folder / "v1", domain("new", 3), domain("old"), old_gallery, folder / "free", free)
    assert found.anchors == 0 and found.flips.low > 0.1
    assert any("answered wrong that were answered right" in reason for reason in found.refusals)
    assert sorted(path.name for path in (folder / "free").iterdir()) == ["adapt.json", "learnt.json"]


def test_prototypes_and_what_a_cloud_says_of_mirror_images_go_along(place):
    folder, made, _ = place
    shutil.copytree(folder / "v1", folder / "cloud")
    digest = save_prototypes(folder / "cloud", torch.eye(16)[:3], ("a", "b", "c"))
    named = load_model(folder / "cloud")
    named.space = dataclasses.replace(made.space, prototypes=digest)
    save_model(folder / "cloud", named, {"mirrors": True, "steps": 3})
    adapt(folder / "cloud", domain("new", 2), domain("old"), gallery(named), folder / "cloud2", CONFIG)
    assert np.array_equal(load_prototypes(folder / "cloud2"), np.eye(16, dtype=np.float32)[:3])
    metrics = json.loads((folder / "cloud2" / "metrics.json").read_text())
    assert metrics["mirrors"] is True and metrics["macs"] > 0 and "steps" not in metrics


def test_what_cannot_be_adapted_is_refused_before_anything_runs(place, tmp_path):
    folder, _, old_gallery = place
    new, old = domain("new", 2), domain("old")
    metrics = folder / "v1" / "metrics.json"
    metrics.write_text(json.dumps({"tuned_for": "int8"}))
    with pytest.raises(InputError, match="was fine-tuned for int8"):
        adapt(folder / "v1", new, old, old_gallery, tmp_path / "out", CONFIG)
    metrics.write_text("{}")
    with pytest.raises(InputError, match="holds a model already"):
        adapt(folder / "v1", new, old, old_gallery, folder / "v1", CONFIG)
    other = EmbeddingSpace.define(defined_by="other", name="other", version="1", dimension=16)
    with pytest.raises(SpaceMismatchError, match="the model v1 and the gallery"):
        stranger = dataclasses.replace(old_gallery, space=other)
        adapt(folder / "v1", new, old, stranger, tmp_path / "out", CONFIG)
    with pytest.raises(InputError, match="ridges"):
        AdaptConfig(ridges=())
    assert not (tmp_path / "out").exists()
