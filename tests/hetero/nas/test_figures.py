"""The pictures of a search, and the figures they print."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import stats

from hetero.nas.figures.architecture import draw_architectures
from hetero.nas.figures.correlation import correlation_figure, kendall
from hetero.nas.figures.front import Trained, pareto_front, trained_figure
from hetero.nas.space.file import built_in_space

SPACE = built_in_space("demo")


@pytest.mark.parametrize("seed", range(4))
def test_kendalls_tau_is_scipys(seed):
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, 6, 20).astype(float).tolist(), rng.random(20).round(1).tolist()
    assert kendall(one, other) == pytest.approx(stats.kendalltau(one, other).statistic)


def test_kendalls_tau_by_hand():
    assert kendall([1.0, 2.0, 3.0], [1.0, 3.0, 2.0]) == pytest.approx(1 / 3)
    assert np.isnan(kendall([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]))


def test_the_front_is_what_nothing_beats_in_both():
    assert pareto_front([(3.0, 0.5), (1.0, 0.2), (2.0, 0.6), (2.0, 0.1), (1.0, 0.3)]) == [(1.0, 0.3), (2.0, 0.6)]


def test_pictures_show_every_name_and_are_the_same_each_time():
    points = [Trained("cloud", "cloud", 0.0, 0.9), Trained("watch", "searched", 1e6, 0.7, 0.6, 0.8)]
    points.append(Trained("by-hand", "hand-made", 1e6, 0.65))
    drawing = trained_figure(points, "map@r").decode()
    assert all(name in drawing for name in ("cloud 0.900", "watch 0.700", "by-hand 0.650", "hand-made"))
    assert trained_figure(points, "map@r").decode() == drawing


def test_an_architecture_is_drawn_block_by_block():
    drawing = draw_architectures([("small", SPACE.smallest), ("large", SPACE.largest)]).decode()
    blocks = sum(len(stage.blocks) for one in (SPACE.smallest, SPACE.largest) for stage in one.stages)
    assert drawing.count("x1<") + drawing.count("x3<") >= blocks
    assert "small" in drawing and "large" in drawing


def test_a_panel_a_reward_with_its_correlation():
    drawing = correlation_figure({"r1": [1.0, 2.0, 3.0], "r2": [3.0, 2.0, 1.0]}, [0.1, 0.2, 0.3]).decode()
    assert "r1: Kendall's tau 1.00" in drawing and "r2: Kendall's tau -1.00" in drawing


def test_names_of_points_in_one_place_do_not_cover_each_other():
    points = [Trained(name, "searched", 1e6, 0.7) for name in ("watch", "phone")]
    drawing = trained_figure([*points, Trained("cloud", "cloud", 0.0, 0.9)], "map@r").decode()
    heights = [_height_of(f"{name} 0.700", drawing) for name in ("watch", "phone")]
    assert abs(heights[0] - heights[1]) >= 8


def _height_of(text: str, drawing: str) -> float:
    """Where a text stands in an SVG, in points from the top."""
    before = drawing[: drawing.index(f">{text}<")]
    return float(re.findall(r' y="([\d.]+)"', before)[-1])
