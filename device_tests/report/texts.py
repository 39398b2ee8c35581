"""What golden texts find among the photos that a target embedded, beside the same photos as the cloud embedded them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from device_tests.answers.embeddings import DeviceEmbeddings
from device_tests.report.evidence import Evidence, label
from export.bundle.goldens import Goldens, spread_rows
from hetero.display.pages import data_uri
from hetero.metrics.nearest import search
from hetero.text.described import DescribedImages

DEPTH = 5
_MOST = 150
"""Most texts of a bundle on the page."""
_FIRST = {True: 4, False: 2}
"""Texts that show before a word is typed, by whether the device's first hit is right."""
_SIDE = 48
"""Largest side of a picture on the sheet, in pixels."""


@dataclass(frozen=True)
class TextHit:
    """A photo that a text finds.

    Attributes:
        column: Its column on the sheet.
        row: Its row there.
        right: True if the text describes it.
    """

    column: int
    row: int
    right: bool


@dataclass(frozen=True)
class TextAnswer:
    """What one text finds, nearest first.

    Attributes:
        text: The text.
        is_first: True if it shows before a word is typed.
        device: The hits among the photos that the target embedded.
        cloud: The hits among the cloud's vectors of the same photos.
    """

    text: str
    is_first: bool
    device: Sequence[TextHit]
    cloud: Sequence[TextHit]


@dataclass(frozen=True)
class TextAnswers:
    """What the texts of one bundle find.

    Attributes:
        bundle: The bundle's name.
        label: The target and format that embedded the photos.
        photos: Number of photos that are searched.
        sheet: All pictures that are found, in one, as a data URI: each is on the page once.
        columns: Columns of the sheet.
        rows: Its rows.
        ratio: Width of a picture over its height.
        answers: The texts, at most so many that the page stays light, evenly spread.
    """

    bundle: str
    label: str
    photos: int
    sheet: str
    columns: int
    rows: int
    ratio: float
    answers: Sequence[TextAnswer]

    @property
    def found(self) -> tuple[int, int]:
        """Number of these texts whose first hit is right: on the target, and among the cloud's vectors."""
        sides = ([answer.device for answer in self.answers], [answer.cloud for answer in self.answers])
        device, cloud = (sum(hits[0].right for hits in side) for side in sides)
        return device, cloud


def text_answers(evidence: Evidence) -> list[TextAnswers]:
    """Return what the texts of each bundle find on its target closest to an application, if their words are known."""
    return [
        _answers(line.bundle, label(line), goldens, texts, evidence.embeddings[line])
        for line in evidence.shown()
        for goldens in [evidence.bundles[line.bundle].goldens]
        if goldens.texts is not None
        for texts in [goldens.texts.among(evidence.embeddings[line].query_rows)]
        if texts.texts
    ]


def _answers(
    bundle: str, device_label: str, goldens: Goldens, texts: DescribedImages, device: DeviceEmbeddings
) -> TextAnswers:
    chosen = spread_rows(len(texts), _MOST)
    galleries = device.query, goldens.retrieval_cloud[device.query_rows]
    hits = [_hits(texts.vectors[chosen], gallery) for gallery in galleries]
    seen = np.unique(np.concatenate(hits))
    columns = math.ceil(math.sqrt(len(seen)))
    sheet = _sheet(goldens.retrieval_images[device.query_rows[seen]], columns)

    def placed(text: int, photos: Int64[np.ndarray, " k"]) -> list[TextHit]:
        places = np.searchsorted(seen, photos)
        right = texts.image_labels[photos] == texts.labels[chosen[text]]
        return [
            TextHit(int(place % columns), int(place // columns), bool(good))
            for place, good in zip(places, right, strict=True)
        ]

    first = _first(texts.image_labels[hits[0][:, 0]] == texts.labels[chosen])
    answers = [
        TextAnswer(texts.texts[row], text in first, *(placed(text, side[text]) for side in hits))
        for text, row in enumerate(chosen)
    ]
    return TextAnswers(
        bundle=bundle,
        label=device_label,
        photos=len(device.query_rows),
        sheet=data_uri(sheet),
        columns=columns,
        rows=math.ceil(len(seen) / columns),
        ratio=goldens.retrieval_images.shape[2] / goldens.retrieval_images.shape[1],
        answers=answers,
    )


def _first(right: Bool[np.ndarray, " t"]) -> set[int]:
    """Choose the texts that show first: a fixed mix of right and wrong ones, each evenly spread."""
    kinds = ((np.flatnonzero(right == kind), count) for kind, count in _FIRST.items())
    return {int(row) for rows, count in kinds if len(rows) for row in rows[spread_rows(len(rows), count)]}


def _hits(texts: Float32[np.ndarray, "t d"], gallery: Float32[np.ndarray, "q d"]) -> Int64[np.ndarray, "t k"]:
    return search(texts, gallery, min(DEPTH, len(gallery))).rows


def _sheet(images: UInt8[np.ndarray, "n h w 3"], columns: int) -> UInt8[np.ndarray, "y x 3"]:
    """Lay pictures side by side, in rows; larger ones are reduced."""
    height, width = (max(1, side * _SIDE // max(*images.shape[1:3], _SIDE)) for side in images.shape[1:3])
    rows = math.ceil(len(images) / columns)
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for place, image in enumerate(images):
        top, left = place // columns * height, place % columns * width
        sheet[top : top + height, left : left + width] = _reduced(image, width, height)
    return sheet


def _reduced(image: UInt8[np.ndarray, "h w 3"], width: int, height: int) -> UInt8[np.ndarray, "y x 3"]:
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize((width, height)))
