"""Damaged and hostile packages: each with its own message, and never a number, a crash or a hang."""

from __future__ import annotations

import json
import random
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_tests.runtimes.coreml import NotVerifiedError, load, load_on_apple
from device_tests.runtimes.coreml.messages import model_class
from hetero.errors import InputError, IntegrityError
from tests.device_tests.tiny_models import DIMENSION, HEIGHT, WIDTH, embed, weights, write_coreml

MODEL = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"
IMAGES = np.random.default_rng(0).integers(0, 256, (2, HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    write_coreml(tmp_path / "m.mlpackage", weights())
    return tmp_path / "m.mlpackage"


def edit(package: Path, change: Callable[[Any, Any], object]) -> None:
    """Change the model's message; ``change`` gets it and the operators of its main function."""
    model = model_class()()
    model.ParseFromString((package / MODEL).read_bytes())
    change(model, model.mlProgram.functions["main"].block_specializations["CoreML6"].operations)
    (package / MODEL).write_bytes(model.SerializeToString())


def refused(package: Path, words: str, error: type[InputError] = IntegrityError) -> None:
    with pytest.raises(error, match=words):
        load(package)


def test_a_sound_package(package: Path) -> None:
    np.testing.assert_allclose(
        load(package).predict({"image": IMAGES})["embedding"], embed(IMAGES, weights()), atol=1e-6
    )


def test_no_package(tmp_path: Path) -> None:
    refused(tmp_path / "none.mlpackage", "expected an .mlpackage folder with a Manifest.json", InputError)


def test_weights_cut_off(package: Path) -> None:
    whole = (package / WEIGHTS).read_bytes()
    for size in (0, 40, 100, 130, len(whole) - 1):
        (package / WEIGHTS).write_bytes(whole[:size])
        refused(package, "cut off|outside of its|cannot hold|the file at")


def test_a_header_that_claims_four_billion_blobs(package: Path) -> None:
    whole = bytearray((package / WEIGHTS).read_bytes())
    whole[:4] = struct.pack("<I", 0xFFFFFFFF)
    (package / WEIGHTS).write_bytes(whole)
    refused(package, "its header claims 4294967295 blobs")


def test_a_record_that_claims_four_gigabytes(package: Path) -> None:
    whole = bytearray((package / WEIGHTS).read_bytes())
    whole[72:80] = struct.pack("<Q", 4 << 30)
    (package / WEIGHTS).write_bytes(whole)
    refused(package, "take 4294967296 bytes, the program expects")
    whole[72:80], whole[80:88] = struct.pack("<Q", weights().nbytes), struct.pack("<Q", 4 << 30)
    (package / WEIGHTS).write_bytes(whole)
    refused(package, "it was cut off")


def test_another_version_or_no_record(package: Path) -> None:
    whole = bytearray((package / WEIGHTS).read_bytes())
    (package / WEIGHTS).write_bytes(whole[:4] + b"\7" + whole[5:])
    refused(package, "expected blob storage version 2, got 7")
    (package / WEIGHTS).write_bytes(whole[:64] + b"\0" + whole[65:])
    refused(package, "do not start with a record")


@pytest.mark.parametrize("offset", [0, 7, 63, 96, 1 << 40])
def test_an_offset_out_of_range(package: Path, offset: int) -> None:
    def change(_model: Any, operations: Any) -> None:
        operations[4].attributes["val"].blobFileValue.offset = offset

    edit(package, change)
    refused(package, "outside of its|do not start|cut off")


@pytest.mark.parametrize("name", ["@model_path/../../../../etc/passwd", "/etc/passwd", "@model_path/weights/none.bin"])
def test_weights_outside_of_the_package(package: Path, name: str) -> None:
    def change(_model: Any, operations: Any) -> None:
        operations[4].attributes["val"].blobFileValue.fileName = name

    edit(package, change)
    refused(package, "leaves the package|expected weights below|found none")


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "a\\..\\b", "com.apple.CoreML", 5])
def test_a_manifest_that_points_elsewhere(package: Path, path: Any) -> None:
    (package / "Manifest.json").write_text(
        json.dumps({"itemInfoEntries": {"m": {"path": path}}, "rootModelIdentifier": "m"})
    )
    refused(package, "leaves the package|found none|names no model")


def test_a_link_out_of_the_package(package: Path) -> None:
    outside = package.parent / "weight.bin"
    shutil.move(package / WEIGHTS, outside)
    (package / WEIGHTS).symlink_to(outside)
    refused(package, "leaves the package through a link")


TWICE = '{"itemInfoEntries": {"a": {"path": "x"}, "a": {"path": "com.apple.CoreML/model.mlmodel"}}'


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "[" * 100000, '{"rootModelIdentifier": []}', f'{TWICE}, "rootModelIdentifier": "a"}}']
)
def test_a_manifest_that_is_none(package: Path, text: str) -> None:
    (package / "Manifest.json").write_text(text)
    refused(package, "names no model")


def test_a_model_that_is_no_message(package: Path) -> None:
    (package / MODEL).write_bytes(b"\xff" * 50)
    refused(package, "cannot be parsed")
    (package / MODEL).write_bytes(b"")
    refused(package, "not verified: model at m.mlpackage: it is not an ML program", NotVerifiedError)


def test_references_to_nothing_and_in_a_circle(package: Path) -> None:
    def circle(_model: Any, operations: Any) -> None:
        operations[5].inputs["x"].arguments[0].name = "embedding"

    edit(package, circle)
    refused(package, "transpose at pixels uses 'embedding' before it is defined, or in a circle")


