"""``hetero space check``: examine a cloud's vectors before training a student for them."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hetero import own_code
from hetero.flags import AllowCode
from hetero.geometry.advice import advice
from hetero.geometry.sources import vectors_of
from hetero.geometry.statistics import space_statistics
from hetero.geometry.text import as_text

Flag = Annotated[bool, Parameter(negative="")]


def check_command(
    source: Path, *, data: Path | None = None, root: str = "", json: Flag = False, allow_code: AllowCode = False
) -> int:
    """Report statistics of a cloud's vectors, and advice for a student that is to live among them.

    Reports lengths, the mean, the effective number of dimensions, duplicates, hubs, how much nearer neighbours are than
    random vectors and, where classes are known, the space's own retrieval.

    Example: hetero space check cloud_embeddings.safetensors

    Example: hetero space check runs/mine --data photos --json

    Args:
        source: A file of embeddings (.safetensors or .npy), the directory of a run, or a model directory.
        data: A folder of class folders or a CSV file. Gives the vectors' classes, by the names of their images, and for
            a model the images to embed. Vectors of other images are left out.
        root: Folder that the CSV's paths are relative to; default its own.
        json: Print JSON.
        allow_code: Allow a recipe, search space or model to run its own code.

    Raises:
        InputError: When there are no vectors, or none has a direction.
    """
    if allow_code:
        own_code.allow_code()
    cloud = vectors_of(source, data, root=root)
    statistics = space_statistics(cloud.vectors, cloud.labels)
    if json:
        record = {"name": cloud.name, "copies": cloud.copies, **statistics.to_dict(), "advice": advice(statistics)}
        print(json_format.dumps(record, indent=2, ensure_ascii=False))
    else:
        note = f" ({cloud.copies} vectors of changed copies left out)" if cloud.copies else ""
        print(as_text(f"{cloud.name}{note}", statistics))
    return 0
