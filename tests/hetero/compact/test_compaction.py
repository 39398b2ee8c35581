"""``hetero gallery compact``: what it writes, what it prints, and what it refuses before it writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import hetero
from hetero.cli.main import main
from hetero.compact.codes import as_stored
from hetero.compact.derived import DerivedSpace
from hetero.files import read_json
from hetero.gallery.checked import CheckedStore
from hetero.gallery.store import Page
from hetero.models.directory import save_model
from hetero.recognition import kinds
from hetero.recognition.recognise import recognised
from tests.hetero.compact.spaces import OTHER, PARENT, vectors
from tests.hetero.compact.test_folding import model
from tests.hetero.gallery.places import PLACES

NAMES = [f"{row % 4}/{row}.png" for row in range(60)]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    hetero.save_embeddings(tmp_path / "cloud.safetensors", vectors()[:60], NAMES, PARENT)
    hetero.save_embeddings(tmp_path / "edge.safetensors", vectors()[:40], NAMES[:40], PARENT)
    save_model(tmp_path / "edge", model(), {})
    return tmp_path


def run_compact(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["gallery", "compact", *words])
    return int(ended.value.code or 0)


def test_a_file_becomes_a_smaller_file_of_its_own_space(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--out", "small", "--dimensions", "8", "--queries", "edge.safetensors", "--labels", "folders")
    assert run_compact("cloud.safetensors", *words, "--students", "edge") == 0
    derived = DerivedSpace.load(place / "small")
    assert derived.derivation.parent == PARENT.space_id and derived.space.dimension == 8
    file = hetero.load_embeddings(place / "small" / "embeddings.safetensors")
    assert file.space == derived.space and list(file.names) == NAMES
    np.testing.assert_allclose(file.embeddings, as_stored(derived(vectors()[:60], PARENT), "int8"), atol=1e-6)
    assert hetero.load_model(place / "small" / "students" / "edge").space == derived.space

    output = capsys.readouterr().out
    assert "60 vectors of 8 dimensions, 8 bytes each in place of 64" in output and "1 students" in output
    record = read_json(place / "small" / "compact.json")
    first = record["costs"]["edge"][0]
    assert first["queries"] == 40 and first["metric"] == "cmc@1" and f"{first['value']:.4f}" in output
    kept = {(one["dimension"], one["precision"]) for one in record["costs"]["edge"]}
    assert kept == {(8, "float16"), (8, "int8"), (8, "binary"), (4, "int8")}
    assert recognised(place / "small") == kinds.COMPACTION
    # Once more in the same place, and of the copy itself: a space derived from a derived one.
    assert run_compact("cloud.safetensors", "--out", "small", "--dimensions", "6", "--precision", "float16") == 0
    assert not (place / "small" / "students").exists()
    assert run_compact("small/embeddings.safetensors", "--out", "smaller", "--dimensions", "3") == 0
    assert DerivedSpace.load(place / "smaller").derivation.parent == DerivedSpace.load(place / "small").space.space_id


def test_signs_are_written_beside_the_bytes_that_rescore(place: Path) -> None:
    words = ("--out", "small", "--dimensions", "8", "--precision", "binary", "--rotation", "itq")
    assert run_compact("cloud.safetensors", *words) == 0
    derived = DerivedSpace.load(place / "small")
    assert derived.rotation.kind == "itq"
    codes = load_file(place / "small" / "codes.safetensors")
    smaller = derived(vectors()[:60], PARENT)
    np.testing.assert_array_equal(np.unpackbits(codes["bits"], axis=1) == 1, smaller > smaller.mean(axis=0))


@pytest.mark.parametrize("kind", ["usearch", "postgres"])
def test_a_store_becomes_a_smaller_store_with_all_it_keeps(place: Path, kind: str) -> None:
    pytest.importorskip("usearch", reason="needs the extra gallery")
    address = PLACES[kind](place)
    with hetero.open_gallery(address, PARENT) as store:
        store.add(vectors()[:30], NAMES[:30], PARENT, attributes=[{"colour": "red", "size": str(n)} for n in range(30)])
        store.add(vectors()[30:60], NAMES[:30], PARENT, tenant="shop")
    assert run_compact(address, "--out", "small", "--dimensions", "8", "--queries", "edge.safetensors") == 0
    derived = DerivedSpace.load(place / "small")
    query = derived(vectors()[[4, 34]], PARENT)
    with hetero.open_gallery("usearch:small/gallery", derived.space, read_only=True) as store:
        assert len(store) == 60
        assert store.search(query, 1, derived.space).ids[0] == [NAMES[4]]
        assert store.search(query, 1, derived.space, where={"size": "7"}).ids == [[NAMES[7]], [NAMES[7]]]
        assert store.search(query, 1, derived.space, tenant="shop").ids[1] == [NAMES[4]]
        with pytest.raises(hetero.SpaceMismatchError, match=PARENT.space_id):
            store.search(vectors()[:1], 1, PARENT)
    assert read_json(place / "small" / "compact.json")["costs"]["edge"][0]["metric"] == "first answers kept@1"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cloud.safetensors", "--dimensions", "16"], "expected 1 to 15"),
        (["cloud.safetensors", "--dimensions", "8", "--labels", "folders"], "there are none"),
        (["cloud.safetensors", "--dimensions", "8", "--queries", "other.safetensors"], OTHER.space_id),
        (["cloud.safetensors", "--dimensions", "8", "--students", "stranger"], OTHER.space_id),
        (["cloud.safetensors", "--dimensions", "8", "--students", "edge", "photos/edge"], "names that differ"),
        (["usearch:old", "--dimensions", "8", "--precision", "binary"], "no gallery store searches signs"),
        (["usearch:old", "--dimensions", "8", "--queries", "edge.safetensors", "--tenant", "a"], "has no items"),
        (["edge", "--dimensions", "8"], "a model directory"),
        (["nowhere.safetensors"], "found nothing"),
    ],
)
def test_nothing_is_written_where_something_is_wrong(
    words: Sequence[str], message: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if words[0].startswith("usearch"):
        pytest.importorskip("usearch", reason="needs the extra gallery")
    with hetero.open_gallery("usearch:old", PARENT) as store:
        store.add(vectors()[:20], NAMES[:20], PARENT)
    hetero.save_embeddings(place / "other.safetensors", vectors()[:5], NAMES[:5], OTHER)
    stranger = model()
    stranger.space = OTHER
    save_model(place / "stranger", stranger, {})
    assert run_compact(*words, "--out", "small") == 2
    assert message in capsys.readouterr().err
    assert not (place / "small").exists()


def test_a_store_that_is_swapped_meanwhile_is_not_copied(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("usearch", reason="needs the extra gallery")
    with hetero.open_gallery("usearch:old", PARENT) as store:
        store.add(vectors()[:20], NAMES[:20], PARENT)
        backfill = store.begin(OTHER)
        backfill.add(vectors()[20:40], backfill.missing(), OTHER)
        pages = CheckedStore.pages

        def after_a_swap(self: CheckedStore, space: hetero.EmbeddingSpace | None = None) -> Iterator[Page]:
            backfill.swap()
            return pages(self, space)

        monkeypatch.setattr(CheckedStore, "pages", after_a_swap)
        assert run_compact("usearch:old", "--out", "small", "--dimensions", "8") == 2
    error = capsys.readouterr().err
    assert "swapped meanwhile" in error and OTHER.space_id in error and not (place / "small").exists()


def test_a_wrong_address_is_refused_without_its_password(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_compact("postgres://me:secret@host/shop", "--out", "small") == 2
    error = capsys.readouterr().err
    assert "expected the address of a gallery store" in error and "secret" not in error


def test_what_is_something_else_is_not_replaced(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_compact("cloud.safetensors", "--out", "edge", "--dimensions", "8") == 2
    assert "is not what `hetero gallery compact` writes" in capsys.readouterr().err
    assert (place / "edge" / "config.json").is_file()
