"""Tables as TOML, which the standard library only reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast


def toml_text(table: Mapping[str, Any]) -> str:
    """Write a table: plain values first, then each table and list of tables in a section of its own.

    Tables in a section are written in one line each.

    Args:
        table: Texts, numbers, truth values, lists and tables of these.
    """
    plain = {key: value for key, value in table.items() if not _is_section(value)}
    parts = ["".join(_line(*item) for item in plain.items())]
    for key, value in table.items():
        if isinstance(value, dict):
            parts.append(f"[{key}]\n" + "".join(_line(*item) for item in cast("dict[str, Any]", value).items()))
        elif _is_section(value):
            parts += [f"[[{key}]]\n" + "".join(_line(*item) for item in each.items()) for each in value]
    return "\n".join(part for part in parts if part)


def _is_section(value: Any) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list | tuple) and any(isinstance(each, dict) for each in value)
    )  # pyright: ignore[reportUnknownVariableType]


def _line(key: str, value: Any) -> str:
    return f"{key} = {_value(value)}\n"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return (
            "{ "
            + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in cast("dict[str, Any]", value).items())
            + " }"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, cast("list[Any]", value))) + "]"
    # JSON writes texts, numbers and truth values as TOML does, but for one character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    return key if key.replace("-", "").replace("_", "").isalnum() and key.isascii() else json.dumps(key)
