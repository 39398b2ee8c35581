"""Every snippet of the guides runs."""

from __future__ import annotations

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

import hetero
from export.bundle.reading import read_bundle
from hetero.evaluation.decisions import Decisions
from hetero.files import read_json
from hetero.linear.deletion.forgetting import Forgetting
from hetero.linear.measure import Adaptation
from hetero.pipeline.draft import load_recipe
from tests.hetero.linear import domains
from tests.snippets import ROOT, lay_out, run_page


@pytest.mark.slow
def test_text_queries(tmp_path, monkeypatch):
    place = lay_out(tmp_path)
    monkeypatch.chdir(place)
    monkeypatch.setenv("HETERO_CACHE", str(place / "cache"))
    names = run_page(ROOT / "docs" / "text-queries.md", place)
    # Twelve test photos of three classes, and all four texts describe some of them.
    assert {(role.role, role.queries) for role in names["matrix"].roles} == {
        ("gallery", 12),
        ("text to image", 4),
        ("image to text", 12),
    }
    run = place / "runs" / "mine"
    matrix = hetero.CompatibilityMatrix.load(run / "matrix.json")
    assert {role.role for role in matrix.roles} == {"gallery", "text to image", "image to text"}
    side = hetero.EmbeddingSpace.load(run / "bundles" / "edge" / "bundle" / "space.json").text
    assert side is not None and (side.tower, side.temperature) == ("ViT-B-32, text", 0.01)
    assert any(row["rung"] == "text" for row in read_json(run / "verdict.json"))
    assert "In the cloud's place" in (run / "report.html").read_text(encoding="utf-8")
    goldens = read_bundle(place / "bundles" / "edge").goldens
    assert goldens.texts is not None and goldens.texts.texts == tuple(names["texts"])


@pytest.mark.slow
def test_train_a_student(tmp_path, monkeypatch):
    place = lay_out(tmp_path)
    monkeypatch.chdir(place)
    names = run_page(ROOT / "docs" / "train-a-student.md", place)
    assert (place / "models" / "edge" / "space.json").is_file()
    assert names["student"].space == names["cloud_model"].space
    assert 0 <= names["asymmetric"].mean("map@r") <= 1


@pytest.mark.slow
def test_bring_your_cloud(tmp_path, monkeypatch):
    if missing := [name for name in ("timm", "open_clip", "ftfy", "transformers") if find_spec(name) is None]:
        pytest.skip(f"needs {', '.join(missing)}")
    from tests.hetero.models.published import networks

    place = lay_out(tmp_path)
    monkeypatch.chdir(place)
    (place / "weights").mkdir()
    networks.of_timm("mobilenetv3_small_050", place / "weights")
    networks.of_open_clip("vit", place / "weights")
    (place / "weights" / "vit").rename(place / "weights" / "clip")
    names = run_page(ROOT / "docs" / "bring-your-cloud.md", place)
    assert names["cloud"].output == "pooled features (forward_head, pre_logits=True)"
    run = hetero.load_embeddings(place / "runs" / "mine" / "cloud" / "embeddings.safetensors")
    assert run.space.space_id == names["cloud"].space.space_id
    shards = hetero.load_embeddings(place / "vectors")
    assert (shards.space.dimension, len(shards.names)) == (24, len(run.names))


def test_data(tmp_path, monkeypatch):
    place = lay_out(tmp_path)
    monkeypatch.chdir(place)
    monkeypatch.setenv("HETERO_CACHE", str(place / "cache"))
    names = run_page(ROOT / "docs" / "data.md", place)
    assert names["stored"].names
    assert load_recipe(place / "recipe.toml").preprocessing.grey_range == (0, 4095)
    flat, altered = names["sets"][2], names["space"]
    assert not flat.has_labels and flat.names[-1].endswith("#1") and altered.dimension == 96 * 3
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    (place / "flat.toml").write_text(re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)[0], encoding="utf-8")
    (place / "shards.toml").write_text(re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)[1], encoding="utf-8")
    assert load_recipe(place / "shards.toml").data.path == str(place / "shards" / "*.tar")
    assert names["pixels"].shape == (3, 64, 64, 3)
    recipe = load_recipe(place / "flat.toml")
    assert recipe.data.layout == "flat" and recipe.data.extra == (str(place / "more_photos"),)


