from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest

from hetero.data.config import DataConfig
from hetero.data.images import Dataset
from hetero.data.prepare import fingerprint, prepare
from hetero.data.sources import emoji, emoji_fonts
from hetero.data.sources.emoji import rendered_emoji
from hetero.data.sources.emoji_fonts import DESIGNS, EmojiFonts
from hetero.errors import InputError
from hetero.preprocessing import Preprocessing

CONFIG, SMALL = DataConfig(kind="emoji"), Preprocessing(16, 16)


@pytest.fixture(scope="module")
def fonts() -> EmojiFonts:
    return EmojiFonts()


@pytest.fixture(scope="module")
def codepoints(fonts: EmojiFonts) -> list[int]:
    return fonts.codepoints()


@pytest.fixture(scope="module")
def few(codepoints: list[int]) -> list[int]:
    return codepoints[::46]


@pytest.fixture(scope="module")
def quick(few: list[int]) -> Iterator[None]:
    """Thirty emoji instead of all: 20 for training, some of them for validation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EmojiFonts, "codepoints", lambda self: few)
        patch.setattr(emoji, "EMOJI_TRAIN_CLASSES", 20)
        yield


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def data(quick: None, cache: Path) -> Dataset:
    return prepare(DataConfig(kind="emoji", validation_classes=4), SMALL, cache=cache)


def test_there_are_1380_pictures_and_no_text(codepoints: list[int]) -> None:
    assert len(codepoints) == 1380
    assert {0x1F600, 0x2764, 0x203C}.issubset(codepoints)
    assert not {0x20, 0x23, 0x31, 0x200D, 0x20E3, 0x2139, 0x1F1E6, 0x1F3FB, 0xE0061} & set(codepoints)


@pytest.mark.parametrize("design", DESIGNS)
def test_drawings_fill_a_white_square(fonts: EmojiFonts, few: list[int], design: str) -> None:
    for code in few:
        pixels = fonts.draw(code, design, 48)
        ink = (
            np.flatnonzero((pixels.min(axis=2) < 240).any(axis=0)),
            np.flatnonzero((pixels.min(axis=2) < 240).any(axis=1)),
        )
        assert pixels.shape == (48, 48, 3)
        assert max(axis[-1] - axis[0] for axis in ink) >= 40, f"{code:X} is cropped to its ink"


def test_designs_have_their_colours(fonts: EmojiFonts) -> None:
    heart = {design: fonts.draw(0x2764, design, 48)[20, 24].astype(int) for design in DESIGNS}
    for design in ("openmoji", "noto"):
        assert heart[design][0] > 200 and heart[design][1:].max() < 120, design
    line = fonts.draw(0x1F600, "line", 48)
    assert np.array_equal(line[..., 0], line[..., 1]) and line.min() < 30


def test_every_definition_that_a_glyph_uses_is_cut_out_with_it(fonts: EmojiFonts, few: list[int]) -> None:
    import re

    for code in few:
        document = fonts._svg.document(code, "0 0 1 1")  # pyright: ignore[reportPrivateUsage]
        used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', document))
        assert used <= set(re.findall(r'\bid="([^"]+)"', document))
        assert len(document) < 200_000


def test_split_tasks_and_names(data: Dataset) -> None:
    sizes = [len(part.classes) for part in (data.train, data.validation, data.test)]
    assert sizes == [16, 4, 10]
    classes = [set(part.classes) for part in (data.train, data.validation, data.test)]
    assert len(set.union(*classes)) == 30
    for part, tasks in ((data.validation, data.validation_tasks), (data.test, data.test_tasks)):
        assert [task.name for task in tasks] == ["openmoji>noto", "openmoji>line", "noto>line"]
        for task in tasks:
            query, gallery = task.name.split(">")
            assert {part.names[row].split("/")[1] for row in task.query} == {query}
            assert {part.names[row].split("/")[1] for row in task.gallery} == {gallery}
            assert len(task.query) == len(task.gallery) == len(part.classes)
    row = 7
    assert data.test.names[row] == f"{data.test.classes[data.test.labels[row]]}/{DESIGNS[data.test.views[row]]}"


def test_rows_hold_the_emoji_they_are_named_after(data: Dataset, fonts: EmojiFonts) -> None:
    from PIL import Image

    from hetero.data.decoding.decode import resized

    for part in (data.train, data.test):
        for row in (0, 1, 2, 11):
            code, design = part.names[row].split("/")
            drawn = resized(Image.fromarray(fonts.draw(int(code, 16), design, 48)), SMALL)
            assert np.array_equal(part.images[row : row + 1][0], drawn)


def test_more_validation_classes_leave_the_test_classes_alone(data: Dataset, cache: Path) -> None:
    more = prepare(DataConfig(kind="emoji", validation_classes=6), SMALL, cache=cache)
    assert more.test.classes == data.test.classes
    assert set(data.validation.classes) < set(more.validation.classes)
    assert more.fingerprint != data.fingerprint


def test_a_damaged_cache_is_drawn_again_to_the_same_bytes(data: Dataset, cache: Path) -> None:
    _, first = rendered_emoji(cache)
    before = np.array(first)
    (images,) = cache.rglob("images.npy")
    data = bytearray(images.read_bytes())
    data[-1] ^= 1
    images.write_bytes(data)
    _, again = rendered_emoji(cache)
    assert np.array_equal(again, before)


def test_missing_packages_name_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(package: str) -> str:
        if package in ("deckr-fonts", "resvg-py"):
            raise PackageNotFoundError(package)
        return "1"

    monkeypatch.setattr(emoji_fonts, "version", missing)
    with pytest.raises(InputError, match=r"deckr-fonts, resvg-py, not installed: pip install 'hetero\[emoji\]'"):
        prepare(CONFIG, SMALL, cache=tmp_path)
    with pytest.raises(InputError, match="not installed"):
        fingerprint(CONFIG, SMALL)


def test_too_many_validation_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="validation_classes: expected at most 963, got 964"):
        prepare(DataConfig(kind="emoji", validation_classes=964), SMALL, cache=tmp_path)


def test_fingerprint_draws_nothing_and_depends_on_pixels_only(tmp_path: Path) -> None:
    same = fingerprint(CONFIG, SMALL)
    assert same == fingerprint(CONFIG, Preprocessing(16, 16, mean=(0.0, 0.0, 0.0)))
    assert same != fingerprint(CONFIG, Preprocessing(32, 32))


PREPARE = """
from pathlib import Path
from hetero.data.sources.emoji import rendered_emoji
from hetero.data.sources.emoji_fonts import EmojiFonts
import sys
codepoints = EmojiFonts.codepoints
EmojiFonts.codepoints = lambda self: codepoints(self)[:: int(sys.argv[2])]
rendered_emoji(Path(sys.argv[1]))
"""


def test_a_killed_drawing_leaves_nothing_half_and_is_cleared_away(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PREPARE, str(tmp_path / "killed")]
    environment = os.environ | {"PYTHONPATH": str(Path.cwd()), "HETERO_PROGRESS": "bar"}
    process = subprocess.Popen([*command, "1"], env=environment, stderr=subprocess.PIPE)
    assert process.stderr is not None
    seen = b""
    deadline = time.monotonic() + 60
    while b"1%" not in seen and time.monotonic() < deadline:
        seen += os.read(process.stderr.fileno(), 4096)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert b"1%" in seen
    assert not list((tmp_path / "killed" / "emoji").glob("[!.]*/"))
    left_over = list((tmp_path / "killed" / "emoji").glob(".*/"))
    subprocess.run([*command, "46"], env=environment, check=True, capture_output=True)
    assert left_over and not any(path.exists() for path in left_over)
    subprocess.run([*command[:-1], str(tmp_path / "whole"), "46"], env=environment, check=True, capture_output=True)
    (killed,), (whole,) = ((tmp_path / name).rglob("images.npy") for name in ("killed", "whole"))
    assert killed.read_bytes() == whole.read_bytes()
