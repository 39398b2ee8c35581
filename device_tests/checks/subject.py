"""The subject of the checks: one exported model of a bundle, and a target's answer for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from device_tests.answers.golden_files import GoldenFile
from device_tests.targets.target import Returned
from export.bundle.goldens import Goldens
from export.bundle.manifest import GalleryEntry, TextsEntry
from export.kinds.interface import TensorEntry
from hetero.preprocessing import Preprocessing


@dataclass(frozen=True)
class Subject:
    """One model on one target.

    Attributes:
        precision: Precision, for instance ``fp32``.
        file_bytes: Size of the model's file.
        macs: Multiply-accumulates of one image.
        parameters: Number of weights.
        unit_norm: True if the space's vectors have length one.
        goldens: The bundle's goldens.
        returned: The target's answer for the golden images, then the images of :attr:`Goldens.query_rows`.
        preprocessing: The preprocessing contract.
        space_id: The bundle's embedding space.
        space_in_file: The space that the model's file names; empty when it names none.
        originals: Rows of the retrieval images whose files the target decoded itself.
        golden_files: Files of every kind, which the target decoded after these.
        tensors: The input and the output, as the manifest declares them; empty when that does not matter.
        texts: The golden texts, as the manifest declares them; None without any.
        gallery: The gallery that the bundle carries; None without one.
    """

    precision: str
    file_bytes: int
    macs: int
    parameters: int
    unit_norm: bool
    goldens: Goldens
    returned: Returned
    preprocessing: Preprocessing
    space_id: str = ""
    space_in_file: str = ""
    originals: tuple[int, ...] = ()
    golden_files: tuple[GoldenFile, ...] = ()
    tensors: tuple[TensorEntry, ...] = ()
    texts: TextsEntry | None = None
    gallery: GalleryEntry | None = None

    @property
    def embeddings(self) -> Float32[np.ndarray, "k d"]:
        """All returned embeddings.

        Raises:
            ValueError: If there are none: use it only after the rung ``loads`` passed.
        """
        if self.returned.embeddings is None:
            raise ValueError("the target returned no embeddings")
        return self.returned.embeddings

    @property
    def golden(self) -> Float32[np.ndarray, "n d"]:
        """Embeddings of the golden images."""
        return self.embeddings[: len(self.goldens.golden_images)]

    @property
    def queries(self) -> Float32[np.ndarray, "q d"]:
        """Embeddings of the retrieval images that are queries, in the order of ``query_rows``."""
        return self.embeddings[len(self.goldens.golden_images) :]
