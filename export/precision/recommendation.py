"""The file of each format that an application should ship, by a rule over what the manifest knows. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from export.bundle.manifest import Manifest, ModelEntry, RecommendationEntry
from export.kinds.precision import PRECISIONS
from export.precision.doubts import too_few
from export.precision.table import offer
from hetero.display.text import one_line
from hetero.display.wording import change_in_words

RULE = (
    "the smallest file of a format whose calibration shows that it loses no more map@r than its goal (where there is "
    "a 95 % interval, by its upper end, of enough queries); of what was not measured, fp16 and fp32 only; no file "
    "that gives bytes, which are for accelerators alone, or has values outside of float16's range"
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
    largest = _largest_loss(model)
    if largest is None:
        return "was not measured"
    quantisation = model.quantisation
    goal = quantisation.goal if quantisation else offer(model.format, model.precision).goal
    if largest > goal:
        return f"is not shown to lose at most {goal:.2%} of map@r: {_loss(model)}"
    if quantisation and (measured := quantisation.evidence) and too_few(measured, goal):
        return f"cannot be judged by {measured.queries} queries of {measured.classes} classes"
    return ""


# Whether an accelerator takes the file whole will be one more question, once a manifest knows.
_QUESTIONS: tuple[Callable[[ModelEntry], str], ...] = (_gives_bytes, _leaves_float16, _loses)


def _largest_loss(model: ModelEntry) -> float | None:
    if model.quantisation and model.quantisation.evidence:
        return model.quantisation.evidence.chosen.loss.high
    return model.calibration_loss


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
