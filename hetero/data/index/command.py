"""``hetero data index``: write where the images of a data set lie, so that any number of them opens at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from hetero.data.checking.check import config_for
from hetero.data.config import Kind, Layout
from hetero.data.index.build import write_index
from hetero.display.text import say
from hetero.errors import InputError
from hetero.files import cache_directory


def index_command(
    path: str,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    kind: Literal["auto", Kind] = "auto",
    label: str = "label",
    image: str = "",
    layout: Layout = "auto",
    root: str = "",
) -> int:
    """Write the index of a data set: file, offset, length, label, split and name of each image, as columns.

    A recipe takes the index with kind = "index". Data of the other kinds get one in the cache when they are first used;
    this command writes it where it can be kept, moved with the data, or shared. It is refused once a file has changed.

    Example: hetero data index "shards/{train,test}-*.tar" --out shards/index

    Example: hetero data index s3://bucket/photos --out index

    Args:
        path: Tar shards of WebDataset, or Parquet or Arrow files of datasets, as a pattern in quotes or their folder; a
            folder of images or a CSV file. Each may be the URL of a store.
        out: Folder of the index.
        kind: What the path is; auto tells by the names of the files.
        label: Column of Parquet, or field of .json members in tar shards, that holds the label.
        image: Column of Parquet that holds the images, where there are several.
        layout: Meaning of the folders inside a folder of images; see hetero data check.
        root: Folder that a CSV's paths are relative to.

    Raises:
        InputError: When a file is missing or damaged; lists every problem.
    """
    config = config_for(path, kind=kind, label=label, image=image, layout=layout, root=root)
    if config.kind in ("emoji", "index"):
        raise InputError(f"expected data to index, got {path}, which is {config.kind} data already")
    index = write_index(config, out, cache_directory())
    labelled = int((index.label >= 0).sum())
    say(f"{out}: {len(index):,} images in {index.record.sources:,} files, {labelled:,} with a label")
    say(f"  {len(index.record.classes):,} classes; {index.record.layout}")
    for note in index.record.notes:
        say(f"  note: {note}")
    return 0
