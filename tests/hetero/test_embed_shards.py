"""``hetero embed`` into shards: any model and data, continued after a kill, the same bytes in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

pytest.importorskip("pyarrow")

import hetero
from hetero.cli.main import main
from hetero.data.decoding.decode import decode
from hetero.data.embeddings.file import load_embeddings
from hetero.errors import InputError
from hetero.models.config import ModelConfig, Stage
from hetero.models.directory import save_model
from hetero.models.model import EmbeddingModel
from hetero.pipeline.embedding.job import Job
from hetero.pipeline.quick.cloud_table import Takes
from hetero.preprocessing import Preprocessing
from hetero.training.outcome import own_space
from tests.hetero.data.index.shards import picture, samples, tar_of
from tests.hetero.data.pictures import write_classes
from tests.hetero.pipeline import clouds
from tests.snippets import ROOT

SIDE = Preprocessing(height=16, width=16)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("embed")
    write_classes(folder / "photos", {"a": 9, "b": 14})
    torch.manual_seed(0)
    config = ModelConfig(dimension=8, stem_channels=8, stages=(Stage(channels=8, stride=2),))
    model = EmbeddingModel("edge", config, SIDE).eval()
    model.space = own_space(model)
    save_model(folder / "model", model, {})
    return folder


@pytest.fixture(autouse=True)
def cache(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HETERO_CACHE", str(place / "cache"))


def embed(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as caught:
        main(("embed", *map(str, arguments)))
    return int(caught.value.code or 0)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def options(rows: int = 5) -> tuple[str, ...]:
    return "--shard-rows", str(rows), "--batch-size", "3"


def test_shards_hold_each_images_vector_under_its_name(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert embed(place / "model", place / "photos", place / "out", *options()) == 0
    assert "23 vectors in 5 shards" in capsys.readouterr().out
    read, model = load_embeddings(place / "out"), hetero.load_model(place / "model")
    assert read.names[0] == "a/000.png" and len(read.names) == 23 and read.space == model.space
    pixels = np.stack([decode(place / "photos" / name, SIDE) for name in read.names])
    assert np.allclose(read.embeddings, hetero.embed_images(model, pixels), atol=1e-6)
    assert embed(place / "model", place / "photos", place / "one.safetensors", "--batch-size", "3") == 0
    single = load_embeddings(place / "one.safetensors")
    assert single.names == read.names and np.array_equal(single.embeddings, read.embeddings)


def test_finished_shards_are_kept_and_the_bytes_are_those_of_an_uninterrupted_run(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert embed(place / "model", place / "photos", place / "whole", *options()) == 0
    assert embed(place / "model", place / "photos", place / "part", *options()) == 0
    kept = place / "part" / "000000000010-000000000015.parquet"
    for path in (place / "part").glob("*.parquet"):
        if path != kept:
            path.unlink()
    before = kept.stat().st_mtime_ns
    capsys.readouterr()
    assert embed(place / "model", place / "photos", place / "part", *options()) == 0
    assert "23 vectors in 5 shards, 1 kept" in capsys.readouterr().out
    assert kept.stat().st_mtime_ns == before
    assert contents(place / "part") == contents(place / "whole")


@pytest.mark.slow
def test_kills_lose_nothing_and_change_no_byte(place: Path) -> None:
    assert embed(place / "model", place / "photos", place / "calm", *options(2)) == 0
    command = [
        sys.executable,
        "-m",
        "hetero",
        "embed",
        place / "model",
        place / "photos",
        place / "killed",
        *options(2),
    ]
    seen = 0
    while True:
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            # Killed as soon as it has written a few more shards.
            while process.poll() is None and len(list((place / "killed").glob("0*.parquet"))) < seen + 4:
                time.sleep(0.002)
            if process.poll() is not None:
                break
            os.kill(process.pid, signal.SIGKILL)
        seen = len(list((place / "killed").glob("0*.parquet")))
    assert process.returncode == 0 and seen >= 4
    assert contents(place / "killed") == contents(place / "calm")


@pytest.mark.slow
def test_a_cluster_that_loses_a_node_writes_the_bytes_of_one_process(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="needs the extra cluster")
    from ray.cluster_utils import Cluster

    known = [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(known))
    assert embed(place / "model", place / "photos", place / "alone", *options(1)) == 0
    node = {"num_cpus": 1, "object_store_memory": 80 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        second = cluster.add_node(**node)
        killed: list[int] = []

        def kill_when_some_are_written() -> None:
            while not (there := len(list((place / "cluster").glob("0*.parquet")))):
                time.sleep(0.01)
            cluster.remove_node(second, allow_graceful=False)
            killed.append(there)

        watch = threading.Thread(target=kill_when_some_are_written)
        watch.start()
        assert embed(place / "model", place / "photos", place / "cluster", *options(1), "--ray", cluster.address) == 0
        watch.join()
    finally:
        cluster.shutdown()
    assert killed and killed[0] < 23, "the node was lost before the end"
    assert contents(place / "cluster") == contents(place / "alone")


def test_other_images_are_refused_with_what_differs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_classes(place / "more", {"a": 3})
    assert embed(place / "model", place / "more", place / "few", *options()) == 0
    write_classes(place / "more", {"a": 3, "b": 1})
    assert embed(place / "model", place / "more", place / "few", *options()) == 2
    error = capsys.readouterr().err
    assert "holds other embeddings" in error and "rows: 3 there, 4 now" in error and "the images: " in error


def test_an_unreadable_image_is_told_before_any_is_embedded(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_classes(place / "broken", {"a": 3})
    (place / "broken" / "a" / "x.jpg").write_bytes(b"no image")
    assert embed(place / "model", place / "broken", place / "none", *options()) == 2
    assert "a/x.jpg: cannot identify image file" in capsys.readouterr().err
    assert not list((place / "none").glob("*")) if (place / "none").exists() else True


@pytest.mark.parametrize("kind", ["onnx", "module", "pt2"])
def test_models_from_elsewhere_embed(place: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HETERO_ALLOW_CODE", "1")
    side, out = str(clouds.SIDE), place / f"of-{kind}"
    normal = ("--mean", "0.5", "0.5", "0.5", "--std", "0.5", "0.5", "0.5", "--size", side)
    if kind == "onnx":
        pytest.importorskip("onnxruntime")
        model = str(clouds.write_onnx(place / "cloud.onnx"))
        rolled = False
    elif kind == "module":
        model, normal, rolled = "tests.hetero.pipeline.clouds:EMBEDDER", (), True
    else:
        example = (torch.zeros(2, 3, clouds.SIDE, clouds.SIDE),)
        batch = {0: torch.export.Dim("batch", min=1, max=512)}
        program = torch.export.export(clouds.network().eval(), example, dynamic_shapes=(batch,))
        torch.export.save(program, place / "cloud.pt2")
        model, rolled = str(place / "cloud.pt2"), True
    assert embed(model, place / "photos", out, *options(), *normal) == 0
    read = load_embeddings(out)
    preprocessing = Preprocessing(height=clouds.SIDE, width=clouds.SIDE)
    pixels = np.stack([decode(place / "photos" / name, preprocessing) for name in read.names[:3]])
    blocks = pixels.reshape(3, 4, clouds.SIDE // 4, 4, clouds.SIDE // 4, 3).mean((2, 4)).transpose(0, 3, 1, 2)
    means = (blocks / 255 - 0.5) / 0.5
    expected = means.reshape(3, -1)
    expected = np.roll(expected, 1, axis=1) if rolled else expected
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.allclose(read.embeddings[:3], expected, atol=1e-5)


def test_code_needs_permission_and_sizes_are_asked_for(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HETERO_ALLOW_CODE", raising=False)
    (place / "x.pt2").write_bytes(b"x")
    for arguments, message in (
        (("x.pt2", "--size", "8"), "give --allow-code"),
        (("x.pt2",), "--size: expected the size"),
        (("tests.hetero.pipeline.clouds:EMBEDDER",), "give --allow-code"),
        (("model", "--size", "8"), "--size: "),
        (("nothing",), "found nothing at"),
        (("model", "--shard-rows", "20001"), "--shard-rows: expected at most 20000"),
    ):
        model = place / arguments[0] if ":" not in arguments[0] else arguments[0]
        assert embed(model, place / "photos", place / "refused", *arguments[1:]) == 2
        assert message in capsys.readouterr().err, arguments
    assert embed(place / "model", place / "photos", place / "f.safetensors", "--dtype", "float16") == 2
    assert "--dtype: of a folder of shards" in capsys.readouterr().err


def test_a_recipes_images_have_the_names_that_its_run_asks_for(place: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for split in ("train", "validation", "test"):
        write_classes(photos / split, {"a": 3, "b": 2})
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'name = "r"\n[preprocessing]\nheight = 16\nwidth = 16\n[data]\nkind = "folder"\npath = "photos"\n'
        '[[students]]\nname = "edge"\nmax_macs = 1000000\n[cloud]\ncopies = 1\n',
        encoding="utf-8",
    )
    job = Job(str(place / "model"), str(recipe), Takes(), batch_size=4)
    names = list(job.source.names[0:25])
    assert len(job.source.names) == len(job.source.images) == 20
    assert names[:5] == sorted(names[:5]) and names[5] == f"{names[0]}#1" and names[-1].startswith("test/")
    assert job.source.names[-1] == names[-1] and job.source.names[3:12:2] == names[3:12:2]
    whole = job.source.images[:]
    assert np.array_equal(job.source.images[np.array([19, 0, 7])], whole[[19, 0, 7]])
    assert np.array_equal(whole[0], decode(photos / names[0], SIDE))


def test_every_image_of_shards_is_embedded(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "set").mkdir()
    members = {**samples({"a": 3}), "x.png": picture(9), "y.gif": b""}
    (tmp_path / "set" / "test-0.tar").write_bytes(tar_of(members))
    assert embed(place / "model", tmp_path / "set", tmp_path / "out", *options()) == 0
    assert load_embeddings(tmp_path / "out").names == tuple(
        f"test-0/{name}.png" for name in ("0000", "0001", "0002", "x")
    )
    assert "note: passed over: " in capsys.readouterr().err


def test_a_folder_in_a_store_is_embedded(place: Path, tmp_path: Path) -> None:
    store = pytest.importorskip("fsspec", reason="needs the extra data").filesystem("memory")
    for number in range(3):
        store.pipe_file(f"/embed/photos/{number}.png", picture(number))
    assert embed(place / "model", "memory://embed/photos", tmp_path / "out", *options()) == 0
    assert load_embeddings(tmp_path / "out").names == ("0.png", "1.png", "2.png")


def test_a_folder_of_another_run_is_refused_before_an_image_is_opened(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert embed(place / "model", place / "photos", tmp_path / "out", *options()) == 0
    before = contents(tmp_path / "out")
    monkeypatch.setattr(Job, "source", property(lambda _: pytest.fail("images were opened")))
    assert embed(place / "model", place / "photos", tmp_path / "out", *options(4), "--dtype", "float16") == 2
    error = capsys.readouterr().err
    assert "rows_per_shard: 5 there, 4 now" in error and "dtype: float32 there, float16 now" in error
    assert contents(tmp_path / "out") == before


def test_nodes_of_a_cluster_get_absolute_paths(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[Job] = []
    monkeypatch.setattr("hetero.processes.cluster.ray_library", object)
    monkeypatch.setattr("hetero.pipeline.embedding.write.write_on_cluster", lambda job, *_, **__: jobs.append(job))
    monkeypatch.chdir(place)
    (place / "photos.csv").write_text("path,split\na/000.png,train\na/001.png,test\n")
    (place / "set").mkdir()
    (place / "set" / "0.tar").write_bytes(tar_of(samples({"a": 2})))
    assert embed("model", "photos.csv", tmp_path / "one", "--root", "photos", "--ray", "auto") == 0
    assert embed("model", "set/*.tar", tmp_path / "two", "--ray", "auto") == 0
    assert [(job.data, job.root) for job in jobs] == [
        (str(place / "photos.csv"), str(place / "photos")),
        (str(place / "set" / "*.tar"), ""),
    ]


@pytest.mark.parametrize("kind", ["RayTaskError", "WorkerCrashedError"])
def test_what_ends_a_cluster_is_one_message(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    exceptions = pytest.importorskip("ray.exceptions", reason="needs the extra cluster")
    cause = InputError("a node sees something else:", ["rows"])
    error = (
        exceptions.RayTaskError("f", "Traceback: line 1", cause) if kind == "RayTaskError" else exceptions.RayError()
    )

    def get(_: object) -> None:
        raise error

    fake = SimpleNamespace(
        exceptions=exceptions,
        init=lambda *_, **__: None,
        shutdown=lambda: None,
        put=lambda value: value,
        remote=lambda **_: lambda _: SimpleNamespace(remote=lambda _, start: start),
        wait=lambda waiting, **_: (waiting[:1], waiting[1:]),
        get=get,
    )
    monkeypatch.setattr("hetero.processes.cluster.ray_library", lambda: fake)
    assert embed(place / "model", place / "photos", tmp_path / "out", "--ray", "auto") == 2
    message = capsys.readouterr().err[-200:]
    assert (
        "hetero: a node sees something else:\n  - rows\n" in message
        if kind == "RayTaskError"
        else "continues" in message
    )
    assert "Traceback" not in message
