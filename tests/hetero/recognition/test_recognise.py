"""What a path is, from a cheap look at it."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from device_tests.verdict import verdict
from export.bundle import goldens, manifest
from hetero import space
from hetero.adapters.storage import AdapterRecord
from hetero.data.embeddings import file as embeddings
from hetero.errors import InputError
from hetero.evaluation import matrix
from hetero.evaluation.decisions import Decisions
from hetero.gallery import storage as gallery
from hetero.linear.learnt import Learnt
from hetero.models.directory import ModelRecord
from hetero.nas.cost.latency_table import LatencyTable
from hetero.nas.supernet.directory import SupernetRecord
from hetero.recognition import kinds
from hetero.recognition.kinds import KINDS, Kind
from hetero.recognition.look import Look
from hetero.recognition.recognise import recognised, refuse_others
from tests.hetero.data.pictures import write_picture
from tests.hetero.recognition.things import THINGS, write_things


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("things")
    write_things(place)
    return place


def test_there_is_a_thing_of_every_kind() -> None:
    assert {kind.name for kind in THINGS.values()} == {kind.name for kind in KINDS}


@pytest.mark.parametrize("name", THINGS)
def test_a_thing_is_what_it_is(things: Path, name: str) -> None:
    kind = recognised(things / name)
    assert kind is not None and kind.name == THINGS[name].name


SCHEMAS: dict[Kind, str] = {
    kinds.MODEL: ModelRecord.schema,
    kinds.SUPERNET: SupernetRecord.schema,
    kinds.BUNDLE: manifest.SCHEMA,
    kinds.GALLERY: gallery.SCHEMA,
    kinds.ADAPTER: AdapterRecord.schema,
    kinds.ADAPTED: Learnt.schema,
    kinds.VERIFICATION: verdict.SCHEMA,
    kinds.MATRIX: matrix.SCHEMA,
    kinds.DECISIONS: Decisions.schema,
    kinds.LATENCY: LatencyTable.schema,
    kinds.SPACE: space.SCHEMA,
}
"""What files say of themselves is declared in higher layers than the looks that search for it."""


@pytest.mark.parametrize("kind", SCHEMAS, ids=lambda kind: kind.name)
def test_a_mark_is_what_the_file_says(tmp_path: Path, kind: Kind) -> None:
    file = tmp_path / (kind.record or "record.json")
    path = tmp_path if kind.record else file
    for schema, fits in ((SCHEMAS[kind], True), ("other/thing/1", False)):
        file.write_text(json.dumps({"schema": schema}))
        assert kind.fits(Look(path)) is fits


@pytest.mark.parametrize(("kind", "schema"), [(kinds.EMBEDDINGS, embeddings.SCHEMA), (kinds.RETRIEVAL, goldens.SCHEMA)])
def test_a_mark_is_what_the_header_says(tmp_path: Path, kind: Kind, schema: str) -> None:
    about = json.dumps({"names": [], "schema": schema})
    save_file({"a": np.zeros(1, np.float32)}, tmp_path / "a.safetensors", metadata={"hetero": about})
    assert recognised(tmp_path / "a.safetensors") == kind


@pytest.mark.parametrize("content", [b"", b"\0" * 8, b"\xff" * 8 + b"{", b"{", b"[", b"PK\3\4"], ids=repr)
def test_what_is_nothing_known_is_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "thing").write_bytes(content)
    assert recognised(tmp_path / "thing") is None


def test_a_look_is_short_and_opens_no_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "folder" / "config.json")
    assert recognised(tmp_path / "pipe.png") is None and recognised(tmp_path / "folder") is None
    with (tmp_path / "large.json").open("wb") as stream:
        stream.write(b'{"names": [')
        stream.truncate(1 << 40)  # sparse
        stream.seek(1 << 40)
        stream.write(b'"schema": "hetero/space/1"}')
    look = Look(tmp_path / "large.json")
    assert len(look.ends) == 2 << 16 and recognised(look.path) == kinds.SPACE


def test_photos_are_found_in_folders_of_folders(tmp_path: Path) -> None:
    (tmp_path / "photos" / "empty").mkdir(parents=True)
    write_picture(tmp_path / "photos" / "train" / "class" / "view" / "a.png")
    assert recognised(tmp_path / "photos") == kinds.PHOTOS
    assert recognised(tmp_path / "photos" / "empty") is None


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    class Opened:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "opened",)

    (tmp_path / "model.pt").write_bytes(pickle.dumps(Opened()))
    assert recognised(tmp_path / "model.pt") == kinds.PICKLE and not (tmp_path / "opened").exists()


def test_names_as_long_as_a_header_hide_nothing(tmp_path: Path) -> None:
    about = json.dumps({"names": ["x" * 100] * 5000, "schema": embeddings.SCHEMA})
    save_file({"embeddings": np.zeros((1, 2), np.float32)}, tmp_path / "a.safetensors", metadata={"hetero": about})
    assert recognised(tmp_path / "a.safetensors") == kinds.EMBEDDINGS


def test_an_error_says_what_came_and_where_what_was_meant_lies(things: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        refuse_others(things / "run", kinds.MODEL)
    told = str(caught.value)
    assert told.startswith(f"expected a model directory, got {things / 'run'}: it is the directory of a run")
    assert told.endswith(f"give {things / 'run' / 'cloud'} or {things / 'run' / 'students' / 'edge'}")
    with pytest.raises(InputError, match=f"the weights of a model, .*; give {things / 'model'}$"):
        refuse_others(things / "model" / "model.safetensors", kinds.MODEL)
    with pytest.raises(InputError, match="expected a cloud, got .*: it is an image"):
        refuse_others(write_picture(tmp_path / "a.png"), kinds.MODEL, what="a cloud")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_fits_or_is_unknown_or_damaged_passes(things: Path, tmp_path: Path, kind: Kind) -> None:
    for name, own in THINGS.items():
        if own.name == kind.name:
            refuse_others(things / name, kind)
    refuse_others(tmp_path / "nothing", kind)
    (tmp_path / "unknown").write_text("words")
    refuse_others(tmp_path / "unknown", kind)
    if kind.record:
        write_picture(tmp_path / "photo.png")
        (tmp_path / kind.record).write_text("{")
        refuse_others(tmp_path, kind)
