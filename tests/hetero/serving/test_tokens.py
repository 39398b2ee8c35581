"""Tokens: who may do what, and files that are refused without a word of what is in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetero.errors import InputError
from hetero.serving.tokens import Tokens

READ, WRITE = "r" * 16, "w" * 16


@pytest.mark.parametrize(
    ("credentials", "read", "write"),
    [
        ("", None, None),
        (f"Bearer {READ}", True, False),
        (f"bearer  {WRITE} ", True, True),
        (f"Basic {WRITE}", None, None),
        (f"Bearer {WRITE}x", None, None),
        ("Bearer é", None, None),
        (WRITE, None, None),
    ],
)
def test_a_token_has_its_right(credentials: str, read: bool | None, write: bool | None) -> None:
    tokens = Tokens.load(None, f"# those of the shop\nread {READ}\n\nwrite {WRITE}\n")
    assert (tokens.allow(credentials, "read"), tokens.allow(credentials, "write")) == (read, write)


def test_without_tokens_everybody_may() -> None:
    assert Tokens.load(None, "").allow("", "write") is True


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"admin {READ}", "line 1: expected a line for each token"),
        (f"\nread {READ} x", "line 2: expected a line for each token"),
        ("read hunter2", "line 1: expected a token of at least 16 characters"),
        (f"read {READ}\nwrite {READ}", "a token is given twice"),
        ("# none", "holds no token"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "tokens").write_text(text)
    with pytest.raises(InputError, match=problem) as refused:
        Tokens.load(tmp_path / "tokens", "")
    assert READ not in str(refused.value) and "hunter2" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a file of tokens"):
        Tokens.load(tmp_path / "tokens", f"read {READ}")
