"""Weights of published networks: safetensors, all of them, and of that network."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import hetero
from hetero.errors import InputError, IntegrityError

if missing := [name for name in ("timm", "open_clip", "ftfy", "transformers") if find_spec(name) is None]:
    pytest.skip(f"needs {', '.join(missing)}", allow_module_level=True)

from hetero.models.backbones.open_clip_package import open_clip_for
from hetero.models.backbones.timm_package import import_timm
from hetero.models.published.network import PublishedNetwork, published_network
from tests.hetero.models.published import networks

NAME = "mobilenetv3_small_050"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    published = networks.of_timm(NAME, tmp_path_factory.mktemp("timm"))
    assert published.weights is not None
    return published.weights


def changed(weights: Path, path: Path, *, without: str = "", **more: torch.Tensor) -> Path:
    kept = {name: value for name, value in load_file(weights).items() if name != without}
    save_file({**kept, **more}, path)
    return path


def vector(network: PublishedNetwork) -> np.ndarray:
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return network.module(pixels).numpy()


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"weight": Hostile()}, tmp_path / "weights.pt")
    for suffix in (".pt", ".bin", ".pth"):
        file = (tmp_path / "weights.pt").rename(tmp_path / f"weights{suffix}")
        for name in (f"timm:{NAME}", "open_clip:ViT-B-32"):
            with pytest.raises(InputError, match=r"expected weights as \.safetensors.*weights_only=True"):
                hetero.backbone_embedder(name, weights=file)
        (tmp_path / "weights.pt").write_bytes(file.read_bytes())
    renamed = (tmp_path / "weights.pt").rename(tmp_path / "weights.safetensors")
    with pytest.raises(IntegrityError, match="cannot be read as safetensors"):
        hetero.backbone_embedder(f"timm:{NAME}", weights=renamed)
    assert not (tmp_path / "ran").exists()


def test_weights_that_are_missing_or_foreign_are_told(weights: Path, tmp_path: Path) -> None:
    lacking = changed(weights, tmp_path / "lacking.safetensors", without="conv_head.weight")
    foreign = changed(weights, tmp_path / "foreign.safetensors", strange=torch.zeros(2))
    for file, told in ((lacking, "conv_head.weight"), (foreign, "strange")):
        with pytest.raises(InputError, match=f"does not hold the weights of timm:{NAME}(.|\n)*{told}"):
            published_network(f"timm:{NAME}", file)
    with pytest.raises(InputError, match="does not hold the weights of timm:resnet10t"):
        published_network("timm:resnet10t", weights)
    with pytest.raises(InputError, match="found no file"):
        published_network(f"timm:{NAME}", tmp_path / "gone.safetensors")


def test_a_classifier_of_any_size_or_none_makes_no_difference(weights: Path, tmp_path: Path) -> None:
    expected = vector(published_network(f"timm:{NAME}", weights))
    width = load_file(weights)["classifier.weight"].shape[1]
    other = {"classifier.weight": torch.zeros(7, width), "classifier.bias": torch.zeros(7)}
    seven = changed(weights, tmp_path / "seven.safetensors", **other)
    none = changed(
        changed(weights, tmp_path / "half.safetensors", without="classifier.bias"),
        tmp_path / "none.safetensors",
        without="classifier.weight",
    )
    for file in (seven, none):
        np.testing.assert_array_equal(vector(published_network(f"timm:{NAME}", file)), expected)


def test_a_directory_that_timm_saved_says_its_own_preparation(weights: Path, tmp_path: Path) -> None:
    config = import_timm().get_pretrained_cfg(NAME).to_dict()
    own = {"input_size": [3, 96, 96], "crop_pct": 1.0, "mean": [0.1, 0.2, 0.3], "num_classes": 1000}
    config = {**{key: value for key, value in config.items() if value is not None}, **own}
    (tmp_path / "config.json").write_text(json.dumps({"architecture": NAME, "pretrained_cfg": config}))
    (tmp_path / "model.safetensors").write_bytes(weights.read_bytes())
    network = published_network(f"timm:{tmp_path}")
    takes = network.preparation.contract("timm")
    assert (takes.height, takes.cut_from, takes.mean) == (96, 96, (0.1, 0.2, 0.3))
    np.testing.assert_array_equal(vector(network), vector(published_network(f"timm:{NAME}", weights)))


def test_other_weights_are_another_space(weights: Path, tmp_path: Path) -> None:
    small = hetero.Preprocessing(height=32, width=32)
    twice = changed(
        weights, tmp_path / "twice.safetensors", **{"conv_stem.weight": 2 * load_file(weights)["conv_stem.weight"]}
    )
    one, other = (hetero.backbone_embedder(f"timm:{NAME}", small, weights=file) for file in (weights, twice))
    assert one.space.space_id != other.space.space_id
    copied = tmp_path / "copied.safetensors"
    copied.write_bytes(weights.read_bytes())
    again = hetero.backbone_embedder(f"timm:{NAME}", small, weights=copied)
    assert again.space == one.space, "the weights count, not the file"


def test_open_clip_says_which_published_weights_differ() -> None:
    for name, told in (
        ("open_clip:ViT-B-99", "open_clip has no model 'ViT-B-99'; similar names: ViT-B-"),
        ("open_clip:ViT-B-32:laion", "has no weights 'laion' of ViT-B-32; expected "),
        ("open_clip:ViT-B-32:openai", "are those of ViT-B-32-quickgelu, which has another activation"),
        ("open_clip:ViT-L-14", "say which they are as open_clip:ViT-L-14:TAG, one of "),
    ):
        with pytest.raises(InputError, match=told):
            published_network(name, Path(__file__).with_suffix(".safetensors") if name.endswith("14") else None)


def test_a_listed_network_of_open_clip_takes_the_weights_of_its_image_tower(tmp_path: Path) -> None:
    library = open_clip_for("tests")
    config = {"embed_dim": 24, "vision_cfg": networks.OPEN_CLIP["vit"][0], "text_cfg": networks.TEXT}
    (tmp_path / "tiny-of-a-test.json").write_text(json.dumps(config))
    library.add_model_config(tmp_path / "tiny-of-a-test.json")
    model = library.create_model("tiny-of-a-test").eval()
    whole = networks.save(model, tmp_path / "whole.safetensors")
    images = {name: value for name, value in load_file(whole).items() if name.startswith("visual.")}
    save_file(images, tmp_path / "images.safetensors")
    pixels = torch.rand(2, 3, 32, 32)
    for file in (whole, tmp_path / "images.safetensors"):
        network = published_network("open_clip:tiny-of-a-test", file)
        with torch.inference_mode():
            assert torch.equal(network.module(pixels), model.encode_image(pixels))
    save_file({name: value for name, value in images.items() if name != "visual.proj"}, tmp_path / "lost.safetensors")
    with pytest.raises(InputError, match=r"1 that the network has and the file lacks: visual\.proj"):
        published_network("open_clip:tiny-of-a-test", tmp_path / "lost.safetensors")


def test_code_that_a_directory_brings_is_not_run(tmp_path: Path) -> None:
    mapped = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model", "AutoImageProcessor": "evil.Processor"}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "evil", "auto_map": mapped}))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"auto_map": mapped}))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(InputError, match="without code of its own"):
        published_network(f"hf:{tmp_path}")
    assert not (tmp_path / "ran").exists()


def test_a_classifier_of_transformers_has_no_pooler_and_gives_its_class_token(tmp_path: Path) -> None:
    import transformers

    torch.manual_seed(0)
    config = transformers.ViTConfig(**networks.TOWER, patch_size=8, num_labels=3)
    model = transformers.ViTForImageClassification(config).eval()
    model.save_pretrained(tmp_path)
    network = published_network(f"hf:{tmp_path}")
    assert network.output == "class token (last_hidden_state[:, 0])"
    pixels = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        expected = model.vit(pixel_values=pixels).last_hidden_state[:, 0]
        assert torch.equal(network.module(pixels), expected)
    with pytest.raises(InputError, match="expected preprocessor_config.json in .*found none"):
        network.preparation.contract("hf")
    stated = hetero.Preprocessing(height=32, width=32, mean=(0.5, 0.5, 0.5))
    assert hetero.backbone_embedder(f"hf:{tmp_path}", stated).space.dimension == 32


def test_a_model_of_images_and_texts_gives_projected_vectors_of_images(tmp_path: Path) -> None:
    import transformers

    torch.manual_seed(0)
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = transformers.CLIPConfig(
        text_config={**text, "vocab_size": 20}, vision_config={**networks.TOWER, "patch_size": 8}, projection_dim=12
    )
    model = transformers.CLIPModel(config).eval()
    model.save_pretrained(tmp_path)
    network = published_network(f"hf:{tmp_path}")
    assert network.output == "projected vectors (get_image_features)"
    pixels = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        vision = model.vision_model(pixel_values=pixels).pooler_output
        assert torch.equal(network.module(pixels), model.visual_projection(vision))
    assert not any("text_model" in name for name, _ in network.module.named_parameters())


def test_a_directory_of_transformers_that_lacks_weights_is_told(tmp_path: Path) -> None:
    saved = Path(networks.of_transformers("dinov2", tmp_path).name.removeprefix("hf:"))
    file = saved / "model.safetensors"
    lost = next(name for name in load_file(file) if name.endswith("cls_token"))
    kept = {name: value for name, value in load_file(file).items() if name != lost}
    save_file(kept, file, metadata={"format": "pt"})
    with pytest.raises(InputError, match="does not hold all weights of the network, for instance .*cls_token"):
        published_network(f"hf:{saved}")
    file.unlink()
    torch.save(kept, saved / "pytorch_model.bin")
    with pytest.raises(InputError, match="safetensors alone"):
        published_network(f"hf:{saved}")
    with pytest.raises(InputError, match="a directory holds its own weights"):
        published_network(f"hf:{saved}", file)
