"""The settings of the text vectors that a cloud's space has."""

from __future__ import annotations

from typing import Annotated, Any

from hetero.constraints import NotNegative
from hetero.schema import settings


@settings
class TextConfig:
    """Text vectors of the cloud's space, made by a text tower that is not run here.

    In a recipe ``text = "texts.safetensors"`` stands for a table of which only ``vectors`` is given. A recipe's run can
    also fit a small text tower of its own to a space that has none.

    Attributes:
        vectors: A file of embeddings whose names are the texts, or ids of them.
        describes: A CSV file with the column ``text`` and either ``label``, the class that the text describes, or
            ``path`` (or ``name``), an image that it describes. Empty if a text's name is the class that it describes.
        tower: Id of the text tower; empty for what the file states, or else the file's digest.
        temperature: Divides the cosines of texts with images in the towers' own training; 0 if it is not known.
        prototypes: True if students' frozen classifier, and their own's start, are the texts of the classes instead of
            the cloud's prototypes.
        fit: True to fit a text tower in place of ``vectors``, by the training images: those that texts of ``describes``
            describe, or else by the names of their classes (of emoji, the Unicode names). See
            :mod:`hetero.text.fitting`.
    """

    vectors: str = ""
    describes: str = ""
    tower: str = ""
    temperature: NotNegative = 0.0
    prototypes: bool = False
    fit: bool = False

    def rules(self) -> list[str]:
        """Return one problem for each rule between fields that is broken."""
        if not self.fit:
            return [] if self.vectors else ["vectors: expected a file of the texts' vectors, or fit = true"]
        surplus = [name for name in ("vectors", "tower", "temperature") if getattr(self, name)]
        return [f"{name}: is of vectors that are there, and fit makes its own; leave one out" for name in surplus]


class _FileAlone:
    """An annotation that lets files write the path of the vectors in place of the table."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(
            lambda value: {"vectors": value} if isinstance(value, str) else value, handler(source)
        )


TextTable = Annotated[TextConfig, _FileAlone()]
"""A :class:`TextConfig`, which files may write as the path of its vectors."""
