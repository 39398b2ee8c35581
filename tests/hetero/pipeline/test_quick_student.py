"""``hetero student``: a recipe from nothing but a cloud model and photos."""

from __future__ import annotations

import shlex
import shutil
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hetero
from hetero import own_code
from hetero.cli.main import build_app, main
from hetero.data.embeddings.file import load_embeddings, save_embeddings
from hetero.errors import InputError
from hetero.files import read_json
from hetero.models.directory import save_model
from hetero.models.stage import Stage
from hetero.pipeline.external_cloud import external_cloud
from hetero.pipeline.preflight.cloud import source_problems
from hetero.pipeline.quick.cloud_table import Takes, cloud_table
from hetero.pipeline.quick.student import Wish, student_recipe
from hetero.pipeline.quick.text_options import TextOptions
from hetero.pipeline.quick.toml_text import toml_text
from hetero.pipeline.recipe import Recipe
from tests.hetero.data.pictures import write_classes, write_flat
from tests.hetero.pipeline.clouds import DIMENSION, MACS, SIDE, write_onnx
from tests.snippets import ROOT

SPACE = hetero.EmbeddingSpace.define(defined_by="ab", name="own", version="1", dimension=4)
NETWORK = "tests.hetero.pipeline.clouds:network"
UNSAID = Takes()
SIDES = {"height": SIDE, "width": SIDE}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, and a cloud model as a file, as vectors and as a directory."""
    folder = tmp_path_factory.mktemp("quick")
    write_flat(folder / "photos", 24, size=(40, 36))
    write_onnx(folder / "cloud.onnx")
    save_embeddings(folder / "vectors.safetensors", np.ones((1, 4), np.float32), ["000.png"], SPACE)
    np.save(folder / "vectors.npy", np.ones((1, 4), np.float32))
    config = hetero.ModelConfig(family="residual", dimension=4, stem_channels=8, stages=(Stage(channels=8, stride=2),))
    model = hetero.EmbeddingModel("cloud", config, hetero.Preprocessing(height=24, width=24))
    model.space = SPACE
    save_model(folder / "model", model, {})
    (folder / "notes.txt").write_text("a note")
    return folder


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(own_code.VARIABLE, "1")


def recipe_of(place: Path, cloud: str, takes: Takes = UNSAID, **wish: Any) -> Recipe:
    return student_recipe(cloud, place / "photos", Wish(**wish), takes).draft.require_sound()


@pytest.mark.parametrize(
    ("cloud", "key", "limit"),
    [
        ("cloud.onnx", "onnx", {"max_macs": 5_000_000}),
        ("vectors.safetensors", "embeddings", {"max_macs": 5_000_000}),
        ("vectors.npy", "embeddings", {"max_macs": 5_000_000}),
        ("model", "directory", {"max_macs_share": 0.05}),
    ],
)
def test_a_cloud_on_disk_is_known_by_what_it_is(place: Path, cloud: str, key: str, limit: dict[str, Any]) -> None:
    recipe = recipe_of(place, str(place / cloud))
    assert recipe.cloud.sources == {key: str(place / cloud)}
    (student,) = recipe.students
    assert {"max_macs": student.max_macs, "max_macs_share": student.max_macs_share} == {
        "max_macs": 0,
        "max_macs_share": 0.0,
        **limit,
    }
    assert student.training.steps == "auto" and recipe.export.precisions == ("fp32", "int8")


def test_an_adapted_model_is_a_model(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "model", tmp_path / "adapted")
    (tmp_path / "adapted" / "learnt.json").write_text('{"schema": "hetero/learnt/1"}')
    assert cloud_table(str(tmp_path / "adapted"), UNSAID) == {"directory": str(tmp_path / "adapted")}


@pytest.mark.parametrize("name", ["efficientnet_lite0", "timm:resnet18"])
def test_a_published_cloud_is_known_by_its_name(place: Path, name: str) -> None:
    assert recipe_of(place, name).cloud.sources == {"backbone": name}


def test_code_is_known_by_its_colon(place: Path, allowed: None) -> None:
    assert recipe_of(place, NETWORK, Takes(size=SIDE)).cloud.sources == {"module": NETWORK}
    with pytest.raises(InputError, match="--cloud-size: expected the size"):
        cloud_table(NETWORK, Takes())


def test_a_file_without_a_telling_name_is_known_by_its_content(place: Path, tmp_path: Path) -> None:
    (tmp_path / "vectors").write_bytes((place / "vectors.safetensors").read_bytes())
    assert cloud_table(str(tmp_path / "vectors"), Takes()) == {"embeddings": str(tmp_path / "vectors")}


def test_an_onnx_file_says_the_size_of_its_images_unless_it_leaves_it_open(place: Path, tmp_path: Path) -> None:
    assert cloud_table(str(place / "cloud.onnx"), Takes())["preprocessing"] == SIDES
    taken = cloud_table(str(place / "cloud.onnx"), Takes(resize="crop", mean=(0.1, 0.2, 0.3)))
    assert taken["preprocessing"] == {**SIDES, "resize": "crop", "mean": (0.1, 0.2, 0.3)}
    loose = str(write_onnx(tmp_path / "loose.onnx", "side"))
    assert cloud_table(loose, Takes(size=64))["preprocessing"] == {"height": 64, "width": 64}
    with pytest.raises(InputError, match="--cloud-size: expected the size"):
        cloud_table(loose, Takes(resize="crop"))
    with pytest.raises(InputError, match="--cloud-size: expected the size"):
        cloud_table(loose, Takes())


def test_texts_come_along_with_the_term_that_learns_from_them(place: Path, tmp_path: Path) -> None:
    options = TextOptions(place / "texts.npy", tmp_path / "texts.csv", "a tower", 0.01, prototypes=True)
    quick = student_recipe(
        str(place / "model"), place / "photos", Wish(text=options, text_affinity=3.0), Takes()
    )  # fmt: skip
    (tmp_path / "recipe.toml").write_text(quick.text, encoding="utf-8")
    recipe = hetero.load_recipe(tmp_path / "recipe.toml")
    assert recipe.cloud.text == hetero.TextConfig(
        str(place / "texts.npy"), str(tmp_path / "texts.csv"), "a tower", 0.01, prototypes=True
    )
    (student,) = recipe.students
    default = hetero.StudentConfig(name="default").objectives
    assert student.objectives == (*default, hetero.ObjectiveConfig("text_affinity", 3.0))
    assert (
        recipe_of(place, str(place / "model"), text=TextOptions(place / "texts.npy")).students[0].objectives == default
    )


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"text": TextOptions(tower="ViT", prototypes=True)}, "--text-tower, --text-prototypes: expected --text FILE"),
        ({"text_affinity": 3.0}, "--text-affinity compares images with texts; expected their vectors as --text FILE"),
        ({"text": TextOptions(Path("t.npy")), "text_affinity": -1.0}, "expected a weight of --text-affinity from 0"),
        ({"text": TextOptions(Path("t.npy"), temperature=-1.0)}, "temperature: expected"),
    ],
)
def test_texts_that_make_no_sense_are_told(place: Path, wish: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        recipe_of(place, str(place / "model"), **wish)


def test_the_written_recipe_is_the_one_that_runs(place: Path, tmp_path: Path) -> None:
    wish = Wish(
        name="small", macs="cloud/20", size=48, steps=7, formats=("onnx",), int8_goal=0.02, targets=("desktop",),
        policy="release", licence='"\\ \x7f', seed=3,
    )  # fmt: skip
    quick = student_recipe(str(place / "model"), place / "photos", wish, Takes())
    (tmp_path / "recipe.toml").write_text(quick.text, encoding="utf-8")
    recipe = hetero.load_recipe(tmp_path / "recipe.toml")
    assert recipe == quick.draft.require_sound()
    assert (recipe.name, recipe.seed, recipe.preprocessing.height) == ("small", 3, 48)
    assert (recipe.students[0].max_macs_share, recipe.students[0].training.steps) == (0.05, 7)
    assert (recipe.export.formats, recipe.export.goals, recipe.export.licence) == (
        ("onnx",),
        {"int8": 0.02},
        '"\\ \x7f',
    )
    assert recipe.export.tuning_steps > 0, "a goal that was asked for is worth some steps"


def test_toml_holds_what_a_table_may() -> None:
    value = {
        "text": 'say "so"\n',
        "share": 0.1,
        "many": 1_000_000,
        "true": True,
        "list": [1, 2],
        "table": {"inner": {"int8-uint8io": 0.5, "odd key": "x"}},
        "tables": [{"name": "a"}, {"name": "b", "deep": {"steps": "auto"}}],
    }
    assert tomllib.loads(toml_text(value)) == value


def test_every_mistake_is_told_at_once_before_anything_is_written(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["student", str(place / "photos"), str(place / "photos"), "--macs", "5X"])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and "Traceback" not in said
    assert "CLOUD: expected a cloud model, got" in said and "it is a folder of photos" in said
    assert "--macs: expected a number such as 5M" in said

    words = ["student", str(place / "cloud.onnx"), str(tmp_path / "gone"), "--macs", "10", "--targets", "moon"]
    with pytest.raises(SystemExit):
        main([*words, "--precisions", "palette4", "--formats", "onnx", "--key", str(place / "notes.txt")])
    said = capsys.readouterr().err
    for part in ("no width of this edge architecture fits", "palette4", "data: ", "moon", "export.key: "):
        assert part in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("cloud", "told"),
    [
        ("nowhere.onnx", "found nothing at nowhere.onnx"),
        ("photos", "it is a folder of photos"),
        ("notes.txt", "which is none of them"),
    ],
)
def test_what_is_no_cloud_is_refused_by_name(
    place: Path, monkeypatch: pytest.MonkeyPatch, cloud: str, told: str
) -> None:
    monkeypatch.chdir(place)
    with pytest.raises(InputError, match=told):
        cloud_table(cloud, Takes())


def test_a_cloud_that_says_itself_what_it_takes_is_not_told(place: Path) -> None:
    with pytest.raises(InputError, match="--cloud-size, --cloud-std: .*leave it out"):
        cloud_table(str(place / "model"), Takes(size=3, std=(1.0, 1.0, 1.0)))


def embedded(place: Path, cloud: str, work: Path, takes: Takes = UNSAID) -> tuple[Recipe, Any, dict[str, Any]]:
    """What the cloud's stage leaves of a recipe."""
    recipe = recipe_of(place, cloud, takes, size=16)
    data = hetero.prepare(recipe.data, recipe.preprocessing, cache=work / "cache")
    external_cloud(recipe, data, work)
    return recipe, load_embeddings(work / "embeddings.safetensors"), read_json(work / "metrics.json")


