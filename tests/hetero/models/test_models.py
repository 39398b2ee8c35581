import hashlib
import json

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import nn

from hetero.errors import InputError, IntegrityError
from hetero.files import write_bytes
from hetero.models.backbones.blocks import GeneralisedMean, unit
from hetero.models.config import ModelConfig, Stage, scaled
from hetero.models.cost import cost, widest_within
from hetero.models.directory import load_model, load_prototype_classes, load_prototypes, save_model, save_prototypes
from hetero.models.embed import embed_images
from hetero.models.model import EmbeddingModel
from hetero.preprocessing import Preprocessing
from hetero.space import EmbeddingSpace
from tests.crashes import kills

PREPROCESSING = Preprocessing(height=16, width=16, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 1.0))
TINY = {
    "edge": ModelConfig(
        family="edge", dimension=8, stem_channels=8, stages=(Stage(channels=8, stride=2, squeeze_excite=True),)
    ),
    "residual": ModelConfig(
        family="residual", dimension=8, pool="gem", stem_channels=8, stages=(Stage(channels=16, stride=2),)
    ),
}


@pytest.fixture(params=sorted(TINY))
def model(request):
    torch.manual_seed(0)
    made = EmbeddingModel("tiny", TINY[request.param], PREPROCESSING).eval()
    made.space = EmbeddingSpace.define(defined_by="x", name="tiny", version="1", dimension=8)
    return made


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)


def test_outputs_are_unit_vectors_of_the_dimension_asked_for(model, images):
    vectors = model(torch.from_numpy(images))
    assert vectors.shape == (5, 8)
    assert vectors.norm(dim=1).tolist() == pytest.approx([1.0] * 5, abs=1e-6)


def test_pixels_are_scaled_and_normalised_per_channel(model, images):
    pixels = model.pixels(torch.from_numpy(images))
    expected = (images[2, 3, 4, 1] / 255 - 0.2) / 0.25
    assert pixels[2, 1, 3, 4].item() == pytest.approx(expected, abs=1e-5)


def test_the_three_ways_in_agree(model, images):
    batch = torch.from_numpy(images)
    scaled_pixels = batch.permute(0, 3, 1, 2).float() / 255
    torch.testing.assert_close(model.embed(scaled_pixels), model(batch))
    torch.testing.assert_close(model.embed_normalised(model.pixels(batch)), model(batch))


def test_embedding_in_batches_equals_one_batch_and_leaves_the_mode(model, images):
    model.train()
    vectors = embed_images(model, images, batch_size=2)
    assert model.training
    np.testing.assert_allclose(vectors, model.eval()(torch.from_numpy(images)).detach().numpy(), atol=1e-6)


def test_a_model_directory_gives_the_same_model_back(model, images, tmp_path):
    save_model(tmp_path, model, {"figure": 0.5})
    loaded = load_model(tmp_path)
    assert torch.equal(loaded(torch.from_numpy(images)), model(torch.from_numpy(images)))
    assert (loaded.space, loaded.name, loaded.config) == (model.space, "tiny", model.config)


def test_a_model_that_is_saved_over_another_survives_a_kill_at_every_write(model, tmp_path):
    def saved(name: str) -> None:
        model.name = name
        save_model(tmp_path / "model", model, {"of": name})

    saved("old")
    (tmp_path / "model" / "log.jsonl").write_text("steps")
    seen = []
    for _ in kills(tmp_path, lambda: saved("new"), before=lambda: saved("old")):
        metrics = (tmp_path / "model" / "metrics.json").read_text()
        seen.append(load_model(tmp_path / "model").name)
        assert seen[-1] in metrics and (tmp_path / "model" / "log.jsonl").read_text() == "steps"
    assert set(seen) == {"old", "new"} and len(seen) > 10
    saved("new")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_damaged_weights_are_refused(model, tmp_path):
    save_model(tmp_path, model, {})
    path = tmp_path / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    write_bytes(path, bytes(data))
    with pytest.raises(IntegrityError, match="model.safetensors"):
        load_model(tmp_path)


