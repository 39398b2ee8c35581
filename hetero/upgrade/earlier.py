"""The old model as an upgrade sees it: a model directory, or only a file of its embeddings."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32

from hetero.data.decoding.decode import decoding_key
from hetero.data.embeddings.file import Embeddings, aligned, is_sharded, load_embeddings
from hetero.data.images import Dataset, ImageSet
from hetero.errors import InputError
from hetero.models.directory import load_model
from hetero.models.embed import embed_images
from hetero.models.model import EmbeddingModel
from hetero.preprocessing import Preprocessing
from hetero.recognition.kinds import ARRAY, EMBEDDINGS, MODEL, SHARDS
from hetero.recognition.recognise import refuse_others
from hetero.space import EmbeddingSpace
from hetero.training.reference.cloud_reference import CloudReference, known_prototypes


@dataclass(frozen=True)
class EarlierModel:
    """An existing model. Open one with :meth:`open`.

    Attributes:
        path: The model directory or the file of embeddings.
        source: The model, or the content of the file.
        space: The space of its vectors.
    """

    path: Path
    source: EmbeddingModel | Embeddings
    space: EmbeddingSpace

    @classmethod
    def open(cls, path: Path, preprocessing: Preprocessing | None = None) -> EarlierModel:
        """Read a model directory or a file of embeddings.

        Args:
            path: Either of the two.
            preprocessing: Preprocessing of the images that the model will embed; None when it is known to fit.

        Raises:
            InputError: When there is neither, or the model expects images of another preprocessing.
            IntegrityError: When a file is damaged.
        """
        refuse_others(path, MODEL, EMBEDDINGS, ARRAY, SHARDS)
        if path.is_file() or is_sharded(path):
            stored = load_embeddings(path)
            return cls(path, stored, stored.space)
        if not path.is_dir():
            raise InputError(f"expected a model directory or a file of embeddings at {path}, found nothing")
        model = load_model(path)
        assert model.space is not None
        if preprocessing is not None and decoding_key(model.preprocessing) != decoding_key(preprocessing):
            raise InputError(
                f"{path} takes images of {_size(model.preprocessing)}, the data is decoded to {_size(preprocessing)}: "
                "its vectors would mean something else. Embed your images with it (`hetero embed`) and give that file "
                "instead of the directory, or use its preprocessing"
            )
        return cls(path, model, model.space)

    def embed(self, images: ImageSet) -> Float32[np.ndarray, "n d"]:
        """Compute or look up its unit vectors of these images.

        Raises:
            InputError: When the file lacks an image.
        """
        if not isinstance(self.source, EmbeddingModel):
            return aligned(self.source, images)
        prepared = images.prepared_by(self.source.preprocessing)
        return embed_images(self.source, prepared.images, progress=f"embedding with {self.path.name}")

    def reference(self, dataset: Dataset, missing_classes: Literal["class_means", "skip"]) -> CloudReference:
        """Return its vectors and prototypes for training.

        Args:
            dataset: The training data.
            missing_classes: Replacement for classes that its head lacks; a row of zeros means that a class is left out.

        Raises:
            InputError: When vectors of training images are missing, or its head has none of the classes.
        """
        if not isinstance(self.source, EmbeddingModel):
            if missing_classes == "skip":
                raise InputError(
                    f"{self.path} holds embeddings and no head, so nothing is left when classes that the old head "
                    "lacks are skipped; set missing_classes = class_means, or give the old model's directory"
                )
            return CloudReference.from_file(self.path, dataset)
        reference = CloudReference.from_model(self.path, dataset)
        if missing_classes == "class_means":
            return reference
        prototypes, in_head = known_prototypes(self.path, dataset.train.classes, self.space.dimension)
        if not in_head.any():
            raise InputError(f"the head of {self.path} knows none of the data's classes; use class_means")
        return dataclasses.replace(reference, prototypes=prototypes)


def _size(preprocessing: Preprocessing) -> str:
    limits = preprocessing.grey_range
    grey = f", grey {list(limits)}" if limits else ""
    return f"{preprocessing.height}x{preprocessing.width} ({preprocessing.resize}, {preprocessing.filter}{grey})"
