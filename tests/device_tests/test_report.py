from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_tests.answers.embeddings import DeviceEmbeddings
from device_tests.ladder.verify import verify
from device_tests.report import write_report
from device_tests.report.agreement import agreements
from device_tests.report.hits import examples
from device_tests.report.matrix import points
from device_tests.report.overview import write_overview
from device_tests.report.plots import Point, crowded
from device_tests.report.table import Line, lines
from hetero.errors import InputError
from hetero.files import read_json, write_json
from hetero.linear.measure import Adaptation, Change
from hetero.metrics.bootstrap import Interval
from tests.device_tests.tiny_bundle import CLASSES, goldens, write_bundle

VOID = {"meta", "img", "br", "line", "circle", "rect", "input"}


class Balanced(HTMLParser):
    """Collects unbalanced tags and addresses of other resources."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.problems: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.problems.append(tag)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("run")
    bundle = write_bundle(root / "bundle")
    verify([bundle], ["desktop"], root / "out")
    return bundle, root / "out"


def matrix() -> dict[str, Any]:
    values: dict[str, dict[str, float | None]] = {
        "cloud": {"cloud": 0.6, "tiny": 0.5},
        "tiny": {"cloud": 0.55, "tiny": 0.4},
    }
    values["cloud"]["tiny"] = None
    return {
        "models": ["cloud", "tiny"],
        "metrics": {"cmc@1": values, "map@r": values},
        "costs": {"cloud": {"macs": 864_000, "parameters": 9}, "tiny": {"macs": 864, "parameters": 3}},
        "intervals": {"cmc@1": {"tiny": {"cloud": {"value": 0.55, "low": 0.5, "high": 0.6}}}},
        "rules": [
            {
                "query_model": "tiny",
                "gallery_model": "cloud",
                "metric": "cmc@1",
                "asymmetric": 0.55,
                "symmetric": 0.4,
                "difference": 0.15,
                "low": 0.1,
                "high": 0.2,
                "status": "holds",
            },
        ],
        "roles": [
            {
                "model": "tiny",
                "role": "text to image",
                "metric": metric,
                "value": {"value": 0.375, "low": 0.3, "high": 0.4},
                "cloud": {"value": 0.5, "low": 0.4, "high": 0.6},
                "share": {"value": 0.75, "low": 0.7, "high": 0.8},
                "chance": 0.125 if metric == "cmc@1" else None,
                "queries": 8,
            }
            for metric in ("cmc@1", "map@r")
        ],
        "space_id": "0",
        "seed": 3,
    }


def write(
    run: tuple[Path, Path],
    out: Path,
    rows: list[dict[str, Any]] | None = None,
    models: dict[str, Any] | None = None,
    adaptations: dict[str, Adaptation] | None = None,
) -> str:
    bundle, verification = run
    rows = rows if rows is not None else read_json(verification / "verdict.json")
    write_report(
        out,
        rows=rows,
        matrix=models or matrix(),
        bundles=[bundle],
        embeddings=verification / "embeddings",
        adaptations=adaptations,
    )
    return out.read_text(encoding="utf-8")


def test_one_balanced_self_contained_page(run: tuple[Path, Path], tmp_path: Path) -> None:
    page = write(run, tmp_path / "report.html")
    parser = Balanced()
    parser.feed(page)
    assert (parser.problems, parser.open) == ([], [])
    assert parser.sources and all(source.startswith(("data:image/png;base64,", "#")) for source in parser.sources)
    assert "http" not in re.sub(r"data:[^\"]*", "", page)


def test_it_tells_the_verdict_and_the_figures(run: tuple[Path, Path], tmp_path: Path) -> None:
    page = write(run, tmp_path / "report.html")
    assert "</span>Pass</p>" in page and "</span>Not judged</p>" in page
    assert "15 pass, 0 fail, 0 not verified, 0 n/a" in page
    assert "Everything that was asked for was verified" in page
    assert "Core ML: the exported program and weights, computed by hetero" in page
    assert '<span class="tag">the reference executor&#39;s</span>' in page
    assert ">0.550<" in page
    assert "1/1000 of its MACs" in page
    assert "0.500 to 0.600" in page
    assert "+0.150 (+0.100 to +0.200)" in page
    assert "<dt>seed</dt><dd>3</dd>" in page
    assert "✓ right" in page and "✗ wrong" in page


def test_a_text_shows_what_it_finds_on_the_device_and_in_the_cloud(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx",), texts=True)
    verify([bundle], ["desktop"], tmp_path / "out")
    page = write((bundle, tmp_path / "out"), tmp_path / "report.html")
    parser = Balanced()
    parser.feed(page)
    assert (parser.problems, parser.open) == ([], [])
    cards = re.findall(r'<article class="card asking" data-text="(.*?)"( hidden)?>(.*?)</article>', page, re.DOTALL)
    shown = ["right" in card.split("</li>")[0] for _, hidden, card in cards if not hidden]
    assert len(cards) == 2 * CLASSES and sorted(shown) == [False] * 2 + [True] * 4
    text, _, card = cards[5]
    assert text == "picture &lt;5&gt;" and card.count('role="img"') == 2 * 5
    # All photos are found by some text here, so that a photo's place on the sheet is its own: the fifth text's.
    held = goldens(with_texts=True)
    assert held.texts is not None
    nearest = np.argsort(-(held.retrieval_cloud @ held.texts.vectors[5]))[:5]
    columns = 7
    places = [(int(x), int(y)) for x, y in re.findall(r"--x:(\d+);--y:(\d+)", card)]
    assert places[5:] == [(int(row) % columns, int(row) // columns) for row in nearest]
    first = re.findall(r'<li class="(right|wrong)">', card)[5]
    assert first == ("right" if nearest[0] == 5 else "wrong")
    assert re.search(r"tiny: 48 photos; \d+ of 48 texts find theirs first, and \d+ among", page)
    assert "--columns:7;--rows:7;" in page


def test_it_tells_how_good_the_student_is(run: tuple[Path, Path], tmp_path: Path) -> None:
    page = write(run, tmp_path / "report.html")
    assert "Is the student good enough?" in page
    assert "tiny: cmc@1 0.354 in the cloud&#39;s gallery, 100.0 % [" in page
    assert '<span class="pill not-judged">\N{EN DASH} not judged</span>' in page
    assert "No policy says what is good enough" in page and "a control" not in page
    with_control = matrix()
    with_control["models"].append("alone")
    for values in with_control["metrics"].values():
        for name in ("cloud", "tiny"):
            values[name]["alone"] = None
        values["alone"] = {"cloud": 0.003, "tiny": None, "alone": 0.45}
    page = write(run, tmp_path / "report.html", models=with_control)
    assert '<tr><th scope="row">alone</th>' in page and ">0.003<" in page and ">a control<" in page


def test_a_student_that_falls_short_is_told_at_the_top(run: tuple[Path, Path], tmp_path: Path) -> None:
    summary = read_json(run[1] / "summary.json")
    short = {**summary["students"][0], "status": "fail", "asked": True, "reason": "<b>short</b>"}
    write_json(run[1] / "summary.json", summary | {"students": [short]})
    try:
        page = write(run, tmp_path / "report.html")
    finally:
        write_json(run[1] / "summary.json", summary)
    assert "</span>Pass</p>" in page and "</span>Fail</p>" in page
    assert "<title>Pass · Fail: verification report</title>" in page
    assert "&lt;b&gt;short&lt;/b&gt;" in page


def test_what_cannot_be_is_not_called_unverified(run: tuple[Path, Path], tmp_path: Path) -> None:
    rows = read_json(run[1] / "verdict.json")
    for row in rows[10:]:
        row |= {"status": "n/a", "reason": "nothing runs it", "figures": {}}
    page = write(run, tmp_path / "report.html", rows)
    assert "10 pass, 0 fail, 0 not verified, 5 n/a" in page
    table = page[page.index('<table class="glance">') : page.index("Accuracy against cost")]
    assert '<span class="pill na">\N{EN DASH}' in table and '<span class="pill not-verified">' not in table
    assert "Everything that was asked for was verified" in page


def test_what_was_not_verified_has_a_mark_of_its_own(run: tuple[Path, Path], tmp_path: Path) -> None:
    rows = read_json(run[1] / "verdict.json")
    rows[0] |= {"status": "not verified", "reason": "no runtime", "figures": {}}
    rows[1] |= {"status": "n/a", "reason": "nothing runs it", "figures": {}}
    page = write(run, tmp_path / "report.html", rows)
    assert "13 pass, 0 fail, 1 not verified, 1 n/a" in page
    assert '<span class="pill not-verified">? not verified</span>' in page
    assert '<span class="pill na">\N{EN DASH} n/a</span>' in page


def test_the_list_of_rungs_is_open_only_where_one_failed(run: tuple[Path, Path], tmp_path: Path) -> None:
    assert "<details><summary>Every rung of every file" in write(run, tmp_path / "report.html")
    rows = read_json(run[1] / "verdict.json")
    rows[0] |= {"status": "fail", "reason": "r"}
    assert "<details open><summary>Every rung of every file" in write(run, tmp_path / "report.html", rows)


def test_a_metric_with_the_headlines_figures_is_not_shown_again(run: tuple[Path, Path], tmp_path: Path) -> None:
    page = write(run, tmp_path / "report.html")
    assert "<figcaption>map@r</figcaption>" not in page and "map@r: the same figures as cmc@1." in page
    differs = matrix()
    differs["metrics"]["map@r"] = differs["metrics"]["map@r"] | {"tiny": {"cloud": 0.3, "tiny": 0.4}}
    page = write(run, tmp_path / "report.html", models=differs)
    assert "<figcaption>map@r</figcaption>" in page and "the same figures as" not in page


def test_it_shows_models_in_the_clouds_place(run: tuple[Path, Path], tmp_path: Path) -> None:
    page = write(run, tmp_path / "report.html")
    table = page.partition("In the cloud's place")[2].partition("</table>")[0]
    assert table.count('<th scope="row">tiny</th>') == 1
    assert "text queries, gallery by the model" in table and "0.75 (0.70 to 0.80)" in table and "0.125" in table
    assert "In the cloud's place" not in write(run, tmp_path / "report.html", models=matrix() | {"roles": []})


def test_files_that_lie_below_the_page_are_linked(run: tuple[Path, Path], tmp_path: Path) -> None:
    here, elsewhere = write(run, run[0].parent / "report.html"), write(run, tmp_path / "report.html")
    assert '<a href="bundle/model.fp32.onnx" download>model.fp32.onnx</a>' in here
    assert "download" not in elsewhere and "model.fp32.onnx" in elsewhere
    assert "864 MACs, 1/1000 of the cloud's" in here
    assert "ONNX: model.fp32.onnx, " in here and "loss of map@r not measured" in here


def test_it_says_what_a_target_certifies_and_leaves_open(run: tuple[Path, Path], tmp_path: Path) -> None:
    summary = read_json(run[1] / "summary.json")
    page = write(run, tmp_path / "report.html")
    for word in ("certifies", "leaves open"):
        assert summary["targets"]["desktop"][word] in page


def test_it_shows_the_way_the_resizers_and_the_worst_images(run: tuple[Path, Path], tmp_path: Path) -> None:
    page = write(run, tmp_path / "report.html")
    assert "Where an embedding turns" in page
    assert "Android bilinear" in page and "stand-ins of ours" in page
    assert "of a margin of" in page


def test_moves_and_excuses_are_shown(run: tuple[Path, Path], tmp_path: Path) -> None:
    summary = read_json(run[1] / "summary.json")
    where = ["tiny", "desktop", "onnx", "fp32", "retrieval"]
    move = {"where": where, "what": "cmc@1", "before": "0.9", "now": "0.8", "regression": True, "note": "fell"}
    rows = read_json(run[1] / "verdict.json")
    rows[0] |= {"status": "fail", "reason": "r", "excused": "known (until 2030-01-01)"}
    write_json(run[1] / "summary.json", summary | {"moves": [move]})
    try:
        page = write(run, tmp_path / "report.html", rows)
    finally:
        write_json(run[1] / "summary.json", summary)
    assert "✗ worse" in page and "known (until 2030-01-01)" in page


def test_a_gain_reads_as_a_gain(run: tuple[Path, Path], tmp_path: Path) -> None:
    rows = read_json(run[1] / "verdict.json")
    ends = {"cmc@1_loss": -0.0143, "cmc@1_loss_low": -0.05, "cmc@1_loss_high": 0.01}
    rows[3] |= {"figures": rows[3]["figures"] | ends}
    rows[8] |= {"figures": rows[8]["figures"] | {"cmc@1_loss": 0.0211}}
    page = write(run, tmp_path / "report.html", rows)
    assert 'gains 0.0143<br> <span class="faint">-0.0100 to +0.0500' in page
    assert "loses 0.0211<br>" in page and "no change<br>" in page
    assert ">-0.0143" not in page


def test_targets_that_differ_are_told_apart() -> None:
    line = Line("b", "desktop", "onnx", "int8", {"parity": {"figures": {"x86_default_differs_by": 4e-3}}})
    other = Line("b", "phone-arm64", "onnx", "int8", {})
    held = DeviceEmbeddings(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32), np.arange(3))
    (same,) = agreements({line: held, other: held})
    assert same.told.startswith("the same to rounding") and "the exact way is right" in same.told
    turned = DeviceEmbeddings(held.golden[[1, 0, 2]], held.query, held.query_rows)
    (apart,) = agreements({line: held, other: turned})
    assert apart.largest == pytest.approx(1.0)
    assert apart.told.startswith("desktop and phone-arm64 differ")


def test_what_adapting_cost_is_shown_with_why_it_was_refused(run: tuple[Path, Path], tmp_path: Path) -> None:
    def seen(low: float, high: float) -> Adaptation:
        new = Change(queries=20, before=0.4, after=0.6, difference=Interval(0.2, low, 0.3))
        about: dict[str, Any] = {"part": "neck", "anchors": 9, "anchor_weight": 1.0, "images": 9}
        solved: dict[str, Any] = {"ridge": 0.1, "steps": 3, "residual": 0.01, "moved": 0.02}
        allowed: dict[str, Any] = {"most_flips": 0.1, "most_lost": 0.01}
        flips = Interval(0.05, 0.01, high)
        return Adaptation(space="s", new=new, old=new, flips=flips, linear=0.605, **about, **solved, **allowed)

    figures = {"kept": seen(0.1, 0.09), "lost": seen(-0.1, 0.2)}
    page = write(run, tmp_path / "report.html", adaptations=figures)
    parser = Balanced()
    parser.feed(page)
    assert (parser.problems, parser.open) == ([], [])
    text = " ".join(page.split())
    assert '+0.200<br> <span class="faint">+0.100 to +0.300' in text
    assert '0.050<br> <span class="faint">0.010 to 0.200' in text and "0.605" in text
    assert "new queries are not shown to find more in the old gallery than before; it was not exported" in text
    assert "Did adapting pay" not in write(run, tmp_path / "report.html")


def test_what_others_wrote_is_escaped(run: tuple[Path, Path], tmp_path: Path) -> None:
    rows = read_json(run[1] / "verdict.json")
    rows[0] |= {"status": "fail", "reason": "<script>alert(1)</script>\x1b[2K\u202e"}
    page = write(run, tmp_path / "report.html", rows)
    assert "<script" not in page
    assert r"&lt;script&gt;alert(1)&lt;/script&gt;\x1b[2K\u202e" in page


def test_it_shows_what_accelerators_take_and_what_is_not_known(run: tuple[Path, Path], tmp_path: Path) -> None:
    bundle = shutil.copytree(run[0], tmp_path / "bundle")
    manifest: dict[str, Any] = read_json(bundle / "manifest.json")
    breaker = {"operator": "<HardSigmoid>", "count": 2, "reason": "not listed"}
    fit = {"accelerator": "nnapi", "partitions": 3, "taken": 4, "operators": 6, "breakers": [breaker]}
    manifest["models"][0]["accelerators"] = [fit]
    write_json(bundle / "manifest.json", manifest)
    page = write((bundle, run[1]), tmp_path / "report.html")
    section = page.partition('id="h-accelerators"')[2].partition("</section>")[0]
    assert ">nnapi</td>" in section
    assert "<span>3 partitions, 4 of 6 operators (66.7%)</span>" in section
    assert "<span>2 &lt;HardSigmoid&gt; (not listed)</span>" in section
    assert "on Android ship LiteRT" in section
    assert section.count("not verified") == len(manifest["models"]) - 1


def test_without_a_matrix(run: tuple[Path, Path], tmp_path: Path) -> None:
    bundle, verification = run
    rows = read_json(verification / "verdict.json")
    write_report(tmp_path / "r.html", rows=rows, matrix=None, bundles=[bundle], embeddings=verification / "embeddings")
    assert "Compatibility matrix" not in (tmp_path / "r.html").read_text()


def test_points_show_the_worst_target(run: tuple[Path, Path]) -> None:
    found = {(point.name, point.kind): point for point in points(matrix(), lines(read_json(run[1] / "verdict.json")))}
    assert set(found) == {("cloud", "cloud"), ("tiny", "student"), ("tiny on desktop", "device")}
    assert found["tiny", "student"].value == 0.55
    assert found["tiny on desktop", "device"].macs == 864


def test_a_label_does_not_cover_the_next_point() -> None:
    small, large, far = (
        Point(name, macs, value, "student")
        for name, macs, value in (("s", 25, 0.56), ("m", 29, 0.55), ("far", 500, 0.56))
    )
    below = Point("below", 29, 0.01, "student")
    assert crowded(small, [small, large, far, below])
    assert not crowded(large, [small, large, far, below])
    assert not crowded(small, [small, far, below])


def test_examples_are_right_wrong_and_flipped() -> None:
    held = goldens()
    rows = held.query_rows
    query = held.retrieval_student[rows].copy()
    # Query 0 of the first view now looks like class 1: the device flips it.
    query[0] = held.retrieval_cloud[CLASSES + 1]
    found = examples(
        held, DeviceEmbeddings(held.golden_embeddings, query, rows), "phone", {"flipped": 2, "right": 3, "wrong": 2}
    )
    flipped = [example for example in found if example.kind == "flipped"]
    assert [example.row for example in flipped] == [0]
    device = flipped[0].hits[2]
    assert device.model == "phone"
    assert device.rows[0] == CLASSES + 1
    assert not device.right[0]
    for example in found:
        for hits in example.hits:
            np.testing.assert_array_equal(
                hits.right, held.retrieval_labels[hits.rows] == held.retrieval_labels[example.row]
            )
    assert sum(example.kind == "right" for example in found) == 3


@pytest.mark.parametrize(("name", "start"), [("o.png", b"\x89PNG"), ("o.svg", b"<?xml")])
def test_the_overview_is_the_same_picture_every_time(
    run: tuple[Path, Path], tmp_path: Path, name: str, start: bytes
) -> None:
    bundle, verification = run
    rows = read_json(verification / "verdict.json")
    pictures: list[bytes] = []
    for _ in range(2):
        write_overview(
            tmp_path / name, rows=rows, matrix=matrix(), bundles=[bundle], embeddings=verification / "embeddings"
        )
        pictures.append((tmp_path / name).read_bytes())
    assert pictures[0].startswith(start)
    assert pictures[0] == pictures[1]


def test_an_overview_needs_embeddings_and_a_known_format(run: tuple[Path, Path], tmp_path: Path) -> None:
    bundle, verification = run
    rows = read_json(verification / "verdict.json")
    with pytest.raises(InputError, match="png or .svg"):
        write_overview(tmp_path / "o.gif", rows=rows, matrix=matrix(), bundles=[bundle], embeddings=tmp_path)
    with pytest.raises(InputError, match="nothing was verified"):
        write_overview(tmp_path / "o.png", rows=rows, matrix=matrix(), bundles=[bundle], embeddings=tmp_path / "none")
