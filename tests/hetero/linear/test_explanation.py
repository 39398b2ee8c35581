from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hetero.errors import InputError
from hetero.linear import AdaptConfig, Explanation, OldGallery, adapt, explain
from hetero.linear.deletion.deletion import delete
from hetero.linear.explanation.page import page
from hetero.linear.restored import Restored
from tests.hetero.linear.domains import domain, gallery, model

NEW, OLD = domain("new", 3), domain("old")
FREE = AdaptConfig(part="neck", steps=30, ridges=(0.05,), anchor_weight=0.0, most_flips=1.0)
HELD = dataclasses.replace(FREE, anchor_weight=0.05, most_flips=0.0)
CONFIGS = {"free": FREE, "held": HELD}
WRONG = 8
"""Of class b; it says c."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    labels = NEW.train.labels.copy()
    labels[WRONG] = 2
    data = dataclasses.replace(NEW, train=dataclasses.replace(NEW.train, labels=labels))
    folder = tmp_path_factory.mktemp("explain")
    stored = gallery(model(folder / "v1"))
    measured = {
        name: adapt(folder / "v1", data, OLD, stored, folder / name, config) for name, config in CONFIGS.items()
    }
    return folder, data, stored, measured


def asked(place, name: str, **options: int) -> Explanation:
    folder, data, stored, _ = place
    return explain(folder / name, folder / "v1", data, OLD, stored, **options)


def margins(stored: OldGallery, flip, vectors: np.ndarray) -> float:
    """Between the image found before and the one found now."""
    right, wrong = (stored.vectors[stored.names.index(hit.name)] for hit in (flip.before[0], flip.after[0]))
    return float(vectors @ (right - wrong))


def test_flips_are_those_of_the_figures(place):
    measured = place[3]
    seen = asked(place, "free", most=100)
    old = [flip for flip in seen.flips if flip.domain == "old queries"]
    assert len(old) == round(measured["free"].flips.value * len(OLD.test)) > 3
    assert len(seen.flips) == seen.found
    for flip in seen.flips:
        assert flip.before[0].group == flip.group != flip.after[0].group
        assert [hit.similarity for hit in flip.before] == sorted((hit.similarity for hit in flip.before), reverse=True)
    assert asked(place, "free", most=2).flips == seen.flips[:2]


def test_flips_that_are_named_are_explained_instead(place):
    folder, data, stored, _ = place
    found = asked(place, "free", most=100)
    old, new = ([flip for flip in found.flips if flip.domain == f"{domain} queries"] for domain in ("old", "new"))
    unmoved = next(name for name in NEW.test.names if name not in {flip.name for flip in new})
    names = [unmoved, old[1].name]
    seen = explain(folder / "free", folder / "v1", data, OLD, stored, flips=names)
    # Those of the old domain come first; what it took to make one wrong is the same whoever names it.
    assert seen.found == 2 and seen.flips[0] == old[1]
    assert (seen.flips[1].domain, seen.flips[1].name) == ("new queries", unmoved)
    with pytest.raises(InputError, match="1 of 2 flips are of no test photo"):
        explain(folder / "free", folder / "v1", data, OLD, stored, flips=[unmoved, "nobody"])


def test_a_cause_is_what_retraining_without_it_says(place):
    folder, data, stored, _ = place
    seen = asked(place, "free", most=2, causes=3)
    assert seen.method == "dual" and seen.warning == ""
    again = Restored.of(folder / "free", folder / "v1", data, OLD, stored)
    linear, whole = again.problem.model, delete(again.problem, []).solution.change
    for flip in seen.flips:
        inputs = again.parts.inputs(OLD.test.images[np.array([OLD.test.names.index(flip.name)])])
        for cause in flip.causes:
            without = delete(again.problem, [data.train.names.index(cause.name)], anew=True).anew
            grown = [margins(stored, flip, linear(inputs, change)[0].numpy()) for change in (whole, without)]
            assert cause.score == pytest.approx(grown[1] - grown[0], abs=1e-8) and cause.score > 0
        assert [one.score for one in flip.causes] == sorted((one.score for one in flip.causes), reverse=True)


@pytest.mark.parametrize("name", ["free", "held"])
def test_the_wrong_label_fits_least(place, name):
    seen = asked(place, name, most=1, causes=1)
    (suspect,) = seen.suspects
    assert (suspect.name, suspect.group) == (NEW.train.names[WRONG], "c")


def test_a_refused_adaptation_is_explained_to_first_order(place):
    folder, _, _, measured = place
    assert measured["held"].refusals and not (folder / "held" / "config.json").exists()
    seen = asked(place, "held", most=1)
    old = round(measured["held"].flips.value * len(OLD.test))
    assert seen.method == "conjugate gradients" and seen.found >= old > 0 and 0 < seen.leverage < 1
    assert all(one.score > 0 for one in (*seen.causes, *seen.flips[0].causes))
    assert "first order" in dataclasses.replace(seen, leverage=0.46).warning
    assert dataclasses.replace(seen, leverage=0.45).warning == ""


def test_the_page_shows_everything_and_obeys_nothing(place):
    data, seen = place[1], asked(place, "free", most=2)
    text = page(seen, data, OLD, name="<script>alert(1)</script>")
    assert "<script" not in text and "&lt;script&gt;" in text
    flip = seen.flips[0]
    for name in (flip.name, *(one.name for one in (*flip.before, *flip.after, *flip.causes, *seen.suspects))):
        assert name in text
    # Those of the query and of the photos; the gallery's files are not here.
    pictures = len(seen.causes) + len(seen.suspects) + sum(1 + len(flip.causes) for flip in seen.flips)
    assert text.count('<img src="data:image/png;base64,') == pictures
    assert 'class="right"' in text and 'class="wrong"' in text
    assert 'class="warning"' not in text
    hint = dataclasses.replace(seen, method="conjugate gradients", leverage=0.6)
    assert 'class="warning"' in page(hint, data, OLD, name="v2")


def test_without_a_flip_the_page_says_so(place):
    none = Explanation("dual", 0.1, 0, (), (), ())
    text = page(none, place[1], OLD, name="v2")
    assert "0 test queries were right before" in text and "<img" not in text
