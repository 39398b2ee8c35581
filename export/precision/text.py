"""An int8 file's quantisation and the reasons for it, in words for the model card and ``hetero bundle inspect``."""

from __future__ import annotations

from export.bundle.quantisation import Evidence, Int8Figures, Quantisation, Scales

_SCALES: dict[Scales, str] = {
    "channel": "a scale a channel",
    "depthwise": "a scale a channel in depthwise convolutions, a layer elsewhere",
    "tensor": "a scale a layer",
}


def how_made(quantisation: Quantisation) -> str:
    """Describe the settings, then the evidence for them."""
    ranges = f"activation ranges by {quantisation.calibrator}, " if quantisation.calibrator else ""
    settings = f"{ranges}weights with {_SCALES[quantisation.scales]}"
    settings += ", corrected biases" if quantisation.bias_correction else ""
    settings += ", reduced range" if quantisation.reduce_range else ""
    settings += f", {len(quantisation.float_layers)} layers in float" if quantisation.float_layers else ""
    return f"{settings}, chosen of {quantisation.tried}; {_goal(quantisation)}{_why(quantisation.evidence)}"


def _goal(quantisation: Quantisation) -> str:
    if quantisation.evidence is None:
        verdict = "meets" if quantisation.met else "**misses**"
        return f"{verdict} its goal of losing at most {quantisation.goal:.1%} of map@r"
    loss = quantisation.evidence.chosen.loss
    verdict = (
        "met" if loss.high <= quantisation.goal else "**missed**" if loss.low > quantisation.goal else "not decided"
    )
    return (
        f"loses {loss.value:.2%} of map@r on {quantisation.evidence.queries} calibration queries "
        f"(95 %: {loss.low:.2%} to {loss.high:.2%}; goal {quantisation.goal:.1%}: {verdict})"
    )


def _why(evidence: Evidence | None) -> str:
    if evidence is None:
        return ""
    result = f"; keeps {_agreement(evidence.chosen)}"
    if evidence.plain is None:
        return f"{result}; the plain default gives no finite vectors"
    if evidence.decided_by == "nothing" or evidence.overlap_gain is None:
        return f"{result}, as the plain default that it is"
    gain = evidence.overlap_gain
    return (
        f"{result}, the plain default {_agreement(evidence.plain)} "
        f"({gain.value:+.3f}, 95 %: {gain.low:+.3f} to {gain.high:+.3f}; decided by {evidence.decided_by})"
    )


def _agreement(figures: Int8Figures) -> str:
    return f"{figures.overlap:.3f} of the float32 model's ten nearest at {figures.angle:.1f} degrees"