@pytest.mark.slow
def test_scale(tmp_path, monkeypatch):
    place = lay_out(tmp_path)
    monkeypatch.chdir(place)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    run_page(ROOT / "docs" / "scale.md", place)
    assert (place / "runs" / "mine" / "matrix.json").is_file()
    assert hetero.load_model(place / "runs" / "mine" / "students" / "edge").name == "edge"


def test_space(tmp_path, monkeypatch):
    place = lay_out(tmp_path)
    monkeypatch.chdir(place)
    monkeypatch.setenv("HETERO_CACHE", str(place / "cache"))
    names = run_page(ROOT / "docs" / "space.md", place)
    assert names["statistics"].count == len(names["stored"].names)
    assert names["student"].principal == "auto"


def write_student(directory: Path, space: hetero.EmbeddingSpace) -> None:
    """A model of random weights whose vectors tell the photos apart, as its batch statistics are theirs."""
    shape = hetero.Preprocessing(height=64, width=64)
    photos = hetero.prepare(hetero.DataConfig(kind="folder", path="photos"), shape)
    torch.manual_seed(0)
    model = hetero.EmbeddingModel("edge", hetero.ModelConfig(dimension=space.dimension), shape)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        model.train()(torch.tensor(photos.train.images[:]))
    model.space = space
    hetero.save_model(directory, model, {})


@pytest.mark.slow
def test_galleries(tmp_path, monkeypatch):
    pytest.importorskip("usearch", reason="needs the extra gallery")
    place = lay_out(tmp_path)
    monkeypatch.chdir(place)
    v2 = hetero.EmbeddingSpace.define(defined_by="page v2", name="cloud", version="2", dimension=16)
    write_student(place / "models" / "v2", v2)
    shutil.copytree(place / "models" / "v2", place / "models" / "edge2")
    (place / "plan").mkdir()
    (place / "plan" / "order.csv").write_text("name\ntest/red/0.png\n", encoding="utf-8")
    names = run_page(ROOT / "docs" / "galleries.md", place)
    assert names["matches"].ids[0][0] == names["cloud"].names[0]
    assert names["recall"] > 0.9
    with hetero.open_gallery("usearch:gallery", read_only=True) as store:
        assert store.space == names["cloud"].space and len(store) == len(names["cloud"].names) + 1
    with hetero.open_gallery("usearch:shop", read_only=True) as store:
        # It was swapped, and rolled back.
        assert store.space == names["cloud"].space and store.previous is not None and store.previous.version == "2"


@pytest.mark.slow
def test_serve(tmp_path, monkeypatch):
    pytest.importorskip("usearch", reason="needs the extra gallery")
    pytest.importorskip("uvicorn", reason="needs the extra serve")
    place = lay_out(tmp_path)
    monkeypatch.chdir(place)
    names = run_page(ROOT / "docs" / "serve.md", place)
    assert [ids[0] for ids in names["found"]["ids"]] == list(names["cloud"].names[:3])


@pytest.mark.slow
def test_smaller_gallery(tmp_path, monkeypatch):
    pytest.importorskip("usearch", reason="needs the extra gallery")
    place = lay_out(tmp_path)
    monkeypatch.chdir(place)
    cloud = hetero.load_embeddings(place / "cloud_embeddings.safetensors")
    hetero.save_embeddings(place / "edge_embeddings.safetensors", cloud.embeddings[:20], cloud.names[:20], cloud.space)
    write_student(place / "models" / "edge", cloud.space)
    names = run_page(ROOT / "docs" / "smaller-gallery.md", place)
    with hetero.open_gallery("usearch:small-store/gallery", read_only=True) as store:
        assert store.space.derived.parent == cloud.space.space_id and store.space.dimension == 8
        assert len(store) == len(cloud.names)
    bundle = hetero.EmbeddingSpace.load(place / "bundles" / "edge" / "space.json")
    assert bundle == names["small"].space != names["shorter"].space
    assert names["fewer"].shape == (len(names["stored"].names), 4)
    carried = read_bundle(place / "bundles" / "offline").manifest.gallery
    assert carried is not None and carried.items == len(cloud.names)
    assert (place / "app" / "android" / "src" / "main" / "assets" / "hetero" / "gallery" / "index.usearch").is_file()


