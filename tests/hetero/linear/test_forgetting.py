from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from hetero.data.subset import with_rows
from hetero.errors import InputError
from hetero.files import sha256_bytes
from hetero.linear import Adaptation, AdaptConfig, Forgetting, Linearised, adapt, divided, forget
from hetero.linear.learnt import Learnt
from hetero.models.directory import load_model
from tests.hetero.linear.domains import domain, gallery, image_set, model
from tests.hetero.linear.nets import dense_jacobian

NEW, OLD = domain("new", 2), domain("old")
GONE = [NEW.train.names[row] for row in (0, 7, 8)]
HELD = AdaptConfig(part="neck", steps=10, ridges=(0.1, 0.01), most_flips=0.5)
FREE = dataclasses.replace(HELD, anchor_weight=0.0, ridges=(0.1,), most_flips=1.0)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forget")
    stored = gallery(model(folder / "v1"))
    for name, config in (("held", HELD), ("free", FREE)):
        assert not adapt(folder / "v1", NEW, OLD, stored, folder / name, config).refusals
    return folder, stored


def retrained(folder, stored, config: AdaptConfig, ridge: float, gone: list[str]) -> torch.Tensor:
    """The closed form of the weights, on the photos that stay alone."""
    parts = divided(load_model(folder / "v1"), "neck")
    linear = Linearised(parts.upper, dtype=torch.float64)
    kept = [row for row, name in enumerate(NEW.train.names) if name not in gone]
    count = len(NEW.train)
    inputs, anchors = (parts.inputs(data.train.images) for data in (NEW, OLD))
    J, Ja = (dense_jacobian(linear, some) for some in (inputs[kept], anchors))
    missed = torch.from_numpy(stored.targets(NEW.train))[kept].double() - linear.origin(inputs[kept])
    H = J.T @ J / count + ridge * torch.eye(linear.size, dtype=torch.float64)
    H += config.anchor_weight * Ja.T @ Ja / len(anchors)
    return linear.joined(linear.weights) + torch.linalg.solve(H, J.T @ missed.reshape(-1) / count)


def weights(directory) -> torch.Tensor:
    linear = Linearised(divided(load_model(directory), "neck").upper, dtype=torch.float64)
    return linear.joined(linear.weights)


@pytest.mark.parametrize(("name", "config", "method"), [("free", FREE, "dual"), ("held", HELD, "conjugate gradients")])
def test_the_new_model_is_the_one_that_never_saw_them(place, tmp_path, name, config, method):
    folder, stored = place
    before = Learnt.load(folder / name)
    proof, measured = forget(folder / name, GONE, folder / "v1", NEW, OLD, stored, tmp_path / "out", steps=500)
    expected = retrained(folder, stored, config, before.config.ridges[0], GONE)
    written, change = weights(tmp_path / "out"), expected - weights(folder / "v1")
    # The bound holds, and says something.
    assert (written - expected).norm() <= 1.01 * proof.weights * (written - weights(folder / "v1")).norm()
    assert proof.weights <= (1e-4 if method == "dual" else 0.05) and proof.outputs <= 1e-3
    assert (written - expected).abs().max() <= (1e-6 if method == "dual" else 0.01 * change.abs().max())
    assert (weights(folder / name) - expected).abs().max() > 1e-3
    assert proof.method == method and proof.left == 33 and proof.compared is None
    assert Forgetting.load(tmp_path / "out" / "forget.json") == proof and "was trained on" in proof.not_forgotten
    assert Adaptation.load(tmp_path / "out" / "adapt.json") == measured and measured.images == 33
    assert load_model(tmp_path / "out").space == stored.space


def test_solved_anew_it_is_what_an_adaptation_without_them_writes(place, tmp_path):
    folder, stored = place
    kept = [row for row, name in enumerate(NEW.train.names) if name not in GONE]
    share, ridge = len(kept) / len(NEW.train), Learnt.load(folder / "held").config.ridges[0]
    config = dataclasses.replace(HELD, ridges=(ridge / share,), anchor_weight=HELD.anchor_weight / share)
    fewer = dataclasses.replace(NEW, train=with_rows(NEW.train, np.array(kept)))
    adapt(folder / "v1", fewer, OLD, stored, tmp_path / "never", config)
    proof, _ = forget(folder / "held", GONE, folder / "v1", NEW, OLD, stored, tmp_path / "out", anew=True)
    assert proof.method == "anew" and proof.steps == HELD.steps and not proof.refusal and proof.outputs > 1e-3
    assert (weights(tmp_path / "out") - weights(tmp_path / "never")).abs().max() <= 1e-6
    assert proof.compared is not None and proof.compared.weights == 0 and proof.compared.outputs <= 1e-6


