"""The benchmarks of linear adaptation: what they draw, pair, take out and print, on a few made-up answers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import linear_cost, linear_flips, linear_paper, linear_paper_photos, linear_setting, linear_table
from benchmarks.linear_adaptation import decisions
from hetero import Dataset, ImageSet
from hetero.linear import AdaptConfig, Linearised, Problem, kronecker
from hetero.linear.deletion.deletion import _without
from hetero.metrics import TaskResult
from tests.hetero.linear.nets import embedding_model, images, net, targets

DESIGNS = ("line", "noto", "openmoji")


def pictures(names: list[str], designs: tuple[str, ...] = DESIGNS) -> ImageSet:
    """An image of each class in each design."""
    drawn = np.random.default_rng(len(names)).integers(0, 256, (len(names) * len(designs), 16, 16, 3), np.uint8)
    return ImageSet(
        images=drawn,
        labels=np.repeat(np.arange(len(names)), len(designs)),
        classes=tuple(names),
        views=np.tile(np.arange(len(designs)), len(names)),
        view_names=designs,
        names=tuple(f"{name}/{design}" for name in names for design in designs),
        fingerprint="",
    )


def test_the_new_domain_and_the_anchors_are_of_different_training_classes():
    sets = [pictures([f"{split}{number}" for number in range(6)]) for split in ("train", "validation", "test")]
    emoji, model = Dataset("emoji", *sets, (), (), ""), embedding_model()
    found = linear_setting.Setting.of(model, emoji, None, 2, 0, AdaptConfig(part="neck"))  # type: ignore[arg-type]
    new, old = found.new.train.names, found.old.train.names
    assert [len(new), len(old)] == [2, 2] and all(name.endswith("/line") for name in new)
    assert all(name.endswith("/openmoji") for name in old)
    assert not {name.split("/")[0] for name in new} & {name.split("/")[0] for name in old}
    assert found.new.test.names == tuple(f"test{number}/line" for number in range(6))
    # What the lower layers make of an image is computed once.
    assert found.parts.inputs(found.new.test.images) is found.seen["new test"]


def test_harsh_shifts_move_every_pixel_of_all_images_alike():
    drawn = pictures(["a", "b"]).images[:]
    assert np.array_equal(linear_setting.turned(linear_setting.turned(drawn)), drawn)
    assert np.array_equal(linear_setting.turned(drawn)[:, 0, 0], 255 - drawn[:, -1, -1])
    moved = linear_setting.scrambled(drawn)
    assert not np.array_equal(moved, drawn)
    assert all(
        np.array_equal(np.sort(one, axis=None), np.sort(other, axis=None))
        for one, other in zip(moved, drawn, strict=True)
    )
    assert np.array_equal(linear_setting.scrambled(drawn[1:]), moved[1:])


def answered(new: str, old: str, moved: float = 0.1) -> dict:
    ways = {"network": {"new": new, "old": old}, "linear": {"new": new, "old": old}}
    return {**ways, "moved": moved, "ridge": 0.01, "refusals": []}


FOUND = {
    f"line/{seed}/0": {
        "before": {"new": "1000", "old": "1110"},
        "linear, anchors": answered("1100", "1100"),
        "fine-tuning, anchors": answered("1110", "1000"),
    }
    for seed in range(2)
} | {
    "turned/0/0": {"before": {"new": "0000", "old": "1111"}, "linear": answered("0000", "0011") | {"refusals": ["no"]}}
}


def test_the_table_pairs_each_query_with_itself():
    lines = linear_table.table(FOUND).splitlines()
    row = next(line for line in lines if line.startswith("| linear, anchors (2)"))
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert cells[1] == "0.250 → 0.500" and cells[2].startswith("+0.250 [") and cells[3].startswith("0.250 [")
    assert cells[4] == "0.750 → 0.500" and cells[5] == "0.500" and cells[6].startswith("+0.000") and cells[7] == "0.100"
    pair = next(line for line in lines if "less fine-tuning" in line)
    assert pair.startswith("linear, anchors less fine-tuning, anchors (2 settings): NFR -0.250 [")
    assert ", cmc@1 -0.250 [" in pair
    assert "line/0/0 linear, anchors: ridge 0.01, 0.250 → 0.500, NFR 0.250: kept" in lines
    assert "turned/0/0 linear: ridge 0.01, 0.000 → 0.000, NFR 0.500: no" in lines
    # Answers to one query stay together, in whatever setting.
    settings = {name: here for name, here in FOUND.items() if name.startswith("line")}
    assert linear_table.queries_of(settings).tolist() == [0, 1, 2, 3, 0, 1, 2, 3]


def test_decisions_are_written_one_letter_a_query():
    result = TaskResult(("t",), ({"cmc@1": np.array([1.0, 0.0, 1.0])},), (np.arange(3),))
    assert decisions(result) == "101"


def test_images_that_are_left_keep_their_weight():
    problem = Problem(Linearised(net(), dtype=torch.float64), images(5), targets(5), 0.1)
    found, expected = linear_flips.without(problem, [3, 0]), _without(problem, [3, 0])
    assert found.ridge == pytest.approx(0.1 * 5 / 3) == expected.ridge
    assert torch.equal(found.inputs, problem.inputs[[1, 2, 4]]) and torch.equal(found.targets, expected.targets)


def flipped(rows: list[int], together: list[bool], some: list[int], alone: list[bool]) -> dict:
    random = [1.0] * len(rows)
    ways = {"network": None, "linear": None}
    return {
        "rows": rows,
        "leverage": 0.2,
        "random": dict.fromkeys(ways, random),
        "together": dict.fromkeys(ways, together),
        "some": some,
        "alone": dict.fromkeys(ways, alone),
    }


def test_a_flip_is_compared_with_itself_without_random_images():
    found = {
        "a": flipped([3, 5], [True, False], [1], [True]),
        "b": flipped([5, 7], [False, False], [0, 1], [False] * 2),
    }
    found["a"]["random"]["network"] = [1.0, 0.5]
    kept, random, clusters = linear_flips._flips(found, "network", "alone", "some", "queries")
    assert (kept.tolist(), random.tolist(), clusters.tolist()) == ([1, 0, 0], [0.5, 1, 1], [5, 5, 7])
    *_, clusters = linear_flips._flips(found, "network", "together", None, "settings")
    assert clusters.tolist() == [0, 0, 1, 1]
    lines = linear_flips.table(found).splitlines()
    assert (
        lines[2].startswith("| together, network | 4 | 0.250 [")
        and "a: 2 flips, leverage 0.20, 0.50 remain" in lines[6]
    )


def test_a_class_is_learnt_chosen_and_tested_by_different_copies():
    blocks = [pictures(["a", "b", "c", "d"], ("noto",)) for _ in range(linear_paper.COPIES + 1)]
    whole = np.concatenate([block.images[:] for block in blocks])
    copies = ImageSet(
        whole, np.tile(np.arange(4), 9), blocks[0].classes, np.zeros(36, np.int64), ("noto",),
        tuple(map(str, range(36))), "",
    )  # fmt: skip
    task = linear_paper.task_of(embedding_model(), copies, 2, 1, seed=0)
    assert [len(one.labels) for one in (task.train, task.validation, task.test)] == [4, 4, 4]
    assert sorted(task.test.labels.tolist()) == [0, 0, 1, 1] and task.problem.targets.max() == linear_paper.SCALE


def test_accuracies_are_averaged_over_draws_of_classes():
    found = {
        f"0.01/few/{seed}": {method: {"accuracy": 0.5 + 0.2 * seed} for method in linear_paper.METHODS}
        for seed in (0, 1)
    }
    lines = linear_paper.table(found).splitlines()
    assert lines[0] == "| method | few, slope 0.01 |" and lines[2] == "| linear probe | 0.600 ± 0.141 |"


def test_the_last_stage_in_plain_layers_is_the_published_one():
    published = linear_paper_photos.backbone(linear_paper_photos.NETWORK).eval()
    photos = pictures(["a", "b", "c"], ("photo",))
    large = dataclasses.replace(photos, images=photos.images[:].repeat(2, axis=1).repeat(2, axis=2))
    rows = linear_paper_photos.few(large, 1, seed=0)
    seen = linear_paper_photos.below(published, large, rows)
    pixels = torch.from_numpy(large.images[rows]).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (published.mean, published.std))
    with torch.no_grad():
        expected = published((pixels - mean) / std)
        found = linear_paper_photos.LastStage(published.network, 0.0).eval()(seen)
        leaky = linear_paper_photos.LastStage(published.network, 0.2).eval()(seen)
    assert rows.tolist() == [0, 1, 2] and torch.allclose(found, expected, atol=1e-5)
    assert leaky.min() < 0 <= found.min()


def test_seconds_are_told_by_part():
    problem = Problem(Linearised(nn.Linear(3, 2, bias=False)), torch.ones(4, 3), torch.ones(4, 2), 0.1)
    seconds, result = linear_cost.timed(lambda: kronecker(problem)(0.1)(torch.ones(6)))
    assert result.shape == (6,) and set(seconds) == {"cpu", "wall", "factors"}
    assert seconds["factors"] <= seconds["cpu"]