@pytest.mark.slow
def test_upgrade(tmp_path, monkeypatch):
    place = lay_out(tmp_path)
    monkeypatch.chdir(place)
    monkeypatch.setenv("HETERO_CACHE", str(place / "cache"))
    shape = hetero.Preprocessing(height=64, width=64)
    photos = hetero.prepare(hetero.DataConfig(kind="folder", path="photos"), shape)
    small = hetero.CloudConfig(
        model=hetero.ModelConfig(family="residual", stem_channels=8),
        training=hetero.TrainingConfig(steps=3),
    )
    hetero.train_cloud(photos, small, shape, place / "models" / "v1")
    names = run_page(ROOT / "docs" / "upgrade.md", place)
    assert (place / "models" / "v2" / "upgrade.json").is_file()
    assert names["moved"].space.mapped_from == names["v1"].space.space_id
    assert names["after"].space == names["v2"].space
    assert (place / "fleet" / "fleet.json").is_file()
    assert len(names["answers"]) == len(photos.test)


@pytest.mark.slow
def test_adapt(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HETERO_CACHE", str(tmp_path / "cache"))
    domains.model(tmp_path / "models" / "v1")
    for name, negated in (("photos", 0), ("new_photos", 2), ("left", 0)):
        domains.write_all(domains.domain(name, negated), tmp_path / name)
    (tmp_path / "customer.txt").write_text("train/a/0.png\ntrain/b/1.png\n")
    for name, right in (("old", True), ("new", False)):
        Decisions({"search": {"test/a/0.png": True, "test/b/1.png": right}}).save(tmp_path / f"{name}.json")
    names = run_page(ROOT / "docs" / "adapt.md", tmp_path)
    measured = Adaptation.load(tmp_path / "models" / "v1-new" / "adapt.json")
    assert measured.images == len(names["new"].train) and measured.anchors == len(names["old"].train)
    assert names["measured"].part == "neck" and not names["measured"].refusals
    before, after = (hetero.load_model(tmp_path / "models" / name) for name in ("v1", "v1-neck"))
    assert after.space == before.space
    assert names["held"].by_factors and (tmp_path / "models" / "v1-held" / "adapt.json").is_file()
    assert (tmp_path / "runs/mine/anchors/edge/anchors.safetensors").is_file()
    assert "Which photos did it: v1-new" in (tmp_path / "flips.html").read_text(encoding="utf-8")
    assert "<h2>test/b/1.png</h2>" in (tmp_path / "your-flips.html").read_text(encoding="utf-8")
    assert Adaptation.load(tmp_path / "runs/mine/students/edge-adapted/adapt.json").part == "neck"
    assert Decisions.load(tmp_path / "runs/mine/evaluation/decisions/edge.json").query_model == "edge"
    proof = Forgetting.load(tmp_path / "models" / "v1-without" / "forget.json")
    assert (proof.left, len(proof.deleted), proof.refusal) == (measured.images - 2, 2, "")
    assert names["change"].shape == (names["linear"].size,)
    assert len(names["surprise"]) == len(names["harm"]) == measured.images


@pytest.mark.slow
def test_search_space(tmp_path, monkeypatch):
    place = lay_out(tmp_path)
    monkeypatch.chdir(place)
    names = run_page(ROOT / "docs" / "search-space.md", place)
    space, point = names["space"], names["point"]
    assert point in space and names["child"] in space
    assert names["student"].model == space.config(point)
    assert names["figures"]["r3"] == pytest.approx(names["figures"]["r1"] * names["figures"]["r2"])


@pytest.mark.slow
def test_search(tmp_path, monkeypatch):
    place = lay_out(tmp_path)
    monkeypatch.chdir(place)
    run_page(ROOT / "docs" / "search.md", place)
    for name in ("search/search.json", "search/front.svg", "students/watch/model.safetensors", "evaluation/front.svg"):
        assert (place / "runs" / "phones" / name).is_file()
