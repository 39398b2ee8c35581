"""Networks by name where there is no network: what lies here works, and what does not is told at once."""

from __future__ import annotations

import socket
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import hetero
from hetero.cli.main import main
from hetero.errors import InputError
from hetero.pipeline.context import Context
from hetero.pipeline.draft import parse_recipe
from hetero.pipeline.preflight.cloud import source_problems
from hetero.pipeline.stages import stages_of
from tests.hetero.data.pictures import write_flat

if missing := [name for name in ("timm", "open_clip", "ftfy", "transformers") if find_spec(name) is None]:
    pytest.skip(f"needs {', '.join(missing)}", allow_module_level=True)

from huggingface_hub import constants

from tests.hetero.models.published import networks


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Block sockets and names of hosts, and start with an empty cache of the hub."""

    def blocked(*_: object, **__: object) -> None:
        raise AssertionError("something asked the network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, blocked)
    for name in ("create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, blocked)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    # Whoever has been told to be offline does not show that hetero asks nobody.
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return tmp_path / "hub"


def put_into(cache: Path, repository: str, files: list[Path]) -> None:
    """Lay files where ``hf download`` puts them."""
    place = cache / f"models--{repository.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("0123abc")
    (place / "snapshots" / "0123abc").mkdir(parents=True)
    for file in files:
        (place / "snapshots" / "0123abc" / file.name).symlink_to(file)


MISSING = {
    "timm:resnet10t": "hf download timm/resnet10t.c3_in1k model.safetensors",
    "timm:vit_tiny_patch16_224.augreg_in21k": "hf download timm/vit_tiny_patch16_224.augreg_in21k model.safetensors",
    "open_clip:ViT-B-32": "Give them as a .safetensors file",
    "open_clip:ViT-B-32:laion2b_s34b_b79k": (
        "hf download laion/CLIP-ViT-B-32-laion2B-s34B-b79K open_clip_model.safetensors"
    ),
    "hf:owner/name": "hf download owner/name",
    "hf:gone": "expected a directory with config.json, preprocessor_config.json and model.safetensors",
}


@pytest.mark.parametrize("name", MISSING)
def test_what_is_missing_is_named_with_its_place(name: str, cache: Path) -> None:
    with pytest.raises(InputError) as caught:
        hetero.backbone_embedder(name)
    assert MISSING[name] in str(caught.value)
    assert "fetches" in str(caught.value) and not cache.exists()


def test_a_recipe_and_a_command_say_the_same_before_they_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe: dict[str, Any] = {
        "name": "offline",
        "data": {"kind": "folder", "path": "photos"},
        "preprocessing": {"height": 32, "width": 32},
        "cloud": {"model": "timm:resnet10t"},
        "students": [{"name": "edge"}],
    }
    (problem,) = source_problems(parse_recipe(recipe, what="recipe.toml").cloud)
    assert problem.startswith("cloud.backbone: timm:resnet10t: its weights are not here")

    monkeypatch.chdir(tmp_path)
    write_flat(tmp_path / "photos", 2)
    with pytest.raises(SystemExit) as ended:
        main(["embed", "timm:resnet10t", "photos", "vectors"])
    assert ended.value.code == 2 and "hf download timm/resnet10t.c3_in1k" in capsys.readouterr().err
    assert not (tmp_path / "vectors").exists()


def test_the_clouds_stage_runs_again_for_other_weights(tmp_path: Path) -> None:
    write_flat(tmp_path / "photos", 24)
    file = tmp_path / "net.safetensors"
    value: dict[str, Any] = {
        "name": "again",
        "data": {"kind": "folder", "path": str(tmp_path / "photos")},
        "preprocessing": {"height": 32, "width": 32},
        "cloud": {"model": "timm:resnet10t", "weights": str(file)},
        "students": [{"name": "edge"}],
    }
    identities: list[str] = []
    for content in (b"one", b"other", b"one"):
        file.write_bytes(content)
        stages = dict(stages_of(Context(parse_recipe(value, what="recipe.toml"), tmp_path / "run")))
        identities.append(stages["cloud"].identity)
    assert identities[0] != identities[1] and identities[0] == identities[2]


def test_the_cache_of_the_hub_is_found(cache: Path, tmp_path: Path) -> None:
    published = networks.of_timm("mobilenetv3_small_050", tmp_path)
    assert published.weights is not None
    there = published.weights.rename(tmp_path / "model.safetensors")
    put_into(cache, "timm/mobilenetv3_small_050.lamb_in1k", [there])
    by_name = hetero.backbone_embedder("timm:mobilenetv3_small_050")
    assert by_name.space == hetero.backbone_embedder("timm:mobilenetv3_small_050", weights=there).space

    saved = Path(networks.of_transformers("dinov2", tmp_path).name.removeprefix("hf:"))
    put_into(cache, "owner/dinov2", sorted(saved.iterdir()))
    assert hetero.backbone_embedder("hf:owner/dinov2").space.space_id == (
        hetero.backbone_embedder(f"hf:{saved}").space.space_id
    )
