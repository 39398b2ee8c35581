"""The command ``hetero embed``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.types import PositiveInt

from hetero import own_code
from hetero.display.text import say
from hetero.errors import InputError
from hetero.flags import AllowCode
from hetero.pipeline.quick.cloud_table import Takes, Triple, with_absolute_place

if TYPE_CHECKING:
    from hetero.pipeline.embedding.job import Job


def embed_command(
    model: str,
    data: str,
    out: Path,
    *,
    batch_size: PositiveInt = 256,
    dtype: Annotated[Literal["float32", "float16"], Parameter(help="Type of the vectors in shards.")] = "float32",
    shard_rows: PositiveInt = 8192,
    ray: str = "",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    size: PositiveInt | None = None,
    resize: Literal["squash", "pad", "crop"] | None = None,
    mean: Triple | None = None,
    std: Triple | None = None,
    weights: Path | None = None,
    root: str = "",
    allow_code: AllowCode = False,
) -> int:
    """Embed images with any model; write their vectors with names and space.

    OUT is one .safetensors file, or a folder that gets shards (Parquet) as they are done: for any number of images, and
    continued by the same command after an interruption. Every core computes, or a GPU.

    Example: hetero embed runs/demo/cloud photos embeddings.safetensors

    Example: hetero embed cloud.onnx photos.csv vectors --dtype float16

    Args:
        model: A model directory, an .onnx file, a published network (efficientnet_lite0, timm:NAME, open_clip:NAME,
            hf:NAME), or with --allow-code a .pt2 file or Python code as module:attribute.
        data: A folder, whose images at any depth are taken; a CSV table; tar shards, Parquet or an index, here or in a
            store; or a recipe, for the images of its data.
        out: A .safetensors file, or a folder for shards.
        batch_size: Images at a time.
        dtype: Type of the vectors in shards.
        shard_rows: Vectors in a shard, at most 20,000; an interruption loses at most one shard's work (on a cluster,
            one for each core).
        ray: Address of a Ray cluster that embeds the shards, for instance auto.
        device: Device to run on; auto takes a GPU where there is one.
        size: Height and width of the model's images, where it does not say so itself.
        resize: How images are brought to that size.
        mean: Mean of the model's images, where it does not say so itself.
        std: Standard deviation, likewise.
        weights: Weights of a published network by name, as .safetensors. None are fetched.
        root: Folder that a table's paths are relative to; default its own.
        allow_code: Run the code that a model names.
    """
    if allow_code:
        own_code.allow_code()
    from hetero.pipeline.embedding.job import Job

    single = out.suffix == ".safetensors"
    if single:
        _require_plain({"--dtype": dtype != "float32", "--shard-rows": shard_rows != 8192, "--ray": bool(ray)})
    takes = Takes(size, resize, mean, std, weights.absolute() if weights else None, option="--")
    model = str(Path(model).absolute()) if Path(model).exists() else with_absolute_place(model)
    if ray:
        data, root = _absolute(data), _absolute(root)
    job = Job(model, data, takes, root, batch_size, device, keep=not single)
    if single:
        _to_file(job, out)
    else:
        _to_shards(job, out, dtype, shard_rows, ray)
    return 0


def _absolute(path: str) -> str:
    """Return a local path or pattern as the nodes of a cluster, which work in other folders, find it."""
    return str(Path(path).absolute()) if path and "://" not in path else path


def _require_plain(stated: dict[str, bool]) -> None:
    if wrong := [option for option, is_stated in stated.items() if is_stated]:
        raise InputError(
            f"{', '.join(wrong)}: of a folder of shards, and OUT is one file; give a folder, or leave it out"
        )


def _to_file(job: Job, out: Path) -> None:
    import numpy as np

    from hetero.data.embeddings.file import require_destination, save_embeddings
    from hetero.pipeline.embedding.job import all_vectors

    require_destination(out, job.origin.names)
    space = job.opened.embedder.space
    names = list(job.source.names)
    _tell(job)
    require_destination(out, names)
    save_embeddings(out, np.concatenate(list(all_vectors(job))), names, space)


def _to_shards(job: Job, out: Path, dtype: Literal["float16", "float32"], shard_rows: int, address: str) -> None:
    from hetero.data.embeddings.shard_file import MOST_ROWS
    from hetero.data.embeddings.shards_writing import begin, require_folder, require_settings
    from hetero.data.parquet import parquet
    from hetero.pipeline.embedding.write import write_here, write_on_cluster
    from hetero.processes.cluster import ray_library
    from hetero.processes.lock import locked

    if shard_rows > MOST_ROWS:
        raise InputError(f"--shard-rows: expected at most {MOST_ROWS}, got {shard_rows}")
    require_folder(out, job.origin.names)
    parquet()
    library = ray_library() if address else None
    require_settings(out, {**job.settings(), "rows_per_shard": shard_rows, "dtype": dtype})
    entry = job.record(rows_per_shard=shard_rows, dtype=dtype)
    _tell(job)
    with locked(out):
        missing = begin(out, entry)
        if library:
            write_on_cluster(job, out.absolute(), entry, missing, ray=library, address=address)
        else:
            write_here(job, out, entry, missing)
    kept = len(entry.starts) - len(missing)
    shards = f"{len(entry.starts):,} shard{'s' if len(entry.starts) > 1 else ''}"
    say(f"{out}: {entry.rows:,} vectors in {shards}" + (f", {kept:,} kept" if kept else ""))


def _tell(job: Job) -> None:
    from hetero.models.external.frozen import PublishedEmbedder

    embedder = job.opened.embedder
    if isinstance(embedder, PublishedEmbedder):
        say(f"{job.model}: {embedder.output}, of images {embedder.preprocessing.in_words}", error=True)
    for note in (*job.origin.notes, *job.source.notes):
        say(f"note: {note}", error=True)
