"""``hetero device fleet``: the versions of an application and of the gallery that may serve together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from device_tests.checks.gates import Gates
from device_tests.fleet.measured import GalleryUpgrade, Pair, measure, upgrades
from device_tests.verdict.markdown import table
from device_tests.verdict.verdict import NOT_VERIFIED, PASSED
from hetero.display.text import say
from hetero.display.wording import change_in_words, range_of_change
from hetero.errors import InputError
from hetero.files import write_json, write_text


def device_fleet_command(
    *,
    app: Annotated[list[str], Parameter(negative="")],
    gallery: Annotated[list[str] | None, Parameter(negative="")] = None,
    target: str = "desktop",
    format: str = "onnx",
    precision: str = "fp32",
    largest_loss: float = 0.01,
    floor: float = 0.0,
    out: Path = Path("fleet"),
) -> int:
    """Measure versions of an application against versions of the gallery: which serve together, which must be blocked?

    Every bundle's queries are embedded on the target and search every gallery. Prints, and writes to fleet.json and
    fleet.md, every pair and what each later gallery would break. Exit status: 0 when every pair was measured, 3 when
    one was not.

    Example: hetero device fleet --app 1.0=bundles/v1 --app 2.0=bundles/v2 --gallery old=bundles/v1 --gallery new=g2

    Args:
        app: VERSION=BUNDLE. Repeatable.
        gallery: VERSION=PATH of a bundle, whose gallery it is, or of a file that `hetero retrieval make` wrote; from
            first to latest. Default the bundles' own. Repeatable.
        target: Where the queries are embedded.
        format: Of the exported models: onnx, litert, coreml or executorch.
        precision: Of these.
        largest_loss: Most cmc@1 that an application may lose against the gallery that it was made for.
        floor: Least cmc@1.
        out: Directory of the results.
    """
    from device_tests.targets.registry import target as target_called

    apps, galleries = _named(app), _named(gallery or app)
    machine = target_called(target)
    machine.set_up()
    try:
        gates = Gates(largest_loss=largest_loss, floor=floor)
        pairs = measure(apps, galleries, machine, format=format, precision=precision, gates=gates)
    finally:
        machine.close()
    changes = upgrades(pairs)
    text = as_markdown(pairs, changes)
    results = {"pairs": [vars(pair) for pair in pairs], "upgrades": [vars(change) for change in changes]}
    write_json(out / "fleet.json", {"schema": "hetero/app-fleet/1", "measured_on": target, **results})
    write_text(out / "fleet.md", text)
    say(text)
    return NOT_VERIFIED if any(pair.answer == "not measured" for pair in pairs) else PASSED


def as_markdown(pairs: list[Pair], changes: list[GalleryUpgrade]) -> str:
    """Return the pairs, and the pairs that upgrades break, as two tables."""
    header = ("app", "gallery", "answer", "cmc@1", "beside its own gallery, 95 %", "lost queries", "why")
    rows = [
        (pair.app, pair.gallery, pair.answer, _number(pair.cmc1), _interval(pair), _count(pair), pair.reason)
        for pair in pairs
    ]
    lines = [table(header, rows)]
    if changes:
        tables = [
            (f"{change.before} -> {change.after}", *map(_names, (change.breaks, change.keeps, change.unknown)))
            for change in changes
        ]
        lines.append(table(("gallery upgrade", "breaks", "goes on serving", "not measured"), tables))
    return "\n\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _interval(pair: Pair) -> str:
    if pair.loss is None or pair.low is None or pair.high is None:
        return "-"
    return f"{change_in_words(pair.loss, digits=3)} ({range_of_change(pair.low, pair.high, digits=3)})"


def _count(pair: Pair) -> str:
    return "-" if pair.lost is None else f"{pair.lost} of {pair.queries}"


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "-"


def _named(options: list[str]) -> dict[str, Path]:
    pairs = [one.partition("=") for one in options]
    if wrong := [one for one, (_, sign, path) in zip(options, pairs, strict=True) if not sign or not path]:
        raise InputError(f"expected VERSION=PATH, got {', '.join(wrong)}")
    names = [name for name, _, _ in pairs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"several are called {', '.join(twice)}; give each a version of its own")
    return {name: Path(path) for name, _, path in pairs}