def test_a_model_directory_keeps_its_space_and_its_cost_is_counted(place: Path, tmp_path: Path) -> None:
    _, stored, metrics = embedded(place, str(place / "model"), tmp_path)
    assert stored.space == SPACE
    model = hetero.load_model(place / "model")
    shown = hetero.prepare(hetero.DataConfig(kind="folder", path=str(place / "photos")), model.preprocessing)
    rows = [stored.names.index(name) for name in shown.train.names]
    expected = hetero.embed_images(model, shown.train.images)
    np.testing.assert_allclose(stored.embeddings[rows], expected, atol=1e-6)
    # A stem of 3 x 3 x 3 to 8 channels at half of 24 pixels a side, and more.
    assert metrics["macs"] > 12 * 12 * 27 * 8 and metrics["parameters"] == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(("name", "takes"), [("network", Takes(size=SIDE)), ("EMBEDDER", Takes())])
def test_code_is_a_cloud_model_once_it_is_allowed(
    place: Path, tmp_path: Path, allowed: None, monkeypatch: pytest.MonkeyPatch, name: str, takes: Takes
) -> None:
    recipe, stored, metrics = embedded(place, f"tests.hetero.pipeline.clouds:{name}", tmp_path, takes)
    assert stored.space.name == ("mine" if name == "EMBEDDER" else "cloud")
    assert stored.embeddings.shape[1] == DIMENSION and metrics["macs"] == MACS
    assert source_problems(recipe.cloud) == []
    monkeypatch.delenv(own_code.VARIABLE)
    assert "would run here with all your rights" in source_problems(recipe.cloud)[0]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("tests.hetero.pipeline.clouds:MACS", "got an object of type int"),
        ("tests.hetero.pipeline.clouds:absent", "unknown cloud model"),
        ("torch.nn:Identity", "got the class Identity"),
    ],
)
def test_code_that_is_no_model_is_told(allowed: None, path: str, told: str) -> None:
    (problem,) = source_problems(hetero.CloudConfig(module=path))
    assert problem.startswith("cloud.module: ") and told in problem


