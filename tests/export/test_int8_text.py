"""What a bundle says of how its int8 files were made."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from export.bundle.checks import checked_manifest
from export.bundle.quantisation import Evidence, Int8Figures, Quantisation
from export.bundle_commands import inspect_command
from export.precision.doubts import doubts
from export.precision.text import how_made
from hetero.metrics.bootstrap import Interval
from hetero.schema import parse
from tests.export.bundles import write_bundle

CHOSEN = Int8Figures(loss=Interval(0.002, -0.004, 0.008), overlap=0.951, angle=4.04, size=1000)
PLAIN = Int8Figures(loss=Interval(0.01, 0.0, 0.02), overlap=0.922, angle=6.6, size=1001)
EVIDENCE = Evidence(
    queries=536,
    classes=10,
    chosen=CHOSEN,
    plain=PLAIN,
    decided_by="overlap@10",
    overlap_gain=Interval(0.029, 0.024, 0.034),
)
MADE = Quantisation(
    calibrator="mse",
    scales="channel",
    reduce_range=False,
    float_layers=(),
    tried=9,
    goal=0.01,
    met=True,
    bias_correction=True,
    evidence=EVIDENCE,
)


def with_loss(loss: Interval, **others: Any) -> Quantisation:
    chosen = dataclasses.replace(CHOSEN, loss=loss)
    return dataclasses.replace(MADE, evidence=dataclasses.replace(EVIDENCE, chosen=chosen, **others))


def test_says_what_won_by_what_and_how_sure_that_is() -> None:
    assert how_made(MADE) == (
        "activation ranges by mse, weights with a scale a channel, corrected biases, chosen of 9; "
        "loses 0.20% of map@r on 536 calibration queries (95 %: -0.40% to 0.80%; goal 1.0%: met); "
        "keeps 0.951 of the float32 model's ten nearest at 4.0 degrees, "
        "the plain default 0.922 of the float32 model's ten nearest at 6.6 degrees "
        "(+0.029, 95 %: +0.024 to +0.034; decided by overlap@10)"
    )
    assert (
        "; keeps 0.951 of the float32 model's ten nearest at 4.0 degrees, as the plain default that it is"
        in how_made(with_loss(CHOSEN.loss, decided_by="nothing"))
    )


@pytest.mark.parametrize(
    ("loss", "verdict", "doubtful"),
    [
        (Interval(0.002, -0.004, 0.008), "met", False),
        (Interval(0.002, -0.01, 0.014), "not decided", True),
        (Interval(0.03, 0.011, 0.05), "**missed**", False),
    ],
)
def test_says_whether_the_goal_is_decided(loss: Interval, verdict: str, doubtful: bool) -> None:
    made = with_loss(loss)
    assert f"goal 1.0%: {verdict})" in how_made(made)
    assert bool(doubts(made)) == doubtful


def test_says_how_many_queries_would_do() -> None:
    # Twice as wide as the goal: four times the queries, in hundreds.
    (doubt,) = doubts(with_loss(Interval(0.0, -0.02, 0.02)))
    assert doubt.endswith("about 2,200 would do")
    (doubt,) = doubts(with_loss(Interval(0.0, 0.0, 0.0), queries=299))
    assert doubt.endswith("about 300 would do")
    assert doubts(with_loss(Interval(0.0, 0.0, 0.0), queries=300)) == ()
    assert doubts(None) == ()


def test_evidence_comes_back_from_json_and_older_bundles_have_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert parse(Quantisation, json.loads(json.dumps(dataclasses.asdict(MADE))), what="it") == MADE
    older = {
        name: value for name, value in dataclasses.asdict(MADE).items() if name not in ("bias_correction", "evidence")
    }
    assert parse(Quantisation, older, what="it").evidence is None
    bundle = write_bundle(tmp_path / "bundle")
    manifest = json.loads((bundle / "manifest.json").read_text())
    for made, text in (
        (dataclasses.asdict(MADE), "corrected biases"),
        (older, "meets its goal of losing at most 1.0%"),
    ):
        manifest["models"][0] |= {"precision": "int8", "quantisation": made}
        (bundle / "manifest.json").write_text(json.dumps(manifest))
        assert checked_manifest(manifest, what="it").models[0].quantisation is not None
        inspect_command(bundle)
        assert text in capsys.readouterr().out
