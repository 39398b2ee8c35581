"""Whether golden images tell models apart, by hand on a circle."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from export.conversion.assemble import told_apart
from export.conversion.telling import mistaken, nearest_other, room, tells, why_not
from export.conversion.worker import Result, require_parity
from export.errors import ExportError
from export.kinds.interface import TensorEntry


def circle(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_the_nearest_other_by_hand() -> None:
    distance = nearest_other(circle(0, 10, 30, 90))
    assert distance == pytest.approx([1 - math.cos(math.radians(one)) for one in (10, 10, 20, 60)], rel=1e-4)
    assert room(circle(0, 10, 30, 90)) == pytest.approx(np.median(distance))
    # Far below what a float32 dot product resolves.
    assert nearest_other(circle(0, 0.01))[0] == pytest.approx(1.52e-8, rel=1e-2)


def test_half_of_them_must_be_further_apart_than_two_drifts() -> None:
    allowed = math.degrees(math.acos(1 - 1e-6))
    assert tells(room(circle(0, 2.1 * allowed, 50)))
    assert not tells(room(circle(0, 1.9 * allowed, 50)))
    assert not tells(room(np.ones((4, 2), np.float32)))
    assert not tells(room(circle(40)))  # one image tells nothing
    assert tells(room(circle(0, 60, 120)), allowed=1 - math.cos(math.radians(25)))
    assert not tells(room(circle(0, 40, 80)), allowed=1 - math.cos(math.radians(25)))
    assert "within 0 degrees" in why_not(0.0)


def test_images_that_are_taken_for_others() -> None:
    torch = circle(0, 30, 60, 60)
    assert mistaken(circle(0, 31, 60, 60), torch).tolist() == [False, False]  # the two of 60 degrees are left out
    assert mistaken(circle(29, 30, 60, 60), torch).tolist() == [True, False]


def test_a_file_that_gives_one_vector_for_all_is_refused_however_near_it_is() -> None:
    """A cosine of 0.5 with every image is enough for int8; the middle of all of them has more."""
    torch = circle(-40, 0, 40)
    assert require_parity("sound", circle(-39, 2, 41), torch, least=0.5, length_error=1e-3)[0] > 0.99
    with pytest.raises(ExportError, match="of 3 golden images 2 are nearer"):
        require_parity("flat", circle(1, 0, -1), torch, least=0.5, length_error=1e-3)


def test_what_no_golden_image_can_tell_is_not_verified() -> None:
    entry = TensorEntry("image", "uint8", (1, 6, 5, 3))
    made = Result(entry, entry, {}, 1.0, 1.0, 0.1, None, None)
    assert told_apart(made)
    assert not told_apart(dataclasses.replace(made, golden_room=1e-7))
    assert told_apart(dataclasses.replace(made, golden_room=None))
