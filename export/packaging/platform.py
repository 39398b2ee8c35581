"""The definition of a platform: which of a bundle's files it takes, and where its build system looks for what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from export.app.contract import AppContract
from export.app_code.code import Language


@dataclass(frozen=True)
class Platform:
    """A kind of project.

    Attributes:
        name: Its name on the command line, and its folder.
        formats: Formats that it takes, the preferred one first.
        language: The language of the code.
        code: Folder of the code.
        resources: Folder of ``contract.json`` and the self-test.
        model: Folder of the model.
        files: Returns the build system's files, by path, given the contract and the code.
        folder: The expression for the folder of resources in the application.
        usual: True if it is written unless others are named.
    """

    name: str
    formats: tuple[str, ...]
    language: Language
    code: str
    resources: str
    model: str
    files: Callable[[AppContract, Mapping[str, str]], Mapping[str, str]]
    folder: str
    usual: bool = True
