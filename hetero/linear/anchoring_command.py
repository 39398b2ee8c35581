"""``hetero anchor-factors``: a file that holds a model in its space where its old photos will be gone."""

from __future__ import annotations

import sys
from pathlib import Path

from hetero import own_code
from hetero.data.prepare import prepare
from hetero.flags import AllowCode
from hetero.linear.command import DEFAULT
from hetero.linear.config import Part
from hetero.linear.learnt import photos_at


def anchor_factors_command(
    model: Path, photos: Path, out: Path, *, part: Part = DEFAULT.part, allow_code: AllowCode = False
) -> int:
    """Write the factors of a model's old photos, which stand in for them when the model is adapted without them.

    Ship the file with the model: `hetero adapt` takes it in place of the photos. It holds averages over all photos of
    how the model answers them, and no photo. It fits the weights of this model alone.

    Example: hetero anchor-factors models/v1 photos models/v1.anchors.safetensors

    Args:
        model: A model directory: a cloud model, or a student that was not fine-tuned for int8.
        photos: Photos of the old domain, laid out as for training; the training photos count.
        out: The safetensors file to write.
        part: Part that an adaptation will change, as for `hetero adapt`.
        allow_code: Allow a model to run its own code.
    """
    if allow_code:
        own_code.allow_code()
    from hetero.linear.anchoring import write_anchor_factors
    from hetero.linear.parts import require_part
    from hetero.models.directory import load_record

    stored = load_record(model)
    require_part(stored.model, part)
    old = prepare(photos_at(photos), stored.preprocessing)
    write_anchor_factors(model, old, out, part)
    print(f"the factors of {len(old.train)} photos: {out}", file=sys.stderr)
    return 0