def test_one_command_trains_and_continues_and_spares_a_changed_recipe(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HETERO_CACHE", str(tmp_path / "cache"))
    words = ["student", str(place / "cloud.onnx"), str(place / "photos"), "--macs", "1M", "--size", "16"]
    words += ["--steps", "2", "--until", "students", "--jobs", "1", "--out", str(tmp_path / "run")]
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
    said = capfd.readouterr()
    assert said.err.count("up to date") == 3, "data, cloud and student, the second time"
    assert f"go on    hetero run {tmp_path / 'run' / 'recipe.toml'}" in said.out
    assert hetero.load_model(tmp_path / "run" / "students" / "edge").config.dimension == DIMENSION

    recipe = tmp_path / "run" / "recipe.toml"
    recipe.write_text(recipe.read_text() + "\n[search]\n")
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2 and "says something else than this command" in capfd.readouterr().err


@pytest.mark.slow
def test_nothing_but_an_onnx_cloud_and_photos_becomes_a_verified_int8_bundle(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HETERO_CACHE", str(tmp_path / "cache"))
    words = ["student", str(place / "cloud.onnx"), str(place / "photos"), "--macs", "1M", "--size", "32"]
    words += ["--steps", "60", "--formats", "onnx", "--out", str(tmp_path / "run"), "--int8-goal", "0.5"]
    with pytest.raises(SystemExit) as ended:
        main(words)
    said = capfd.readouterr()
    # A toy's retrieval may be too poor to tell; files that do not reproduce the student are a fault.
    assert ended.value.code in (0, 3), said.err
    bundle = tmp_path / "run" / "bundles" / "edge" / "bundle"
    assert [(model["precision"], model["size"] > 0) for model in read_json(bundle / "manifest.json")["models"]] == [
        ("fp32", True),
        ("int8", True),
    ]
    rows = read_json(tmp_path / "run" / "verdict.json")
    loads = {(row["precision"], row["status"]) for row in rows if row["rung"] == "loads"}
    assert loads == {("fp32", "pass"), ("int8", "pass")}
    assert said.out.splitlines()[-1].startswith("edge: cmc@1 ") and "onnx int8" in said.out


@pytest.mark.slow
def test_vectors_of_images_and_texts_become_a_bundle_that_is_verified_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HETERO_CACHE", str(tmp_path / "cache"))
    for start, split in ((0, "train"), (20, "validation"), (40, "test")):
        write_classes(tmp_path / "photos" / split, {"a": 4, "b": 4}, start)
    photos = hetero.prepare(
        hetero.DataConfig(kind="folder", path=str(tmp_path / "photos")), hetero.Preprocessing(height=16, width=16)
    )
    names = [name for part in (photos.train, photos.validation, photos.test) for name in part.names]
    vectors = np.random.default_rng(0).normal(size=(len(names), 4)).astype(np.float32)
    save_embeddings(tmp_path / "images.safetensors", vectors, names, SPACE)
    save_embeddings(tmp_path / "texts.safetensors", vectors[:2], ["a", "b"], SPACE)
    words = ["student", str(tmp_path / "images.safetensors"), str(tmp_path / "photos"), "--size", "16", "--steps", "2"]
    words += ["--formats", "onnx", "--precisions", "fp32", "--macs", "1M", "--out", str(tmp_path / "run")]
    words += ["--text", str(tmp_path / "texts.safetensors"), "--text-tower", "mine", "--text-affinity", "3"]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code in (0, 3), capfd.readouterr().err  # two texts decide nothing
    bundle = tmp_path / "run" / "bundles" / "edge" / "bundle"
    assert read_json(bundle / "manifest.json")["texts"]["count"] == 2
    assert read_json(bundle / "space.json")["text"]["tower"] == "mine"
    (row,) = [row for row in read_json(tmp_path / "run" / "verdict.json") if row["rung"] == "text"]
    assert row["figures"]["texts"] == 2
    assert '<article class="card asking" data-text="a"' in (tmp_path / "run" / "report.html").read_text()


def test_the_lines_of_the_pages_are_commands() -> None:
    app = build_app()
    guides = ("train-a-student", "bring-your-cloud", "text-queries")
    pages = (ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in guides))
    lines = [line for page in pages for line in page.read_text().splitlines() if line.startswith("hetero student ")]
    assert len(lines) == 4
    for line in lines:
        app.parse_args(shlex.split(line)[1:], exit_on_error=False, print_error=False)
