from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import export.bundle.reading
from export.bundle.goldens import Goldens, RetrievalSet, spread_rows
from export.bundle.manifest import TaskEntry
from export.bundle.reading import read_bundle
from hetero.errors import InputError, IntegrityError
from hetero.space import TextSide
from hetero.storage.directories import replaced_directory
from hetero.text.described import DescribedImages
from tests.export.bundles import (
    DIMENSION,
    PREPROCESSING,
    SPACE,
    goldens,
    relist,
    retrieval_set,
    tasks,
    units,
    write_bundle,
)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle")


def change_manifest(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((path / "manifest.json").read_text())
    change(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest))


def test_reads_what_was_written(bundle: Path) -> None:
    read = read_bundle(bundle)
    written = goldens()
    assert read.manifest.name == "student"
    assert read.preprocessing.height == 6
    assert read.model("onnx").file == "model.fp32.onnx"
    assert read.model("litert") is None
    assert read.file(read.model("coreml")).is_dir()
    for name, array in written.tensors().items():
        assert np.array_equal(read.goldens.tensors()[name], array), name
    assert [task.name for task in read.goldens.tasks] == ["a>b", "b>b"]
    assert read.goldens.tasks[1].exclude_self
    assert read.goldens.query_rows.tolist() == [0, 1, 2, 3, 5]


def test_reading_imports_no_torch() -> None:
    code = "import sys, export.bundle.reading, export.bundle.manifest, export.bundle.goldens\n"
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_bundle_that_is_replaced_while_it_is_read_is_read_again(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, waiting = export.bundle.reading.sha256_file, [True]

    def replacing(path: Path) -> str:
        if waiting and waiting.pop():
            with replaced_directory(bundle) as fresh:
                write_bundle(fresh)
                (fresh / "README.md").write_text("# Another bundle\n")
                relist(fresh)
        return digest(path)

    monkeypatch.setattr(export.bundle.reading, "sha256_file", replacing)
    assert read_bundle(bundle).manifest.name == "student" and not waiting
    assert (bundle / "README.md").read_text() == "# Another bundle\n"


def test_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a bundle"):
        read_bundle(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"has no manifest\.json"):
        read_bundle(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["model.fp32.onnx", "goldens.safetensors", "space.json", "README.md", "model.fp32.mlpackage/Data/weight.bin"],
)
def test_flipped_bit(bundle: Path, name: str) -> None:
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)
    with pytest.raises(IntegrityError, match=f"{name}: expected sha256"):
        read_bundle(bundle)


def test_every_flipped_file_is_named(bundle: Path) -> None:
    (bundle / "README.md").write_text("# B bundle\n")
    (bundle / "model.fp32.onnx").write_bytes(b"ONNX")
    with pytest.raises(IntegrityError) as caught:
        read_bundle(bundle)
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["README.md", "model.fp32.onnx"]


def extra_file(path: Path) -> None:
    (path / "model.fp32.mlpackage" / "more").write_bytes(b"")


def extra_directory(path: Path) -> None:
    (path / "folder").mkdir()


def missing_file(path: Path) -> None:
    (path / "README.md").unlink()


def longer_file(path: Path) -> None:
    with (path / "model.fp32.onnx").open("ab") as stream:
        stream.write(b"1")


def link_outside(path: Path) -> None:
    (path.parent / "outside").write_bytes(b"onnx")
    (path / "model.fp32.onnx").unlink()
    (path / "model.fp32.onnx").symlink_to("../outside")


def link_inside(path: Path) -> None:
    (path / "model.fp32.onnx").rename(path / "hidden")
    (path / "model.fp32.onnx").symlink_to("hidden")
    (path / "README.md").unlink()
    (path / "hidden").rename(path / "README.md")


def linked_directory(path: Path) -> None:
    (path / "model.fp32.mlpackage" / "Data").rename(path.parent / "Data")
    (path / "model.fp32.mlpackage" / "Data").symlink_to(path.parent / "Data")


