"""The command ``hetero retrieval make``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from cyclopts.types import PositiveInt

from hetero import own_code
from hetero.data.checking.check import config_for
from hetero.display.text import say
from hetero.errors import InputError
from hetero.flags import AllowCode
from hetero.pipeline.quick.text_options import TextOptions
from hetero.pipeline.recipe import ExportConfig
from hetero.preprocessing import Preprocessing
from hetero.recognition.kinds import ARRAY, EMBEDDINGS, MODEL, SHARDS, SHARDS_RECORD
from hetero.recognition.recognise import refuse_others

if TYPE_CHECKING:
    from hetero.data.embeddings.file import EmbeddingFile
    from hetero.data.images import Dataset, ImageSet
    from hetero.models.model import EmbeddingModel
    from hetero.space import EmbeddingSpace
    from hetero.text.config import TextConfig
    from hetero.text.vectors import TextVectors

_DEFAULT = ExportConfig()


def make_command(
    cloud: Path,
    photos: Path,
    out: Path,
    *,
    calibration: Path | None = None,
    student: Path | None = None,
    size: PositiveInt | None = None,
    queries: PositiveInt = _DEFAULT.queries,
    images: PositiveInt = _DEFAULT.calibration,
    root: str = "",
    text: Path | None = None,
    text_describes: Path | None = None,
    text_tower: str = "",
    text_temperature: float = 0.0,
    allow_code: AllowCode = False,
) -> None:
    """Write the photos with the cloud's vectors that `hetero export` verifies and calibrates with.

    OUT holds test photos, which ship with a bundle. The calibration set holds validation and training photos, by which
    int8 is chosen and measured; no photo is in both. Splits are those of training (see `hetero data check`).

    Example: hetero retrieval make cloud_embeddings.safetensors photos retrieval.safetensors --student models/edge

    Example: hetero retrieval make clip.safetensors photos retrieval.safetensors --size 64 --text clip_texts.safetensors

    Args:
        cloud: The model that embedded the gallery, a model directory, or a file of its embeddings of the photos.
        photos: A folder of photos or a CSV table.
        out: The safetensors file to write.
        calibration: Another one, for `hetero export --calibration`.
        student: The model to be exported: photos are prepared as it takes them. Default the cloud model itself.
        size: Height and width in place of a student, for models that take photos as a recipe prepares them by default.
        queries: Most test photos that search.
        images: About how many photos to calibrate with.
        root: Folder that the CSV's paths are relative to; default its own.
        text: Vectors of texts in the cloud's space, by its own text tower, named by the texts: those that describe
            test photos become the bundle's golden texts.
        text_describes: What they describe: a CSV file with the columns text and label (a class) or path (a photo);
            default the classes that are called as the texts are.
        text_tower: Id of the text tower; default what the file says, or its digest.
        text_temperature: Divides the cosines of texts with images in the towers' own training.
        allow_code: Run the code that a model names.
    """
    if allow_code:
        own_code.allow_code()
    from hetero.models.directory import load_model

    refuse_others(cloud, EMBEDDINGS, ARRAY, SHARDS, MODEL, what="a file of embeddings or a model directory")
    for path in filter(None, (out, calibration)):
        _require_file(path)
    texts = TextOptions(text, text_describes, text_tower, text_temperature).config
    model = load_model(cloud) if cloud.is_dir() and not (cloud / SHARDS_RECORD).is_file() else None
    preprocessing = _preprocessing(student, size, model)

    from hetero.data.embeddings.file import load_embeddings
    from hetero.data.prepare import prepare
    from hetero.pipeline.export_sets import calibration_of, retrieval_of

    data = prepare(config_for(photos, root=root), preprocessing)
    stored = load_embeddings(cloud) if model is None else _embedded(model, data, calibrating=calibration is not None)
    retrieval = retrieval_of(data, stored, queries=queries, texts=_known(texts, stored.space, data))
    if texts is not None and retrieval.texts is None:
        raise InputError(f"{texts.vectors}: none of the texts describes any of the {len(retrieval.images)} test photos")
    chosen = None if calibration is None else calibration_of(data, stored, retrieval.images, most=images)
    retrieval.save(out)
    tasks = ", ".join(f"{task.name} {len(task.query)} in {len(task.gallery)}" for task in retrieval.tasks)
    described = f"; {len(retrieval.texts)} texts describe them" if retrieval.texts else ""
    say(f"{out}: {len(retrieval.images)} test photos; {tasks}{described}")
    if calibration is not None and chosen is not None:
        chosen.save(calibration)
        say(f"{calibration}: {len(chosen.images)} validation and training photos")


def _known(config: TextConfig | None, space: EmbeddingSpace, data: Dataset) -> TextVectors | None:
    """Read the texts, and refuse those that describe what is not in the data."""
    if config is None:
        return None
    from hetero.text.vectors import TextVectors

    texts = TextVectors.load(config, space)
    texts.require_known(data)
    return texts


def _preprocessing(student: Path | None, size: int | None, model: EmbeddingModel | None) -> Preprocessing:
    """Return how photos are prepared for the model to be exported."""
    from hetero.models.directory import load_record

    if student is not None and size is not None:
        raise InputError("expected --student or --size, got both")
    if student is not None:
        return load_record(student).preprocessing
    if size is not None:
        return Preprocessing(height=size, width=size)
    if model is None:
        raise InputError("expected --student MODEL or --size PIXELS: embeddings do not say how photos are prepared")
    return model.preprocessing


def _embedded(model: EmbeddingModel, data: Dataset, *, calibrating: bool) -> EmbeddingFile:
    """Embed the photos of a data set, prepared as the cloud takes them."""
    from hetero.data.embeddings.file import EmbeddingFile
    from hetero.models.embed import embed_images

    assert model.space is not None
    sets: list[ImageSet] = [data.test, *([data.validation, data.train] if calibrating else [])]
    shown = [part.prepared_by(model.preprocessing).images for part in sets]
    vectors = np.concatenate([embed_images(model, part, progress="embedding") for part in shown])
    return EmbeddingFile(vectors, tuple(name for part in sets for name in part.names), model.space)


def _require_file(path: Path) -> None:
    if path.is_dir() or path.suffix != ".safetensors":
        raise InputError(f"expected the name of a .safetensors file to write, got {path}")
