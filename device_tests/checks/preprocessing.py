"""Rung 2: pixels from image files on the target, compared with those that the model was trained on.

The bundle's original files, and golden files of every kind, are decoded and resized on the target. Their pixels are
compared with the contract's, and a remaining difference is reported as the angle between the embeddings of both.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from device_tests.checks.finding import Figure, Finding, judged
from device_tests.checks.gates import Gates
from device_tests.checks.margins import angle, cosine_distance, gallery_vectors, margins
from device_tests.checks.subject import Subject
from export.bundle.goldens import Goldens
from hetero.preprocessing import Preprocessing

RUNG = "preprocessing"
# For float32 arithmetic on values around one.
_TENSOR_TOLERANCE = 1e-5
_NAMED = 4


def check(subject: Subject, gates: Gates) -> Finding:
    """Require that the contract gives the golden tensors and the target gives the contract's pixels.

    Not verified if the target received no files, or has nothing that decodes them.
    """
    problems = tensor_problems(subject.goldens, subject.preprocessing)
    if problems:
        return judged(RUNG, problems, {})
    returned = subject.returned
    if not (subject.originals or subject.golden_files):
        return Finding(RUNG, "not verified", "no image files were given to the target")
    if returned.pixels is None or returned.pixel_embeddings is None:
        return Finding(RUNG, "not verified", f"{returned.runtime}: nothing on the target decodes image files")
    rows = np.array(subject.originals, np.int64)
    expected = _expected(subject)
    if returned.pixels.shape != expected.shape:
        actual, required = list(returned.pixels.shape), list(expected.shape)
        return judged(RUNG, [f"expected pixels of shape {required}, got {actual}"], {"decoder": returned.decoder})
    difference = np.abs(returned.pixels.astype(np.int16) - expected.astype(np.int16))
    mean = difference.mean(axis=(1, 2, 3))
    problems = [*_unread(subject), *_off(subject, mean, gates)]
    figures: dict[str, Figure] = {
        "decoder": returned.decoder,
        "files": len(mean),
        "golden_files": len(subject.golden_files),
        "identical_files": int((difference.reshape(len(mean), -1).max(axis=1) == 0).sum()),
        "largest_mean_difference": float(mean.max()),
        "largest_difference": int(difference.max()),
        "largest_difference_in": _name(subject, int(mean.argmax())) if mean.any() else None,
        **_drift(subject, rows, returned.pixel_embeddings),
    }
    return judged(RUNG, problems, figures)


def tensor_problems(goldens: Goldens, preprocessing: Preprocessing) -> list[str]:
    """Describe faults of the golden tensors, given the golden images and the contract's mean and deviation."""
    mean, std = (np.array(values, np.float64)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    images = goldens.golden_images[: len(goldens.golden_tensors)]
    count, height, width, _ = images.shape
    side = preprocessing.shrink
    blocks = images.reshape(count, height // side, side, width // side, side, 3).mean(axis=(2, 4))
    scaled = blocks.transpose(0, 3, 1, 2) / 255
    off = float(np.abs((scaled - mean) / std - goldens.golden_tensors).max())
    if off <= _TENSOR_TOLERANCE * max(1.0, float(np.abs(goldens.golden_tensors).max())):
        return []
    return [
        f"the contract's mean and standard deviation do not give the golden tensors: off by up to {off:.3g}; "
        "either preprocess.json or goldens.safetensors is not this model's"
    ]


def _expected(subject: Subject) -> UInt8[np.ndarray, "o h w 3"]:
    images = subject.goldens.retrieval_images
    of_originals = images[np.array(subject.originals, np.int64)]
    of_golden_files = [file.pixels[None] for file in subject.golden_files]
    return np.concatenate([of_originals, *of_golden_files])


def _name(subject: Subject, place: int) -> str:
    """Name the file for people."""
    own = len(subject.originals)
    if place >= own:
        return subject.golden_files[place - own].kind
    return f"the original of row {subject.originals[place]}"


def _unread(subject: Subject) -> list[str]:
    errors = {place: error for place, error in enumerate(subject.returned.decode_errors) if error}
    return [f"{_name(subject, place)}: cannot be decoded: {error}" for place, error in errors.items()]


def _off(subject: Subject, mean: Float64[np.ndarray, " o"], gates: Gates) -> list[str]:
    over = np.flatnonzero(mean > gates.pixels).tolist()
    if not over:
        return []
    names = ", ".join(_name(subject, place) for place in over[:_NAMED]) + (", ..." if len(over) > _NAMED else "")
    return [
        f"{len(over)} of {len(mean)} files give other pixels than the contract ({names}): up to {mean.max():.3g} grey "
        f"levels on average over an image; allowed is {gates.pixels:g}"
    ]


def _drift(subject: Subject, rows: np.ndarray, own: Float32[np.ndarray, "o d"]) -> dict[str, Figure]:
    """Return how far the target's own pixels turn an embedding from that of the contract's pixels."""
    goldens = subject.goldens
    same = subject.queries[np.searchsorted(goldens.query_rows, rows)]
    sound = [np.isfinite(vectors).all() and np.linalg.norm(vectors, axis=1).all() for vectors in (own, same)]
    if not len(rows) or not all(sound):
        return {}
    turned: Float64[np.ndarray, " o"] = angle(cosine_distance(own, same))
    margin = margins(goldens.retrieval_student[rows], gallery_vectors(goldens))
    return {
        "largest_angle_degrees": float(np.degrees(turned.max())),
        "median_angle_degrees": float(np.degrees(np.median(turned))),
        "neighbours_at_risk": int((turned[margin > 0] >= margin[margin > 0] / 2).sum()),
    }
