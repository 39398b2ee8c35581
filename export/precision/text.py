"""How an int8 file was made, and why so, in words for the model card and ``hetero bundle inspect``."""

from __future__ import annotations

from export.bundle.quantisation import Evidence, Int8Figures, Quantisation, Scales

_SCALES: dict[Scales, str] = {
    "channel": "a scale a channel",
    "depthwise": "a scale a channel in depthwise convolutions, a layer elsewhere",
    "tensor": "a scale a layer",
}


def how_made(made: Quantisation) -> str:
    """Settings, then the evidence for them."""
    ranges = f"activation ranges by {made.calibrator}, " if made.calibrator else ""
    settings = f"{ranges}weights with {_SCALES[made.scales]}"
    settings += ", corrected biases" if made.bias_correction else ""
    settings += ", reduced range" if made.reduce_range else ""
    settings += f", {len(made.float_layers)} layers in float" if made.float_layers else ""
    return f"{settings}, chosen of {made.tried}; {_goal(made)}{_why(made.evidence)}"


def _goal(made: Quantisation) -> str:
    if made.evidence is None:
        return f"{'meets' if made.met else '**misses**'} its goal of losing at most {made.goal:.1%} of map@r"
    loss = made.evidence.chosen.loss
    verdict = "met" if loss.high <= made.goal else "**missed**" if loss.low > made.goal else "not decided"
    return (
        f"loses {loss.value:.2%} of map@r on {made.evidence.queries} calibration queries "
        f"(95 %: {loss.low:.2%} to {loss.high:.2%}; goal {made.goal:.1%}: {verdict})"
    )


def _why(evidence: Evidence | None) -> str:
    if evidence is None:
        return ""
    chosen = f"; keeps {_agreement(evidence.chosen)}"
    if evidence.plain is None:
        return f"{chosen}; the plain default gives no finite vectors"
    if evidence.decided_by == "nothing" or evidence.overlap_gain is None:
        return f"{chosen}, as the plain default that it is"
    gain = evidence.overlap_gain
    return (
        f"{chosen}, the plain default {_agreement(evidence.plain)} "
        f"({gain.value:+.3f}, 95 %: {gain.low:+.3f} to {gain.high:+.3f}; decided by {evidence.decided_by})"
    )


def _agreement(figures: Int8Figures) -> str:
    return f"{figures.overlap:.3f} of the float32 model's ten nearest at {figures.angle:.1f} degrees"
