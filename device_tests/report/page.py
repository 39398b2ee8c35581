"""Write the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

import hetero
from device_tests.checks.finding import rungs_of
from device_tests.checks.gates import Gates
from device_tests.checks.parity import cosine_distance
from device_tests.evidence.origin import evidence_line, origin_lines
from device_tests.report import matrix as matrices
from device_tests.report.agreement import agreements
from device_tests.report.evidence import Evidence, label
from device_tests.report.hits import Hits, examples
from device_tests.report.plots import NARROW, WIDE, Strip, accuracy_against_macs, parity_strips
from device_tests.report.shipping import shelves
from device_tests.report.table import Line, RowDict, glances, reasons
from device_tests.report.texts import text_answers
from device_tests.report.waterfall import ways
from device_tests.report.worst import worst_images
from device_tests.verdict.headline import Headline, evidence_headlines, files_headline, student_headline
from device_tests.verdict.student_table import notes_on
from export.bundle.accelerators import instead_in_words, left_in_words, taken_in_words
from export.precision.recommendation import RULE
from hetero.display.pages import data_uri, templates
from hetero.display.wording import change_in_words, range_of_change
from hetero.files import write_text
from hetero.linear.measure import Adaptation

_NOTHING = "\N{EN DASH}"
_WORST = 6
_EXAMPLES = {"flipped": 4, "right": 4, "wrong": 2}


@dataclass(frozen=True)
class _Hit:
    picture: str
    right: bool


@dataclass(frozen=True)
class _Card:
    """One query with the hits of every query model."""

    bundle: str
    kind: str
    task: str
    picture: str
    hits: Sequence[tuple[str, Sequence[_Hit]]]


def write_report(
    out: Path,
    *,
    rows: Sequence[RowDict],
    matrix: Mapping[str, Any] | None,
    bundles: Sequence[Path],
    embeddings: Path,
    adaptations: Mapping[str, Adaptation] | None = None,
    folder: Path | None = None,
) -> None:
    """Write one self-contained page, with links to those models' files that lie below it.

    Args:
        out: The HTML file.
        rows: As in ``verdict.json``.
        matrix: As in ``matrix.json``; None leaves out everything that needs it.
        bundles: The bundle directories that were verified.
        embeddings: The directory of the targets' embeddings; ``summary.json`` is read from beside it.
        adaptations: Students adapted to a new domain, by name; refused ones are shown with their reasons.
        folder: The directory that the page is read in; default that of ``out``.

    Raises:
        InputError: If a bundle cannot be read.
    """
    gathered = Evidence.gather(rows, bundles, embeddings)
    points = matrices.points(matrix, gathered.lines)
    environment = templates("device_tests.report")
    words: dict[str, Any] = {"notes_on": notes_on, "change": change_in_words, "change_to": range_of_change}
    environment.filters.update(taken=taken_in_words, left=left_in_words, instead=instead_in_words)
    environment.filters.update(words, figure=_figure, size=_size, count=_count, slug=_slug)
    page = environment.get_template("report.html.j2").render(
        headlines=_headlines(rows, gathered.summary),
        marks={"pass": "✓", "fail": "✗", "not verified": "?"},
        origins=_origins(gathered.summary),
        students=gathered.summary.get("students", []),
        controls=_controls(matrix, gathered.bundles),
        adaptations=adaptations or {},
        rungs=rungs_of(rows),
        lines=gathered.lines,
        glances=glances(gathered.lines),
        reasons=reasons(rows),
        tiles=_tiles(matrix, gathered.lines),
        shelves=shelves(gathered.bundles, gathered.lines, folder or out.parent),
        shipping_rule=RULE,
        heatmaps=matrices.heatmaps(matrix) if matrix is not None else [],
        map_apart=any(line.figure("evidence", "map@r") != line.figure("evidence", "cmc@1") for line in gathered.lines),
        repeated=matrices.repeated(matrix) if matrix is not None else [],
        rules=matrices.rules(matrix) if matrix is not None else [],
        roles=matrices.roles(matrix) if matrix is not None else [],
        cloud=matrices.cloud_name(matrix) if matrix is not None else None,
        cloud_macs=matrices.cloud_macs(matrix) if matrix is not None else None,
        plots=_for_both(partial(accuracy_against_macs, points, "cmc@1 against the cloud gallery"), len(points) > 1),
        parity=_parity_plots(gathered),
        cards=[card for line in gathered.shown() for card in _cards(gathered, line)],
        spoken=text_answers(gathered),
        ways=ways(gathered.embeddings, gathered.bundles),
        resizers=gathered.resizers,
        agreements=agreements(gathered.embeddings),
        moves=gathered.summary.get("moves", []),
        worst=worst_images(gathered, _WORST),
        certified=sorted({text for line in gathered.lines if (text := line.figure("loads", "certifies"))}),
        summary=gathered.summary,
        spaces=sorted({(f"{b.space.name} {b.space.version}", b.space.space_id) for b in gathered.bundles.values()}),
        bundles=gathered.bundles,
        seed=(matrix or {}).get("seed"),
        version=hetero.__version__,
    )
    write_text(out, page)


def _headlines(rows: Sequence[RowDict], summary: Mapping[str, Any]) -> list[Headline]:
    """Return the headlines from the rows and students themselves, so that no page contradicts its tables."""
    worse = [str(move["note"]) for move in summary.get("moves", []) if move["regression"]]
    required = any(value is not None for value in summary.get("gates_of_evidence", {}).values())
    evidence = evidence_headlines(rows, asked=required)
    return [files_headline(rows, worse), student_headline(summary.get("students", [])), *evidence]


def _origins(summary: Mapping[str, Any]) -> list[str]:
    """Return the signers of the bundles, and the evidence supplied."""
    evidence = summary.get("evidence")
    return [*origin_lines(summary.get("bundles", {}), evidence).values(), *filter(None, [evidence_line(evidence)])]


def _controls(matrix: Mapping[str, Any] | None, bundles: Iterable[str]) -> list[tuple[str, float | None, float | None]]:
    """Return name, M(control, cloud) and M(control, control) of models trained beside the cloud that do not ship."""
    if matrix is None:
        return []
    cloud = matrices.cloud_name(matrix)
    names = [name for name in matrix["models"] if name not in (cloud, *bundles)]
    return [(name, matrices.value(matrix, name, cloud), matrices.value(matrix, name, name)) for name in names]


def _slug(status: str) -> str:
    """Return the name of a status for style sheets."""
    return status.replace(" ", "-").replace("/", "")


def _tiles(matrix: Mapping[str, Any] | None, table: Sequence[Line]) -> list[tuple[str, str, str]]:
    """Return label, figure and explanation of the large numbers at the top."""
    tiles: list[tuple[str, str, str]] = []
    cloud = cloud_macs = None
    if matrix is not None:
        name = matrices.cloud_name(matrix)
        cloud = matrices.value(matrix, name, name)
        cloud_macs = matrices.cloud_macs(matrix)
        note = f"the cloud model itself: cmc@1{f', {_count(cloud_macs)} MACs' if cloud_macs else ''}"
        tiles.append((name, _figure(cloud), note))
    for bundle in dict.fromkeys(line.bundle for line in table):
        own = [line for line in table if line.bundle == bundle and line.figure("retrieval", "cmc@1") is not None]
        if not own:
            continue
        line = min(own, key=lambda candidate: candidate.figure("retrieval", "cmc@1"))
        accuracy, macs = line.figure("retrieval", "cmc@1"), line.figure("cost", "macs")
        note = f"cmc@1 in the cloud gallery, worst target ({line.target}, {line.format} {line.precision})"
        if cloud and cloud_macs and macs:
            note = f"{accuracy / cloud:.0%} of the cloud at 1/{cloud_macs / macs:.0f} of its MACs; worst of all targets"
        tiles.append((bundle, f"{accuracy:.3f}", note))
    return tiles


def _for_both(draw: Callable[..., Markup], wanted: bool) -> dict[str, Markup]:
    """Return a plot for a desk and for a phone; none if it is not wanted."""
    return {"on-desk": draw(width=WIDE), "on-phone": draw(width=NARROW)} if wanted else {}


def _parity_plots(evidence: Evidence) -> dict[str, Markup]:
    strips: list[Strip] = []
    everywhere = evidence.summary.get("gates", {})
    for line, answer in evidence.embeddings.items():
        if np.isfinite(answer.golden).all() and np.linalg.norm(answer.golden, axis=1).all():
            torch_embeddings = evidence.bundles[line.bundle].goldens.golden_embeddings
            gates = evidence.summary.get("gates_of_targets", {}).get(line.target, everywhere)
            # Reduced precisions are compared with their neighbours instead.
            gate = float(gates.get("parity", Gates.parity)) if line.precision == "fp32" else None
            strips.append((line.label, cosine_distance(answer.golden, torch_embeddings), gate))
    return _for_both(partial(parity_strips, strips), bool(strips))


def _cards(evidence: Evidence, line: Line) -> list[_Card]:
    goldens = evidence.bundles[line.bundle].goldens

    def hits_of(hits: Hits) -> list[_Hit]:
        pairs = zip(hits.rows, hits.right, strict=True)
        return [_Hit(data_uri(goldens.retrieval_images[row]), bool(right)) for row, right in pairs]

    return [
        _Card(
            bundle=line.bundle,
            kind=example.kind,
            task=example.task,
            picture=data_uri(goldens.retrieval_images[example.row]),
            hits=[(model_hits.model, hits_of(model_hits)) for model_hits in example.hits],
        )
        for example in examples(goldens, evidence.embeddings[line], label(line), _EXAMPLES)
    ]


def _figure(value: Any, form: str = ".3f") -> str:
    return _NOTHING if value is None else format(value, form)


def _size(value: Any) -> str:
    if value is None:
        return _NOTHING
    return f"{value / 1e6:.1f} MB" if value >= 1e6 else f"{value / 1e3:.0f} kB"


def _count(value: Any) -> str:
    if value is None:
        return _NOTHING
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g} {unit}"
    return str(value)
