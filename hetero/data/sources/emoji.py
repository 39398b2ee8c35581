"""The built-in data set: 1,380 emoji, each in three designs.

One emoji is one instance seen in three views, so that it shows real retrieval across domains: query one design,
search another, on instances never seen in training. 965 classes are for training (some of them held out for
validation), 415 for testing. This package contains none of the images: they are drawn from installed fonts at first
use.
"""

from __future__ import annotations

import io
import logging
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from hetero.data.config import EMOJI_TRAIN_CLASSES, DataConfig
from hetero.data.decoding.cache import made_once
from hetero.data.decoding.decode import decoding_key, resized
from hetero.data.decoding.pixel_crops import PixelCrops
from hetero.data.images import Dataset, ImageSet
from hetero.data.protocols import Roles, make_tasks
from hetero.data.sources.emoji_fonts import DESIGNS, EmojiFonts, renderer_versions
from hetero.data.splits import shuffled
from hetero.display.progress import Bar
from hetero.files import cache_directory, digest, read_json, sha256_file, write_json
from hetero.metrics.task import RetrievalTask
from hetero.preprocessing import Preprocessing

RENDERED_SIZE = 48
SPLIT_SEED = 0
_FORMAT = "hetero/emoji/1"


def emoji_fingerprint(config: DataConfig, preprocessing: Preprocessing) -> str:
    """Return a digest of the set's fonts, split and preprocessing, without drawing anything."""
    return digest([_render_key(), config.validation_classes, decoding_key(preprocessing)])


def prepare_emoji(config: DataConfig, preprocessing: Preprocessing, cache: Path | None = None) -> Dataset:
    """Return the emoji set, drawn at first use.

    Args:
        config: Its ``validation_classes`` is used.
        preprocessing: Size of the images.
        cache: Folder that keeps the drawn images; default :func:`hetero.files.cache_directory`.

    Raises:
        InputError: When the font packages are missing.
    """
    classes, rendered = rendered_emoji(cache)
    order = [classes[place] for place in shuffled(classes, SPLIT_SEED).tolist()]
    held_out = EMOJI_TRAIN_CLASSES - config.validation_classes
    parts = (order[:held_out], order[held_out:EMOJI_TRAIN_CLASSES], order[EMOJI_TRAIN_CLASSES:])
    fingerprint = emoji_fingerprint(config, preprocessing)
    train, validation, test = (
        _image_set(sorted(part), classes, rendered, preprocessing, fingerprint) for part in parts
    )
    return Dataset(
        name="emoji",
        train=train,
        validation=validation,
        test=test,
        validation_tasks=_tasks(validation),
        test_tasks=_tasks(test),
        fingerprint=fingerprint,
    )


def _tasks(images: ImageSet) -> tuple[RetrievalTask, ...]:
    """Build the three tasks ``openmoji>noto``, ``openmoji>line`` and ``noto>line`` (query > gallery)."""
    roles = Roles(images.labels, images.views, images.view_names)
    return make_tasks("cross-view", roles, where="the emoji set").tasks


def rendered_emoji(cache: Path | None = None) -> tuple[list[str], UInt8[np.ndarray, "n size size 3"]]:
    """Return all emoji in all designs at 48 pixels, from the cache when it is complete.

    Args:
        cache: Folder that keeps the drawn images; default :func:`hetero.files.cache_directory`.

    Returns:
        Class names (hexadecimal code points) and images: row ``3 * class + design``.
    """
    directory = (cache or cache_directory()) / "emoji" / _render_key()[:16]
    made_once(directory, _is_whole, _render)
    classes: list[str] = read_json(directory / "emoji.json")["classes"]
    return classes, np.load(directory / "images.npy", mmap_mode="r", allow_pickle=False)


def unicode_names(classes: Iterable[str]) -> dict[str, str]:
    """Return the Unicode name, in small letters, of each class that has one: Python's table lacks the youngest.

    Args:
        classes: Hexadecimal code points.
    """
    names = {code: unicodedata.name(chr(int(code, 16)), "").lower() for code in classes}
    return {code: name for code, name in names.items() if name}


def _render_key() -> str:
    return digest([_FORMAT, RENDERED_SIZE, renderer_versions()])


def _is_whole(directory: Path) -> bool:
    if not directory.exists():
        return False
    try:
        if sha256_file(directory / "images.npy") == read_json(directory / "emoji.json")["sha256"]:
            return True
    except (OSError, ValueError, KeyError):
        pass
    logging.getLogger(__name__).warning("%s is damaged; drawing the emoji again", directory)
    return False


def _render(directory: Path) -> None:
    fonts = EmojiFonts()
    codepoints = fonts.codepoints()
    images = np.empty((len(codepoints) * len(DESIGNS), RENDERED_SIZE, RENDERED_SIZE, 3), np.uint8)
    for index, code in enumerate(Bar(codepoints, desc="drawing emoji", unit="emoji")):
        for view, design in enumerate(DESIGNS):
            images[len(DESIGNS) * index + view] = fonts.draw(code, design, RENDERED_SIZE)
    np.save(directory / "images.npy", images, allow_pickle=False)
    record = {
        "classes": [f"{code:X}" for code in codepoints],
        "designs": list(DESIGNS),
        "sha256": sha256_file(directory / "images.npy"),
        "versions": renderer_versions(),
    }
    write_json(directory / "emoji.json", record)


@dataclass(frozen=True)
class DrawnSource:
    """A source of some of the drawn emoji.

    Attributes:
        rendered: uint8 [n, size, size, 3], all drawn emoji.
        rows: Rows of the chosen ones.
    """

    rendered: UInt8[np.ndarray, "n size size 3"]
    rows: tuple[int, ...]

    def prepared(self, preprocessing: Preprocessing) -> UInt8[np.ndarray, "m h w 3"]:
        """Resize the emoji for a model."""
        return np.stack([resized(Image.fromarray(self.rendered[row]), preprocessing) for row in self.rows])

    def originals(self, preprocessing: Preprocessing) -> PixelCrops:
        """Return the emoji as they are drawn, to be cropped."""
        return PixelCrops(self.rendered[np.array(self.rows)], preprocessing)

    def sizes(self) -> Int64[np.ndarray, "m 2"]:
        """Return the size in which all are drawn."""
        return np.full((len(self.rows), 2), RENDERED_SIZE, np.int64)


def _image_set(
    part: list[str],
    classes: list[str],
    rendered: UInt8[np.ndarray, "n size size 3"],
    preprocessing: Preprocessing,
    fingerprint: str,
) -> ImageSet:
    position = {name: index for index, name in enumerate(classes)}
    views = len(DESIGNS)
    rows = [views * position[name] + view for name in part for view in range(views)]

    def original(row: int) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(rendered[rows[row]]).save(stream, "png")
        return stream.getvalue()

    source = DrawnSource(rendered, tuple(rows))
    return ImageSet(
        images=source.prepared(preprocessing),
        preprocessing=preprocessing,
        source=source,
        labels=np.repeat(np.arange(len(part), dtype=np.int64), views),
        classes=tuple(part),
        views=np.tile(np.arange(views, dtype=np.int64), len(part)),
        view_names=DESIGNS,
        names=tuple(f"{name}/{design}" for name in part for design in DESIGNS),
        fingerprint=digest([fingerprint, part]),
        original=original,
    )
