"""The file of each format that an application should ship, by a rule over what the manifest knows. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from export.bundle.manifest import Manifest, ModelEntry, RecommendationEntry
from export.kinds.precision import PRECISIONS
from export.precision.doubts import too_few
from export.precision.table import offer
from hetero.display.text import one_line
from hetero.display.wording import change_in_words
from hetero.metrics.bootstrap import Interval

RULE = (
    "the smallest file of a format whose calibration shows that it loses no more map@r than its goal (where there is "
    "a 95 % interval, by its upper end, of enough queries), or fp16 unless it is shown to lose more; of what was not "
    "measured, fp16 and fp32 only; no file that gives bytes, which are for accelerators alone, or has values outside "
    "of float16's range"
)
HALF_HAZARD = "float16: "
"""Start of a warning about a value that float16 cannot hold."""


def recommendations(manifest: Manifest) -> tuple[RecommendationEntry, ...]:
    """Return the recommended file of each format: the manifest's own, in older bundles by :data:`RULE`.

    A format may have none.
    """
    if manifest.recommended:
        return manifest.recommended
    formats = dict.fromkeys(model.format for model in manifest.models)
    found = [_recommended([model for model in manifest.models if model.format == name]) for name in formats]
    return tuple(entry for entry in found if entry is not None)


def measured_loss(model: ModelEntry) -> Interval | None:
    """Return the share of map@r that a model loses in calibration; None if it was not measured.

    That of a quantised file is of queries that set none of its ranges. Bundles of earlier versions hold no interval of
    the others: its ends are the figure itself.
    """
    if model.quantisation and model.quantisation.evidence:
        return model.quantisation.evidence.chosen.loss
    if model.calibration_interval is not None or model.calibration_loss is None:
        return model.calibration_interval
    return Interval(model.calibration_loss, model.calibration_loss, model.calibration_loss)


def goal_of(model: ModelEntry) -> float:
    """Return the largest share of map@r that a model may lose."""
    return model.quantisation.goal if model.quantisation else offer(model.format, model.precision).goal


def _recommended(models: Sequence[ModelEntry]) -> RecommendationEntry | None:
    objections = {model.file: why for model in models if (why := _objection(model))}
    allowed = [model for model in models if model.file not in objections]
    if not allowed:
        return None
    best = min(allowed, key=lambda model: (model.size, PRECISIONS.index(model.precision)))
    others = [f"{model.precision} {objections.get(model.file) or _larger(model)}" for model in models if model != best]
    why = "; ".join([f"{best.size:,} bytes, {_loss(best)}", *others])
    return RecommendationEntry(best.format, best.precision, best.file, one_line(why))


def _objection(model: ModelEntry) -> str:
    return next((why for ask in _QUESTIONS if (why := ask(model))), "")


def _gives_bytes(model: ModelEntry) -> str:
    return "gives bytes" if model.output.scale else ""


def _leaves_float16(model: ModelEntry) -> str:
    hazards = any(warning.startswith(HALF_HAZARD) for warning in model.warnings)
    return "has values outside of float16's range" if hazards else ""


def _loses(model: ModelEntry) -> str:
    if model.precision == "fp32" or (model.calibration_loss is None and model.precision == "fp16"):
        return ""
    loss, goal = measured_loss(model), goal_of(model)
    if loss is None:
        return "was not measured"
    if model.precision == "fp16":
        return f"loses more than {goal:.2%} of map@r: {_loss(model)}" if loss.low > goal else ""
    if loss.high > goal:
        return f"is not shown to lose at most {goal:.2%} of map@r: {_loss(model)}"
    evidence = model.quantisation and model.quantisation.evidence
    if evidence and too_few(evidence, goal):
        return f"cannot be judged by {evidence.queries} queries of {evidence.classes} classes"
    return ""


# Whether an accelerator takes the file whole will be one more question, once a manifest knows.
_QUESTIONS: tuple[Callable[[ModelEntry], str], ...] = (_gives_bytes, _leaves_float16, _loses)


def _loss(model: ModelEntry) -> str:
    if model.quantisation and (evidence := model.quantisation.evidence):
        loss = evidence.chosen.loss
        change = change_in_words(loss.value, digits=2, percent=True)
        return f"{change} of map@r on {evidence.queries} queries (95 %: at most {loss.high:.2%})"
    if model.calibration_loss is None:
        return "loss of map@r not measured"
    return f"{change_in_words(model.calibration_loss, digits=2, percent=True)} of map@r"


def _larger(model: ModelEntry) -> str:
    return f"takes {model.size:,} bytes"