def pipe(path: Path) -> None:
    (path / "README.md").unlink()
    os.mkfifo(path / "README.md")


def manifest_pipe(path: Path) -> None:
    (path / "manifest.json").unlink()
    os.mkfifo(path / "manifest.json")


def manifest_directory(path: Path) -> None:
    (path / "manifest.json").unlink()
    (path / "manifest.json").mkdir()


def manifest_link(path: Path) -> None:
    (path / "manifest.json").rename(path.parent / "manifest.json")
    (path / "manifest.json").symlink_to(path.parent / "manifest.json")


def test_a_grey_range_that_is_none_is_refused(bundle: Path) -> None:
    for grey_range, message in (([5, 1], "grey_range: expected the value of black"), ([0, 4095], "")):
        stated = PREPROCESSING.to_dict() | {"grey_range": grey_range}
        (bundle / "preprocess.json").write_text(json.dumps(stated))
        relist(bundle)
        if message:
            with pytest.raises(IntegrityError, match=message):
                read_bundle(bundle)
        else:
            assert read_bundle(bundle).preprocessing.grey_range == (0, 4095)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (extra_file, "model.fp32.mlpackage/more': not listed"),
        (extra_directory, "'folder': a directory that the manifest does not list"),
        (missing_file, "README.md: listed, but missing"),
        (longer_file, "model.fp32.onnx: expected 4 bytes, got 5"),
        (link_outside, "symbolic link"),
        (link_inside, "symbolic link"),
        (linked_directory, "symbolic link"),
        (pipe, "not a regular file"),
        (manifest_pipe, "not a regular file"),
        (manifest_directory, "not a regular file"),
        (manifest_link, "not a regular file"),
    ],
)
def test_tree(bundle: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(bundle)
    with pytest.raises(IntegrityError, match=message):
        read_bundle(bundle)


@pytest.mark.parametrize(
    "path",
    [
        "../outside",
        "/etc/passwd",
        "a/../../outside",
        "./README.md",
        "a//b",
        "C:\\x",
        "a\\..\\b",
        "",
        ".",
        "nul\0",
        "é",
        "-rf",
    ],
)
def test_paths_stay_inside(bundle: Path, path: str) -> None:
    (bundle.parent / "outside").write_bytes(b"secret")
    change_manifest(bundle, lambda manifest: manifest["files"][0].update(path=path))
    with pytest.raises(IntegrityError, match="not a plain relative path"):
        read_bundle(bundle)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(schema="hetero/bundle/9"), "expected the schema 'hetero/bundle/1'"),
        (lambda m: m.pop("schema"), "expected the schema"),
        (lambda m: m.update(surplus=1), "surplus: unknown key"),
        (lambda m: m.pop("macs"), "macs: missing"),
        (lambda m: m.update(name="../../x"), "name: "),
        (lambda m: m.update(space_id="f" * 64), "the manifest names the space f"),
        (lambda m: m["files"].append(m["files"][0] | {"path": "readme.MD"}), "listed twice"),
        (lambda m: m["models"][0].update(file="no.onnx"), "is not listed under files"),
        (lambda m: m["models"][0].update(sha256="2" * 64), "sha256 and size are not those of its files"),
        (lambda m: m["models"][0].update(format="tensorrt"), "format"),
        (lambda m: m["models"][0].update(min_cosine=None), "min_cosine belongs"),
        (lambda m: m["models"][0]["input"].update(shape=[1, 6, 6, 3]), "takes "),
        (lambda m: m["models"][0]["output"].update(shape=[1, 10**12]), "shapes must be positive"),
        (lambda m: m.update(models=[]), "models: none is listed"),
        (lambda m: m.update(texts={"count": 2, "found": 3}), "texts: expected at least one, and found between"),
        (lambda m: m["tasks"][0].update(name="a\nb"), "printable"),
        (lambda m: m.update(name="\ud800"), "not valid JSON"),
        (
            lambda m: m.update(licence="\x1b]0;pwn\x07\x1b[1;32m signed by the trusted key"),
            "licence: holds",
        ),
        (lambda m: m.update(licence="MIT\nsigned by the trusted key"), "licence: holds"),
        (lambda m: m["models"][0]["versions"].update({"a\x1b[2J": "1"}), "models.versions: holds a character"),
        (lambda m: m["models"][0]["versions"].update(onnx="\u202e1"), "models.versions.onnx: holds a character"),
        (lambda m: m["models"][0]["output"].update(name="\x9b2J"), "models.output.name: holds a character"),
        (lambda m: m.update(missing=[{"format": "coreml", "precision": "fp32", "reason": ""}]), "a reason is empty"),
        (lambda m: m.update(missing=[{"format": "coreml", "precision": "fp32", "reason": "\r"}]), "missing.reason"),
        (lambda m: m.update(macs=10**400), "a whole number lies beyond"),
        (lambda m: m["models"][0].update(size=10**400), "a whole number lies beyond"),
    ],
)
def test_manifest_content(bundle: Path, change: Callable[[dict[str, Any]], object], message: str) -> None:
    change_manifest(bundle, change)
    with pytest.raises(IntegrityError, match=message):
        read_bundle(bundle)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"schema": "hetero/bundle/1", "schema": "hetero/bundle/1"}',
        b'{"macs": NaN}',
        b'{"macs": ' + b"9" * 10_000 + b"}",
    ],
)
def test_manifest_text(bundle: Path, text: bytes) -> None:
    (bundle / "manifest.json").write_bytes(text)
    with pytest.raises(IntegrityError):
        read_bundle(bundle)


