"""Every command, handed a wrong thing in every place: the error says what came."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from hetero.cli.main import main
from hetero.recognition import kinds
from hetero.recognition.kinds import Kind
from tests.hetero.recognition.things import THINGS, write_things

VECTORS = (kinds.EMBEDDINGS, kinds.ARRAY, kinds.SHARDS)
SETS = (kinds.RETRIEVAL, kinds.CALIBRATION)
BUNDLES = (kinds.BUNDLE, kinds.SIGNED_BUNDLE)
MODELS = (kinds.MODEL, kinds.ADAPTED)
TOMLS = (kinds.RECIPE, kinds.POLICY, kinds.TOML)
ADAPT = "--data photos --gallery embeddings.safetensors --anchors photos --out new"
PLACES: dict[str, tuple[Kind, ...]] = {
    "run THING": TOMLS,
    "student THING photos": (*MODELS, *VECTORS, kinds.ONNX),
    "student model THING": (kinds.PHOTOS, kinds.TABLE),
    "search THING": TOMLS,
    "evaluate THING": TOMLS,
    "upgrade THING": TOMLS,
    "compare THING": (*TOMLS, kinds.PHOTOS),  # photos is also the name of a built-in comparison
    "train cloud THING": TOMLS,
    "train students THING": TOMLS,
    "device latency THING": TOMLS,
    "embed THING photos out.safetensors": (*MODELS, kinds.ONNX),
    "embed model THING out.safetensors": (kinds.PHOTOS, kinds.TABLE, *TOMLS),
    "export THING retrieval.safetensors out": MODELS,
    "export model THING out": SETS,
    "retrieval make THING photos out.safetensors": (*MODELS, *VECTORS),
    "retrieval make embeddings.safetensors THING out.safetensors --size 8": (kinds.PHOTOS, kinds.TABLE),
    "verify THING": BUNDLES,
    "verify bundle --space THING": (kinds.SPACE, kinds.GALLERY, *MODELS, *BUNDLES, kinds.RUN),
    "verify bundle --policy THING": TOMLS,
    "verify bundle --baseline THING": (kinds.VERDICT,),
    "verify bundle --key THING": (kinds.PUBLIC_KEY,),
    "verify bundle --gallery THING --queries photos": (*VECTORS, kinds.GALLERY),
    "bundle check THING": BUNDLES,
    "bundle verify THING": BUNDLES,
    "bundle inspect THING": BUNDLES,
    "bundle app THING out": BUNDLES,
    "bundle gallery THING usearch:absent out": BUNDLES,
    "bundle hand-on THING out": BUNDLES,
    "bundle diff THING bundle": BUNDLES,
    "bundle sign THING key.pem": BUNDLES,
    "bundle debug THING": BUNDLES,
    "device faults THING": BUNDLES,
    "device fleet --app 1=THING": (*BUNDLES, *SETS),
    "report THING": (kinds.RUN,),
    f"adapt THING {ADAPT}": MODELS,
    f"adapt model {ADAPT.replace('--data photos', '--data THING')}": (kinds.PHOTOS, kinds.TABLE),
    "explain THING --out page.html": MODELS,  # of a model that was not adapted the error says just that
    "explain adapted --out page.html --flips THING decisions.json": (kinds.DECISIONS,),
    "forget THING labels.csv --out new": MODELS,
    "fleet a=THING --data photos": (*MODELS, *VECTORS),
    "backfill plan THING embeddings.safetensors embeddings.safetensors out": VECTORS,
    "data check THING": (kinds.PHOTOS, kinds.TABLE),
    "space check THING": (*MODELS, *VECTORS, kinds.RUN, kinds.CLOUD_STAGE),
    "attestation check THING --key key.pub.pem": (kinds.ATTESTATION,),
}
WRONG = (
    *("model", "run", "signed", "gallery", "results/verdict.json", "photos", "photo.jpg", "embeddings.safetensors"),
    *("retrieval.safetensors", "cloud.onnx", "model.tflite", "model.pt", "key.pem", "recipe.toml", "labels.csv"),
)


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("things")
    write_things(place)
    return place


@pytest.mark.parametrize("command", PLACES)
def test_a_wrong_thing_is_named(
    things: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(things)
    before = sorted(things.rglob("*"))
    fitting = {kind.name for kind in PLACES[command]}
    wrong = [name for name in WRONG if THINGS[name].name not in fitting]
    assert len(wrong) > len(WRONG) // 2
    silent: list[str] = []
    for name in wrong:
        with pytest.raises(SystemExit) as ended:
            main(shlex.split(command.replace("THING", name)))
        said = capsys.readouterr().err
        if ended.value.code != 2 or "Traceback" in said or f"it is {THINGS[name].name}, " not in said:
            silent.append(f"{name} ({THINGS[name].name}), status {ended.value.code}: {said[:300]}")
    assert silent == []
    assert sorted(things.rglob("*")) == before, "nothing was written"
