"""Weight sharing: a point alone computes what it computes inside the supernet, and touches nothing else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from hetero.errors import InputError
from hetero.nas.space.architecture import Architecture
from hetero.nas.space.file import built_in_space
from hetero.nas.space.space import SearchSpace
from hetero.nas.space.stage_space import StageSpace
from hetero.nas.supernet.shared_weights import Frame, part, parts, shared_tensors
from hetero.nas.supernet.supernet import Supernet
from hetero.own_code import VARIABLE
from hetero.preprocessing import Preprocessing
from tests.hetero.nas.tiny import FRAME, SHAPE, SPACE, OwnBlock

UINT8 = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8))
PIXELS = UINT8.permute(0, 3, 1, 2).float() / 255.0


@pytest.fixture(scope="module")
def trained() -> Supernet:
    """A supernet after some steps along random paths."""
    torch.manual_seed(0)
    supernet = Supernet(FRAME).train()
    optimizer = torch.optim.SGD(supernet.parameters(), lr=0.1)
    rng = np.random.default_rng(0)
    for _ in range(4):
        supernet.path = SPACE.sample(rng)
        supernet.embed(PIXELS)[:, 0].sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return supernet.eval()


def point(**values) -> Architecture:
    """The smallest point with other values: ``s1_kernel`` for ``1.0.kernel``."""
    named = {key.replace("s1_", "1.0.").replace("s0_", "0."): value for key, value in values.items()}
    return SPACE.build(SPACE.values(SPACE.smallest) | named)


def test_a_part_is_the_leading_channels_and_the_middle_of_the_kernel():
    shared = torch.arange(2 * 3 * 5 * 5).view(2, 3, 5, 5)
    assert torch.equal(part(shared, (1, 2, 3, 3)), shared[:1, :2, 1:4, 1:4])
    assert part(shared, (1, 2, 3, 3)).data_ptr() == shared[0, 0, 1, 1].data_ptr()
    assert part(torch.tensor(3.0), ()).item() == 3.0


@pytest.mark.parametrize("seed", range(8))
def test_a_candidate_computes_what_its_path_computes(trained, seed):
    trained.path = SPACE.sample(np.random.default_rng(100 + seed))
    with torch.no_grad():
        assert torch.equal(trained.embed(PIXELS), trained.candidate(trained.path)(UINT8))


def test_a_candidates_weights_are_a_copy(trained):
    alone = trained.candidate(SPACE.largest)
    before = {key: tensor.clone() for key, tensor in trained.shared.items()}
    with torch.no_grad():
        for parameter in alone.parameters():
            parameter.zero_()
    assert all(torch.equal(tensor, before[key]) for key, tensor in trained.shared.items())


def test_gradients_and_statistics_reach_the_parts_of_the_path_and_no_others():
    torch.manual_seed(0)
    supernet = Supernet(FRAME).train()
    before = {key: tensor.detach().clone() for key, tensor in supernet.shared.items()}
    supernet.path = point(s1_kernel=3)
    supernet.embed(PIXELS)[:, 0].sum().backward()
    used = {key: torch.zeros_like(tensor, dtype=torch.bool) for key, tensor in before.items()}
    for view in parts(FRAME.network(supernet.path), supernet.path, used).values():
        view.fill_(True)
    moved = 0
    for key, tensor in supernet.shared.items():
        changed = tensor.grad != 0 if tensor.requires_grad and tensor.grad is not None else tensor != before[key]
        assert not changed[~used[key]].any(), key
        moved += bool(changed.any())
    assert moved > 10


def test_all_choices_share_but_the_kind():
    def keys(architecture):
        marked = {key: torch.full_like(tensor, i) for i, (key, tensor) in enumerate(shared.items())}
        return {int(view.flatten()[0]) for view in parts(FRAME.network(architecture), architecture, marked).values()}

    shared = {key: torch.zeros(tensor.shape) for key, tensor in shared_tensors(FRAME).items()}
    plain = keys(point())
    assert keys(point(s1_kernel=7)) == keys(point(s0_channels=16)) == keys(point(s0_activation="hardswish")) == plain
    assert keys(point(s1_squeeze_excite=True)) > plain and keys(point(s1_expansion=2.0)) > plain
    assert not keys(point(kind="shuffle")) & plain


def test_a_users_own_block_is_searched_like_any(trained, monkeypatch):
    monkeypatch.setenv(VARIABLE, "1")
    kind = f"{OwnBlock.__module__}:OwnBlock"
    space = SearchSpace(
        stages=(StageSpace(channels=(8, 16), depth=(1, 2), stride=2, kernel=(3, 5)),), kind=(kind, "shuffle")
    )
    supernet = Supernet(Frame(space, 4, SHAPE)).eval()
    for architecture in list(space)[::5]:
        supernet.path = architecture
        with torch.no_grad():
            assert torch.equal(supernet.embed(PIXELS), supernet.candidate(architecture)(UINT8))


def test_blocks_that_cannot_share_are_refused(monkeypatch):
    monkeypatch.setenv(VARIABLE, "1")
    kind = f"{OwnBlock.__module__}:CrossedBlock"
    space = SearchSpace(stages=(StageSpace(channels=(8,), kernel=(3, 5)),), kind=(kind,))
    with pytest.raises(InputError, match="CrossedBlock' of stage 0 cannot share weights: no choice has odd"):
        Supernet(Frame(space, 4, SHAPE))


def test_the_same_seed_gives_the_same_supernet():
    made: list[dict[str, torch.Tensor]] = []
    for _ in range(2):
        torch.manual_seed(5)
        made.append(shared_tensors(FRAME))
    assert made[0].keys() == made[1].keys()
    assert all(torch.equal(tensor, made[1][key]) for key, tensor in made[0].items())


def test_pooling_with_weights_of_its_own_is_shared_too():
    space = dataclasses.replace(SPACE, pool="gem")
    supernet = Supernet(Frame(space, 8, SHAPE)).eval()
    assert "shuffle/pool/power" in supernet.shared
    with torch.no_grad():
        assert torch.equal(supernet.embed(PIXELS), supernet.candidate(supernet.path)(UINT8))


@pytest.mark.slow
def test_every_point_of_the_demo_space_finds_its_weights_whatever_its_kind():
    space = dataclasses.replace(built_in_space("demo"), kind=("inverted_residual", "shuffle"))
    frame = Frame(space, 16, Preprocessing(height=32, width=32))
    shared = {key: tensor.detach() for key, tensor in shared_tensors(frame).items()}
    rng = np.random.default_rng(0)
    for architecture in [space.smallest, space.largest, *(space.sample(rng) for _ in range(50))]:
        network = frame.network(architecture)
        network.load_state_dict(parts(network, architecture, shared))
