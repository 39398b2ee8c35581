"""Files from anywhere: bounded in depth, size and numbers before anything is made of them."""

import json

import pytest

from hetero.errors import InputError, IntegrityError
from hetero.files import read_json
from hetero.foreign import DEEPEST, LARGEST_INTEGER, strict_json
from hetero.pipeline.draft import load_recipe
from hetero.schema import LARGEST_TOML
from hetero.space import EmbeddingSpace

REFUSED = {
    "a number without end": (b'{"a": 1%s}' % (b"0" * 400), "a whole number lies beyond"),
    "one too many": (b"[%d]" % (LARGEST_INTEGER + 1), "a whole number lies beyond"),
    "more digits than Python reads": (b"[1%s]" % (b"0" * 5000), "digits"),
    "overflow": (b'{"a": [1e999]}', "1e999 is too large"),
    "depth": (b'{"a": ' * DEEPEST + b"[1]" + b"}" * DEEPEST, f"nested more than {DEEPEST} deep"),
    "no end of depth": (b"[" * 100_000 + b"]" * 100_000, "recursion|deep"),
    "twice": (b'{"a": 1, "a": 2}', "a key appears twice"),
    "half a character": (b'["\\ud800"]', "surrogates"),
    "other bytes": (b'["\xff"]', "codec"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_json_that_no_other_program_would_hold_is_refused(tmp_path, case):
    data, message = REFUSED[case]
    path = tmp_path / "file.json"
    path.write_bytes(data)
    for read in (lambda: strict_json(data, what="this"), lambda: read_json(path)):
        with pytest.raises(IntegrityError, match=message) as caught:
            read()
        assert isinstance(caught.value, ValueError) and len(str(caught.value)) < 500


def test_all_that_the_bounds_allow_is_read():
    data = b'{"a": ' * (DEEPEST - 1) + b"[%d, -1.5e300]" % LARGEST_INTEGER + b"}" * (DEEPEST - 1)
    assert strict_json(data, what="this") == json.loads(data)


def test_only_figures_of_our_own_may_be_nan(tmp_path):
    (tmp_path / "a.json").write_text("[NaN]")
    assert read_json(tmp_path / "a.json") != [0]
    with pytest.raises(IntegrityError, match="NaN is not a JSON number"):
        strict_json(b"[NaN]", what="this")


RECIPE = 'name = "a"\n[data]\nkind = "folder"\npath = "p"\n[preprocessing]\nheight = 16\nwidth = 16\n'


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("x = " + "[" * 20_000 + "]" * 20_000, "recursion|deep"),
        ("x = " + "[" * 100 + "]" * 100, f"nested more than {DEEPEST} deep"),
        (f"x = {10**400}", "a whole number lies beyond"),
        ("#" * LARGEST_TOML, "more than the limit"),
    ],
    ids=["20,000 deep", "100 deep", "endless", "large"],
)
def test_a_recipe_without_bounds_is_refused(tmp_path, more, message):
    (tmp_path / "r.toml").write_text(RECIPE + '[[students]]\nname = "e"\n' + more + "\n")
    with pytest.raises(InputError, match=message):
        load_recipe(tmp_path / "r.toml")


def test_a_space_of_endless_dimension_is_refused(tmp_path):
    value = EmbeddingSpace.define(defined_by="0" * 64, name="a", version="1", dimension=4).to_dict()
    (tmp_path / "space.json").write_text(json.dumps(value | {"dimension": 10**400}))
    with pytest.raises(IntegrityError, match="a whole number lies beyond"):
        EmbeddingSpace.load(tmp_path / "space.json")
