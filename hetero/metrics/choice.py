"""The name of a metric as a setting that people write."""

from __future__ import annotations

from typing import Annotated, Any

from hetero.metrics.registry import choices, is_choice


class Choice:
    """Pydantic's check of a text: a metric that something may be chosen by, or one of some words.

    Args:
        words: What may be said instead.
    """

    def __init__(self, *words: str) -> None:
        self.words = words

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Called by pydantic, when it builds a checker."""
        from pydantic_core.core_schema import no_info_after_validator_function

        return no_info_after_validator_function(self.check, handler(source))

    def check(self, name: str) -> str:
        """The name, when it is one.

        Raises:
            PydanticCustomError: When it is not, in the words that pydantic has for a ``Literal``.
        """
        if name in self.words or is_choice(name):
            return name
        from pydantic_core import PydanticCustomError

        *others, last = map(repr, (*self.words, *choices()))
        raise PydanticCustomError(
            "metric", "Input should be {expected}", {"expected": f"{', '.join(others)} or {last}"}
        )


MetricName = Annotated[str, Choice()]
