"""``hetero backfill run``, ``roll-back`` and ``status``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.types import NonNegativeFloat, PositiveFloat, PositiveInt

from hetero import own_code
from hetero.display.text import say
from hetero.errors import InputError
from hetero.flags import AllowCode

if TYPE_CHECKING:
    from hetero.gallery.checked import CheckedStore
    from hetero.pipeline.embedding.job import Job
    from hetero.space import EmbeddingSpace
    from hetero.upgrade.backfill.running.workers import Workers

Flag = Annotated[bool, Parameter(negative="")]


def run_command(
    gallery: str,
    model: str,
    *,
    order: Path | None = None,
    data: str = "",
    queries: Path | None = None,
    before: Path | None = None,
    labels: Path | None = None,
    swap: Annotated[bool, Parameter(negative="--no-swap")] = True,
    least_recall: PositiveFloat = 0.95,
    most_flips: PositiveFloat = 0.05,
    effort: PositiveInt = 64,
    tenant: str = "",
    batch_size: PositiveInt = 256,
    workers: PositiveInt | None = None,
    rate: PositiveFloat | None = None,
    ray: str = "",
    wait: NonNegativeFloat = 120.0,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    root: str = "",
    allow_code: AllowCode = False,
) -> int:
    """Move a gallery to a new model's space while it goes on answering, then swap if a gate allows it.

    Every item gets a vector of the new space, in the plan's order, a transaction a batch. Workers may be killed, and so
    may this command: the same command goes on. The gate compares the new vectors with the old ones by queries of
    students. Exit status: 0 swapped (or filled, with --no-swap), 1 the gate refuses, 3 too few queries to decide.

    Example: hetero backfill run usearch:gallery models/v2 --data photos --order order.csv --queries edge.safetensors

    Example: hetero backfill run usearch:gallery new_vectors.safetensors --no-swap

    Args:
        gallery: The gallery's address, for instance usearch:DIRECTORY.
        model: The new model, as `hetero embed` takes it; or a file or folder of embeddings that it made.
        order: The order, as `hetero backfill plan` writes it; default the store's own.
        data: The images of the items, as `hetero embed` takes them: their names there are the items' ids.
        queries: Held-out queries' embeddings by a student of the new space, for the gate.
        before: The same images' embeddings by the student that asks now; default the new ones, where their space may
            search the old vectors.
        labels: CSV file with the columns label and path (or name) of queries and items; without it, an image's class
            is the folder that it lies in.
        swap: Serve the new space at the end; --no-swap only fills.
        least_recall: Least ann_recall@10 of the new vectors' index.
        most_flips: Largest share of queries that may be right before the swap and wrong after it.
        effort: How hard the gallery is searched by the gate, as in service.
        tenant: The tenant whose items the gate searches.
        batch_size: Items at a time.
        workers: Processes that embed; default one a core, or one to read a file.
        rate: Most items a second, so that a machine that also answers queries has time for them.
        ray: Address of a Ray cluster that embeds, for instance auto.
        wait: Seconds to wait for a database that does not answer.
        device: Device to run on; auto takes a GPU where there is one.
        root: Folder that a table's paths are relative to; default its own.
        allow_code: Run the code that a model names.
    """
    if allow_code:
        own_code.allow_code()
    if swap and queries is None:
        raise InputError("--queries: expected students' queries for the gate before the swap, or --no-swap")
    from hetero.gallery.opening import open_gallery, without_password
    from hetero.upgrade.backfill.running.fill import Patience, read_order
    from hetero.upgrade.backfill.running.gate import Limits, read_queries
    from hetero.upgrade.backfill.running.run import Gate, run_backfill
    from hetero.upgrade.backfill.running.source import open_source

    places = read_order(order) if order else {}
    source = open_source(model, _job(model, data, root, batch_size, device) if data else None)
    with open_gallery(gallery) as store:
        served, new, gate = store.space, source.space, None
        if not _is_served(store, new) and swap and queries:
            held_out = read_queries(queries, before, labels, new=new, served=served, tenant=tenant)
            gate = Gate(held_out, Limits(least_recall, most_flips, effort))
        return run_backfill(
            store,
            source,
            places,
            _workers(workers, ray, is_file=not data),
            gate=gate,
            batch_size=batch_size,
            rate=rate,
            patience=Patience(wait, f"the gallery {without_password(gallery)}"),
        )


def roll_back_command(gallery: str) -> int:
    """Serve the space from before the last swap again, at once.

    Example: hetero backfill roll-back usearch:gallery

    Args:
        gallery: The gallery's address, for instance usearch:DIRECTORY.
    """
    from hetero.gallery.opening import open_gallery
    from hetero.upgrade.backfill.running.run import named

    with open_gallery(gallery) as store:
        lacking = store.begin(store.space).roll_back()
        say(f"{named(store.space)} is served again")
        if lacking:
            say(
                f"{lacking:,} items came or changed since and are not found: `hetero backfill run` with the model of "
                f"{named(store.space)} and --no-swap adds them"
            )
    return 0


def status_command(gallery: str) -> int:
    """Say what a gallery serves, and how far backfills have come.

    Example: hetero backfill status usearch:gallery

    Args:
        gallery: The gallery's address, for instance usearch:DIRECTORY.
    """
    from hetero.gallery.opening import open_gallery
    from hetero.upgrade.backfill.running.run import named

    with open_gallery(gallery) as store:
        served, *others = store.spaces()
        previous, items = store.previous, store.count(served)
        say(f"served: {named(served)}, {items:,} items")
        for space in others:
            count = store.count(space)
            share = f"{count:,} of {items:,} items ({count / max(items, 1):.0%})"
            if previous is not None and space.space_id == previous.space_id:
                say(f"served before: {named(space)}, {share} to roll back to")
            else:
                say(f"backfill to {named(space)}: {share}; {_meanwhile(store, space)}")
    return 0


def _is_served(store: CheckedStore, new: EmbeddingSpace) -> bool:
    """Say who is answered until the swap, and return True if there is none to come."""
    from hetero.upgrade.backfill.running.run import named

    served = store.space
    if new.space_id == served.space_id:
        # After a way back, items may lack a vector of it.
        say(f"note: {named(new)} is served already", error=True)
        return True
    say(f"from {named(served)} to {named(new)}: {_meanwhile(store, new)}", error=True)
    return False


def _meanwhile(store: CheckedStore, new: EmbeddingSpace) -> str:
    if store.answers_meanwhile and new.may_search(store.space):
        return "until the swap its queries search new and old vectors"
    return "until the swap its queries are refused"


def _job(model: str, data: str, root: str, batch_size: int, device: Literal["auto", "cpu", "cuda"]) -> Job:
    from hetero.pipeline.embedding.job import Job
    from hetero.pipeline.quick.cloud_table import Takes

    # Workers start in other folders.
    path = str(Path(model).absolute()) if Path(model).exists() else model
    data, root = (str(Path(one).absolute()) if one and "://" not in one else one for one in (data, root))
    return Job(path, data, Takes(None, None, None, None, option="--"), root, batch_size, device)


def _workers(count: int | None, address: str, *, is_file: bool) -> Workers:
    from hetero.data.decoding.parallel import workers
    from hetero.processes.cluster import ray_library
    from hetero.upgrade.backfill.running.workers import Cluster, Processes

    if address:
        return Cluster(ray_library(), address)
    return Processes(count or (1 if is_file else workers()))
