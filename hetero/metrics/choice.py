"""The name of a metric as a setting."""

from __future__ import annotations

from typing import Annotated, Any

from hetero.metrics.registry import choices, is_choice


class Choice:
    """Pydantic's check of a text: a metric by which a choice may be made, or one of some words.

    Args:
        words: Other values that are allowed.
    """

    def __init__(self, *words: str) -> None:
        self.words = words

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Return the schema; pydantic calls this when it builds a checker."""
        from pydantic_core.core_schema import no_info_after_validator_function

        return no_info_after_validator_function(self.check, handler(source))

    def check(self, name: str) -> str:
        """Return the name, if it is allowed.

        Raises:
            PydanticCustomError: When it is not, in pydantic's words for a ``Literal``.
        """
        if name in self.words or is_choice(name):
            return name
        from pydantic_core import PydanticCustomError

        *others, last = map(repr, (*self.words, *choices()))
        raise PydanticCustomError(
            "metric", "Input should be {expected}", {"expected": f"{', '.join(others)} or {last}"}
        )


MetricName = Annotated[str, Choice()]
