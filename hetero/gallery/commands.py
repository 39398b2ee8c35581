"""``hetero gallery tune``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from cyclopts.types import PositiveFloat, PositiveInt

from hetero.data.embeddings.file import embeddings_of, load_embeddings
from hetero.display.text import say

GOOD, BEYOND, NOT_VERIFIED = 0, 1, 3


def tune_command(
    address: str,
    queries: Path,
    *,
    largest_loss: PositiveFloat = 0.01,
    k: PositiveInt = 10,
    sample: PositiveInt = 2000,
    tenant: str = "",
) -> int:
    """Find the least effort at which an approximate gallery answers as an exact search does.

    Counts the queries whose first answer changes: no gate on first answers can see more. Exit status: 0 an effort is
    shown to stay within the limit, 1 none does, 3 too few queries to show it.

    Example: hetero gallery tune usearch:gallery student_queries.safetensors

    Args:
        address: The gallery's address, for instance usearch:DIRECTORY.
        queries: A file of embeddings by the student that will ask, as `hetero embed` writes it: others lose less. A
            query that the gallery holds under its name does not find itself.
        largest_loss: Largest share of first answers that may change, as the gate of `hetero verify` of this name.
        k: Items that the recall counts.
        sample: Most queries, evenly spread.
        tenant: The tenant whose items are searched.
    """
    from hetero.gallery.opening import open_gallery
    from hetero.gallery.tuning import tune

    file = load_embeddings(queries)
    rows = np.unique(np.linspace(0, len(file.names) - 1, min(sample, len(file.names))).astype(int)).tolist()
    names = [file.names[row] for row in rows]
    with open_gallery(address, read_only=True) as store:
        tuning = tune(store, embeddings_of(file, names), names, file.space, k=k, limit=largest_loss, tenant=tenant)
    say(f"{tuning.queries} queries; first answers that change, with the upper end of the 95 % interval:")
    say(f"  effort  recall@{k:<3}  changed  at most")
    for one in tuning.trials:
        say(f"  {one.effort:6d}  {one.recall:10.4f}  {one.changed:7.4f}  {one.at_most:7.4f}")
    if tuning.least is not None:
        say(f"effort {tuning.least} stays within {largest_loss:g}")
        return GOOD
    if tuning.queries < tuning.needs:
        say(f"not verified: to show {largest_loss:g} takes at least {tuning.needs} queries")
        return NOT_VERIFIED
    say(f"no effort is shown to stay within {largest_loss:g}; search with effort exact, or allow more")
    return BEYOND
