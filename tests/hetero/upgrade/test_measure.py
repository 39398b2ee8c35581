"""The figures of an upgrade on vectors in the plane, worked out by hand."""

import numpy as np
import pytest

from hetero.metrics.task import RetrievalTask
from hetero.space import EmbeddingSpace
from hetero.upgrade.commands import summary
from hetero.upgrade.measure import Upgrade, measure_upgrade


def at(*degrees: float) -> np.ndarray:
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


# Rows 0 to 3 query rows 4 to 7, classes 0 to 3. The old model confuses classes 2 and 3 and is right on 0 and 1.
LABELS = np.array([0, 1, 2, 3, 0, 1, 2, 3])
TASKS = (RetrievalTask("q>g", np.arange(4), np.arange(4, 8)),)
GALLERY = (0, 90, 180, 270)
OLD = at(5, 95, 265, 175, *GALLERY)
# In the old gallery the new model is right on 0, 1 and 2; in its own, on all four.
NEW = at(5, 95, 185, 190, 0, 90, 182, 200)
# The control has turned by a quarter: right by itself, always wrong in the old gallery.
CONTROL = at(95, 185, 275, 5, 90, 180, 270, 0)


def space(name: str) -> EmbeddingSpace:
    return EmbeddingSpace.define(defined_by=name, name=name, version="1", dimension=2)


@pytest.fixture
def measured() -> Upgrade:
    return measure_upgrade((space("new"), NEW), (space("old"), OLD), LABELS, TASKS, control=CONTROL, data="print")


def test_every_figure_by_hand(measured):
    one = measured.of("cmc@1")
    assert (one.old, one.cross, one.own) == (0.5, 0.75, 0.75)
    assert (one.alone, one.alone_cross) == (1.0, 0.0)
    assert one.criterion.value == pytest.approx(0.25)
    assert one.gain.value == pytest.approx((0.75 - 0.5) / (1.0 - 0.5))
    assert one.tax.value == pytest.approx(0.25)
    assert measured.chance == 0.25


def test_a_tax_and_a_gain_are_told_in_words(measured):
    """The new model's own 0.75 is 0.25 below the control's; with the sides exchanged it is 0.25 above."""
    assert "tax: M(new, new) loses 0.250 (" in summary(measured) and "update gain 0.50 [" in summary(measured)
    other = measure_upgrade((space("new"), CONTROL), (space("old"), OLD), LABELS, TASKS, control=NEW)
    assert "tax: M(new, new) gains 0.250 (" in summary(other) and "no update gain: -2.00 [" in summary(other)


def test_the_criterion_is_undecided_while_its_interval_reaches_zero(measured):
    assert measured.of("cmc@1").criterion.low == 0.0
    assert measured.status == "undecided"


def test_the_contract_names_the_old_space_with_its_figures(measured):
    first = measured.contract()[0]
    assert (first.space_id, first.name, first.metric) == (space("old").space_id, "old 1", "cmc@1")
    assert (first.cross, first.earlier, first.own, first.data) == (0.75, 0.5, 0.75, "print")
    assert [one.metric for one in measured.contract()] == ["cmc@1", "map@r"]


def test_a_failed_upgrade_is_not_in_the_contract():
    failed = measure_upgrade((space("new"), CONTROL), (space("old"), OLD), LABELS, TASKS)
    assert failed.status == "fails" and failed.contract() == ()
    assert failed.of("cmc@1").gain is None


def test_a_record_survives_the_disk(measured, tmp_path):
    measured.save(tmp_path / "upgrade.json")
    assert Upgrade.load(tmp_path / "upgrade.json") == measured