def test_the_model_is_compared_with_one_solved_anew(place, tmp_path):
    folder, stored = place
    parts = (folder / "v1", NEW, OLD, stored)
    exact = forget(folder / "free", GONE, *parts, tmp_path / "exact", anew=True)[0].compared
    near, _ = forget(folder / "held", GONE, *parts, tmp_path / "near", steps=500, anew=True)
    assert exact is not None and exact.weights <= 1e-8 and exact.outputs <= 1e-5 and exact.sample == 36
    assert near.compared is not None and near.compared.weights <= 2 * near.weights and near.compared.outputs <= 1e-3
    worse = dataclasses.replace(near, compared=dataclasses.replace(near.compared, outputs=0.002))
    assert "may differ by 0.002" in worse.refusal and not near.refusal


def test_no_record_has_the_names_and_forgetting_goes_on(place, tmp_path):
    folder, stored = place
    first, second = tmp_path / "first", tmp_path / "second"
    proof, _ = forget(folder / "free", GONE[:1], folder / "v1", NEW, OLD, stored, first)
    assert proof.deleted == (sha256_bytes(GONE[0].encode()),)
    assert not any(GONE[0] in path.read_text() for path in first.glob("*.json"))
    assert GONE[1] in (first / "learnt.json").read_text()
    with pytest.raises(InputError, match="1 of 1 names are of no photo that the model was adapted to"):
        forget(first, GONE[:1], folder / "v1", NEW, OLD, stored, second)
    forget(first, GONE[1:], folder / "v1", NEW, OLD, stored, second)
    expected = retrained(folder, stored, FREE, FREE.ridges[0], GONE)
    assert (weights(second) - expected).abs().max() <= 1e-6


def test_a_solution_that_was_not_reached_is_refused_with_the_proof(place, tmp_path):
    folder, stored = place
    # Where no model stands, the solution is anew, however many its steps.
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "learnt.json").write_bytes((folder / "held" / "learnt.json").read_bytes())
    parts = (folder / "v1", NEW, OLD, stored)
    proof, _ = forget(folder / "held", GONE, *parts, tmp_path / "out", steps=1)
    assert "its outputs may differ by" in proof.refusal and proof.outputs > 1e-3
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["adapt.json", "forget.json", "learnt.json"]
    assert forget(tmp_path / "held", GONE, *parts, tmp_path / "whole", steps=1)[0].method == "anew"


def test_figures_decide_as_for_an_adaptation(place, tmp_path):
    folder, stored = place
    record = json.loads((folder / "free" / "learnt.json").read_text())
    record["config"]["most_flips"] = 0.0
    (tmp_path / "learnt.json").write_text(json.dumps(record))
    proof, measured = forget(tmp_path, GONE, folder / "v1", NEW, OLD, stored, tmp_path / "out")
    assert len(measured.refusals) == 1 and "answered wrong" in measured.refusals[0] and not proof.refusal
    assert not (tmp_path / "out" / "config.json").exists()


def test_what_is_wrong_is_told_before_anything_is_solved(place, tmp_path, monkeypatch):
    folder, stored = place
    monkeypatch.setattr("hetero.linear.deletion.forgetting.delete", None)

    def refused(message, names=GONE, new=NEW, old=OLD, stored=stored, directory=folder / "held", base="v1"):
        with pytest.raises(InputError, match=message):
            forget(directory, names, folder / base, new, old, stored, tmp_path / "out")

    refused("2 of 3 names are of no photo(.|\n)*nobody(.|\n)*noone", names=["nobody", GONE[0], "noone"])
    refused("expected names", names=[])
    refused("all 36 photos would be forgotten", names=list(NEW.train.names))
    refused("does not say what was learnt from", directory=folder / "v1")
    refused("its weights are others", base="free")
    moved = dataclasses.replace(stored, vectors=np.roll(stored.vectors, 1, axis=0))
    refused("the gallery: its vectors", stored=moved)
    refused("the anchors: others", old=dataclasses.replace(OLD, train=image_set("old", 6, 77)))
    redrawn = NEW.train.images.copy()
    redrawn[3] = 255 - redrawn[3]
    refused(
        f"1 photos have other pixels or another class, for instance {NEW.train.names[3]}",
        new=dataclasses.replace(NEW, train=dataclasses.replace(NEW.train, images=redrawn)),
    )
    labels = NEW.train.labels.copy()
    labels[5] = 2
    relabelled = dataclasses.replace(NEW, train=dataclasses.replace(NEW.train, labels=labels))
    refused(f"1 photos have other pixels or another class, for instance {NEW.train.names[5]}", new=relabelled)
    fewer = dataclasses.replace(NEW, train=image_set("new-train", 5, 12, 2))
    refused("6 photos are not there", new=fewer)
    assert not (tmp_path / "out").exists()
