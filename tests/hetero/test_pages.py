from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from jinja2 import UndefinedError
from PIL import Image

from hetero.display.pages import data_uri, templates


def test_a_picture_is_what_it_was():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    head, _, data = data_uri(pixels).partition(",")
    assert head == "data:image/png;base64"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), pixels)


def test_a_template_escapes_what_it_shows_and_misses_nothing_silently():
    made = templates("hetero.linear").from_string("{{ one }}")
    assert made.render(one="<b>\x1b\u202e") == "&lt;b&gt;\\x1b\\u202e"
    with pytest.raises(UndefinedError):
        made.render()
