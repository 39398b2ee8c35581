"""Bearer tokens: who may read, and who may write."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hetero.errors import InputError

Right = Literal["read", "write"]
VARIABLE = "HETERO_SERVE_TOKENS"
SHORTEST = 16
"""Fewest characters of a token: fewer can be guessed."""
_FORMAT = "expected a line for each token, 'read TOKEN' or 'write TOKEN'"


@dataclass(frozen=True)
class Tokens:
    """Tokens with their rights; who may write may read.

    Attributes:
        rights: Token and right, each token once; empty where everybody may do everything.
    """

    rights: Sequence[tuple[bytes, Right]]

    @classmethod
    def load(cls, file: Path | None, variable: str) -> Tokens:
        """Read tokens, one a line after its right.

        Args:
            file: The file; None for the variable.
            variable: The value of the variable.

        Raises:
            InputError: When there is no such file, or a line is not one of a token. No message holds a token.
        """
        if file is None:
            return cls(_tokens(variable, VARIABLE))
        if not file.is_file():
            raise InputError(f"expected a file of tokens at {file}, found none; {_FORMAT}")
        try:
            text = file.read_text(encoding="utf-8")
        except ValueError:
            raise InputError(f"{file} is not text in UTF-8; {_FORMAT}") from None
        tokens = _tokens(text, str(file))
        if not tokens:
            raise InputError(f"{file} holds no token; {_FORMAT}")
        return cls(tokens)

    def allow(self, credentials: str, right: Right) -> bool | None:
        """Tell whether a request may go on.

        Args:
            credentials: The request's header ``Authorization``; empty for none.
            right: What it is about to do.

        Returns:
            True if it may, False if its token lacks the right, None if it has no token that is known.
        """
        if not self.rights:
            return True
        kind, _, token = credentials.partition(" ")
        offered = token.strip().encode("utf-8", "replace") if kind.lower() == "bearer" else b""
        # All are compared, so that the time tells nothing.
        known = [own for stored, own in self.rights if hmac.compare_digest(stored, offered)]
        return right in known or "write" in known if known else None


def _tokens(text: str, place: str) -> list[tuple[bytes, Right]]:
    tokens: list[tuple[bytes, Right]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        right, *token = line.split()
        if right not in ("read", "write") or len(token) != 1:
            raise InputError(f"{place}, line {number}: {_FORMAT}")
        if len(token[0]) < SHORTEST or not token[0].isascii():
            raise InputError(
                f"{place}, line {number}: expected a token of at least {SHORTEST} characters of ASCII; make one with "
                "python -c 'import secrets; print(secrets.token_urlsafe())'"
            )
        tokens.append((token[0].encode(), right))
    if len({token for token, _ in tokens}) < len(tokens):
        raise InputError(f"{place}: a token is given twice")
    return tokens
