"""An additional rung, for bundles with golden texts: a text still finds the photo that the device embedded.

The photos are the bundle's queries, which the device embeds for the rung of retrieval; here they are the gallery. The
texts are vectors by the cloud's own text tower, which no phone runs.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float32

from device_tests.checks.finding import TEXT, Figure, Finding, judged
from device_tests.checks.gates import Gates
from device_tests.checks.parity import same_vectors
from device_tests.checks.retrieval_gates import chance_gate, flips, loss_gate
from device_tests.checks.subject import Subject
from export.bundle.golden_texts import found_by
from hetero.evaluation.limit import Gated, problems_of, unknown_of
from hetero.evaluation.roles import chance_of_texts, image_to_text, text_to_image
from hetero.metrics.bootstrap import mean_interval
from hetero.metrics.paired import share_interval
from hetero.metrics.retrieval import TaskResult
from hetero.text.described import DescribedImages

RUNG = TEXT
METRICS = ("cmc@1", "map@r")
# Share of the texts whose first hit may change between machines, which round cosines differently.
_ROUNDED = 0.01

Gallery = Float32[np.ndarray, "q d"]


def check(subject: Subject, gates: Gates) -> Finding:
    """Compare what the texts find among the device's photos with what they find among torch's and the cloud's.

    It fails when the texts find no more than chance among the cloud's own vectors (they are of another text tower, or
    exchanged), no more than chance among the device's (its model is of another space), or clearly less there than among
    torch's. All of it is judged by 95 % intervals; a figure whose interval decides nothing is not verified.
    """
    goldens = subject.goldens
    assert goldens.texts is not None  # no other bundle has this rung
    texts = goldens.texts.among(goldens.query_rows)
    if not len(texts):
        return judged(RUNG, [], {"texts": 0}, ["none of the photos that this target embeds has a text"])
    device = subject.queries
    if not np.isfinite(device).all():
        return judged(RUNG, ["embeddings hold values that are not finite"], {})
    galleries = device, goldens.retrieval_student[goldens.query_rows], goldens.retrieval_cloud[goldens.query_rows]
    on_device, in_torch, by_cloud = (text_to_image(gallery, texts, metrics=METRICS) for gallery in galleries)
    chance = chance_of_texts(texts)
    tower = chance_gate(by_cloud, chance, what="of texts among the cloud's own vectors")
    space = chance_gate(on_device, chance, what="of texts among the device's photos")
    same = same_vectors(subject, gates.parity)
    limit = gates.largest_loss if gates.text_loss is None else gates.text_loss
    loss = loss_gate(in_torch, on_device, limit, beside="the student in torch", same=same)
    problems = problems_of([space, loss])
    if wrong := [*_exchanged(subject), *problems_of([tower])]:
        problems = [f"the golden texts do not fit the cloud's vectors (another text tower, or exchanged): {wrong[0]}"]
    figures = _figures(on_device, in_torch, by_cloud, loss)
    figures |= _answers(device, galleries[2], texts)
    return judged(RUNG, problems, {**figures, "chance": float(chance.mean())}, unknown_of([tower, space, loss]))


def _exchanged(subject: Subject) -> list[str]:
    """Compare what the texts find among the cloud's vectors with what they found there at export."""
    goldens, told = subject.goldens, subject.texts
    if goldens.texts is None or told is None:
        return []
    hits = found_by(goldens.texts, goldens.retrieval_cloud)
    if abs(hits - told.found) <= math.ceil(_ROUNDED * told.count):
        return []
    return [f"{hits} of {told.count} find their photo first among the cloud's vectors, and at export {told.found} did"]


def _figures(on_device: TaskResult, in_torch: TaskResult, by_cloud: TaskResult, loss: Gated) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    clusters = on_device.clusters(on_device.resampled)
    for metric in METRICS:
        interval = mean_interval(on_device.per_query(metric), clusters=clusters)
        figures |= {metric: interval.value, f"{metric}_low": interval.low, f"{metric}_high": interval.high}
        figures |= {f"{metric}_student": in_torch.mean(metric), f"{metric}_cloud": by_cloud.mean(metric)}
    share, (lost, gained) = share_interval(on_device, by_cloud, clusters=clusters), flips(in_torch, on_device)
    return {
        **figures,
        "share_of_cloud": share and share.value,
        "share_of_cloud_low": share and share.low,
        "share_of_cloud_high": share and share.high,
        "cmc@1_loss": loss.figure.value,
        "cmc@1_loss_low": loss.figure.low,
        "cmc@1_loss_high": loss.figure.high,
        "negative_flips": lost,
        "positive_flips": gained,
        "texts": len(on_device.labels[0]),
        "resampled": on_device.resampled,
    }


def _answers(device: Gallery, cloud: Gallery, texts: DescribedImages) -> dict[str, Figure]:
    """Return the figures of the other way: the photos' search among the texts."""
    ours, theirs = (image_to_text(vectors, texts, metrics=METRICS) for vectors in (device, cloud))
    return {
        "image_to_text_cmc@1": ours.mean("cmc@1"),
        "image_to_text_cmc@1_cloud": theirs.mean("cmc@1"),
        "photos": len(device),
    }