def test_prototypes_belong_to_their_space(model, tmp_path):
    digest = save_prototypes(tmp_path, torch.eye(8))
    EmbeddingSpace.define(defined_by="x", name="n", version="1", dimension=8, prototypes=digest).save(
        tmp_path / "space.json"
    )
    assert np.array_equal(load_prototypes(tmp_path), np.eye(8))
    save_prototypes(tmp_path, 2 * torch.eye(8))
    with pytest.raises(IntegrityError, match="not the file that space.json names"):
        load_prototypes(tmp_path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"width": 64.0, "stages": [{"channels": 65536}]}, r"model\.safetensors does not fit the architecture"),
        ({"stages": [{"channels": 8}, {"channels": 8, "depth": 1000}]}, "at most 1000 blocks in all, got 1001"),
    ],
    ids=["70 TB of weights", "blocks"],
)
def test_no_memory_is_taken_for_an_architecture_that_the_weights_are_not_of(model, tmp_path, changes, told):
    save_model(tmp_path, model, {})
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"model": config["model"] | changes}))
    with pytest.raises(IntegrityError, match=told) as refused:
        load_model(tmp_path)
    assert len(str(refused.value)) < 2000


@pytest.mark.parametrize(
    ("arrays", "classes"),
    [
        ({"other": torch.eye(8)}, "[]"),
        ({"prototypes": torch.eye(8).half()}, "[]"),
        ({"prototypes": torch.ones(8)}, "[]"),
        ({"prototypes": torch.full((8, 8), torch.nan)}, "[]"),
        ({"prototypes": torch.eye(8)}, "["),
        ({"prototypes": torch.eye(8)}, '{"a": 1}'),
        ({"prototypes": torch.eye(8)}, "[1]"),
    ],
)
def test_prototypes_of_anything_else_are_refused(tmp_path, arrays, classes):
    """Listed with their digest, as whoever changed them would."""
    data = save(arrays, metadata={"classes": classes})
    write_bytes(tmp_path / "prototypes.safetensors", data)
    EmbeddingSpace.define(
        defined_by="x", name="n", version="1", dimension=8, prototypes=hashlib.sha256(data).hexdigest()
    ).save(tmp_path / "space.json")
    with pytest.raises(IntegrityError, match=r"prototypes\.safetensors"):
        load_prototypes(tmp_path)
        load_prototype_classes(tmp_path)


def test_a_directory_that_is_no_model_says_so(tmp_path):
    with pytest.raises(InputError, match=r"no config\.json"):
        load_model(tmp_path)


def test_macs_by_hand():
    config = ModelConfig(
        family="residual", dimension=8, stem_channels=8, stem_stride=1, stages=(Stage(channels=16, stride=2),)
    )
    stem = 16 * 16 * 8 * 27
    block = 8 * 8 * 16 * (8 * 9 + 16 * 9 + 8)
    assert cost(EmbeddingModel("m", config, PREPROCESSING)).macs == stem + block + 16 * 8


def test_parameters_are_counted():
    model = EmbeddingModel("m", TINY["residual"], PREPROCESSING)
    assert cost(model).parameters == sum(p.numel() for p in model.parameters())


def test_the_widest_model_within_a_budget_fits_and_the_next_does_not():
    budget = 250_000
    fitted = widest_within(TINY["edge"], PREPROCESSING, macs=budget)
    assert cost(EmbeddingModel("m", fitted, PREPROCESSING)).macs <= budget
    wider = [fitted.with_width(fitted.width + step / 20) for step in range(1, 20)]
    assert any(cost(EmbeddingModel("m", config, PREPROCESSING)).macs > budget for config in wider)


def test_an_impossible_budget_is_an_error():
    with pytest.raises(InputError, match="no width .* fits the budget of 10 MACs"):
        widest_within(TINY["edge"], PREPROCESSING, macs=10)


def test_channels_are_multiples_of_eight():
    assert [scaled(16, width) for width in (0.05, 0.5, 0.8, 1.0, 1.3)] == [8, 8, 16, 16, 24]


def test_gem_with_power_one_is_the_mean_and_with_a_large_power_nears_the_maximum():
    features = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])
    assert GeneralisedMean(1.0)(features).item() == pytest.approx(3.0)
    assert GeneralisedMean(40.0)(features).item() == pytest.approx(6.0, rel=0.05)


def test_unit_keeps_an_all_zero_row_finite():
    assert torch.equal(unit(torch.zeros(1, 3)), torch.zeros(1, 3))


def test_a_frozen_backbone_stays_in_evaluation_mode():
    config = ModelConfig(family="edge", dimension=8, stages=(Stage(channels=8),), frozen=True)
    model = EmbeddingModel("m", config, PREPROCESSING).train()
    norms = [layer for layer in model.backbone.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert not any(layer.training for layer in norms)
    assert model.neck.training


def test_an_unknown_family_is_an_error():
    with pytest.raises(
        InputError, match=r"family: expected one of residual, edge, efficientnet_lite0, .* or timm:NAME, got 'vit'"
    ):
        EmbeddingModel("m", ModelConfig(family="vit"), PREPROCESSING)
