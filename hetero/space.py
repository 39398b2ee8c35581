"""The contract: the meaning of an embedding vector."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from hetero.display.text import is_one_line
from hetero.errors import InputError, IntegrityError, SpaceMismatchError
from hetero.files import digest, read_json, write_json
from hetero.recognition.kinds import SPACE
from hetero.recognition.recognise import refuse_others
from hetero.schema import parse, record

SCHEMA = "hetero/space/1"


@record
class MeasuredCompatibility:
    """An earlier space that this one was measured to be compatible with.

    Attributes:
        space_id: The earlier space.
        metric: Name of the figure, for instance ``cmc@1``.
        cross: M(this space's query, earlier gallery).
        earlier: M(earlier query, earlier gallery).
        name: The earlier space's name and version, for people.
        own: M(this space's query, this space's gallery); None when it was not measured.
        low: Lower end of the paired 95 % bootstrap interval over classes of ``cross - earlier``.
        high: Upper end.
        data: Fingerprint of the images that it was measured on.
    """

    space_id: str
    metric: str
    cross: float
    earlier: float
    name: str = ""
    own: float | None = None
    low: float | None = None
    high: float | None = None
    data: str = ""


@record
class TextSide:
    """What is known of the texts whose vectors belong in an image space.

    Attributes:
        tower: Id of the text tower: digest of its weights or of a file of its vectors, or its name and version.
        temperature: Divides the cosines of texts with images in the towers' own training; 0 when it is not known.
        gap: Distance between the mean vectors of texts and of images: cosines across it are low even where text and
            image belong together, so that no threshold for images suits texts. None when it was not measured.
    """

    tower: str
    temperature: float = 0.0
    gap: float | None = None


@record
class Derivation:
    """The way from the vectors of another space to those of a derived one: rotate, shorten, scale to length one.

    Attributes:
        parent: Id of the other space.
        parent_version: Its version, for people; its name is the derived space's, too.
        rotation: SHA-256 of the file of the rotation. The space takes as many of its columns as it has dimensions.
        kind: ``pca`` or ``itq``; of the former alone the first coordinates of a vector are a derived space, too.
    """

    parent: str
    parent_version: str
    rotation: str
    kind: Literal["pca", "itq"]

    @property
    def identity(self) -> str:
        """Digest of parent and rotation, which defines a derived space together with its dimension."""
        return digest([self.parent, self.rotation])


@record
class EmbeddingSpace:
    """The meaning of a vector. Two vectors may be compared only when their spaces are the same.

    Attributes:
        space_id: Digest of the definition of the space (a cloud model's weights, or a file of its embeddings)
            with dimension, metric and normalisation: see :meth:`define`.
        name: Name for people.
        version: Version for people.
        dimension: Length of a vector.
        metric: Similarity of vectors.
        unit_norm: True if vectors have Euclidean length one.
        preprocessing: Digest of the cloud model's preprocessing; empty when it is not known.
        prototypes: SHA-256 of the class prototypes' safetensors file; empty when there is none.
        compatible_with: Earlier spaces, with the measured figures.
        mapped_from: Id of the space whose vectors a forward transform mapped to this one; empty for vectors that a
            model of this space made.
        text: The texts that may query the space; None when none were given.
        derived: The rotation of another space that this one is; None for a space that a model defines.
        schema: Version of this record.
    """

    space_id: str
    name: str
    version: str
    dimension: int
    metric: Literal["cosine"] = "cosine"
    unit_norm: bool = True
    preprocessing: str = ""
    prototypes: str = ""
    compatible_with: tuple[MeasuredCompatibility, ...] = ()
    mapped_from: str = ""
    text: TextSide | None = None
    derived: Derivation | None = None
    schema: Literal["hetero/space/1"] = SCHEMA

    @classmethod
    def define(cls, *, defined_by: str, name: str, version: str, dimension: int, **rest: Any) -> EmbeddingSpace:
        """Make a space whose id follows from its definition.

        Args:
            defined_by: SHA-256 of the cloud model's weights, or of a file of embeddings.
            name: Name for people.
            version: Version for people.
            dimension: Length of a vector.
            **rest: Further fields of :class:`EmbeddingSpace`.
        """
        metric = rest.get("metric", "cosine")
        unit_norm = rest.get("unit_norm", True)
        space_id = digest([defined_by, dimension, metric, unit_norm])
        return cls(space_id=space_id, name=name, version=version, dimension=dimension, **rest)

    def derive(self, *, rotation: str, kind: Literal["pca", "itq"], dimension: int) -> EmbeddingSpace:
        """Make the space of this one's vectors after a rotation, shortened and scaled to length one.

        What was measured of this space, its prototypes and its texts are not handed on: they are vectors of this space.

        Args:
            rotation: SHA-256 of the rotation's file.
            kind: Kind of rotation.
            dimension: Number of coordinates that are kept.
        """
        return self._derived_by(Derivation(self.space_id, self.version, rotation, kind), dimension)

    def shorten(self, dimension: int) -> EmbeddingSpace:
        """Make the space of the first coordinates of a derived space's vectors: derived from the same parent."""
        assert self.derived is not None
        return self._derived_by(self.derived, dimension)

    def _derived_by(self, derivation: Derivation, dimension: int) -> EmbeddingSpace:
        return EmbeddingSpace.define(
            defined_by=derivation.identity,
            name=self.name,
            version=f"{derivation.parent_version}-{derivation.kind}{dimension}",
            dimension=dimension,
            preprocessing=self.preprocessing,
            derived=derivation,
        )

    def require_same(self, other: EmbeddingSpace, *, this: str, that: str) -> None:
        """Refuse to mix two spaces.

        Args:
            other: The other side's space.
            this: Name of this side in the message, for instance ``"the gallery"``.
            that: Name of the other side.

        Raises:
            SpaceMismatchError: When the ids differ; the message names both.
        """
        if self.space_id != other.space_id:
            raise SpaceMismatchError(
                f"{this} and {that} hold vectors of different embedding spaces: "
                f"{self.name} {self.version} ({self.space_id}) and {other.name} {other.version} ({other.space_id}). "
                "Comparing them gives meaningless results; use models and galleries of one space, or re-embed."
                + (_KIN if _is_kin(self, other) else "")
            )

    def may_search(self, other: EmbeddingSpace) -> bool:
        """Return True if queries of this space may search another's vectors: it is the same, or measured compatible."""
        return other.space_id in (self.space_id, *(entry.space_id for entry in self.compatible_with))

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable record; a space says nothing of texts or a parent that it does not have."""
        value = asdict(self)
        for name in ("text", "derived"):
            if value[name] is None:
                del value[name]
        return value

    def save(self, path: Path) -> None:
        """Write ``space.json`` atomically."""
        write_json(path, self.to_dict())

    @classmethod
    def from_dict(cls, value: object, *, what: str) -> EmbeddingSpace:
        """Check a record and turn it into a space.

        Raises:
            IntegrityError: With every problem found.
        """
        space = parse(cls, value, what=what, error=IntegrityError)
        if space.dimension < 1:
            raise IntegrityError(f"{what}: dimension must be at least 1, got {space.dimension}")
        earlier = [text for old in space.compatible_with for text in (old.space_id, old.metric, old.name, old.data)]
        tower = [space.text.tower] if space.text else []
        parent = [space.derived.parent, space.derived.parent_version, space.derived.rotation] if space.derived else []
        if not all(map(is_one_line, (space.space_id, space.name, space.version, *earlier, *tower, *parent))):
            raise IntegrityError(f"{what}: a name or an id holds a character that is not seen")
        if space.derived and space.space_id != _derived_id(space, space.derived):
            raise IntegrityError(f"{what}: its id is not that of the rotation and the parent that it names")
        return space

    @classmethod
    def load(cls, path: Path) -> EmbeddingSpace:
        """Read ``space.json``.

        Raises:
            InputError: When the file is missing.
            IntegrityError: When it is not a valid record.
        """
        refuse_others(path, SPACE)
        if not path.is_file():
            raise InputError(
                f"expected an embedding space at {path}, found no file; every model, gallery and bundle has one"
            )
        try:
            value = read_json(path)
        except ValueError as error:
            raise IntegrityError(f"{path} is not JSON: {error}") from None
        return cls.from_dict(value, what=str(path))


_KIN = (
    " They are rotations of one space: hetero.DerivedSpace maps vectors, and `hetero gallery compact` folds students."
)


def _derived_id(space: EmbeddingSpace, derived: Derivation) -> str:
    return digest([derived.identity, space.dimension, space.metric, space.unit_norm])


def _is_kin(one: EmbeddingSpace, other: EmbeddingSpace) -> bool:
    """Return True if one space is derived from the other, or both from a third."""
    families = [{space.space_id, space.derived.parent} if space.derived else {space.space_id} for space in (one, other)]
    return not families[0].isdisjoint(families[1])
