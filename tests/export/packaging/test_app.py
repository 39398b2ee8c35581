"""``hetero bundle app``: each project holds one model and what goes with it, and nothing is written by half."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Literal, get_args

import pytest

from export.app.contract import AppContract
from export.bundle.manifest import RecommendationEntry
from export.bundle.reading import Bundle, read_bundle
from export.bundle_commands import Platforms, app_command
from export.packaging.app import PLATFORMS, RECORD, write_app
from export.packaging.project import LARGEST_REST
from hetero.errors import InputError, IntegrityError
from tests.export.bundles import goldens, relist, write_bundle

WEB, IOS = "web/hetero", "ios/Sources/Hetero/hetero"


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return read_bundle(write_bundle(tmp_path / "bundle"))


def content(directory: Path) -> dict[str, bytes]:
    return {
        file.relative_to(directory).as_posix(): file.read_bytes() for file in directory.rglob("*") if file.is_file()
    }


def test_each_project_holds_its_model_its_contract_and_a_self_test(bundle: Bundle, tmp_path: Path) -> None:
    projects = write_app(bundle, tmp_path / "app")
    files = content(tmp_path / "app")
    # The bundle has no LiteRT file, so that Android takes the ONNX one.
    assert [(one.platform.name, one.contract.format) for one in projects] == [
        ("android", "onnx"),
        ("ios", "coreml"),
        ("web", "onnx"),
    ]
    assert files["android/src/main/assets/hetero/model.onnx"] == files[f"{WEB}/model.onnx"] == b"onnx"
    assert files[f"{IOS}/model.mlpackage/Data/weight.bin"] == b"weights"
    assert {"android/build.gradle.kts", "ios/Package.swift", "web/package.json", "web/index.d.ts"} <= set(files)
    contract = AppContract.from_dict(json.loads(files[f"{WEB}/contract.json"]))
    assert contract == projects[2].contract
    vectors = {row.tobytes() for row in goldens().golden_embeddings}
    assert {files[f"{WEB}/{entry.vector}"] for entry in contract.self_test} == vectors
    assert not [path for path in files if "goldens" in path or "originals" in path]


def test_the_sizes_add_up_to_what_was_written(bundle: Bundle, tmp_path: Path) -> None:
    for project in write_app(bundle, tmp_path / "app"):
        written = content(tmp_path / "app" / project.platform.name)
        assert project.model_size + project.rest_size == sum(map(len, written.values()))
        assert project.model_size == project.contract.size


def test_the_same_bundle_gives_the_same_bytes_and_replaces_an_earlier_result(bundle: Bundle, tmp_path: Path) -> None:
    write_app(bundle, tmp_path / "first")
    write_app(bundle, tmp_path / "second", platforms=["web"])
    write_app(bundle, tmp_path / "second")
    assert content(tmp_path / "first") == content(tmp_path / "second")


def test_an_ai_pack_keeps_the_model_apart_from_the_library(bundle: Bundle, tmp_path: Path) -> None:
    write_app(bundle, tmp_path / "app", platforms=["android-ai-pack"])
    assets = "src/main/assets/hetero"
    files = content(tmp_path / "app" / "android-ai-pack")
    assert f"hetero_model/{assets}/model.onnx" in files
    assert f"hetero/{assets}/contract.json" in files
    assert b'packName = "hetero_model"' in files["hetero_model/build.gradle.kts"]


def test_the_recommended_file_ships_unless_a_precision_is_named(tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "bundle")
    (path / "model.fp16.onnx").write_bytes(b"half")
    relist(path)
    manifest = json.loads((path / "manifest.json").read_text())
    entry = dict(manifest["models"][0], file="model.fp16.onnx", precision="fp16")
    entry["sha256"] = next(file["sha256"] for file in manifest["files"] if file["path"] == "model.fp16.onnx")
    manifest["models"].append(entry)
    (path / "manifest.json").write_text(json.dumps(manifest))
    whole = RecommendationEntry("onnx", "fp32", "model.fp32.onnx", "because")
    bundle = read_bundle(path)
    bundle = dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, recommended=(whole,)))
    write_app(bundle, tmp_path / "app", platforms=["web"])
    assert (tmp_path / "app" / WEB / "model.onnx").read_bytes() == b"onnx"
    assert "Recommended at export: because." in (tmp_path / "app" / "web" / "README.md").read_text()
    write_app(bundle, tmp_path / "app", platforms=["web"], precision="fp16")
    assert (tmp_path / "app" / WEB / "model.onnx").read_bytes() == b"half"


def test_a_platform_without_a_file_is_refused_by_name_and_left_out_otherwise(bundle: Bundle, tmp_path: Path) -> None:
    alone = dataclasses.replace(
        bundle, manifest=dataclasses.replace(bundle.manifest, models=bundle.manifest.models[:1])
    )
    assert [one.platform.name for one in write_app(alone, tmp_path / "app")] == ["android", "web"]
    with pytest.raises(InputError, match="no file for ios"):
        write_app(alone, tmp_path / "app", platforms=["ios", "web"])
    with pytest.raises(InputError, match="no file for android, ios, web in int8"):
        write_app(alone, tmp_path / "app", precision="int8")


def test_a_rest_that_is_too_large_names_the_file_and_leaves_the_earlier_result(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_app(bundle, tmp_path / "app")
    before = content(tmp_path / "app")
    long = {"package.json": "{}", "long.mjs": "x" * LARGEST_REST}
    monkeypatch.setattr("export.packaging.project.reference_code", lambda _contract, _language: long)
    with pytest.raises(InputError, match=r"src/long.mjs: 150,000 bytes"):
        write_app(bundle, tmp_path / "app", platforms=["web"])
    assert content(tmp_path / "app") == before


def test_a_model_that_changes_while_it_is_copied_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    (bundle.path / "model.fp32.onnx").write_bytes(b"else")
    with pytest.raises(IntegrityError, match="model.fp32.onnx changed"):
        write_app(bundle, tmp_path / "app")
    assert not (tmp_path / "app").exists()


def test_neither_another_directory_nor_the_bundle_is_written_to(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "app.json").write_text("{}")
    with pytest.raises(InputError, match="was not written by"):
        write_app(bundle, tmp_path / "mine")
    with pytest.raises(InputError, match="lies in the bundle"):
        write_app(bundle, bundle.path / "app")
    (tmp_path / RECORD).write_text("{}")
    with pytest.raises(InputError, match="or holds it"):
        write_app(bundle, tmp_path)


def test_the_command_knows_every_platform() -> None:
    known = Literal["android", "android-ai-pack", "ios", "web"]
    assert get_args(Platforms)[0] == tuple[known, ...]
    assert get_args(known) == tuple(platform.name for platform in PLATFORMS)


def test_the_command_states_sizes_and_refuses_a_damaged_bundle(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app_command(bundle.path, tmp_path / "app", platform=("web",))
    rest = json.loads((tmp_path / "app" / RECORD).read_text())["projects"]["web"]["rest_bytes"]
    assert f"model.onnx in fp32, 4 bytes; the rest {rest:,}; together {rest + 4:,}" in capsys.readouterr().out
    (bundle.path / "model.fp32.onnx").write_bytes(b"onyx")
    with pytest.raises(IntegrityError, match=r"model.fp32.onnx: expected sha256"):
        app_command(bundle.path, tmp_path / "app")
