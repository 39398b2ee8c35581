"""Compiled code of an application: pictures to fit, and a whole application that asks for each vector.

The programs are ``kotlin/Main.kt`` and ``swift/main.swift``: ``fit JOBS`` and ``application FOLDER``.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from device_tests.answers.golden_files import golden_files
from device_tests.runner.engines import engine
from export.app.contract import AppContract
from export.bundle.reading import Bundle
from hetero.data.decoding.decode import decode, resized
from hetero.preprocessing import Preprocessing
from tests.export.app_code.cases import SIZES, contract_with, contracts, expected_top, png_files, rgba

_ORIENTATION = 0x0112
Case = tuple[str, dict[str, object], NDArray[np.uint8]]
Command = Sequence[str | Path]


def picture_cases(contract: AppContract, folder: Path) -> list[Case]:
    """Pictures of every size by every contract, in every orientation, with the contract's pixels."""
    cases: list[Case] = []
    for number, size in enumerate(SIZES):
        for index, preprocessing in enumerate(contracts()):
            orientation = 1 + (number + index) % 8
            cases.append(_case(contract, preprocessing, Image.fromarray(rgba(*size)), orientation, folder))
    return cases


def golden_cases(contract: AppContract, bundle: Bundle, folder: Path) -> list[Case]:
    """Every golden file as Pillow decodes it, not yet upright: decoders of JPEG files are each platform's own."""
    cases: list[Case] = []
    for file in golden_files(bundle):
        with Image.open(file.path) as image:
            if image.mode.startswith("I"):
                continue  # more than 8 bits
            turned = image.getexif().get(_ORIENTATION, 1)
            name, job, _ = _case(contract, bundle.preprocessing, image.convert("RGBA"), turned, folder, file.kind)
        cases.append((name, job, file.pixels))
    return cases


def png_cases(contract: AppContract, folder: Path) -> list[Case]:
    """Every kind of PNG file that the code reads by itself, with and without a range of deep grey."""
    folder.mkdir(exist_ok=True)
    cases: list[Case] = []
    for grey_range in (None, (100.0, 40950.0)):
        preprocessing = Preprocessing(19, 26, pad_value=77, grey_range=grey_range)
        text = contract_with(contract, preprocessing)
        for kind, path in png_files(folder).items():
            cases.append((f"{kind} {grey_range}", {"file": str(path), "contract": text}, decode(path, preprocessing)))
    return cases


def _case(
    contract: AppContract, preprocessing: Preprocessing, image: Image.Image, turned: int, folder: Path, what: str = ""
) -> Case:
    raw = folder / f"{what}{image.width}x{image.height}.rgba"
    raw.write_bytes(image.tobytes())
    job = {
        "rgba": str(raw),
        "width": image.width,
        "height": image.height,
        "orientation": turned,
        "contract": contract_with(contract, preprocessing),
    }
    plain = image.convert("RGB")
    plain.getexif()[_ORIENTATION] = turned
    name = f"{what} {image.size} {turned} {preprocessing.in_words}"
    return name, job, resized(ImageOps.exif_transpose(plain), preprocessing)


def check_pixels(command: Command, cases: Sequence[Case], folder: Path) -> None:
    """Compare what the program makes of each case with the contract's pixels."""
    jobs = [{**job, "out": str(folder / f"{index}.out")} for index, (_, job, _) in enumerate(cases)]
    (folder / "jobs.json").write_text(json.dumps(jobs))
    done = subprocess.run([*command, "fit", folder / "jobs.json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for (name, _, expected), job in zip(cases, jobs, strict=True):
        made = np.fromfile(job["out"], np.uint8)
        np.testing.assert_array_equal(made.reshape(expected.shape), expected, err_msg=name)


def check_application(command: Command, contract: AppContract, bundle: Bundle, folder: Path) -> None:
    """Let a program test itself, embed and search, and compare with the runtime and an exact search here."""
    queries = sorted((folder / "queries").glob("*.png"))
    with engine("litert")(str(folder / contract.model), {}) as runtime:
        report = _answered([*command, "application", folder], contract, runtime, folder)
        expected = np.concatenate([runtime.run(decode(path, bundle.preprocessing)[None]) for path in queries])
    assert report["passed"]
    assert min(report["cosines"]) >= contract.least_cosine
    np.testing.assert_allclose(np.array(report["vectors"]), expected, atol=1e-7)
    assert report["found"] == expected_top(bundle, expected)
    assert bundle.space.space_id in report["refusal"]


def _answered(command: Command, contract: AppContract, runtime: Any, folder: Path) -> Any:
    """Answer each image with the runtime's vector, until the program ends."""
    shape = (1, *contract.input.shape[1:])
    size = int(np.prod(shape))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        while pixels := process.stdout.read(size):
            image = np.frombuffer(pixels, np.uint8).reshape(shape)
            process.stdin.write(runtime.run(image).astype("<f4").tobytes())
            process.stdin.flush()
    assert process.returncode == 0
    return json.loads((folder / "report.json").read_text())
