"""An additional rung, for bundles that carry a gallery: on the target its index finds what an exact search finds."""

from __future__ import annotations

from device_tests.checks.finding import GALLERY, Finding, judged
from device_tests.checks.gates import Gates
from device_tests.checks.retrieval_gates import store_gate
from device_tests.checks.subject import Subject
from hetero.evaluation.limit import problems_of, unknown_of
from hetero.gallery.tuning import differences

RUNG = GALLERY


def check(subject: Subject, gates: Gates) -> Finding:
    """Compare the items that the target found in the carried gallery with those of an exact search of the same vectors.

    The queries are what the target's model made of the bundle's. The share whose first item is another is limited as a
    loss of retrieval is: no metric of first answers can lose more.
    """
    entry, returned = subject.gallery, subject.returned
    assert entry is not None  # no other bundle has this rung
    near, exact = returned.near, returned.exact
    if returned.gallery_error or near is None or exact is None:
        reason = returned.gallery_error or "this target searches no gallery"
        lacks = returned.gallery_lacks or not returned.gallery_error
        return judged(RUNG, [] if lacks else [reason], {}, [reason] if lacks else [])
    changed, recall = differences(near.tolist(), exact.tolist())
    gate = store_gate(changed, gates.largest_loss, store=f"the bundle's gallery at effort {entry.effort}")
    share = gate.figure
    figures = {
        "changed": share.value,
        "changed_low": share.low,
        "changed_high": share.high,
        f"recall@{exact.shape[1]}": recall,
        "effort": entry.effort,
        "items": entry.items,
        "queries": len(near),
    }
    return judged(RUNG, problems_of([gate]), figures, unknown_of([gate]))
