"""A target declared in this one file runs a bundle, is listed, and is named by verdict and page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from device_tests import commands
from device_tests.ladder.verify import verify
from device_tests.report import write_report
from device_tests.targets import registry
from device_tests.targets.registry import TARGETS, Kind, add_target, emulated, stopwatch, target, target_problems
from device_tests.targets.target import Progress, Request, Returned
from hetero.errors import InputError
from hetero.files import read_json
from tests.device_tests.tiny_bundle import write_bundle
from tests.device_tests.tiny_models import embed, weights


class Abacus:
    """Computes what the tiny model computes, by numpy; it has but one format."""

    emulated = True
    runtimes: Mapping[str, str] = {"onnx": "beads"}

    def __init__(self, beads: str = "wooden") -> None:
        self.name = "abacus" if beads == "wooden" else f"abacus:{beads}"
        self._beads = beads

    def set_up(self) -> None:
        """It is."""

    def state(self) -> str:
        return f"{self._beads} and ready"

    def describe(self) -> Mapping[str, str]:
        return {"processor": f"{self._beads} beads", "certifies": "arithmetic", "leaves open": "everything else"}

    def run(self, request: Request, progress: Progress) -> Returned:
        assert request.runtime == "beads" and request.model.suffix == ".onnx"
        progress(len(request.images), len(request.images))
        return Returned(
            embeddings=embed(request.images, weights()),
            runtime="beads 1",
            latency_seconds=np.full(len(request.images), 0.5),
            emulated=True,
        )

    def close(self) -> None:
        """Nothing goes on running."""


@pytest.fixture(autouse=True)
def abacus() -> Iterator[None]:
    add_target(Kind("abacus", "a frame with beads; abacus:BEADS for others", Abacus, variant="BEADS"))
    yield
    del TARGETS["abacus"]


def test_it_verifies_a_bundle_and_verdict_and_page_name_it(tmp_path: Path) -> None:
    bundle, out = write_bundle(tmp_path / "bundle", formats=("onnx", "litert")), tmp_path / "out"
    verdict = verify([bundle], ["abacus:glass"], out)
    rows = read_json(out / "verdict.json")
    assert {row["target"] for row in rows} == {"abacus:glass"}
    statuses = {(row["format"], row["rung"]): row["status"] for row in rows}
    assert [statuses["onnx", rung] for rung in ("loads", "parity", "retrieval")] == ["pass"] * 3
    assert {status for (format, _), status in statuses.items() if format == "litert"} == {"n/a"}
    assert verdict.about["targets"]["abacus:glass"]["processor"] == "glass beads"
    write_report(out / "report.html", rows=rows, matrix=None, bundles=[bundle], embeddings=out / "embeddings")
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "abacus:glass has no runtime for litert" in page and "glass beads" in page


def test_it_is_listed_with_its_state(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "TARGETS", {"abacus": TARGETS["abacus"]})  # to look for the others takes a second
    assert commands.device_list_command() == 0
    assert capsys.readouterr().out == "abacus: a frame with beads; abacus:BEADS for others\n  wooden and ready\n"


def test_it_is_called_by_its_name_alone() -> None:
    assert [target(name).name for name in ("abacus", "abacus:glass")] == ["abacus", "abacus:glass"]
    assert emulated(["desktop", "abacus"]) == ["abacus"]
    assert target_problems(["abacus:", "abacos"]) == [
        f"no target {name!r}{hint}; expected some of desktop, phone-arm64, phone-armv7, phone-system, adb:SERIAL, "
        "browser, macos, abacus"
        for name, hint in (("abacus:", " (did you mean abacus?)"), ("abacos", " (did you mean abacus?)"))
    ]
    with pytest.raises(InputError, match="abacus cannot time models"):
        stopwatch("abacus")
    with pytest.raises(InputError, match="there is a target 'abacus' already"):
        add_target(Kind("abacus", "another", Abacus))


@pytest.mark.parametrize("name", ["adb", "adb:", "browser:x", "desktop:", "phone-arm64:", "phone-system:x"])
def test_what_no_target_is_called(name: str) -> None:
    with pytest.raises(InputError, match=f"no target '{name}'"):
        target(name)
