"""The search space: what is drawn stays inside, and a point says what its network is."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetero.errors import InputError, IntegrityError
from hetero.models.config import Stage
from hetero.nas.space.architecture import Architecture, Block, ChosenStage
from hetero.nas.space.file import built_in_space, load_space, parse_space
from hetero.nas.space.space import SearchSpace
from hetero.nas.space.stage_space import StageSpace
from hetero.schema import parse

SMALL = SearchSpace(
    stages=(
        StageSpace(channels=(8,), stride=2, activation=("relu", "hardswish")),
        StageSpace(channels=(16, 24), depth=(1, 2), squeeze_excite=(False, True), kernel=(3, 5)),
    ),
    kind=("inverted_residual", "shuffle"),
)


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    def some(options: list) -> tuple:
        return tuple(draw(st.lists(st.sampled_from(options), min_size=1, max_size=3, unique=True)))

    stages = [
        StageSpace(
            channels=some([8, 16, 24]),
            depth=some([1, 2, 4]),
            stride=draw(st.sampled_from([1, 2])),
            kernel=some([3, 5, 7]),
            expansion=some([1.0, 2.0]),
            squeeze_excite=some([False, True]),
            activation=some(["relu", "gelu"]),
        )
        for _ in range(draw(st.integers(1, 3)))
    ]
    return SearchSpace(stages=tuple(stages), kind=some(["inverted_residual", "shuffle"]))


@settings(max_examples=40)
@given(spaces(), st.integers(0, 2**32), st.floats(0, 1))
def test_whatever_is_drawn_is_a_point_of_the_space(space: SearchSpace, seed: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    one, other = space.sample(rng), space.sample(rng)
    for point in (one, other, space.mutate(one, rng, rate), space.crossover(one, other, rng), space.largest):
        assert point in space
        assert space.build(space.values(point)) == point
        assert Architecture.from_dict(json.loads(json.dumps(point.to_dict()))) == point
        assert space.config(point).family == "edge"


@settings(max_examples=40)
@given(spaces(), st.integers(0, 2**32))
def test_a_neighbour_differs_in_one_choice(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    one = space.sample(rng)
    if space.size == 1:
        return
    try:
        near = space.neighbour(one, rng)
    except InputError:
        return  # the only free choices belong to blocks that this point does not have
    own, its = space.values(one), space.values(near)
    assert near in space
    assert sum(own[gene] != its[gene] for gene in own.keys() & its.keys()) == 1


@settings(max_examples=40)
@given(spaces(), st.integers(0, 2**32))
def test_a_child_takes_every_choice_from_a_parent(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = space.sample(rng), space.sample(rng)
    parents = [space.values(one), space.values(other)]
    for gene, value in space.values(space.crossover(one, other, rng)).items():
        assert value in [parent[gene] for parent in parents if gene in parent]


def test_mutation_with_rate_0_changes_nothing_and_with_rate_1_draws_anew() -> None:
    one = SMALL.smallest
    assert SMALL.mutate(one, np.random.default_rng(0), 0.0) == one
    drawn = {SMALL.mutate(one, np.random.default_rng(seed), 1.0) for seed in range(600)}
    assert drawn <= set(SMALL)
    assert len(drawn) > 0.8 * SMALL.size


def test_the_size_is_the_number_of_points() -> None:
    # Two kinds; two activations; two widths times (4 single blocks + 16 pairs).
    assert SMALL.size == 2 * 2 * 2 * (4 + 16) == len(list(SMALL)) == len(set(SMALL))
    assert all(point in SMALL for point in SMALL)


def test_the_same_seed_draws_the_same_points() -> None:
    space = built_in_space("demo")
    draws = [[space.sample(rng) for _ in range(5)] for rng in (np.random.default_rng(3), np.random.default_rng(3))]
    assert draws[0] == draws[1]
    assert len({point.digest for point in draws[0]}) == 5


def test_every_depth_is_equally_likely() -> None:
    rng = np.random.default_rng(0)
    depths = [len(SMALL.sample(rng).stages[1].blocks) for _ in range(400)]
    assert 160 < depths.count(1) < 240


def test_equal_blocks_become_one_run_and_only_the_first_has_the_stride() -> None:
    block, wide = Block(3, 2.0, False), Block(5, 2.0, False)
    space = SearchSpace(
        stages=(StageSpace(channels=(16,), depth=(4,), stride=2, kernel=(3, 5), expansion=(2.0,)),),
        kind=("shuffle",),
        stem_channels=8,
    )
    chosen = ChosenStage(16, "hardswish", (block, block, wide, block))
    config = space.config(Architecture("shuffle", (chosen,)), dimension=32)
    plain = Stage(channels=16, depth=1, stride=1, kernel=3, expansion=2.0, block="shuffle")
    assert config.stages == (
        dataclasses.replace(plain, depth=2, stride=2),
        dataclasses.replace(plain, kernel=5),
        plain,
    )
    assert (config.dimension, config.stem_channels) == (32, 8)


def test_what_is_no_point_is_refused_with_every_reason() -> None:
    values = SMALL.values(SMALL.smallest) | {"0.channels": 24, "1.0.kernel": 7}
    with pytest.raises(InputError, match=r"0.channels: expected one of \[8\], got 24\n.*1.0.kernel: .* got 7"):
        SMALL.build(values)
    kind = SMALL.smallest.kind
    other = Architecture(kind, SMALL.smallest.stages[:1])
    assert other not in SMALL
    with pytest.raises(InputError, match=r"1\.depth: .* got 'nothing'"):
        SMALL.config(other)
    assert Architecture(kind, SMALL.smallest.stages * 2) not in SMALL
    assert dataclasses.replace(SMALL.smallest, kind="fused") not in SMALL
    with pytest.raises(InputError, match="one point only"):
        SearchSpace(stages=(StageSpace(channels=(8,)),)).neighbour(
            Architecture("inverted_residual", (ChosenStage(8, "hardswish", (Block(3, 3.0, False),)),)),
            np.random.default_rng(0),
        )


def test_a_damaged_architecture_is_refused() -> None:
    value = SMALL.smallest.to_dict()
    value["stages"][0]["channels"] = "many"
    with pytest.raises(IntegrityError, match=r"stages\.0\.channels"):
        Architecture.from_dict(value)


def test_mistakes_in_a_file_are_reported_at_once(tmp_path) -> None:
    path = tmp_path / "space.toml"
    path.write_text(
        'kind = ["shuffel"]\nstem_channels = 12\n[[stages]]\nchannels = [8, 8, 20]\nkernel = [4]\nexpansion = []\n'
        "depth = [0]\n"
    )
    with pytest.raises(InputError) as caught:
        load_space(path)
    text = str(caught.value)
    for part in ("stem_channels", "comes twice", "got 20", "kernel: expected odd", "at least one option", "shuffel"):
        assert part in text
    assert "stages.0.depth: expected 1 or more, got 0" in text
    with pytest.raises(InputError, match="at least one"):
        parse_space({"stages": []}, what="it")
    with pytest.raises(InputError, match="unknown search space 'nothing'"):
        built_in_space("nothing")


def test_a_space_is_parsed_from_its_own_description() -> None:
    assert parse(SearchSpace, dataclasses.asdict(SMALL), what="it") == SMALL


def test_the_space_needs_no_torch() -> None:
    code = "import sys, hetero.nas.space.file as f; f.built_in_space('demo'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