def test_manifest_too_large(bundle: Path) -> None:
    (bundle / "manifest.json").write_bytes(b" " * (5 << 20))
    with pytest.raises(IntegrityError, match="more than the limit"):
        read_bundle(bundle)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every value in a JSON document."""
    keys: list[Any] = (
        list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    )
    return [here, *(place for key in keys for place in places(value[key], (*here, key)))]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_of_the_manifest_is_read_or_refused(bundle: Path, data: st.DataObject) -> None:
    relist(bundle)
    manifest = json.loads((bundle / "manifest.json").read_text())
    where = data.draw(st.sampled_from(places(manifest)))
    value = data.draw(JSON)
    if where:
        inner = manifest
        for key in where[:-1]:
            inner = inner[key]
        inner[where[-1]] = value
    else:
        manifest = value
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    try:
        assert read_bundle(bundle).goldens.golden_images.shape == (2, 6, 5, 3)
    except IntegrityError as error:
        assert str(error).strip()


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_of_the_goldens_is_read_or_refused(bundle: Path, data: st.DataObject) -> None:
    path = bundle / "goldens.safetensors"
    goldens().save(path)
    content = bytearray(path.read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    first = data.draw(st.integers(0, header))
    content[first : data.draw(st.integers(first, header + 8))] = data.draw(st.binary(max_size=12))
    path.write_bytes(content)
    relist(bundle)
    try:
        assert read_bundle(bundle).goldens.golden_embeddings.shape == (2, 4)
    except IntegrityError as error:
        assert str(error).strip()


def rewrite_goldens(bundle: Path, data: bytes) -> None:
    (bundle / "goldens.safetensors").write_bytes(data)
    relist(bundle)


def test_truncated_goldens(bundle: Path) -> None:
    content = (bundle / "goldens.safetensors").read_bytes()
    for kept in (0, 7, 100, len(content) - 1):
        rewrite_goldens(bundle, content[:kept])
        with pytest.raises(IntegrityError):
            read_bundle(bundle)


def test_giant_header(bundle: Path) -> None:
    rewrite_goldens(bundle, (2**63).to_bytes(8, "little") + b"{}")
    with pytest.raises(IntegrityError, match="too few"):
        read_bundle(bundle)
    rewrite_goldens(bundle, (2 << 20).to_bytes(8, "little") + b" " * (2 << 20))
    with pytest.raises(IntegrityError, match="more than the limit"):
        read_bundle(bundle)


def test_giant_shape(bundle: Path) -> None:
    header = json.dumps({"golden_images": {"dtype": "U8", "shape": [2**47, 2**47], "data_offsets": [0, 4]}}).encode()
    rewrite_goldens(bundle, len(header).to_bytes(8, "little") + header + b"1234")
    with pytest.raises(IntegrityError, match="its shape does not fit"):
        read_bundle(bundle)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("golden_embeddings", 2 * units(2, 4), "do not have length one"),
        ("retrieval_cloud", np.full((6, 4), np.nan, np.float32), "not finite"),
        ("retrieval_cloud", units(5, 1), r"expected F32 \[6, 4\], got float32 \[5, 4\]"),
        ("golden_images", np.zeros((2, 6, 6, 3), np.uint8), "golden_images: expected"),
        ("task.0.query", np.array([0, 6]), "outside the 6 images"),
        ("task.0.gallery", np.array([-1]), "outside the 6 images"),
        ("task.0.gallery", np.zeros(0, np.int64), "is empty"),
        ("more", np.zeros(1, np.uint8), "more: unknown"),
    ],
)
def test_goldens_content(bundle: Path, name: str, value: np.ndarray, message: str) -> None:
    from safetensors.numpy import save

    rewrite_goldens(bundle, save(goldens().tensors() | {name: value}))
    with pytest.raises(IntegrityError, match=message):
        _ = read_bundle(bundle).goldens


def test_retrieval_set_round_trip(tmp_path: Path) -> None:
    made = retrieval_set()
    made.save(tmp_path / "set.safetensors")
    read = RetrievalSet.load(tmp_path / "set.safetensors")
    assert np.array_equal(read.images, made.images)
    assert np.array_equal(read.cloud_embeddings, made.cloud_embeddings)
    assert (read.names, read.space) == (made.names, made.space)
    assert [(task.name, task.query.tolist(), task.exclude_self) for task in read.tasks] == [
        ("a>b", [0, 1, 2], False),
        ("b>b", [5, 3], True),
    ]
    first = (tmp_path / "set.safetensors").read_bytes()
    made.save(tmp_path / "set.safetensors")
    assert (tmp_path / "set.safetensors").read_bytes() == first


def test_texts_travel_with_the_photos_that_they_describe(tmp_path: Path) -> None:
    words = ("naïve", "", "a text")
    texts = DescribedImages(units(3, 8), np.array([0, 0, 4]), np.array([0, 4, -1, 0, -1, -1]), words)
    space = dataclasses.replace(SPACE, text=TextSide("towers", 0.01, 0.5))
    made = dataclasses.replace(retrieval_set(space=space), texts=texts)
    made.save(tmp_path / "set.safetensors")
    loaded = RetrievalSet.load(tmp_path / "set.safetensors")
    assert loaded.texts is not None and loaded.space.text == space.text
    for name in ("vectors", "labels", "image_labels"):
        np.testing.assert_array_equal(getattr(loaded.texts, name), getattr(texts, name))
    assert loaded.texts.texts == words
    with pytest.raises(IntegrityError, match="the space does not say whose they are"):
        dataclasses.replace(made, space=SPACE).save(tmp_path / "other.safetensors")
    with pytest.raises(IntegrityError, match=r"texts\.images: 2 images are of texts that are not there"):
        idle = dataclasses.replace(texts, image_labels=np.array([0, 4, 5, 0, -1, 6]))
        dataclasses.replace(made, texts=idle).save(tmp_path / "other.safetensors")
    with pytest.raises(IntegrityError, match="1 of 3 texts describe none of the images"):
        idle = dataclasses.replace(texts, labels=np.array([0, 1, 4]))
        dataclasses.replace(made, texts=idle).save(tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("texts.ends", np.array([2, 1, 6]), r"texts\.ends do not divide the 6 bytes of texts\.words"),
        ("texts.ends", np.array([2, 4, 5]), r"texts\.ends do not divide the 6 bytes of texts\.words"),
        ("texts.ends", np.array([2, 6]), r"texts\.ends: expected I64"),
        ("texts.words", np.full(6, 255, np.uint8), r"texts\.words is not UTF-8"),
    ],
)
def test_words_that_are_none_are_refused(tmp_path: Path, name: str, array: np.ndarray, message: str) -> None:
    texts = DescribedImages(units(3, 8), np.array([0, 0, 4]), np.array([0, 4, -1, 0, -1, -1]), ("ab", "cd", "ef"))
    made = dataclasses.replace(retrieval_set(space=dataclasses.replace(SPACE, text=TextSide("towers"))), texts=texts)
    made.save(tmp_path / "set.safetensors")
    with safe_open(tmp_path / "set.safetensors", "numpy") as file:
        metadata = file.metadata()
    tensors = load_file(tmp_path / "set.safetensors")
    save_file({**tensors, name: array}, tmp_path / "set.safetensors", metadata=metadata)
    with pytest.raises(IntegrityError, match=message):
        RetrievalSet.load(tmp_path / "set.safetensors")


def test_golden_texts_are_as_many_as_the_manifest_says(bundle: Path) -> None:
    texts = DescribedImages(units(2, 8), np.array([0, 4]), np.array([0, 4, -1, 0, -1, -1]))
    dataclasses.replace(goldens(), texts=texts).save(bundle / "goldens.safetensors")
    options: dict[str, Any] = {"preprocessing": PREPROCESSING, "dimension": DIMENSION}
    options["tasks"] = [TaskEntry(task.name, task.exclude_self) for task in tasks()]
    loaded = Goldens.load(bundle / "goldens.safetensors", texts=2, **options)
    assert loaded.texts is not None and loaded.texts.labels.tolist() == [0, 4]
    for texts_told in (0, 3):
        with pytest.raises(IntegrityError, match=r"texts\.vectors: (unknown|expected F32)"):
            Goldens.load(bundle / "goldens.safetensors", texts=texts_told, **options)
    relist(bundle)
    told = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps(told | {"texts": {"count": 2, "found": 1}}))
    with pytest.raises(IntegrityError, match="there are golden texts, and space.json does not name their text tower"):
        read_bundle(bundle)


def test_strided_images_are_saved_as_they_look(tmp_path: Path) -> None:
    made = retrieval_set()
    flipped = RetrievalSet(**{**vars(made), "images": made.images[:, :, :, ::-1]})
    flipped.save(tmp_path / "set.safetensors")
    assert np.array_equal(RetrievalSet.load(tmp_path / "set.safetensors").images, made.images[..., ::-1])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("names", ("one",), "names: expected 6"),
        ("cloud_embeddings", units(6, 0, 5), "as its space says"),
        ("labels", np.zeros(3, np.int64), "labels: expected I64"),
        ("labels", np.zeros(6, np.int32), "labels: expected I64"),
        ("tasks", (), "tasks: there is none"),
    ],
)
def test_retrieval_set_must_fit_together(tmp_path: Path, field: str, value: object, message: str) -> None:
    made = retrieval_set()
    # The tests check shapes when a set is made; applications do not.
    object.__setattr__(made, field, value)
    with pytest.raises(IntegrityError, match=message):
        made.save(tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_spread_rows() -> None:
    assert spread_rows(5, 3).tolist() == [0, 2, 4]
    assert spread_rows(2, 32).tolist() == [0, 1]
    assert len(spread_rows(1000, 32)) == 32
