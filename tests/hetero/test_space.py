import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetero.errors import InputError, IntegrityError, SpaceMismatchError
from hetero.space import EmbeddingSpace, MeasuredCompatibility

SPACE = EmbeddingSpace.define(
    defined_by="weights",
    name="cloud",
    version="2",
    dimension=4,
    compatible_with=(MeasuredCompatibility(space_id="a", metric="cmc@1", cross=0.6, earlier=0.5),),
)


def test_a_space_survives_the_disk(tmp_path):
    SPACE.save(tmp_path / "space.json")
    assert EmbeddingSpace.load(tmp_path / "space.json") == SPACE


@given(st.text(), st.integers(1, 4096))
def test_the_id_follows_from_what_defines_the_space_and_nothing_else(defined_by, dimension):
    one = EmbeddingSpace.define(defined_by=defined_by, name="a", version="1", dimension=dimension)
    other = EmbeddingSpace.define(defined_by=defined_by, name="b", version="2", dimension=dimension)
    wider = EmbeddingSpace.define(defined_by=defined_by, name="a", version="1", dimension=dimension + 1)
    assert one.space_id == other.space_id != wider.space_id


def test_mixing_two_spaces_names_both():
    other = EmbeddingSpace.define(defined_by="other", name="edge", version="9", dimension=4)
    with pytest.raises(SpaceMismatchError) as caught:
        SPACE.require_same(other, this="the gallery", that="the bundle")
    assert SPACE.space_id in str(caught.value) and other.space_id in str(caught.value)


def test_every_problem_is_told_at_once():
    with pytest.raises(IntegrityError) as caught:
        EmbeddingSpace.from_dict({"space_id": 3, "dimension": "x", "colour": "red"}, what="space.json")
    for part in ("space_id", "name: missing", "version: missing", "dimension", "colour: unknown key"):
        assert part in str(caught.value)


def test_a_missing_or_broken_file_is_one_clear_error(tmp_path):
    with pytest.raises(InputError, match="found no file"):
        EmbeddingSpace.load(tmp_path / "space.json")
    (tmp_path / "space.json").write_text("{")
    with pytest.raises(IntegrityError, match="not JSON"):
        EmbeddingSpace.load(tmp_path / "space.json")


def test_a_space_may_search_itself_and_what_it_was_measured_with():
    own, measured, other = (EmbeddingSpace("own", "b", "1", 4), EmbeddingSpace("a", "b", "1", 4), SPACE)
    assert SPACE.may_search(SPACE) and SPACE.may_search(measured)
    assert not SPACE.may_search(own) and not measured.may_search(other)