def test_a_name_that_is_defined_twice(package: Path) -> None:
    edit(package, lambda _model, operations: operations[6].outputs[0].__setattr__("name", "pixels"))
    refused(package, "'pixels' is defined twice")


def test_what_is_not_known_is_named_before_anything_runs(package: Path) -> None:
    write_coreml(package, weights(), norm="apple_norm")
    refused(package, "^not verified: apple_norm at length$", NotVerifiedError)


def test_a_parameter_that_is_not_known(package: Path) -> None:
    edit(package, lambda _model, operations: operations[7].inputs["turbo"].arguments.add(name="keep"))
    refused(package, "not verified: matmul at raw: the parameter 'turbo' is not known", NotVerifiedError)


def test_a_type_that_is_not_known(package: Path) -> None:
    edit(package, lambda _model, operations: operations[7].outputs[0].type.tensorType.__setattr__("dataType", 13))
    refused(package, "not verified: matmul at raw: the element type 13 is not known", NotVerifiedError)


def test_absurd_shapes_take_no_memory(package: Path) -> None:
    def change(_model: Any, operations: Any) -> None:
        operations[7].outputs[0].type.tensorType.dimensions[0].constant.size = 1 << 40

    edit(package, change)
    refused(package, "its shape .* is absurd")


def test_many_large_values_at_once(package: Path) -> None:
    def change(model: Any, operations: Any) -> None:
        for operation in operations[5:]:
            for dimension in operation.outputs[0].type.tensorType.dimensions:
                dimension.constant.size = 1 << (27 // len(operation.outputs[0].type.tensorType.dimensions))

    edit(package, change)
    refused(package, "bytes for one image; the limit is|declared is")


def test_a_result_that_is_not_what_was_declared(package: Path) -> None:
    edit(
        package,
        lambda _m, operations: operations[8].outputs[0].type.tensorType.dimensions[1].constant.__setattr__("size", 2),
    )
    refused(
        package, r"reduce_l2_norm at length cannot be computed: it gives the shape \[1, 1\], declared is fp32 \[1, 2\]"
    )


def test_inputs_that_do_not_fit(package: Path) -> None:
    model = load(package)
    with pytest.raises(InputError, match=r"image: expected uint8 \[n, 6, 6, 3\], got float32 \[1, 6, 6, 3\]"):
        model.predict({"image": IMAGES[:1].astype(np.float32)})
    with pytest.raises(InputError, match=r"(?s)other: unknown.*image: missing"):
        model.predict({"other": IMAGES})


def test_apples_engine_is_refused_here(package: Path) -> None:
    if sys.platform != "darwin":
        with pytest.raises(InputError, match="runs on macOS, this is Linux"):
            load_on_apple(package)


def test_neither_torch_nor_coremltools_is_imported(package: Path) -> None:
    code = (
        "import sys; from device_tests.runtimes.coreml import load; import numpy as np\n"
        f"m = load({str(package)!r}); m.predict({{'image': np.zeros((1, {HEIGHT}, {WIDTH}, 3), np.uint8)}})\n"
        "print(sorted({'torch', 'coremltools'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Flip, set, cut, repeat or insert a few bytes."""
    made = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(made) + 1)
        kind = chance.randrange(5)
        if kind == 0 and at < len(made):
            made[at] ^= 1 << chance.randrange(8)
        elif kind == 1 and at < len(made):
            made[at] = chance.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif kind == 2:
            del made[at : at + chance.randint(1, 40)]
        elif kind == 3:
            made[at:at] = made[at : at + chance.randint(1, 40)]
        else:
            made[at:at] = chance.randbytes(chance.randint(1, 9))
    return bytes(made)


def attack(folder: Path, count: int, seed: int) -> dict[str, int]:
    """Load and run mutated packages; what was refused, what ran, and the longest of them in milliseconds."""
    sound = folder / "sound.mlpackage"
    write_coreml(sound, weights())
    files = {name: (sound / name).read_bytes() for name in ("Manifest.json", MODEL, WEIGHTS)}
    chance, told = random.Random(seed), {"refused": 0, "not verified": 0, "ran": 0, "longest": 0}
    expected = embed(IMAGES, weights())
    for _ in range(count):
        name = chance.choice([MODEL, MODEL, MODEL, WEIGHTS, "Manifest.json"])
        data = mutate(files[name], chance)
        (sound / name).write_bytes(data)
        start = time.perf_counter()
        try:
            made = load(sound).predict({"image": IMAGES})
        except NotVerifiedError:
            told["not verified"] += 1
        except InputError:
            told["refused"] += 1
        else:
            told["ran"] += 1
            # Another weight is a weight too, which only a digest could tell; nothing else may change the numbers.
            if name == WEIGHTS:
                assert made["embedding"].shape == (2, DIMENSION)
            else:
                np.testing.assert_allclose(next(iter(made.values())), expected, atol=1e-6)
        told["longest"] = max(told["longest"], round(1000 * (time.perf_counter() - start)))
        (sound / name).write_bytes(files[name])
    return told


def test_mutated_packages(tmp_path: Path) -> None:
    told = attack(tmp_path, 300, seed=1)
    assert told["refused"] > 100 and told["ran"] < 150
    assert told["longest"] < 10_000


@pytest.mark.slow
def test_a_thousand_mutated_packages(tmp_path: Path) -> None:
    told = attack(tmp_path, 1000, seed=2)
    assert sum(told[kind] for kind in ("refused", "not verified", "ran")) == 1000
    assert told["longest"] < 10_000
    print(told)
