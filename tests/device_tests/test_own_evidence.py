"""A release manager's own gallery and photos: what they prove, and what is refused before a model runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from device_tests.checks.gates import EvidenceGates
from device_tests.evidence.evidence import OwnEvidence
from device_tests.evidence.gallery import classes_by_name
from device_tests.ladder.verify import verify
from device_tests.report import write_report
from device_tests.targets.desktop import Desktop
from device_tests.verdict.policy import Policy, parsed, policy_called
from hetero.cli.main import main
from hetero.data.embeddings.file import load_embeddings, save_embeddings
from hetero.errors import InputError, SpaceMismatchError
from hetero.files import read_json, sha256_file
from hetero.gallery.exact import Gallery
from hetero.space import EmbeddingSpace
from tests.device_tests.own_evidence import write_gallery, write_liar, write_photos
from tests.device_tests.tiny_bundle import CLASSES, SPACE, write_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("tiny") / "bundle", formats=("onnx", "litert"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("own") / "photos")


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gallery(tmp_path_factory.mktemp("own") / "gallery.safetensors")


def test_a_bundle_that_agrees_only_with_itself_passes_without_evidence_and_fails_with_it(
    gallery: Path, photos: Path, tmp_path: Path
) -> None:
    liar = write_liar(tmp_path / "liar")
    for policy in (Policy(), policy_called("release")):
        alone = verify([liar], ["desktop"], tmp_path / "alone", policy)
        assert {row.status for row in alone.rows if row.rung != "preprocessing"} == {"pass"}
        assert alone.headlines[0].answer == "pass"
    assert verify([liar], ["desktop"], tmp_path / "alone").exit_code == 0
    verdict = verify([liar], ["desktop"], tmp_path / "out", evidence=OwnEvidence.read(gallery, photos))
    assert verdict.exit_code == 1
    assert [one.answer for one in verdict.headlines] == ["pass", "not judged", "fail"]
    failed = [row for row in verdict.rows if row.status == "fail"]
    assert {(row.format, row.rung) for row in failed} == {("onnx", "evidence"), ("litert", "evidence")}
    assert all("of a gallery in random order" in row.reason for row in failed)


def test_a_sound_bundle_passes_and_every_file_of_the_verdict_says_on_what(
    bundle: Path, gallery: Path, photos: Path, tmp_path: Path
) -> None:
    verdict = verify([bundle], ["desktop"], tmp_path, evidence=OwnEvidence.read(gallery, photos))
    assert verdict.exit_code == 0
    assert [one.answer for one in verdict.headlines] == ["pass", "not judged", "pass"]
    rows = [row for row in read_json(tmp_path / "verdict.json") if row["rung"] == "evidence"]
    assert [(row["format"], row["status"]) for row in rows] == [("onnx", "pass"), ("litert", "pass")]
    figures = rows[1]["figures"]
    assert figures["beside"] == "onnx fp32 on desktop" and figures["reference_vectors"] is True
    assert figures["photos"] == 2 * CLASSES and figures["gallery"] == CLASSES
    assert figures["cmc@1_low"] <= figures["cmc@1"] <= figures["cmc@1_high"] and figures["cmc@1"] > 0.8
    assert figures["chance"] == pytest.approx(1 / CLASSES)
    about = read_json(tmp_path / "summary.json")["evidence"]
    assert about["gallery"]["sha256"] == sha256_file(gallery)
    assert about["queries"] | {"sha256": ""} == {"name": "photos", "sha256": "", "photos": 48, "classes": 24}
    all_rows = [row.to_dict() for row in verdict.rows]
    write_report(
        tmp_path / "report.html", rows=all_rows, matrix=None, bundles=[bundle], embeddings=tmp_path / "embeddings"
    )
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    assert [case.attrib["name"] for case in suite.findall("testcase")].count("evidence") == 2
    told = suite.find("properties/property[@name='your evidence']")
    assert told is not None
    texts = {
        "junit.xml": told.attrib["value"],
        "summary.md": (tmp_path / "summary.md").read_text(),
        "report.html": (tmp_path / "report.html").read_text(),
        "table": verdict.table(),
    }
    for text in texts.values():
        assert "48 photos of 24 classes from photos" in text
        assert about["gallery"]["sha256"] in text and about["queries"]["sha256"] in text
    assert "Does your evidence bear it out?" in texts["report.html"]
    for name in ("summary.md", "report.html", "table"):
        assert "your evidence, which did not, says more" in texts[name]


def test_the_list_of_photos_has_another_digest_when_one_changes(gallery: Path, photos: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(photos, tmp_path / "photos")
    before, same = (OwnEvidence.read(gallery, place).about["queries"]["sha256"] for place in (photos, copied))
    (copied / "class00" / "11.png").write_bytes((copied / "class01" / "11.png").read_bytes())
    assert before == same != OwnEvidence.read(gallery, copied).about["queries"]["sha256"]


def test_the_clouds_own_vectors_of_the_photos_tell_the_share_and_are_not_searched_for_themselves(
    bundle: Path, photos: Path, tmp_path: Path
) -> None:
    evidence = OwnEvidence.read(write_gallery(tmp_path / "all.safetensors", of_photos=photos), photos)
    assert evidence.cloud is not None and len(evidence.gallery) == 3 * CLASSES
    assert [evidence.gallery[row].tolist() for row in evidence.own] == evidence.cloud.tolist()
    policy = parsed({"student": {"share": 0.5}, "evidence": {"floor": 0.5}}, what="policy")
    verdict = verify([bundle], ["desktop"], tmp_path / "out", policy, evidence=evidence)
    row = next(row for row in verdict.rows if row.rung == "evidence")
    assert row.status == "pass"
    assert isinstance(share := row.figures["share_of_cloud"], float) and share > 0.8
    assert isinstance(agreement := row.figures["agreement"], float) and agreement > 0.9
    strict = parsed({"evidence": {"floor": 1.0}, "student": {"share": 0.999}}, what="policy")
    verdict = verify([bundle], ["desktop"], tmp_path / "out", strict, evidence=evidence)
    assert next(row for row in verdict.rows if row.rung == "evidence").status != "pass"


def test_photos_without_labels_should_find_what_the_cloud_finds(bundle: Path, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", labelled=False)
    gallery = write_gallery(tmp_path / "all.safetensors", of_photos=photos)
    verdict = verify([bundle], ["desktop"], tmp_path / "out", evidence=OwnEvidence.read(gallery, photos))
    row = next(row for row in verdict.rows if row.rung == "evidence")
    assert row.status == "pass" and row.figures["relevant"] == "the cloud's own nearest"
    assert "share_of_cloud" not in row.figures
    assert "48 photos without labels" in verdict.evidence
    liar = verify(
        [write_liar(tmp_path / "liar")], ["desktop"], tmp_path / "out", evidence=OwnEvidence.read(gallery, photos)
    )
    assert liar.exit_code == 1


def test_few_photos_are_not_verified(bundle: Path, gallery: Path, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", seeds=(11,))
    verdict = verify([bundle], ["desktop"], tmp_path / "out", evidence=OwnEvidence.read(gallery, photos))
    assert verdict.exit_code == 3
    assert {row.reason[:16] for row in verdict.rows if row.rung == "evidence"} == {"needs 30 photos:"}


def test_a_policy_that_asks_for_evidence_is_not_met_without_it(
    bundle: Path, gallery: Path, photos: Path, tmp_path: Path
) -> None:
    policy = Policy(evidence=EvidenceGates(floor=0.5))
    verdict = verify([bundle], ["desktop"], tmp_path, policy)
    assert verdict.exit_code == 3
    assert "Your evidence bears it out: NOT VERIFIED (no evidence)" in verdict.headline
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot().find("testsuite[@name='evidence']")
    assert suite is not None and suite.attrib["errors"] == "1"
    assert verify([bundle], ["desktop"], tmp_path, policy, evidence=OwnEvidence.read(gallery, photos)).exit_code == 0


def test_an_exception_may_excuse_evidence(gallery: Path, photos: Path, tmp_path: Path) -> None:
    exception = {"rung": "evidence", "reason": "the gallery is being indexed anew", "expires": "2099-12-31"}
    policy = parsed({"exceptions": [exception]}, what="policy")
    liar = write_liar(tmp_path / "liar")
    verdict = verify([liar], ["desktop"], tmp_path / "out", policy, evidence=OwnEvidence.read(gallery, photos))
    assert verdict.exit_code == 0
    assert {row.status for row in verdict.rows if row.rung == "evidence"} == {"fail"}


def test_a_table_says_who_asks_and_what_the_gallery_shows(gallery: Path, photos: Path, tmp_path: Path) -> None:
    """Vectors whose names hold no class are of the class that the table lists."""
    held = load_embeddings(gallery)
    flat = [f"{number}.png" for number in range(CLASSES)]
    save_embeddings(tmp_path / "flat.safetensors", held.embeddings, flat, held.space)
    lines = ["label,split,path,is_query,is_gallery"]
    for label in range(CLASSES):
        shutil.copy(photos / f"class{label:02}" / "11.png", tmp_path / f"q{label}.png")
        shutil.copy(photos / f"class{label:02}" / "12.png", tmp_path / f"{label}.png")
        lines += [f"class{label},test,q{label}.png,1,0", f"class{label},test,{label}.png,0,1"]
    (tmp_path / "photos.csv").write_text("\n".join(lines))
    evidence = OwnEvidence.read(tmp_path / "flat.safetensors", tmp_path / "photos.csv")
    assert [entry.name for entry in evidence.photos.entries] == sorted(f"q{label}.png" for label in range(CLASSES))
    assert evidence.labels is not None and evidence.gallery_labels is not None
    names = [entry.label for entry in evidence.photos.entries]
    classes = sorted(set(names))
    assert [classes[label] for label in evidence.labels] == names
    assert [classes[label] for label in evidence.gallery_labels] == [f"class{label}" for label in range(CLASSES)]


def test_a_gallery_directory_and_copies_of_training_images(gallery: Path, photos: Path, tmp_path: Path) -> None:
    held = load_embeddings(gallery)
    made = Gallery(held.space)
    made.add(held.embeddings, held.names, held.space)
    made.save(tmp_path / "gallery")
    evidence = OwnEvidence.read(tmp_path / "gallery", photos)
    assert evidence.about["gallery"]["sha256"] == sha256_file(tmp_path / "gallery" / "gallery.json")
    assert len(evidence.gallery) == CLASSES
    names, vectors = [*held.names, f"{held.names[0]}#1"], np.concatenate([held.embeddings, held.embeddings[:1]])
    save_embeddings(tmp_path / "copies.safetensors", vectors, names, held.space)
    assert len(OwnEvidence.read(tmp_path / "copies.safetensors", photos).gallery) == CLASSES


def test_a_class_is_a_folder_of_a_name() -> None:
    names = ["shop/red/1.png", "red.png", "a/blue/b/1.png", "green/1.png"]
    assert classes_by_name(names, ["red", "blue"], {"green/1.png": "green"}) == ["red", "", "blue", "green"]
    with pytest.raises(InputError, match=r"1 images of the gallery lie in folders of several classes.*list them"):
        classes_by_name(["red/blue/1.png"], ["red", "blue"], {})
    assert classes_by_name(["red/blue/1.png"], ["red", "blue"], {"red/blue/1.png": "blue"}) == ["blue"]


def _another_space(gallery: Path, _photos: Path) -> None:
    held = load_embeddings(gallery)
    other = EmbeddingSpace.define(defined_by="1" * 64, name="other", version="2", dimension=SPACE.dimension)
    save_embeddings(gallery, held.embeddings, held.names, other)


def _another_length(gallery: Path, _photos: Path) -> None:
    held = load_embeddings(gallery)
    forged = EmbeddingSpace.from_dict(SPACE.to_dict() | {"dimension": 5}, what="space")
    save_embeddings(gallery, np.ascontiguousarray(held.embeddings[:, :5]), held.names, forged)


def _no_match(gallery: Path, photos: Path) -> None:
    (photos / "class00").rename(photos / "class99")


def _empty_class(_gallery: Path, photos: Path) -> None:
    (photos / "class98").mkdir()


def _no_photo(_gallery: Path, photos: Path) -> None:
    shutil.rmtree(photos)
    photos.mkdir()


def _some_vectors(gallery: Path, photos: Path) -> None:
    held = load_embeddings(gallery)
    save_embeddings(gallery, held.embeddings, ["class00/11.png", *held.names[1:]], held.space)


def _no_image(_gallery: Path, photos: Path) -> None:
    (photos / "class00" / "11.png").write_bytes(b"%!PS")


def _no_labels(_gallery: Path, photos: Path) -> None:
    for path in sorted(photos.rglob("*.png")):
        path.rename(photos / f"{path.parent.name}-{path.name}")
    for path in photos.iterdir():
        if path.is_dir():
            path.rmdir()


def _no_gallery(gallery: Path, _photos: Path) -> None:
    gallery.unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_another_space, "your gallery and the bundle tiny hold vectors of different embedding spaces"),
        (_another_length, "your gallery holds vectors of 5 numbers and the bundle tiny makes vectors of 8"),
        (_no_match, r"2 of 48 queries have no image of their class in the gallery.*\n.*class99"),
        (_empty_class, r"1 folders hold no image; fill or remove them:\n.*class98"),
        (_no_photo, "expected images .* found none"),
        (_some_vectors, "1 of 48 queries have the name of a vector in gallery.safetensors"),
        (_no_image, r"1 of 48 images cannot be read; repair or remove them:\n.*class00/11.png: cannot identify image"),
        (_no_labels, "the queries have no labels, and the gallery has no vectors of them"),
        (_no_gallery, "expected a file of embeddings at .*gallery.safetensors, found nothing"),
    ],
)
def test_what_cannot_be_used_is_refused_before_a_model_runs(
    bundle: Path,
    gallery: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path, Path], None],
    message: str,
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a model was run")

    monkeypatch.setattr(Desktop, "run", refuse)
    own = shutil.copytree(photos, tmp_path / "photos"), Path(shutil.copy(gallery, tmp_path / "gallery.safetensors"))
    spoil(own[1], own[0])
    with pytest.raises(InputError, match=message):
        verify([bundle], ["desktop"], tmp_path / "out", evidence=OwnEvidence.read(own[1], own[0]))
    assert not (tmp_path / "out").exists()


def test_another_space_has_its_own_error(bundle: Path, gallery: Path, photos: Path, tmp_path: Path) -> None:
    own = Path(shutil.copy(gallery, tmp_path / "gallery.safetensors"))
    _another_space(own, photos)
    with pytest.raises(SpaceMismatchError):
        verify([bundle], ["desktop"], tmp_path / "out", evidence=OwnEvidence.read(own, photos))


def test_photos_that_take_too_much_are_refused(
    gallery: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, bundle: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr("device_tests.evidence.evidence._LARGEST", 48 * 6 * 6 * 3 - 1)
    with pytest.raises(InputError, match="48 photos of 6 x 6 pixels take"):
        verify([bundle], ["desktop"], tmp_path / "out", evidence=OwnEvidence.read(gallery, photos))


def test_the_command_takes_both_or_neither(
    bundle: Path, gallery: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["verify", str(bundle), "--out", str(tmp_path / "out")]
    ended: list[object] = []
    for more in (
        ["--gallery", str(gallery)],
        ["--queries", str(photos)],
        ["--gallery", str(gallery), "--queries", str(photos)],
    ):
        with pytest.raises(SystemExit) as stopped:
            main([*call, *more])
        ended.append(stopped.value.code)
    assert ended == [2, 2, 0]
    shown = capsys.readouterr()
    assert shown.err.count("evidence of your own takes both") == 2
    assert "Your evidence bears it out: PASS (2 pass, 0 fail, 0 not verified, 0 n/a; tiny: cmc@1" in shown.out
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["exit_code"] == 0
