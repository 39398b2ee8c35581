"""A smaller copy of a gallery: the derived space, its vectors, students that ask in it, and what it costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from hetero.compact.codes import BITS, BinaryCodes, Precision
from hetero.compact.cost import Cost, QuerySet, costs
from hetero.compact.derived import DerivedSpace
from hetero.compact.source import Contents, contents_of
from hetero.data.embeddings.file import embeddings_of, load_embeddings, require_destination, save_embeddings
from hetero.data.embeddings.labels import classes_by_name
from hetero.errors import InputError
from hetero.files import sha256_file, write_bytes, write_json
from hetero.schema import record
from hetero.storage.directories import is_replaceable, replaced_directory

RECORD = "compact.json"
EMBEDDINGS, CODES, STORE, STUDENTS = "embeddings.safetensors", "codes.safetensors", "gallery", "students"
FOLDERS = "folders"
"""In place of a table of labels: the class of an image is the folder that it lies in."""


@record
class Compaction:
    """The content of ``compact.json``.

    Attributes:
        space: Id of the derived space.
        parent: Id of the space before.
        dimension: Number of coordinates.
        parent_dimension: Number before.
        precision: Precision of the vectors.
        vectors: Number of vectors.
        costs: Name of a file of queries -> the figures of each precision, and of half as many dimensions.
        students: Names of the models that were folded.
        schema: Version of this record.
    """

    space: str
    parent: str
    dimension: int
    parent_dimension: int
    precision: str
    vectors: int
    costs: dict[str, tuple[Cost, ...]]
    students: tuple[str, ...]
    schema: Literal["hetero/compact/1"] = "hetero/compact/1"

    @property
    def bytes(self) -> float:
        """Bytes of a vector that a search reads."""
        return self.dimension * BITS[self.precision] / 8  # pyright: ignore[reportArgumentType]


def compact(
    source: str,
    out: Path,
    *,
    dimensions: int,
    precision: Precision,
    kind: Literal["pca", "itq"],
    queries: Sequence[Path] = (),
    labels: str = "",
    students: Sequence[Path] = (),
    tenant: str = "",
) -> Compaction:
    """Write a smaller copy of a gallery into a directory; nothing is embedded again, and the source stays as it is.

    Args:
        source: See :func:`hetero.compact.source.contents_of`.
        out: The directory; an earlier copy there is replaced.
        dimensions: Number of coordinates to keep.
        precision: Precision of the copy.
        kind: Kind of rotation.
        queries: Files of embeddings in the space of the source, by students, to measure the cost with.
        labels: A CSV file of classes by the names of images, or :data:`FOLDERS`; empty where they are not known.
        students: Model directories of that space, to be folded.
        tenant: Of a store: the tenant whose items are searched to measure.

    Raises:
        InputError: When one of them cannot be used, before anything is written.
        SpaceMismatchError: When queries or a student belong to another space.
    """
    if not is_replaceable(out, RECORD):
        raise InputError(f"{out} exists and is not what `hetero gallery compact` writes; choose another place")
    if labels and not queries:
        raise InputError("--labels: they are the classes of --queries, and there are none")
    _require_distinct("--queries", [path.stem for path in queries])
    _require_distinct("--students", [path.name for path in students])
    contents = contents_of(source)
    if contents.is_store and precision == "binary":
        raise InputError(
            "no gallery store searches signs: expected float16 or int8 for a store, or a file of embeddings"
        )
    if not contents.is_store:
        require_destination(out / EMBEDDINGS, contents.pages[0].ids)
    query_sets = {path.stem: query_set_of(path, contents, labels, tenant) for path in queries}
    derived = DerivedSpace.fit(contents.vectors, contents.space, dimensions, kind=kind)
    _require_students(students, derived)
    figures = {name: tuple(_costs(one, derived)) for name, one in query_sets.items()}
    result = Compaction(
        space=derived.space.space_id,
        parent=contents.space.space_id,
        dimension=dimensions,
        parent_dimension=contents.space.dimension,
        precision=precision,
        vectors=sum(len(page.ids) for page in contents.pages),
        costs=figures,
        students=tuple(path.name for path in students),
    )
    with replaced_directory(out) as fresh:
        derived.write(fresh)
        _write_vectors(fresh, contents, derived, precision)
        for path in students:
            fold_student(path, derived, fresh / STUDENTS / path.name)
        write_json(fresh / RECORD, dataclasses.asdict(result))
    return result


def query_set_of(path: Path, contents: Contents, labels: str, tenant: str) -> QuerySet:
    """Return the queries of a file, those whose class the gallery has, and what each should find.

    Raises:
        InputError: When there are none, or images without a class.
        SpaceMismatchError: When they are of another space.
    """
    file = load_embeddings(path)
    contents.space.require_same(file.space, this="the gallery", that=f"the queries {path}")
    ids, gallery = contents.of_tenant(tenant)
    row = {name: index for index, name in enumerate(ids)}
    own = np.array([row.get(name, -1) for name in file.names], np.int64)
    query = embeddings_of(file, file.names)
    if not labels:
        return QuerySet(query, gallery, own)
    table = None if labels == FOLDERS else Path(labels)
    classes = np.unique(classes_by_name(table, [*ids, *file.names]), return_inverse=True)[1]
    of_gallery, of_queries = classes[: len(ids)], classes[len(ids) :]
    others = np.bincount(of_gallery, minlength=len(classes))[of_queries] - (own >= 0)
    if not (has_match := others > 0).any():
        raise InputError(f"{path}: no query has an image of its class to find in the gallery")
    return QuerySet(query[has_match], gallery, own[has_match], of_queries[has_match], of_gallery)


def fold_student(directory: Path, derived: DerivedSpace, out: Path) -> None:
    """Write a student of the parent space as one of the derived space.

    Raises:
        InputError: When it is not a model directory.
        SpaceMismatchError: When it is of another space.
    """
    from hetero.compact.folding import folded
    from hetero.models.directory import load_model, save_model

    origin = {"space": derived.derivation.parent, "weights": sha256_file(directory / "model.safetensors")}
    save_model(out, folded(load_model(directory), derived), {"folded_from": origin})


def _require_distinct(option: str, names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        raise InputError(f"{option}: expected names that differ, got {', '.join(names)}")


def _require_students(students: Sequence[Path], derived: DerivedSpace) -> None:
    from hetero.models.directory import load_record

    for path in students:
        load_record(path)
        # The contract alone: that the weights are whole shows when they are folded, and the copy is then not written.
        derived.require_parent(derived.space.load(path / "space.json"), that=f"the model {path}")


def _costs(query_set: QuerySet, derived: DerivedSpace) -> list[Cost]:
    """Measure every precision, and int8 of a prefix of half the length."""
    rows = costs(query_set, derived)
    half = derived.space.dimension // 2
    if derived.rotation.kind == "pca" and half:
        rows += costs(query_set, derived.prefix(half), precisions=("int8",))
    return rows


def _write_vectors(fresh: Path, contents: Contents, derived: DerivedSpace, precision: Precision) -> None:
    if contents.is_store:
        from hetero.gallery.opening import open_gallery

        address = f"usearch:{fresh / STORE}?precision={precision}"
        with open_gallery(address, derived.space) as store:
            for page in contents.pages:
                vectors = derived(page.vectors, contents.space)
                store.add(vectors, page.ids, derived.space, tenant=page.tenant, attributes=page.attributes)
        return
    vectors = derived(contents.vectors, contents.space)
    in_file = "float16" if precision == "float16" else "int8"
    save_embeddings(fresh / EMBEDDINGS, vectors, contents.pages[0].ids, derived.space, precision=in_file)
    if precision == "binary":
        write_bytes(fresh / CODES, _file_of(BinaryCodes.of(vectors), derived.space.space_id))


def _file_of(codes: BinaryCodes, space_id: str) -> bytes:
    from safetensors.numpy import save

    arrays: Mapping[str, np.ndarray] = {"bits": codes.bits, "mean": codes.mean}
    return save(dict(arrays), metadata={"space_id": space_id})
