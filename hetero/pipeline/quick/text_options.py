"""The options of commands that take vectors of texts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hetero.data.config import path_text
from hetero.errors import InputError
from hetero.text.config import TextConfig


@dataclass(frozen=True)
class TextOptions:
    """Vectors of texts in a cloud's space, as far as a user says what they are.

    Attributes:
        vectors: Their file; None for no texts.
        describes: A CSV file of what they describe.
        tower: Id of the text tower.
        temperature: Divides cosines of texts with images in the towers' own training.
        prototypes: See :class:`hetero.text.config.TextConfig`.
    """

    vectors: Path | None = None
    describes: Path | None = None
    tower: str = ""
    temperature: float = 0.0
    prototypes: bool = False

    @property
    def config(self) -> TextConfig | None:
        """The settings; None for no texts.

        Raises:
            InputError: When texts are described that are not there, or a value is out of range.
        """
        if self.vectors is None:
            surplus = [name for name in ("describes", "tower", "temperature", "prototypes") if getattr(self, name)]
            if surplus:
                options = ", ".join(f"--text-{name}" for name in surplus)
                raise InputError(f"{options}: expected --text FILE, the texts' vectors, beside it")
            return None
        describes = path_text(self.describes) if self.describes else ""
        return TextConfig(path_text(self.vectors), describes, self.tower, self.temperature, self.prototypes)
