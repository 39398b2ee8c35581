"""Golden files: each is of its kind, and a device's own decoding gives what the contract gives."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from device_tests.answers.golden_files import KINDS, golden_files
from device_tests.runner import decoding
from export.bundle.reading import Bundle, read_bundle
from tests.device_tests.tiny_bundle import PREPROCESSING, write_bundle


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    monkeypatch.setenv("HETERO_CACHE", str(tmp_path / "cache"))
    return read_bundle(write_bundle(tmp_path / "bundle", formats=("onnx",)))


def test_there_is_one_of_every_kind(bundle: Bundle) -> None:
    files = {file.kind: file.path for file in golden_files(bundle)}
    assert list(files) == list(KINDS)
    for kind, path in files.items():
        with Image.open(path) as image:
            assert image.format == kind[:4].strip(" ,")
            assert image.getexif().get(0x0112, 1) == (int(kind[-1]) if "EXIF" in kind else 1)
            assert bool(image.info.get("progressive")) == ("progressive" in kind)
    modes = {kind: Image.open(path).mode for kind, path in files.items()}
    assert modes["JPEG, grey"] == "L"
    assert modes["PNG, transparent"] == "RGBA"
    assert modes["PNG, palette"] == "P"
    assert modes["PNG, 16-bit grey"].startswith("I")


def test_they_stay_the_same_files(bundle: Bundle) -> None:
    assert [file.path.name for file in golden_files(bundle)] == [file.path.name for file in golden_files(bundle)]
    assert len({file.path for file in golden_files(bundle)}) == len(KINDS)


def test_a_device_that_reads_the_contract_gives_its_pixels(bundle: Bundle) -> None:
    for file in golden_files(bundle):
        own = decoding.pixels_of(str(file.path), PREPROCESSING.to_dict())
        np.testing.assert_array_equal(own, file.pixels, err_msg=file.kind)


def test_a_device_reads_deep_grey_by_the_range_that_the_contract_states(bundle: Bundle) -> None:
    contract = dataclasses.replace(bundle.preprocessing, grey_range=(100.0, 4095.0))
    files = {file.kind: file for file in golden_files(dataclasses.replace(bundle, preprocessing=contract))}
    deep = files["PNG, 16-bit grey"]
    with Image.open(deep.path) as image:
        assert 100 <= np.asarray(image).min() < np.asarray(image).max() <= 4095
    assert deep.pixels.max() > 128
    np.testing.assert_array_equal(decoding.pixels_of(str(deep.path), contract.to_dict()), deep.pixels)
    high_byte = decoding.pixels_of(str(deep.path), bundle.preprocessing.to_dict())
    assert np.abs(high_byte.astype(int) - deep.pixels).mean() > 5


def test_a_device_that_ignores_the_orientation_gives_others(bundle: Bundle) -> None:
    for file in golden_files(bundle):
        with Image.open(file.path) as image:
            plain = image.convert("RGB").resize((PREPROCESSING.width, PREPROCESSING.height), Image.Resampling.BILINEAR)
        off = np.abs(np.asarray(plain).astype(int) - file.pixels).mean()
        assert (off > 5) == ("EXIF" in file.kind or file.kind in ("PNG, transparent", "PNG, 16-bit grey")), file.kind
